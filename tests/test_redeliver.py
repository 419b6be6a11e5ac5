"""Queues with redeliver=True, in one process: what is in flight, and what is said of it."""

import asyncio
import os
import queue
import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support import PATIENCE

import procession as mp
from procession.queues import Delivery, InFlight

pytestmark = pytest.mark.both_backends


def filled(*objects, **arguments):
    q = mp.Queue(redeliver=True, **arguments)
    q.put_many(objects)
    return q


def test_a_message_is_in_flight_until_it_is_done():
    q = filled("a", "b")
    assert q.redeliver
    assert (q.qsize(), q.in_flight(), q.delivery_count) == (2, 0, 0)
    assert q.get() == "a"
    assert (q.qsize(), q.in_flight(), q.delivery_count) == (1, 1, 1)
    [one] = q.in_flights()
    assert isinstance(one, InFlight)
    assert (one.pid, one.delivery_count, one.number) == (os.getpid(), 1, 0)
    assert 0 <= one.seconds < PATIENCE
    assert one.bytes > 0
    q.task_done()
    assert q.in_flight() == 0
    with pytest.raises(ValueError, match="this thread has nothing in flight"):
        q.task_done()
    q.get()
    q.task_done()
    q.join()


def test_task_done_ends_the_oldest_of_this_thread():
    q = filled(0, 1, 2, 3)
    assert (q.get(), q.get()) == (0, 1)
    failed = []

    def other():
        q.get()
        q.task_done()
        try:
            q.task_done()
        except ValueError as error:
            failed.append(error)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert len(failed) == 1
    assert [one.number for one in q.in_flights()] == [0, 1]
    q.task_done()
    assert [one.number for one in q.in_flights()] == [1]


def test_deliveries():
    q = filled("a", "b", "c")
    first = q.get_delivery()
    assert isinstance(first, Delivery)
    assert (first.item, first.count, first.number) == ("a", 1, 0)
    with pytest.raises(ValueError, match="nothing in flight"):
        q.task_done()
    second = q.get_delivery(timeout=1)
    second.done()
    first.give_back()
    for refused in (first.done, first.give_back, second.done):
        with pytest.raises(ValueError, match="not in flight in this process"):
            refused()
    again = q.get_delivery(False)
    assert (again.item, again.count) == ("a", 2)
    with again as item:
        assert item == "a"
    with pytest.raises(KeyError), q.get_delivery() as item:
        raise KeyError(item)
    with q.get_delivery() as item:
        assert item == "c"
        assert q.qsize() == 0
    with pytest.raises(queue.Empty):
        q.get_delivery(False)
    q.join()


def test_what_was_said_in_the_block_stands():
    q = filled("a")
    with q.get_delivery() as item:
        assert item == "a"
    q.put("b")
    one = q.get_delivery()
    with one:
        one.give_back()
    assert (q.qsize(), q.in_flight()) == (1, 0)


def test_many_at_once_peeks_and_iteration():
    q = filled(*range(5))
    assert q.peek() == 0
    assert q.delivery_count == 0
    assert q.get_many(3) == [0, 1, 2]
    assert q.in_flight() == 3
    q.shutdown()
    seen = []
    for item in q:
        seen.append(item)
    assert seen == [3, 4]
    assert q.in_flight() == 5
    for _ in range(5):
        q.task_done()
    q.join()
    with pytest.raises(mp.queues.ShutDown):
        q.get()


def test_shut_down_at_once():
    q = filled(*range(300))
    one = q.get_delivery()
    other = q.get_delivery()
    q.shutdown(immediate=True)
    assert (q.qsize(), q.in_flight(), q.is_shutdown) == (0, 2, True)
    one.done()
    other.give_back()  # dropped, too
    assert (q.qsize(), q.in_flight()) == (0, 0)
    q.join()


def test_bounds_are_of_what_waits():
    q = mp.Queue(2, redeliver=True, maxbytes=1000)
    assert q.maxbytes == 1000
    q.put_many([1, 2])
    assert q.full()
    with pytest.raises(queue.Full):
        q.put(3, False)
    q.get()
    q.put(3, False)
    q.get_many()
    q.put(b"x" * 5000, False)  # alone
    with pytest.raises(queue.Full):
        q.put(b"x", timeout=0.01)


