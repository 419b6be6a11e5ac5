"""Where managers' objects go, how long they live, and what a shutdown ends."""

import contextlib
import gc
import multiprocessing
import pickle
import threading

import pytest
from conftest import descendants
from manager_support import given_back, sound, used
from support import METHODS, PATIENCE, each_method, ended, run, until

import procession as mp

MAKERS = {
    "dict": lambda m: m.dict(a=1),
    "list": lambda m: m.list([1]),
    "Namespace": lambda m: m.Namespace(x=1),
    "Value": lambda m: m.Value("i", 1),
    "Array": lambda m: m.Array("i", [1]),
    "Queue": lambda m: m.Queue(),
    "JoinableQueue": lambda m: m.JoinableQueue(),
    "Lock": lambda m: m.Lock(),
    "RLock": lambda m: m.RLock(),
    "Semaphore": lambda m: m.Semaphore(),
    "BoundedSemaphore": lambda m: m.BoundedSemaphore(),
    "Condition": lambda m: m.Condition(),
    "Event": lambda m: m.Event(),
    "Barrier": lambda m: m.Barrier(1),
}


@pytest.fixture
def manager():
    with mp.Manager() as manager:
        yield manager


def one_of_each(manager):
    return {kind: make(manager) for kind, make in MAKERS.items()}


def test_no_process_is_started():
    before, threads = descendants(), threading.active_count()
    with mp.Manager() as manager:
        objects = one_of_each(manager)
        objects["dict"].update(objects["list"]._getvalue() and [("b", 2)])
        assert descendants() == before and not mp.active_children()
        assert threading.active_count() == threads
        assert manager._number_of_objects() == len(MAKERS)


# ---------------------------------------------------------------- travel


def use_all(objects, told):
    """Does something with each, which the other side sees."""
    objects["dict"]["b"] = objects["dict"].pop("a") + 1
    objects["list"].append(2)
    objects["Namespace"].y = objects["Namespace"].x + 1
    objects["Value"].value += 1
    objects["Array"][0] = 2
    objects["Queue"].put("put")
    objects["JoinableQueue"].put("put")
    assert objects["Lock"].acquire() and objects["RLock"].acquire() and objects["RLock"].acquire()
    assert objects["Semaphore"].acquire() and not objects["Semaphore"].acquire(False)
    assert objects["BoundedSemaphore"].acquire()
    with objects["Condition"] as had:
        assert had
        objects["Condition"].notify()
    objects["Event"].set()
    assert objects["Barrier"].wait() == 0
    objects["RLock"].release()
    objects["RLock"].release()
    told.put("done")


def seen(objects):
    """Whether `use_all` was there."""
    assert str(objects["dict"]) == "{'b': 2}" and str(objects["list"]) == "[1, 2]"
    assert str(objects["Namespace"]) == "Namespace(x=1, y=2)"
    assert objects["Value"].value == 2 and objects["Array"][0] == 2
    assert objects["Queue"].get(timeout=PATIENCE) == "put"
    assert objects["JoinableQueue"].get(timeout=PATIENCE) == "put"
    objects["JoinableQueue"].task_done()
    objects["JoinableQueue"].join()
    assert not objects["Lock"].acquire(False), "the other process has it"
    objects["Lock"].release()
    assert objects["RLock"].acquire(False)
    assert not objects["Semaphore"].acquire(False) and objects["Event"].is_set()
    sound(objects["dict"], objects["list"])


@each_method
def test_as_arguments_of_a_process(manager, method):
    context = mp.get_context(method)
    objects, told = one_of_each(manager), context.Queue()
    child = context.Process(target=use_all, args=(objects, told))
    child.start()
    assert told.get(timeout=PATIENCE) == "done"
    seen(objects)
    ended(child)


def use_all_from(source, told):
    get = source if callable(source) else getattr(source, "recv", None) or source.get
    use_all(get(), told)


@each_method
@pytest.mark.parametrize("way", ["Queue", "SimpleQueue", "Pipe", "manager's queue"])
def test_in_messages(manager, method, way):
    context = mp.get_context(method)
    objects, told = one_of_each(manager), context.Queue()
    with contextlib.ExitStack() as stack:
        if way == "Pipe":
            theirs, mine = map(stack.enter_context, context.Pipe())
            send = mine.send
        else:
            theirs = manager.Queue() if way == "manager's queue" else getattr(context, way)()
            send = theirs.put
        child = context.Process(target=use_all_from, args=(theirs, told))
        child.start()
        send(objects)
        assert told.get(timeout=PATIENCE) == "done"
        seen(objects)
        ended(child)


