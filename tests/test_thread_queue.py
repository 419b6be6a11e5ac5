"""Queues for threads: the standard library's face, and what there is beside it."""

import contextlib
import copy
import inspect
import pickle
import queue as standard
import sys
import threading
import time

import pytest
from support import until
from thread_queues import (
    KINDS,
    calls,  # noqa: F401
    drained,
    each_kind,
    each_module,
    each_with_shutdown,
    opened,
    until_blocked,
)

from procession import queue

BOUNDED = KINDS[:3]
each_bounded = pytest.mark.parametrize("kind", BOUNDED)


@pytest.fixture(params=["native", "opened"])
def make(request):
    """Makes a queue of ours, in each of the two modes."""

    def make(kind="Queue", *args):
        q = getattr(queue, kind)(*args)
        return opened(q) if request.param == "opened" else q

    return make


# ---------------------------------------------------------------- names


def test_the_exceptions_are_the_standard_librarys():
    assert queue.Empty is standard.Empty and queue.Full is standard.Full
    if sys.version_info >= (3, 13):
        assert queue.ShutDown is standard.ShutDown
    else:
        assert issubclass(queue.ShutDown, Exception)
        assert queue.ShutDown.__module__ == "procession.queue"


def test_the_modules_names():
    assert set(standard.__all__) <= set(queue.__all__)
    assert queue.deque is standard.deque  # an inner name that programs import
    with pytest.raises(AttributeError):
        queue.nonsense  # noqa: B018


@each_kind
def test_signatures(kind):
    ours, theirs = getattr(queue, kind), getattr(standard, kind)
    if kind != "SimpleQueue":
        assert inspect.signature(ours) == inspect.signature(theirs)
    for name, function in inspect.getmembers(theirs, callable):
        if name.startswith("_") or name == "shutdown":
            continue
        mine = getattr(ours, name)
        wanted = list(inspect.signature(function).parameters)
        assert list(inspect.signature(mine).parameters) == wanted
        assert mine.__doc__, name


def test_which_class_is_whose():
    assert issubclass(queue.LifoQueue, queue.Queue) and issubclass(queue.PriorityQueue, queue.Queue)
    assert not issubclass(queue.SimpleQueue, queue.Queue)
    assert not hasattr(queue.SimpleQueue(), "task_done")


@each_kind
def test_generic(kind):
    kind = getattr(queue, kind)
    assert kind[int].__origin__ is kind

    class Derived(kind[str]):
        pass

    q = Derived()
    q.put("x")
    assert q.get() == "x"


# ---------------------------------------------------------------- as in the standard library


@each_module
@each_bounded
def test_arguments(module, kind):
    q = getattr(module, kind)(maxsize=1)
    q.put(item=1, block=True, timeout=None)
    with pytest.raises(module.Full):
        q.put(2, False)
    with pytest.raises(module.Full):
        q.put(2, True, 0)
    with pytest.raises(module.Full):
        q.put(2, timeout=0.001)
    with pytest.raises(module.Full):
        q.put_nowait(item=2)
    assert q.full() and not q.empty() and q.qsize() == 1
    assert q.get(block=True, timeout=None) == 1
    with pytest.raises(module.Empty):
        q.get(False)
    with pytest.raises(module.Empty):
        q.get(timeout=0.001)
    with pytest.raises(module.Empty):
        q.get_nowait()
    assert not q.full() and q.empty()


@each_module
@each_kind
def test_a_negative_timeout(module, kind):
    q = getattr(module, kind)()
    with pytest.raises(ValueError, match="'timeout' must be a non-negative number"):
        q.get(timeout=-1)
    with pytest.raises(module.Empty):
        q.get(block=False, timeout=-1)
    if kind != "SimpleQueue":
        q.maxsize = 1
        q.put(1)
        with pytest.raises(ValueError, match="'timeout' must be a non-negative number"):
            q.put(1, timeout=-1)
        with pytest.raises(module.Full):
            q.put(1, False, -1)