def test_other_queues_say_that_they_do_not():
    q = mp.Queue()
    q.put(1)
    assert not q.redeliver
    for call in (q.get_delivery, q.in_flight, q.in_flights):
        with pytest.raises(ValueError, match="redeliver=True"):
            call()
    with pytest.raises(ValueError, match="redeliver=True"):
        _ = q.delivery_count
    assert q.get() == 1
    with pytest.raises(ValueError, match="oldest message"):
        mp.queues.LifoQueue(redeliver=True, ctx=mp.get_context())
    for name in ("task_done", "join", "ajoin"):
        assert not hasattr(q, name)
        with pytest.raises(AttributeError, match=rf"{name}.*JoinableQueue.*redeliver=True"):
            getattr(q, name)
        assert hasattr(mp.Queue(redeliver=True), name)
        for other in (mp.JoinableQueue, mp.LifoQueue, mp.PriorityQueue):
            assert hasattr(other(), name)
    joinable = mp.JoinableQueue(redeliver=True)
    joinable.put(1)
    joinable.get()
    joinable.task_done()
    joinable.join()


class Poison:
    def __reduce__(self):
        return explode, ()


def explode():
    raise LookupError("on purpose")


class Interrupting:
    def __reduce__(self):
        return interrupt, (os.getpid(),)


def interrupt(pid):
    if not interrupt.done:
        interrupt.done = True
        raise KeyboardInterrupt
    return "whole"


def test_what_cannot_be_unpickled_is_gone_and_what_was_interrupted_is_not():
    interrupt.done = False
    q = filled(Poison(), Interrupting())
    with pytest.raises(LookupError):
        q.get()
    assert (q.qsize(), q.in_flight()) == (1, 0)
    with pytest.raises(KeyboardInterrupt):
        q.get()
    assert (q.get(), q.delivery_count) == ("whole", 2)


def test_asyncio():
    q = filled("a")

    async def main():
        assert await q.aget() == "a"
        waiting = asyncio.create_task(q.aget())
        await asyncio.sleep(0)
        await q.aput("b")
        assert await asyncio.wait_for(waiting, PATIENCE) == "b"
        q.task_done()
        q.task_done()
        await asyncio.wait_for(q.ajoin(), PATIENCE)

    asyncio.run(main())


class Model(RuleBasedStateMachine):
    """One process, against a list that is kept in the order of arrival."""

    def __init__(self):
        super().__init__()
        self.queue = mp.Queue(redeliver=True)
        self.waiting = {}
        self.counts = {}
        self.flying = {}
        self.put_so_far = 0

    @rule(objects=st.lists(st.one_of(st.integers(), st.binary(max_size=5000)), max_size=40))
    def put(self, objects):
        self.queue.put_many(objects)
        for obj in objects:
            self.waiting[self.put_so_far] = obj
            self.put_so_far += 1

    @precondition(lambda self: self.waiting)
    @rule(most=st.integers(1, 20))
    def take(self, most):
        for _ in range(min(most, len(self.waiting))):
            number = min(self.waiting)
            one = self.queue.get_delivery(False)
            self.counts[number] = self.counts.get(number, 0) + 1
            assert (one.item, one.number) == (self.waiting.pop(number), number)
            assert one.count == self.counts[number]
            self.flying[number] = one

    @precondition(lambda self: self.flying)
    @rule(pick=st.randoms(use_true_random=False), done=st.booleans())
    def settle(self, pick, done):
        number = pick.choice(sorted(self.flying))
        one = self.flying.pop(number)
        if done:
            one.done()
        else:
            one.give_back()
            self.waiting[number] = one.item

    @invariant()
    def agrees(self):
        assert (self.queue.qsize(), self.queue.in_flight()) == (
            len(self.waiting),
            len(self.flying),
        )
        assert [one.number for one in self.queue.in_flights()] == sorted(self.flying)


def test_as_a_model_says():
    few = settings(max_examples=25, stateful_step_count=30, deadline=None)
    run_state_machine_as_test(Model, settings=few)
