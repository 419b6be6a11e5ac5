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
from support import PATIENCE, each_method, ended, until, until_waiting

import procession as mp
from procession import _core

pytestmark = pytest.mark.both_backends


def filled(*objects):
    q = mp.Queue(redeliver=True)
    q.put_many(objects)
    return q


def kill(process):
    process.kill()
    process.join(PATIENCE)
    assert process.exitcode == -signal.SIGKILL
    process.close()


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
