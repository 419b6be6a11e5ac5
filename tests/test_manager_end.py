"""The end of a manager: what its objects say, who is told, and what the manager itself says."""

import array
import functools
import multiprocessing
import os
import pickle
import threading
import time

import pytest
from manager_support import outcome
from support import PATIENCE, each_method, ended, until, until_waiting

import procession as mp
from procession import _core
from procession.managers import BaseManager, SyncManager

OPERATIONS = {
    "dict": """
        d['a'] | d['a'] = 1 | del d['a'] | 'a' in d | len(d) | bool(d) | list(d) | next(iter(d))
        d.get('a') | d.get('z', 1) | d.pop('a') | d.pop('z', 1) | d.popitem() | d.setdefault('a', 1)
        d.update(a=1) | d.update() | d.clear() | d.copy() | d.keys() | d.values() | d.items()
        d.increment('a') | d.compare_exchange('a', 1, 2) | d.wait_for('a') | d.wait_for('z', 0) | d.lock()
        d._getvalue() | d._callmethod('get', ('a',)) | d._check() | reversed(d) | dict(d) | {**d}
    """,
    "list": """
        l[0] | l[0] = 1 | del l[0] | l[:] | l[::2] | l[:] = [] | l[::2] = [1] | del l[:] | del l[::2]
        1 in l | len(l) | bool(l) | list(l) | reversed(l) | l + [] | l * 2 | 2 * l | l += [] | l *= 2
        l.append(1) | l.extend([]) | l.insert(0, 1) | l.pop() | l.remove(1) | l.index(1) | l.count(1)
        l.sort() | l.reverse() | l.clear() | l.copy() | l.lock() | l._getvalue() | l._check()
        l._callmethod('pop')
    """,
    "Namespace": "n.x | n.x = 1 | del n.x | n.y | n._getvalue()",
    "Value": "v.value | v.value = 1 | v.get() | v.set(1) | v._getvalue()",
    "Array": "a[0] | a[0] = 1 | a[:] | a[:] = numbers | len(a) | list(a) | a._getvalue()",
    "Queue": """
        q.get() | q.get(False) | q.get(timeout=1) | q.get_nowait() | q.put(1) | q.put_nowait(1)
        q.qsize() | q.empty() | q.full() | q.task_done() | q.join() | q.put_many([1]) | q.get_many()
    """,
    "JoinableQueue": "q.get() | q.put(1) | q.join() | q.task_done()",
    "Lock": "x.acquire() | x.acquire(False) | x.acquire(True, 1) | x.release() | x.__enter__() | x.locked()",
    "RLock": "x.acquire() | x.acquire(False) | x.acquire(True, 1) | x.release() | x.__enter__()",
    "Semaphore": "x.acquire() | x.acquire(False) | x.acquire(True, 1) | x.release() | x.__enter__()",
    "BoundedSemaphore": "x.acquire() | x.acquire(False) | x.release() | x.__enter__()",
    "Condition": """
        c.acquire() | c.release() | c.wait() | c.wait(1) | c.notify() | c.notify_all() | c.__enter__()
        c.wait_for(lambda: False)
    """,
    "Event": "e.is_set() | e.set() | e.clear() | e.wait() | e.wait(0)",
    "Barrier": "b.wait() | b.wait(0) | b.abort() | b.reset() | b.parties | b.n_waiting | b.broken",
}


def make(manager, kind):
    arguments = {"dict": ({"a": 1},), "list": ([1, 2],), "Value": ("i", 1), "Array": ("i", [1])}
    made = getattr(manager, kind)(*arguments.get(kind, (1,) if kind == "Barrier" else ()))
    if kind == "Namespace":
        made.x = 1
    return made


def all_broken(kind, shared):
    """Demands of each operation that it raises BrokenPipeError."""
    codes = [code.strip() for line in OPERATIONS[kind].splitlines() for code in line.split(" | ")]
    names = dict.fromkeys("dlnvaqxceb", shared) | {"numbers": array.array("i", [1])}
    results = {code: outcome(code, **names) for code in codes if code.strip()}
    assert results and {*results.values()} == {
        "BrokenPipeError: [Errno 32] the manager was shut down"
    }


