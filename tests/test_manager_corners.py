"""Managers' objects where something odd is done with them."""

import gc
import os
import threading
import weakref

import pytest
from manager_support import given_back, used
from support import METHODS, PATIENCE, ended

import procession as mp

pytestmark = pytest.mark.both_backends


@pytest.fixture
def manager():
    with mp.Manager() as manager:
        yield manager


def test_a_barrier_for_too_many(manager):
    for parties in (0, -1, 65536, 10**6):
        with pytest.raises(ValueError, match="parties must be"):
            manager.Barrier(parties)


def test_a_bounded_semaphore_takes_all_back_or_none(manager):
    permits = manager.BoundedSemaphore(3)
    assert permits.acquire() and permits.acquire()
    with pytest.raises(ValueError, match="released too many times"):
        permits.release(3)
    permits.release(2)
    assert [permits.acquire(False) for _ in range(4)] == [True, True, True, False]
    with pytest.raises(ValueError, match="n must be one or more"):
        permits.release(0)


class Alone:
    """Equal to nothing but itself, and pickled like all the others."""


def test_objects_without_equality_are_different_keys(manager):
    names = manager.dict()
    names[Alone()] = 1
    names[Alone()] = 2
    names.update({Alone(): 3, float("nan"): 4})
    names[float("nan")] = 5
    assert names.setdefault(Alone(), 6) == 6
    assert names.values() == [1, 2, 3, 4, 5, 6] and Alone() not in names
    assert names._check() == []


def test_what_holds_itself_ends_with_the_manager():
    before = used()
    with mp.Manager() as manager:
        queue, names, values = manager.Queue(), manager.dict(), manager.list()
        queue.put((queue, names))
        names["queue"], names["values"] = queue, values
        values.extend([names, values])
        del queue, names, values
        gc.collect()
        assert used() > before
    given_back(before)


@pytest.mark.parametrize("kind", ["dict", "list"])
def test_an_iterator_is_collected_with_what_it_goes_through(manager, kind):
    proxy = getattr(manager, kind)([(1, 2)])
    proxy.itself = iter(proxy)
    gone = weakref.ref(proxy)
    del proxy
    gc.collect()
    assert gone() is None


def test_a_sort_that_changes_its_own_list(manager):
    values = manager.list([3, 1, 2])

    def key(value):
        values.append(value)
        return value

    with pytest.raises(ValueError, match="list modified during sort"):
        values.sort(key=key)
    values[:] = [3, 1, 2]
    values.sort()
    assert values[:] == [1, 2, 3]


def change_all_the_time(values, names, ready, stop):
    number = 0
    while not stop.is_set():
        values.append(number)
        values.pop()
        names[number % 7] = number
        names.pop(number % 7, None)
        number += 1
        ready.set()


@pytest.mark.parametrize("method", METHODS)
def test_nobody_is_outrun_by_others(manager, method):
    """What compares in Python takes longer than others leave it alone, unless it asks them to."""
    context = mp.get_context(method)
    values, names = manager.list(range(3000)), manager.dict({1.5: 0, 20.0: 0})
    stop, ready = context.Event(), [context.Event() for _ in range(2)]
    children = [
        context.Process(target=change_all_the_time, args=(values, names, one, stop))
        for one in ready
    ]
    for child in children:
        child.start()
    try:
        assert all(one.wait(PATIENCE) for one in ready)
        for _ in range(3):
            values.sort(key=lambda value: -value)
            del values[::3]
            values.remove(values[5])
            names[frozenset("key")] = 1
            assert names.pop(frozenset("key")) == 1
            names.update({True: 1, "x": 2})
            names.increment(20, 0.5)
    finally:
        stop.set()
        ended(*children)
    assert names[20] == 1.5 and values._check() == [] == names._check()


