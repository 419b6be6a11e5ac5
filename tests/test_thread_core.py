"""The native part of thread queues: orders, hooks, opening, waiting, collecting."""

import gc
import heapq
import os
import queue
import signal
import threading
import time
import weakref
from pathlib import Path
from sys import getrefcount

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procession._core import (
    ShutDown,
    ThreadLifoQueue,
    ThreadPriorityQueue,
    ThreadQueue,
    ThreadSimpleQueue,
)

KINDS = [ThreadQueue, ThreadLifoQueue, ThreadPriorityQueue, ThreadSimpleQueue]


def until(condition):
    """Waits until something is so; pytest's time limit ends it."""
    while not condition():
        time.sleep(0.001)


def asleep(thread):
    """Waits until a thread sleeps in the kernel: most likely where it is to; no test fails if elsewhere."""
    state = Path(f"/proc/self/task/{thread.native_id}/stat")
    until(lambda: state.read_text().rsplit(")", 1)[1].split()[0] == "S")


def started(function, *args):
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread


class Key:
    """Compares by its key alone, in Python code."""

    def __init__(self, key):
        self.key = key

    def __lt__(self, other):
        return self.key < other.key


keys = st.integers(0, 5).map(Key)
numbers = st.one_of(st.integers(-3, 3), st.floats(), st.integers(), st.booleans())
kinds_of_items = [
    numbers,
    st.text(max_size=3),
    st.binary(max_size=3),
    st.tuples(numbers, st.text(max_size=1)),
    st.tuples(st.integers(0, 2), keys),
    st.lists(st.integers(0, 2), max_size=3),
    keys,
]


class Least(ThreadPriorityQueue):
    """With attributes, among which its items are when it is opened."""


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(kinds_of_items).flatmap(lambda kind: st.lists(st.none() | kind)))
def test_the_order_is_heapqs_to_the_object(actions):
    ours, heap = Least(), []
    for item in actions:
        if item is not None:
            ours.put(item)
            heapq.heappush(heap, item)
        elif heap:
            assert ours.peek() is heap[0]
            assert ours.get() is heapq.heappop(heap)
        assert ours.qsize() == len(heap)
    rest = []
    assert ours._open_up({"queue": rest})
    assert [id(item) for item in rest] == [id(item) for item in heap]


def test_what_cannot_be_compared_loses_nothing():
    q = ThreadPriorityQueue()
    q.put((1, "a"))
    with pytest.raises(TypeError):
        q.put(("1", "b"))
    q.put((1, "b"))
    assert q.unfinished_tasks == 2

    class Fragile(Key):
        def __lt__(self, other):
            if broken:
                raise KeyError(self.key)
            return super().__lt__(other)

    broken = False
    q = ThreadPriorityQueue()
    for key in (3, 1, 2, 5, 4):
        q.put(Fragile(key))
    broken = True
    with pytest.raises(KeyError):
        q.get()
    with pytest.raises(KeyError):
        q.put(Fragile(0))
    broken = False
    assert [item.key for item in q.get_many()] == [1, 2, 3, 4, 5]


def test_a_comparison_may_not_use_its_queue():
    class Nosy(Key):
        def __lt__(self, other):
            return q.qsize() > 0 and q.get() is None

    q = ThreadPriorityQueue()
    q.put(Nosy(1))
    with pytest.raises(RuntimeError, match="compared"):
        q.put(Nosy(2))
    assert q.qsize() == 1


def test_others_wait_while_a_comparison_takes_its_time():
    began, go_on = threading.Event(), threading.Event()

    class Slow(Key):
        def __lt__(self, other):
            began.set()
            assert go_on.wait(30)
            return super().__lt__(other)

    q = ThreadPriorityQueue()
    q.put(Slow(2))
    putter = started(q.put, Slow(1))
    assert began.wait(30)
    got = []
    getter = started(lambda: got.append(q.get(timeout=30)))
    asleep(getter)
    assert q.qsize() == 1 and not got
    go_on.set()
    getter.join(30)
    putter.join(30)
    assert [item.key for item in got] == [1]
    assert q.get_nowait().key == 2