@pytest.mark.parametrize("kind", OPERATIONS)
def test_each_operation_says_that_the_manager_was_shut_down(kind):
    manager = mp.Manager()
    shared = make(manager, kind)
    iterator = iter(shared) if kind in ("dict", "list") else iter(())
    nested = make(manager, kind)
    manager.shutdown()
    all_broken(kind, shared)
    all_broken(kind, nested)
    if kind in ("dict", "list"):
        with pytest.raises(BrokenPipeError):
            next(iterator)
    if "Queue" not in kind:
        assert str(shared) == repr(shared)[:-1] + "; '__str__()' failed>"
    twin = pickle.loads(pickle.dumps(shared))
    all_broken(kind, twin)


def tell_when_told(objects, ready, told):
    ready.set()
    until(lambda: broken(objects["dict"]), "the shutdown")
    for kind, shared in objects.items():
        all_broken(kind, shared)
    told.put("done")


def broken(shared):
    try:
        len(shared)
    except BrokenPipeError:
        return True
    return False


@each_method
def test_in_all_processes(method):
    context = mp.get_context(method)
    ready, told = context.Event(), context.Queue()
    with context.Manager() as manager:
        objects = {kind: make(manager, kind) for kind in OPERATIONS}
        child = context.Process(target=tell_when_told, args=(objects, ready, told))
        child.start()
        assert ready.wait(PATIENCE)
    assert told.get(timeout=PATIENCE) == "done"
    ended(child)


def waits(condition, name, *args):
    condition.acquire()
    getattr(condition, name)(*args)


WAITS = {
    "Queue.get": lambda m: m.Queue().get,
    "Queue.get with a time-out": lambda m: functools.partial(m.Queue().get, timeout=100),
    "Queue.get_many": lambda m: m.Queue().get_many,
    "Queue.put": lambda m: (q := m.Queue(1)).put(1) or (lambda: q.put(2)),
    "Queue.join": lambda m: (q := m.Queue()).put(1) or q.join,
    "Lock.acquire": lambda m: (x := m.Lock()).acquire() and x.acquire,
    "Lock.acquire with a time-out": lambda m: (
        (x := m.Lock()).acquire() and (lambda: x.acquire(True, 100))
    ),
    "Lock in a with": lambda m: (x := m.Lock()).acquire() and x.__enter__,
    "RLock.acquire": lambda m: (x := m.RLock()).acquire() and x.acquire,
    "Semaphore.acquire": lambda m: m.Semaphore(0).acquire,
    "BoundedSemaphore.acquire": lambda m: m.BoundedSemaphore(0).acquire,
    "Event.wait": lambda m: m.Event().wait,
    "Barrier.wait": lambda m: m.Barrier(2).wait,
    "Condition.wait": lambda m: functools.partial(waits, m.Condition(), "wait"),
    "Condition.wait_for": lambda m: functools.partial(waits, m.Condition(), "wait_for", bool),
    "dict.wait_for": lambda m: functools.partial(m.dict().wait_for, "a"),
    "dict.lock": lambda m: (d := m.dict()).lock().acquire() and d.lock().acquire,
}


@pytest.mark.parametrize("what", WAITS)
def test_who_waits_is_told(what):
    manager, got = mp.Manager(), []
    wait = WAITS[what](manager)
    thread = threading.Thread(target=lambda: got.append(outcome("wait()", wait=wait)))
    thread.start()
    until_waiting(os.getpid())
    start = time.monotonic()
    manager.shutdown()
    thread.join(PATIENCE)
    assert got and got[0].startswith("BrokenPipeError: "), got
    assert time.monotonic() - start < 2