def test_a_claim_holds_up_no_thread_of_its_own_process(manager):
    """While one sorts, asking others to wait, the rest of its process goes on."""
    values, names = manager.list(range(500)), manager.dict()
    asked, done, claimed = threading.Semaphore(0), threading.Semaphore(0), threading.Event()
    tries = []

    def key(value):
        if value == 0:
            tries.append(value)
            if len(tries) <= 4:  # it is changed in between: then it is claimed
                asked.release()
                assert done.acquire(timeout=PATIENCE)
            elif not claimed.is_set():
                claimed.set()
                assert done.acquire(timeout=PATIENCE)
        return -value

    def other():
        for _ in range(4):
            assert asked.acquire(timeout=PATIENCE)
            values[0] = values[0]
            done.release()
        assert claimed.wait(PATIENCE)
        names["x"] = 1
        done.release()

    thread = threading.Thread(target=other)
    thread.start()
    values.sort(key=key)
    thread.join(PATIENCE)
    assert values[:3] == [499, 498, 497] and names["x"] == 1


@pytest.mark.of_the_arena("the server of a manager")
def test_a_server_is_started_when_it_is_needed():
    with mp.Manager() as manager:
        manager.list([1])
        assert not mp.active_children()
        address = manager.address
        (server,) = mp.active_children()
        assert server is manager._process and address == manager.address
        assert manager.Pool(1).apply(os.getpid) != server.pid
        assert server in mp.active_children()
    server.join(PATIENCE)
    assert not mp.active_children()


class Colour:
    pass


def find_by_class(names, found):
    found.put([names.get(Colour), names.get(find_by_class)])


@pytest.mark.parametrize("method", METHODS)
def test_classes_and_functions_are_keys_everywhere(manager, method):
    context = mp.get_context(method)
    names, found = manager.dict({Colour: 1, find_by_class: 2}), manager.Queue()
    child = context.Process(target=find_by_class, args=(names, found))
    child.start()
    assert found.get(timeout=PATIENCE) == [1, 2]
    ended(child)


def test_numbers_of_numpy_are_keys(manager):
    numpy = pytest.importorskip("numpy")
    names = manager.dict({1: "int", 0.5: "float", (1, 2): "tuple"})
    assert names[numpy.int64(1)] == "int" and names[numpy.float32(0.5)] == "float"
    assert names[(numpy.int8(1), 2)] == "tuple" and numpy.int64(3) not in names
    names[numpy.uint8(7)] = "byte"
    assert names[7] == names[7.0] == "byte" and len(names) == 4


@pytest.mark.parametrize("kind", ["dict", "list"])
def test_threads_share_an_iterator(manager, kind):
    """Each value goes to one of them, also if it takes Python code to make it."""
    values = [complex(number, 1) for number in range(500)]
    shared = manager.list(values) if kind == "list" else manager.dict(dict.fromkeys(values))
    common, got = iter(shared), [[] for _ in range(4)]
    threads = [threading.Thread(target=mine.extend, args=(common,)) for mine in got]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(value.real for mine in got for value in mine) == list(range(500))


def test_an_iterator_says_again_that_the_dict_has_changed(manager):
    names = manager.dict(a=1, b=2)
    keys = iter(names)
    names["c"] = 3
    for _ in range(2):
        with pytest.raises(RuntimeError, match="changed size"):
            next(keys)


def test_only_what_can_be_added_is_an_increment(manager):
    names = manager.dict()
    with pytest.raises(TypeError):
        names.increment("n", object())
    assert names.increment("n", 2.5) == 2.5 and names.increment("t", True) == 1
    assert names.keys() == ["n", "t"]


@pytest.mark.of_the_arena("its limit")
def test_a_list_that_no_arena_could_hold(manager):
    values = manager.list([1, 2])
    for times in (2**40, 2**63 - 1):
        with pytest.raises(MemoryError):
            values *= times
    values *= 2
    assert values[:] == [1, 2, 1, 2]
    values *= -1
    assert values[:] == []


def make_after_the_end(manager, ended, told):
    assert ended.wait(PATIENCE)
    try:
        manager.list()
    except BrokenPipeError as error:
        told.put(str(error))


def test_a_forked_child_makes_nothing_after_the_end():
    context = mp.get_context("fork")
    manager, over, told = context.Manager(), context.Event(), context.Queue()
    child = context.Process(target=make_after_the_end, args=(manager, over, told))
    child.start()
    manager.shutdown()
    over.set()
    assert "shut down" in told.get(timeout=PATIENCE)
    ended(child)