def in_pool(objects, told):
    use_all(objects, told)
    return objects


@each_method
def test_to_a_pools_workers_and_back(manager, method):
    context = mp.get_context(method)
    objects, told = one_of_each(manager), manager.Queue()
    with context.Pool(1) as pool:
        back = pool.apply(in_pool, (objects, told))
        assert told.get(timeout=PATIENCE) == "done"
        seen(back)
        back["list"].append(3)
        assert str(objects["list"]) == "[1, 2, 3]"


@each_method
def test_inside_one_another(manager, method):
    context, told = mp.get_context(method), mp.Queue()
    objects = one_of_each(manager)
    outer = manager.list([manager.dict(objects=manager.Namespace(all=objects))])
    child = context.Process(target=use_nested, args=(outer, told))
    child.start()
    assert told.get(timeout=PATIENCE) == "done"
    seen(outer[0]["objects"].all)
    assert outer._check() == outer[0]._check() == []
    ended(child)


def use_nested(outer, told):
    use_all(outer[0]["objects"].all, told)


def test_a_process_of_the_standard_library(manager):
    for method in METHODS:
        context = multiprocessing.get_context(method)
        objects, told = one_of_each(manager), mp.Queue()
        child = context.Process(target=use_all_and_stay, args=(objects, told, go := mp.Event()))
        child.start()
        assert told.get(timeout=PATIENCE) == "done"
        seen(objects)
        go.set()
        ended(child)


def use_all_and_stay(objects, told, go):
    use_all(objects, told)
    go.wait(PATIENCE)


def test_made_by_a_forked_child_of_the_managers_process(manager):
    told = manager.Queue()
    child = mp.get_context("fork").Process(target=make_there, args=(manager, told))
    child.start()
    ended(child)
    shared = told.get(timeout=PATIENCE)
    assert shared[0]["made"] == "there"
    assert manager._number_of_objects() >= 3


def make_there(manager, told):
    told.put(manager.list([manager.dict(made="there")]))
    manager.shutdown()  # is the owner's to do


class Gate:
    """Holds up whoever unpickles it."""

    def __init__(self, opened):
        self.opened = opened

    def __reduce__(self):
        return _pass, (self.opened,)


def _pass(opened):
    opened.wait(PATIENCE)


@each_method
def test_what_a_starting_child_was_given_lives(method):
    context = mp.get_context(method)
    opened, told = context.Event(), context.Queue()
    manager = context.Manager()
    args = (Gate(opened), manager.dict(a=1), manager.Condition(), told)
    child = context.Process(target=tell_of_it, args=args)
    child.start()
    del manager, args
    gc.collect()
    opened.set()
    assert told.get(timeout=PATIENCE) == "{'a': 1}"
    ended(child)


def tell_of_it(gate, shared, condition, told):
    with condition:
        told.put(str(shared))


# ---------------------------------------------------------------- life


def test_a_proxy_is_all_that_an_object_needs():
    shared = mp.Manager().dict(a=1)
    gc.collect()
    shared["b"] = 2
    assert str(shared) == "{'a': 1, 'b': 2}"
    twin = pickle.loads(pickle.dumps(shared))
    del shared
    assert twin["b"] == 2


def test_bytes_of_another_pickler_are_weak(manager):
    shared = manager.list([1])
    data = pickle.dumps(shared)
    twin = pickle.loads(data)
    twin.append(2)
    assert str(shared) == "[1, 2]" and twin is not shared
    del shared, twin
    with pytest.raises(RuntimeError):
        pickle.loads(data)


HOLDERS = {
    "dict": lambda m: (d := m.dict(), d.__setitem__, d.clear),
    "a key": lambda m: (d := m.dict(), lambda k, v: d.__setitem__((k, v), 0), d.clear),
    "list": lambda m: (row := m.list(), row.insert, row.clear),
    "Namespace": lambda m: (n := m.Namespace(), n.__setattr__, lambda: delattr(n, "x")),
    "Value": lambda m: (v := m.Value("O", None), lambda k, x: v.set(x), lambda: v.set(None)),
    "Queue": lambda m: (q := m.Queue(), lambda k, v: q.put(v), q.get),
}