@pytest.mark.parametrize("kind", KINDS)
def test_each_object_comes_once(kind):
    q, out, each = kind(), [], 3000

    def produce(n):
        for i in range(each):
            q.put((n, i))

    def consume():
        mine = [item for item in q]  # noqa: C416
        out.extend(mine)

    producers = [started(produce, n) for n in range(3)]
    consumers = [started(consume) for _ in range(3)]
    for thread in producers:
        thread.join(30)
    q.shutdown()
    for thread in consumers:
        thread.join(30)
        assert not thread.is_alive()
    assert sorted(out) == [(n, i) for n in range(3) for i in range(each)]


@pytest.mark.parametrize("kind", KINDS)
def test_what_refers_to_its_queue_is_collected(kind):
    class Item:
        def __lt__(self, other):
            return False

    q = kind()
    item = Item()
    item.queue = q
    q.put(item)
    seen = weakref.ref(item), weakref.ref(q)
    del item, q
    gc.collect()
    assert [ref() for ref in seen] == [None, None]


def test_a_waiting_callback_that_refers_to_its_queue_is_collected():
    class Caller:
        def __call__(self):
            raise AssertionError

    q, caller = ThreadQueue(), Caller()
    caller.queue = q
    assert q._when_item(caller) is not None
    seen = weakref.ref(caller)
    del q, caller
    gc.collect()
    assert seen() is None


def test_an_item_may_use_its_queue_when_it_is_dropped():
    class Last:
        def __del__(self):
            sizes.append(q.qsize())

    sizes, q = [], ThreadQueue()
    for _ in range(3):
        q.put(Last())
    q.shutdown(immediate=True)
    assert sizes == [0, 0, 0]
    assert q.unfinished_tasks == 0


@pytest.mark.parametrize("immediate", [False, True])
def test_shutdown_wakes_all(immediate):
    q, ends = ThreadQueue(1), queue.SimpleQueue()

    def end(method, *args):
        try:
            ends.put(method(*args))
        except ShutDown:
            ends.put("shut down")

    getters = [started(end, q.get) for _ in range(3)]
    for thread in getters:
        asleep(thread)
    q.shutdown(immediate)
    for thread in getters:
        thread.join(30)
    assert [ends.get() for _ in range(3)] == ["shut down"] * 3
    assert q.is_shutdown
    with pytest.raises(ShutDown):
        q.put(1)
    with pytest.raises(ShutDown):
        q.get_nowait()


def test_immediate_shutdown_releases_joiners_of_what_was_left():
    q = ThreadQueue()
    q.put(1)
    joiner = started(q.join)
    asleep(joiner)
    q.shutdown(immediate=True)
    joiner.join(30)
    assert not joiner.is_alive()


def test_maxsize_may_change_while_somebody_waits():
    q = ThreadQueue(maxsize=1)
    q.put(1)
    putter = started(q.put, 2)
    asleep(putter)
    q.maxsize = float("inf")
    putter.join(30)
    assert q.maxsize == float("inf") and not q.full()
    q.maxsize = 1.5
    assert q.full()
    with pytest.raises(queue.Full):
        q.put(3, block=False)
    q.maxsize = -1
    assert not q.full()


def test_callbacks_are_called_once_and_in_turn():
    q, calls = ThreadQueue(), []
    first = q._when_item(lambda: calls.append("first"))
    q._when_item(lambda: calls.append("second"))
    q._when_item(lambda: calls.append("front"), first=True)
    q.put(1)
    assert calls == ["front"]
    q.put(2)
    assert calls == ["front", "first"]
    # The first one does not want it after all; the item is still there.
    assert q._forget(first) is False
    assert calls == ["front", "first", "second"]
    assert q._when_item(calls.append) is None


def closed():
    raise RuntimeError("Event loop is closed")


