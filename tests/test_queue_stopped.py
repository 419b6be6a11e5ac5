"""A process that is stopped in the midst of a queue's operation: who needs that queue waits for it, in
a thread of his own, and the rest of his interpreter goes on."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import threading
import time
from queue import Empty

import pytest
from support import LONG, PATIENCE, ended, until

import procession as mp
from procession import _aio
from procession._core import Doorbell
from procession.queues import ShutDown

# A child that is stopped while it has the memory's lock may stop this interpreter, too: known, and not
# mended yet. So these are for the long tier.
pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(not LONG, reason="PROCESSION_LONG=1: may hang at the memory's lock"),
]


def hammer(q, ready, rounds):
    ready.set()
    while True:
        rounds.value += 1
        try:
            q.get(False)
            q.task_done()
        except Empty:
            pass
        q.put(b"there")


def get(q):
    try:
        return q.get(False)
    except (Empty, ShutDown):
        return None


def stopped_inside(q):
    """A child that was stopped while it had the queue's lock, a thread that waits for that, and what must
    not be freed while it is stopped, for it may have the memory's lock, too."""

    def touch():
        if get(q) is not None:
            q.task_done()
            with contextlib.suppress(ShutDown):
                q.put(b"there")

    context = mp.get_context("fork")
    ready, rounds = context.Event(), context.RawValue("q")
    child = context.Process(target=hammer, args=(q, ready, rounds))
    child.start()
    assert ready.wait(PATIENCE)
    deadline = time.monotonic() + 2 * PATIENCE
    while time.monotonic() < deadline:
        # On a busy machine it may not have run at all since it was let go.
        seen = rounds.value
        until(lambda seen=seen: rounds.value != seen, "it goes on")
        for _ in range(random.randrange(300)):
            pass  # somewhere in its round
        os.kill(child.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED)
        waiting = threading.Thread(target=touch)
        waiting.start()
        waiting.join(0.02)
        if waiting.is_alive():
            return child, waiting, ready
        os.kill(child.pid, signal.SIGCONT)
    child.kill()
    raise AssertionError("it was never stopped inside")


CALLS = {
    "put": lambda q, _: q.put(b"one"),
    "get": lambda q, _: get(q),
    "get_many": lambda q, _: q.get_many(3, 0),
    "task_done": lambda q, _: q.task_done(),
    "qsize": lambda q, _: q.qsize(),
    "empty": lambda q, _: q.empty(),
    "ready": lambda q, _: Doorbell.ready(q, _aio.ITEMS),
    "announce": lambda q, _: Doorbell.announce(q, _aio.DONE),
    "aget": lambda q, _: asyncio.run(q.aget()),
    "shutdown": lambda q, _: q.shutdown(True),
    # Of those that deliver again.
    "done": lambda _, delivery: delivery.done(),
    "give_back": lambda _, delivery: delivery.give_back(),
    "in_flight": lambda q, _: q.in_flight(),
    "in_flights": lambda q, _: q.in_flights(),
}
CASES = [
    (kind, call)
    for kind in ("lifo", "priority", "redeliver")
    for call in CALLS
    if kind == "redeliver" or call not in ("done", "give_back", "in_flight", "in_flights")
]


@pytest.mark.parametrize(("kind", "call"), CASES)
def test_a_stopped_process_stops_one_thread(kind, call):
    make = {"lifo": mp.LifoQueue, "priority": mp.PriorityQueue}.get(kind, mp.Queue)
    q = make(redeliver=True) if kind == "redeliver" else make()
    for _ in range(20):
        q.put(b"there")
    prepared, go, done, failed = (threading.Event() for _ in range(4))

    def act():
        q.get()
        delivery = q.get_delivery() if kind == "redeliver" else None
        prepared.set()
        go.wait(PATIENCE)
        try:
            CALLS[call](q, delivery)
        except BaseException:
            failed.set()
            raise
        finally:
            done.set()

    acting = threading.Thread(target=act)
    acting.start()
    assert prepared.wait(PATIENCE)
    child, waiting, _ready = stopped_inside(q)
    # If the call keeps the interpreter, nothing in this process can end that.
    rescue = subprocess.Popen(
        ["sh", "-c", f"sleep 3; kill -KILL {child.pid}"], start_new_session=True
    )
    try:
        go.set()
        done.wait(0.1)
        stood_still = rescue.poll() is not None
    finally:
        os.killpg(rescue.pid, signal.SIGKILL)
        rescue.wait()
        child.kill()
    for thread in (acting, waiting):
        thread.join(PATIENCE)
    assert done.is_set()
    assert not failed.is_set()
    assert not stood_still, "the whole interpreter stood still"
    ended(child, code=-9)
