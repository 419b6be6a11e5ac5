"""Queues with redeliver=True: what a process had taken and not done when it died comes back."""

import asyncio
import os
import queue
import random
import signal
import threading
import time

import pytest
from family_support import Program
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support import PATIENCE, each_method, ended, until, until_waiting

import procession as mp
from procession import _core
from procession.queues import Delivery, InFlight


def filled(*objects, **arguments):
    q = mp.Queue(redeliver=True, **arguments)
    q.put_many(objects)
    return q


def kill(process):
    process.kill()
    process.join(PATIENCE)
    assert process.exitcode == -signal.SIGKILL
    process.close()


# ---------------------------------------------------------------- one process


def test_a_message_is_in_flight_until_it_is_done():
    q = filled("a", "b")
    assert q.redeliver
    assert (q.qsize(), q.in_flight(), q.delivery_count) == (2, 0, 0)
    assert q.get() == "a"
    assert (q.qsize(), q.in_flight(), q.delivery_count) == (1, 1, 1)
    [one] = q.in_flights()
    assert isinstance(one, InFlight)
    assert (one.pid, one.count, one.number) == (os.getpid(), 1, 0)
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
    with pytest.raises(queue.ShutDown if hasattr(queue, "ShutDown") else mp.queues.ShutDown):
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
    for call in (q.task_done, q.join, q.get_delivery, q.in_flight, q.in_flights):
        with pytest.raises(ValueError, match="redeliver=True"):
            call()
    with pytest.raises(ValueError, match="redeliver=True"):
        _ = q.delivery_count
    assert q.get() == 1
    with pytest.raises(ValueError, match="oldest message"):
        mp.queues.LifoQueue(redeliver=True)
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


interrupt.done = False


def test_what_cannot_be_unpickled_is_gone_and_what_was_interrupted_is_not():
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


Model.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestModel = Model.TestCase


# ---------------------------------------------------------------- deaths


def take_and(q, taken, end):
    for _ in range(2):
        q.get()
    taken.set()
    if end == "exit":
        return
    if end == "_exit":
        os._exit(3)
    if end == "exec":
        os.execv("/bin/sleep", ["sleep", "60"])
    time.sleep(PATIENCE)


@each_method
@pytest.mark.parametrize("end", ["kill", "exit", "_exit"])
def test_what_the_dead_had_comes_back_in_order(method, end):
    ctx = mp.get_context(method)
    q, taken = ctx.Queue(redeliver=True), ctx.Event()
    q.put_many("abcd")
    worker = ctx.Process(target=take_and, args=(q, taken, end))
    worker.start()
    assert taken.wait(PATIENCE)
    if end == "kill":
        kill(worker)
    else:
        ended(worker, code=3 if end == "_exit" else 0)
    assert q.qsize() == 4
    assert q.in_flight() == 0
    got = [(q.get(), q.delivery_count) for _ in range(4)]
    assert got == [("a", 2), ("b", 2), ("c", 1), ("d", 1)]
    for _ in range(4):
        q.task_done()
    q.join()


def test_a_process_that_becomes_another_program_is_dead():
    q, taken = filled("a", "b"), mp.Event()
    worker = mp.get_context("fork").Process(target=take_and, args=(q, taken, "exec"))
    worker.start()
    assert taken.wait(PATIENCE)
    assert q.get(timeout=PATIENCE) == "a"
    assert q.delivery_count == 2
    kill(worker)


def wait_for_one(q, results):
    results.put(("waiting", os.getpid()))
    results.put((q.get(), q.delivery_count))
    q.task_done()


def test_who_waits_gets_it_soon():
    q, results, taken = filled("a"), mp.Queue(), mp.Event()
    holder = mp.Process(target=hold_one, args=(q, taken))
    holder.start()
    assert taken.wait(PATIENCE)
    waiter = mp.Process(target=wait_for_one, args=(q, results))
    waiter.start()
    _, pid = results.get(timeout=PATIENCE)
    until_waiting(pid)
    start = time.monotonic()
    kill(holder)
    assert results.get(timeout=PATIENCE) == ("a", 2)
    assert time.monotonic() - start < 2, "a slice is a quarter of a second"
    ended(waiter)
    q.join()