@pytest.mark.parametrize("deaf", [lambda: False, closed])
def test_a_callback_that_does_not_hear_leaves_it_to_the_next(deaf):
    q, got = ThreadQueue(), []
    assert q._when_item(deaf) is not None
    getter = started(lambda: got.append(q.get()))
    asleep(getter)
    q.put("it")
    getter.join(30)
    assert got == ["it"]


def test_callbacks_for_room_and_for_the_end_of_work():
    q, calls = ThreadQueue(1), []
    assert q._when_room(calls.append) is None
    assert q._when_done(calls.append) is None
    q.put(1)
    room = q._when_room(lambda: calls.append("room"))
    q._when_done(lambda: calls.append("done"))
    q.get()
    q.task_done()
    assert calls == ["room", "done"]
    assert q._forget(room) is False
    gone = q._when_item(lambda: calls.append("item"))
    assert q._forget(gone) is True
    q.put(2)
    assert calls == ["room", "done"]


class Opened(ThreadQueue):
    """Says what its own methods are asked."""

    def __init__(self, maxsize=0):
        super().__init__(maxsize)
        self.asked = queue.SimpleQueue()

    def _opened_put(self, *args):
        self.asked.put(("put", *args))

    def _opened_get(self, *args):
        self.asked.put(("get", *args))
        return "got"

    def _opened_join(self):
        self.asked.put(("join",))


def test_who_waits_goes_over_when_a_queue_is_opened():
    q = Opened(2)
    q.put(1)
    q.put(2)
    waiting = [started(q.put, 3), started(q.put, 4, True, 1000), started(q.join)]
    for thread in waiting:
        asleep(thread)
    items = []
    assert q._open_up({"queue": items, "mutex": "parts"})
    assert items == [1, 2] and q.queue is items and q.mutex == "parts"
    for thread in waiting:
        thread.join(30)
    asked = sorted((q.asked.get() for _ in waiting), key=lambda asked: asked[:2])
    assert asked[0] == ("join",)
    assert asked[1] == ("put", 3, True, None)
    assert asked[2][:3] == ("put", 4, True) and 0 < asked[2][3] <= 1000
    assert q._is_open and q.maxsize == 2 and q.unfinished_tasks == 2
    assert q.get(timeout=-1) == "got"
    assert q.asked.get() == ("get", True, -1)
    assert q.get_nowait() == "got"
    assert q.asked.get() == ("get", False, None)
    assert not q._open_up({"queue": []}) and q.queue is items


def test_a_getter_goes_over_when_a_queue_is_opened():
    q, got = Opened(), []
    getter = started(lambda: got.append(q.get(timeout=1000)))
    asleep(getter)
    assert q._open_up({"queue": []})
    getter.join(30)
    assert got == ["got"]


def test_ctrl_c_ends_a_wait():
    q = ThreadQueue()
    main = threading.main_thread()

    def interrupt():
        asleep(main)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        started(interrupt)
        q.get()
    # Nobody stands in line any more: the wake-up would be lost on it.
    q.put(1)
    assert q.get_nowait() == 1


def test_a_child_forgets_who_waited_in_its_parent():
    q, calls = ThreadQueue(), []
    q._when_item(lambda: calls.append("parent's"))
    getter = started(q.get)
    asleep(getter)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            got = []
            own = started(lambda: got.append(q.get()))
            asleep(own)
            q.put("child's")
            own.join(10)
            code = 0 if got == ["child's"] and calls == [] else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    q.put(1)
    q.put(2)
    getter.join(30)
    assert calls == ["parent's"]


def test_no_reference_is_lost_or_kept():
    for kind in KINDS:
        q, item = kind(), (0, object())
        before = getrefcount(item)
        q.put(item)
        assert getrefcount(item) == before + 1
        assert q.peek() is item
        assert q.get() is item
        q.put_many([item] * 5)
        assert len(q.get_many(3)) == 3
        assert getrefcount(item) == before + 2
        q.shutdown(immediate=True)
        with pytest.raises(ShutDown):
            q.put(item)
        assert getrefcount(item) == before