@each_module
def test_wrong_arguments(module):
    q = module.Queue()
    for call in [q.put, lambda: q.get(1, 2, 3), lambda: q.get(timeout="x"), lambda: q.put(1, x=2)]:
        with pytest.raises(TypeError):
            call()


@each_module
def test_maxsize_may_be_changed(module):
    q = module.Queue()
    assert q.maxsize == 0 and not q.full()
    q.maxsize = 1
    q.put(1)
    assert q.full()
    with pytest.raises(module.Full):
        q.put_nowait(2)
    q.maxsize = 2
    q.put_nowait(2)
    q.maxsize = -1
    q.put_nowait(3)
    assert drained(q) == [1, 2, 3]


@each_module
def test_a_bound_that_is_no_integer(module):
    q = module.Queue(float("inf"))
    q.put(1)
    assert q.maxsize == float("inf") and not q.full()
    q = module.Queue(1.5)
    q.put_nowait(1)
    q.put_nowait(2)
    with pytest.raises(module.Full):
        q.put_nowait(3)


@each_module
def test_unfinished_tasks(module):
    q = module.Queue()
    q.put(1)
    q.put(2)
    assert q.unfinished_tasks == 2
    q.get()
    q.task_done()
    assert q.unfinished_tasks == 1
    q.task_done()
    q.join()
    with pytest.raises(ValueError, match="task_done\\(\\) called too many times"):
        q.task_done()


@each_module
def test_what_comes_is_what_was_put(module):
    thing = [threading.Lock()]
    count = sys.getrefcount(thing)
    for kind in KINDS:
        q = getattr(module, kind)()
        q.put(thing)
        assert q.get() is thing
        assert sys.getrefcount(thing) == count


@each_kind
def test_a_queue_is_not_copied(kind):
    q = getattr(queue, kind)()
    for way in copy.copy, copy.deepcopy, pickle.dumps:
        with pytest.raises(TypeError, match="cannot pickle '.*Queue' object: .* procession.Queue"):
            way(q)


class Travelling(queue.Queue):
    """A recipe that is in use: everything but the locks."""

    def __getstate__(self):
        with self.mutex:
            return list(self.queue)

    def __setstate__(self, items):
        self.__init__()
        for item in items:
            self.put(item)


def test_a_subclass_may_say_how_it_is_copied():
    q = Travelling()
    q.put(1)
    q.put(2)
    for twin in copy.copy(q), pickle.loads(pickle.dumps(q)):
        assert type(twin) is Travelling and drained(twin) == [1, 2]
    assert q.qsize() == 2


@each_kind
def test_repr_and_attributes(kind):
    q = getattr(queue, kind)()
    assert repr(q).startswith(f"<procession.queue.{kind} object at 0x")
    q.note = 1
    assert q.note == 1 and vars(q)["note"] == 1
    assert q == q and q != getattr(queue, kind)() and hash(q)


# ---------------------------------------------------------------- waiting


@each_module
@each_kind
def test_a_getter_waits(module, kind, calls):  # noqa: F811
    q = getattr(module, kind)()
    getters = [calls(q.get) for _ in range(3)]
    until_blocked(*getters)
    for number in range(3):
        q.put(number)
    assert sorted(getter.result() for getter in getters) == [0, 1, 2]


@each_module
@each_bounded
def test_a_putter_waits(module, kind, calls):  # noqa: F811
    q = getattr(module, kind)(1)
    q.put(0)
    putters = [calls(q.put, number) for number in (1, 2)]
    until_blocked(*putters)
    assert q.qsize() == 1
    assert sorted(q.get(timeout=20) for _ in range(3)) == [0, 1, 2]


def test_a_larger_bound_lets_the_next_putters_in(calls):  # noqa: F811
    q = queue.Queue(1)
    q.put(0)
    putters = [calls(q.put, number) for number in (1, 2)]
    until_blocked(*putters)
    q.maxsize = 3
    for putter in putters:
        putter.result()
    assert sorted(drained(q)) == [0, 1, 2]


@each_module
def test_join_waits_for_task_done(module, calls):  # noqa: F811
    q = module.Queue()
    q.put(1)
    joiner = calls(q.join)
    until_blocked(joiner)
    q.get()
    assert joiner.is_alive()
    q.task_done()
    joiner.result()