def hold_one(q, taken):
    q.get()
    taken.set()
    time.sleep(PATIENCE)


def test_asyncio_notices_a_death():
    q, taken = filled("a"), mp.Event()
    holder = mp.Process(target=hold_one, args=(q, taken))
    holder.start()
    assert taken.wait(PATIENCE)

    async def main():
        waiting = asyncio.create_task(q.aget())
        await asyncio.sleep(0)
        holder.kill()
        return await asyncio.wait_for(waiting, PATIENCE)

    assert asyncio.run(main()) == "a"
    kill(holder)


def test_a_child_of_a_fork_owns_nothing_of_its_parents():
    q = filled("a")
    one = q.get_delivery()
    q.put("b")
    assert q.get() == "b"
    child = mp.get_context("fork").Process(target=try_all, args=(q, one))
    child.start()
    ended(child)
    assert q.in_flight() == 2
    one.done()
    q.task_done()
    q.join()


def try_all(q, one):
    for refused in (q.task_done, one.done, one.give_back):
        with pytest.raises(ValueError, match="in flight"):
            refused()
    assert q.delivery_count == 0


def test_who_joins_waits_for_what_came_back():
    q, taken = filled("a", "b"), mp.Event()
    holder = mp.Process(target=take_and, args=(q, taken, "kill"))
    holder.start()
    assert taken.wait(PATIENCE)
    joined = threading.Event()
    thread = threading.Thread(target=lambda: (q.join(), joined.set()))
    thread.start()
    kill(holder)
    assert q.get_many(2, timeout=PATIENCE) == ["a", "b"]
    assert not joined.is_set()
    q.task_done()
    q.task_done()
    assert joined.wait(PATIENCE)
    thread.join()


def test_queues_inside_messages_live_while_these_are_in_flight():
    inner, q, taken = mp.Queue(), filled(), mp.Event()
    inner.put("inside")
    q.put(inner)
    del inner
    holder = mp.Process(target=hold_one, args=(q, taken))
    holder.start()
    assert taken.wait(PATIENCE)
    kill(holder)
    assert q.get().get(timeout=PATIENCE) == "inside"
    q.task_done()


def test_it_travels_and_has_a_name():
    q = filled("a")
    other = mp.Queue()
    other.put(q)
    again = other.get()
    assert again.redeliver
    assert again.get() == "a"
    q.task_done()  # of the same thread, by another handle
    with pytest.raises(ValueError, match="nothing in flight"):
        again.task_done()


def test_a_name_is_of_one_kind(tmp_path):
    text = """
jobs = family.queue("jobs", 5, redeliver=True)
jobs.put(1)
assert jobs.redeliver and family.queue("jobs", 5, redeliver=True).get() == 1
try:
    family.queue("jobs")
except TypeError:
    say("another kind")
"""
    program = Program(tmp_path, text)
    assert program.rest() == "another kind\n"
    program.process.stdout.close()


# ---------------------------------------------------------------- workers killed at random


def work(q, log):
    while True:
        try:
            delivery = q.get_delivery()
        except mp.queues.ShutDown:
            return
        with delivery as number:
            log.put((number, os.getpid()))


@each_method
def test_workers_killed_at_random(method):
    ctx = mp.get_context(method)
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    kills = 40 if method == "fork" else 6
    q, log = ctx.Queue(50, redeliver=True), ctx.Queue()

    def start():
        worker = ctx.Process(target=work, args=(q, log))
        worker.start()
        return worker

    workers = [start() for _ in range(3)]
    put = 0
    for _ in range(kills):
        goal = put + chance.randrange(60)
        while put < goal:
            q.put(put, timeout=PATIENCE)
            put += 1
        which = chance.randrange(3)
        kill(workers[which])
        workers[which] = start()
    q.join()
    q.shutdown()
    ended(*workers)
    done = []
    while not log.empty():
        done.append(log.get()[0])
    assert set(done) == set(range(put)), "each was worked on"
    assert len(done) - put <= kills, "twice only by a death"
    # Who waits takes back what the dead held.
    until(lambda: wait_in_vain(log) or not _core.check(), "a sound arena")


def wait_in_vain(q):
    with pytest.raises(queue.Empty):
        q.get(timeout=0.3)