def freed(weak_bytes):
    """Whether what they name is gone."""
    try:
        pickle.loads(weak_bytes)
    except RuntimeError:
        return True
    return False


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("holder", HOLDERS)
def test_an_object_lives_while_another_holds_it_and_no_longer(manager, kind, holder):
    held = MAKERS[kind](manager)
    data = pickle.dumps(held)
    keeper, put, remove = HOLDERS[holder](manager)
    key = 0 if holder == "list" else "x"
    if holder == "a key" and kind in ("dict", "list", "Namespace", "Value", "Array"):
        key = "x"
    put(key, held)
    del held
    assert not freed(data)
    remove()
    assert freed(data), type(keeper)


def test_a_chain_is_freed_to_its_end(manager):
    chain, datas = manager.list(), []
    for _ in range(100):
        datas.append(pickle.dumps(chain))
        chain = manager.list([chain])
    datas.append(pickle.dumps(chain))
    assert not freed(datas[0]) and not freed(datas[50])
    del chain
    assert all(map(freed, datas))


def hold_one(shared, ready):
    ready.set()
    threading.Event().wait()


@each_method
def test_what_a_killed_process_held_is_freed(method):
    context = mp.get_context(method)
    manager, ready = context.Manager(), context.Event()
    shared = manager.list(range(1000))
    data = pickle.dumps(shared)
    child = context.Process(target=hold_one, args=(shared, ready))
    child.start()
    assert ready.wait(PATIENCE)
    del shared
    assert not freed(data)
    child.kill()
    ended(child, code=-9)
    until(lambda: sweep() and freed(data), "its end")


def sweep():
    """Who waits in vain for a while takes back what the dead held."""
    with contextlib.suppress(mp.queues.Empty):
        mp.Queue().get(timeout=0.15)
    return True


BIG = b"x" * 100_000
GROW = {
    "dict": lambda m: m.dict((n, f"value {n}") for n in range(2000)),
    "large values": lambda m: m.dict((n, BIG) for n in range(20)),
    "list": lambda m: m.list(f"value {n}" for n in range(2000)),
    "Namespace": lambda m: m.Namespace(**{f"n{n}": BIG for n in range(20)}),
    "Array": lambda m: m.Array("d", range(5000)),
    "nested": lambda m: m.list([m.dict(a=BIG) for _ in range(20)]),
    "Queue": lambda m: (q := m.Queue()) and [q.put(BIG) for _ in range(20)] and q,
}


@pytest.mark.parametrize("what", GROW)
@pytest.mark.parametrize("how", ["dropped", "emptied", "shut down"])
def test_memory_comes_back(what, how):
    def once():
        manager = mp.Manager()
        grown = GROW[what](manager)
        inside = used()
        if how == "emptied" and what not in ("Array", "Queue", "Namespace"):
            grown.clear()
            assert used() < inside - 50_000
            sound(grown)
        if how == "shut down":
            manager.shutdown()
            if what != "Queue":
                given_back(inside - 50_000)
        return inside

    once()  # what is made once and kept
    before = used()
    inside = once()
    assert inside > before + 50_000
    given_back(before)


def test_overwriting_takes_no_more_and_more(manager):
    shared, row = manager.dict(), manager.list([b""] * 10)
    most = 0
    for number in range(3000):
        shared[number % 10] = row[number % 10] = bytes(number * 37 % 5000)
        if number == 500:
            most = used()
    assert used() < 2 * most
    sound(shared, row)


FULL = """
import procession as mp
from procession import _core

manager = mp.Manager()
shared, row = manager.dict(a=1), manager.list([1])
limit = _core.memory_limit()
_core.set_memory_limit(2 << 20)
big, parts = bytes(3 << 20), [bytes(100_000)] * 30
for step in (
    lambda: shared.__setitem__("a", big),
    lambda: shared.__setitem__(big, 1),
    lambda: shared.update(enumerate(parts)),
    lambda: shared.setdefault("b", big),
    lambda: shared.compare_exchange("a", 1, big),
    lambda: row.append(big),
    lambda: row.extend(parts),
    lambda: row.insert(0, big),
    lambda: row.__setitem__(0, big),
    lambda: row.__setitem__(slice(0, 1), parts),
    lambda: row.__imul__(10**6),
    lambda: manager.list([big]),
    lambda: manager.Value("O", big),
):
    try:
        step()
    except MemoryError:
        assert str(shared) == "{'a': 1}" and str(row) == "[1]"
        assert shared._check() == row._check() == []
    else:
        raise AssertionError("there is no room for it")
_core.set_memory_limit(limit)
shared["a"] = big
row.append(big)
assert shared["a"] == row[1] == big
"""


def test_a_full_arena_is_a_memory_error_and_all_is_as_before():
    assert run("-c", FULL) == ""