@each_method
def test_who_waits_in_another_process_is_told(method):
    context = mp.get_context(method)
    told, manager = context.Queue(), context.Manager()
    queue, lock, event = manager.Queue(), manager.Lock(), manager.Event()
    lock.acquire()
    children = [
        context.Process(target=tell_how_it_ended, args=(shared, name, told))
        for shared, name in ((queue, "get"), (lock, "acquire"), (event, "wait"))
    ]
    for child in children:
        child.start()
    until_waiting(*(child.pid for child in children))
    manager.shutdown()
    ends = [told.get(timeout=PATIENCE) for _ in children]
    assert all(end.startswith("BrokenPipeError: ") for end in ends), ends
    ended(*children)


def tell_how_it_ended(shared, name, told):
    told.put(outcome(f"shared.{name}()", shared=shared))


STATES = """
    m = kind(); m.dict()
    m = kind(); m.start(); m.start()
    m = kind(); m.start(); m.shutdown(), m.shutdown()
    m = kind(); m.start(); m.shutdown(); m.dict()
    m = kind(); m.start(); m.shutdown(); m.start()
    m = kind(); m.start(5)
    m = kind(); m.start(initializer='no function')
    m = kind(); m.__enter__() is m, m.dict(a=1).copy(), m.__exit__(None, None, None)
    m = kind(); m.start(); m.__enter__() is m, m.shutdown()
    m = kind(); m.start(); m.join(0.01), m.shutdown(), m.join()
    m = kind(); m.start(); m.nosuch
    m = kind(serializer='nosuch')
    m = kind(authkey='text')
    m = kind(authkey=b'bytes'); m.start(); m.list([1])._getvalue(), m.shutdown()
    m = kind(); isinstance(m, SyncManager), isinstance(m, BaseManager), type(m).__name__
"""


@pytest.mark.parametrize("code", [line.strip() for line in STATES.strip().splitlines()])
def test_the_managers_states_are_the_standard_librarys(code):
    from multiprocessing import managers

    theirs = outcome(
        code,
        kind=managers.SyncManager,
        SyncManager=managers.SyncManager,
        BaseManager=managers.BaseManager,
    )
    ours = outcome(code, kind=SyncManager, SyncManager=SyncManager, BaseManager=BaseManager)
    assert ours == theirs.replace("multiprocessing.managers", "procession.managers")


def test_it_is_one_of_the_standard_librarys():
    with mp.Manager() as manager:
        assert isinstance(manager, multiprocessing.managers.SyncManager)
        assert isinstance(manager.dict(), multiprocessing.managers.DictProxy)
        assert isinstance(manager.list(), multiprocessing.managers.ListProxy)
        assert isinstance(manager.Lock(), multiprocessing.managers.AcquirerProxy)
        assert all(
            isinstance(make(manager, kind), multiprocessing.managers.BaseProxy)
            for kind in OPERATIONS
        )


def test_what_a_manager_tells_of_itself():
    with mp.Manager() as manager:
        shared = manager.dict(a=1)
        kept = [shared, manager.list([shared]), manager.Lock()]
        manager.list()  # is gone at once
        assert manager._number_of_objects() == 3
        info = manager._debug_info()
        for proxy in kept:
            assert f"  {proxy._id}:\n    " in info
        assert "{'a': 1}" in info
        del shared, kept, proxy
        assert manager._number_of_objects() == 0 and manager._debug_info() == ""


def test_an_error_inside_a_with_ends_the_manager():
    with pytest.raises(ZeroDivisionError), mp.Manager() as manager:
        shared = manager.list()
        raise ZeroDivisionError
    assert broken(shared)


def test_one_managers_end_is_not_anothers():
    with mp.Manager() as other:
        kept = other.list([1])
        with mp.Manager() as manager:
            shared = manager.dict(kept=kept)
            kept.append(manager.dict(inner=1))
        assert broken(shared) and broken(kept[1])
        assert kept[0] == 1 and len(kept) == 2
        assert kept._check() == [] and _core.check() == []
