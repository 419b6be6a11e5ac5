"""Queues for threads: several objects at once, and looking at the next one."""

import pytest
from thread_queues import KINDS, calls, opened, until_blocked  # noqa: F401

from procession import queue

BOUNDED = KINDS[:3]


@pytest.fixture(params=["native", "opened"])
def make(request):
    """Makes a queue of ours, in each of the two modes."""

    def make(kind="Queue", *args):
        q = getattr(queue, kind)(*args)
        return opened(q) if request.param == "opened" else q

    return make


@pytest.mark.parametrize("kind", BOUNDED)
def test_many_at_once(kind, make):
    q = make(kind)
    assert q.put_many(iter([3, 1, 2])) is None
    order = {"LifoQueue": [2, 1, 3], "PriorityQueue": [1, 2, 3]}.get(kind, [3, 1, 2])
    assert q.get_many(0) == [] and q.get_many(2) == order[:2] and q.get_many() == order[2:]
    with pytest.raises(queue.Empty):
        q.get_many(block=False)
    with pytest.raises(queue.Empty):
        q.get_many(timeout=0.001)
    with pytest.raises(queue.Empty):
        q.get_many(5, 0.001)
    for _ in range(3):
        q.task_done()
    q.join()


def test_many_into_little_room(make, calls):  # noqa: F811
    q = make("Queue", 2)
    with pytest.raises(queue.Full, match="2 objects were put, then the queue was full"):
        q.put_many("abc", block=False)
    with pytest.raises(queue.Full, match="0 objects were put, then the queue was full"):
        q.put_many("abc", 0.001)
    putter = calls(q.put_many, "cdef")
    taken = [q.get(timeout=20) for _ in range(6)]
    putter.result()
    assert taken == list("abcdef")


def test_an_iterable_that_fails_in_between(make):
    q = make()

    def items():
        yield 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        q.put_many(items())
    assert q.get_many() == [1] and q.unfinished_tasks == 1


def test_many_after_shutdown(make):
    q = make()
    q.put(1)
    q.shutdown()
    with pytest.raises(queue.ShutDown):
        q.put_many([2])
    assert q.get_many() == [1]
    with pytest.raises(queue.ShutDown):
        q.get_many()
    with pytest.raises(queue.ShutDown):
        q.peek()


def test_getters_of_many_wait_for_the_first_only(make, calls):  # noqa: F811
    q = make()
    getter = calls(q.get_many)
    until_blocked(getter)
    q.put(1)
    assert getter.result() == [1]


@pytest.mark.parametrize("kind", BOUNDED)
def test_peek(kind, make):
    q = make(kind)
    with pytest.raises(queue.Empty):
        q.peek_nowait()
    with pytest.raises(queue.Empty):
        q.peek(timeout=0.001)
    with pytest.raises(queue.Empty):
        q.peek(False)
    q.put_many([3, 1, 2])
    for _ in range(3):
        wanted = q.peek()
        assert q.peek_nowait() is wanted and q.qsize()
        assert q.get() is wanted
    assert q.empty()


def test_who_peeks_takes_nobodys_turn(make, calls):  # noqa: F811
    q = make()
    peekers = [calls(q.peek) for _ in range(3)]
    getter = calls(q.get)
    until_blocked(*peekers, getter)
    q.put("a")
    assert getter.result() == "a"
    q.put("b")
    assert {p.result() for p in peekers} <= {"a", "b"}


@pytest.mark.parametrize("overrides", [False, True])
def test_arguments_that_make_no_sense(make, overrides, monkeypatch):
    """The same answer in every mode."""
    if overrides:

        class Own(queue.Queue):
            def put(self, item, block=True, timeout=None):
                super().put(item, block, timeout)

            def get(self, block=True, timeout=None):
                return super().get(block, timeout)

        monkeypatch.setattr(queue, "Queue", Own)
    q = make()
    assert q.get_many(-1) == []
    with pytest.raises(ValueError, match="'timeout' must be a non-negative number"):
        q.put_many([1], timeout=-1)
    q.put_many([1], timeout=-1, block=False)
    assert q.get_many() == [1]