def test_time_limits(make):
    q = make("Queue", 1)
    begin = time.monotonic()
    with pytest.raises(queue.Empty):
        q.get(timeout=0.05)
    q.put(1)
    with pytest.raises(queue.Full):
        q.put(2, timeout=0.05)
    assert 0.1 <= time.monotonic() - begin < 10


# ---------------------------------------------------------------- shutdown


@each_with_shutdown
@each_bounded
def test_shutdown_leaves_what_is_there(module, kind):
    q = getattr(module, kind)()
    q.put(1)
    assert not q.is_shutdown
    q.shutdown()
    assert q.is_shutdown
    with pytest.raises(module.ShutDown):
        q.put(2)
    with pytest.raises(module.ShutDown):
        q.put_nowait(2)
    assert q.get() == 1
    for call in q.get, q.get_nowait, lambda: q.get(timeout=1):
        with pytest.raises(module.ShutDown):
            call()
    q.task_done()
    q.join()


@each_with_shutdown
@each_bounded
def test_shutdown_at_once_drops_it(module, kind):
    q = getattr(module, kind)()
    q.put(1)
    q.put(2)
    assert q.get() == 1 or kind == "LifoQueue"
    q.shutdown(immediate=True)
    assert q.qsize() == 0 and q.unfinished_tasks == 1
    with pytest.raises(module.ShutDown):
        q.get()
    q.task_done()
    q.join()


@each_with_shutdown
@pytest.mark.parametrize("immediate", [False, True])
def test_shutdown_wakes_everybody(module, immediate, calls):  # noqa: F811
    q, full = module.Queue(), module.Queue(1)
    full.put(1)
    getters = [calls(q.get) for _ in range(3)]
    putters = [calls(full.put, 2) for _ in range(3)]
    joiner = calls(full.join)
    until_blocked(*getters, *putters, joiner)
    q.shutdown(immediate)
    full.shutdown(immediate)
    for call in getters + putters:
        with pytest.raises(module.ShutDown):
            call.result()
    if not immediate:
        assert full.get() == 1
        full.task_done()
    joiner.result()


@each_kind
def test_iteration_ends_with_shutdown(kind, make):
    q = queue.SimpleQueue() if kind == "SimpleQueue" else make(kind)
    q.put_many([3, 1, 2])
    q.shutdown()
    wanted = {"LifoQueue": [2, 1, 3], "PriorityQueue": [1, 2, 3]}.get(kind, [3, 1, 2])
    assert list(q) == wanted


def test_iteration_waits(make, calls):  # noqa: F811
    q = make()
    reader = calls(list, q)
    q.put(1)
    until(q.empty)
    until_blocked(reader)
    q.put(2)
    q.shutdown()
    assert reader.result() == [1, 2]


# ---------------------------------------------------------------- put and get of a subclass


class Counting(queue.Queue):
    """Overrides both methods, and calls the queue's."""

    def __init__(self, *args):
        super().__init__(*args)
        self.calls = []

    def put(self, item, block=True, timeout=None):
        self.calls.append(("put", item))
        super().put(item, block, timeout)

    def get(self, *args, **kwargs):
        item = super().get(*args, **kwargs)
        self.calls.append(("get", item))
        return item


@pytest.mark.parametrize("inside", [False, True])
def test_whatever_puts_and_gets_goes_through_the_overridden_methods(inside):
    q = Counting()
    if inside:
        opened(q)
    q.put(1)
    q.put_nowait(2)
    q.put_many([3, 4, 5])
    assert [value for _, value in q.calls] == [1, 2, 3, 4, 5]
    q.calls.clear()
    assert q.get_nowait() == 1 and q.get() == 2 and q.get_many(1) == [3] and q.get_many() == [4, 5]
    assert [value for _, value in q.calls] == [1, 2, 3, 4, 5]
    q.put(6)
    q.shutdown()
    assert list(q) == [6] and q.calls[-1] == ("get", 6)
    assert q._is_open == inside
    with contextlib.suppress(queue.ShutDown):
        q.get_many()
