"""What goes wrong around thread queues, and must cost nobody anything: failing comparisons, signals, forks."""

import gc
import os
import signal
import sys
import threading
import time
import weakref
from collections import deque

import pytest
from support import PATIENCE, run
from thread_queues import calls, opened, until_blocked  # noqa: F401

from procession import queue


class Told:
    """Compares as it is told."""

    def __init__(self, priority, act=None):
        self.priority = priority
        self.act = act

    def __lt__(self, other):
        for each in self, other:
            if each.act is not None:
                each.act()
        return self.priority < other.priority


def failing():
    raise ZeroDivisionError


class Interrupted(Exception):
    """Out of a signal's handler."""


@pytest.fixture
def handler():
    """Sets what SIGALRM does."""
    before = signal.getsignal(signal.SIGALRM)
    yield lambda act: signal.signal(signal.SIGALRM, lambda *_: act())
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


# ---------------------------------------------------------------- wake-ups


def test_a_putter_whose_comparison_fails_leaves_its_room_to_the_next(calls):  # noqa: F811
    q = queue.PriorityQueue(2)
    q.put_many([Told(1), Told(2)])
    bad = calls(q.put, Told(0, failing))
    until_blocked(bad)
    good = calls(q.put, Told(3))
    until_blocked(good)
    q.get()
    with pytest.raises(ZeroDivisionError):
        bad.result()
    good.result()
    assert q.qsize() == 2


def test_a_getter_whose_comparison_fails_leaves_the_object_to_the_next(calls):  # noqa: F811
    q = queue.PriorityQueue()
    getters = [calls(q.get) for _ in range(4)]
    until_blocked(*getters)
    once = [failing]
    jobs = [Told(number) for number in range(3)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(60)  # so that nobody takes one before all three are there
    try:
        q.put_many(jobs)
        for job in jobs:
            job.act = lambda: once.pop()() if once else None
    finally:
        sys.setswitchinterval(before)
    for getter in getters:
        getter.join(PATIENCE / 4)
    stuck = sum(getter.is_alive() for getter in getters)
    q.put_many(Told(9) for _ in range(stuck))
    assert stuck == (0 if not once else 1), "somebody sleeps beside an object"


def test_an_interrupt_while_the_objects_are_away_passes_the_wake_up_on(calls, handler):  # noqa: F811
    """The main thread is woken for an object, and interrupted while another thread compares."""
    q = queue.PriorityQueue()
    gate, getters = threading.Event(), []

    def interrupt():
        raise Interrupted

    handler(interrupt)
    main = threading.main_thread()

    def produce():
        until_blocked(main)
        getters.extend([calls(q.get), calls(q.get)])
        until_blocked(*getters)
        q.put_many([Told(1), Told(2, compare)])

    def compare():
        until_blocked(main)
        os.kill(os.getpid(), signal.SIGALRM)
        assert gate.wait(PATIENCE)

    producer = calls(produce)
    with pytest.raises(Interrupted):
        q.get()
    gate.set()
    producer.result()
    assert sorted(getter.result().priority for getter in getters) == [1, 2]


def test_waiting_putters_keep_their_order_when_all_are_woken_in_vain(calls):  # noqa: F811
    q = queue.Queue(1)
    q.put(0)
    putters = []
    for number in range(1, 6):
        putters.append(calls(q.put, number))
        until_blocked(putters[-1])
    q.maxsize = 1  # the same: all are woken, and none has room
    until_blocked(*putters)
    assert [q.get(timeout=PATIENCE) for _ in range(6)] == list(range(6))


# ---------------------------------------------------------------- opening


def test_nothing_is_lost_where_opening_fails(monkeypatch):
    class Small(deque):
        def append(self, item):
            if len(self) == 2:
                raise MemoryError
            super().append(item)

    q = queue.Queue()
    q.put_many(range(5))
    monkeypatch.setattr(queue.Queue, "_container", Small)
    with pytest.raises(MemoryError):
        q.mutex  # noqa: B018
    monkeypatch.undo()
    assert not q._is_open and not vars(q) and q.qsize() == 5
    assert list(q.queue) == list(range(5)) and q.unfinished_tasks == 5


def test_a_signal_while_a_queue_is_opened(handler):
    """Its handler may use the queue, and raise: nothing is lost, nobody hangs."""
    seen = []

    def act():
        seen.append(q.qsize())
        raise Interrupted

    handler(act)
    for turn in range(30):
        q = queue.Queue()
        q.put_many(range(100_000))
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0002 + 0.0002 * turn)
            q.queue  # noqa: B018
            time.sleep(PATIENCE)  # ended by the signal
        except Interrupted:
            pass
        assert len(q.queue) == 100_000 and q.unfinished_tasks == 100_000
    assert seen == [100_000] * 30


# ---------------------------------------------------------------- exceptions out of nowhere


@pytest.mark.parametrize("inside", [False, True], ids=["native", "opened"])
@pytest.mark.parametrize("kind", [SystemExit, Interrupted, KeyboardInterrupt])
def test_what_a_handler_raises_inside_a_callback_is_raised(kind, inside, handler, calls):  # noqa: F811
    """And the object is there, for somebody who waits."""

    def act():
        raise kind

    def callback():
        os.kill(os.getpid(), signal.SIGALRM)
        for _ in range(10):
            pass

    handler(act)
    q = queue.Queue()
    if inside:
        opened(q)
    assert q._when_item(callback) is not None
    getter = calls(q.get)
    until_blocked(getter)
    with pytest.raises(kind):
        q.put(1)
        for _ in range(1000):
            pass
    assert getter.result() == 1


END = """
from procession import queue
class Last:
    def __init__(self):
        self.q, self.full, self.me = queue.Queue(), queue.Queue(1), {me}
    def __del__(self, Empty=queue.Empty, Full=queue.Full):
        self.q.put(1)
        self.full.put(1)
        got = []
        try:
            while True:
                got.append(self.q.get{how})
        except Empty:
            print(got)
        try:
            self.full.put(2, True, 0.01)
        except Full:
            print("full")
last = Last()
"""


@pytest.mark.parametrize("how", ["_nowait()", "(True, 0.01)"])
@pytest.mark.parametrize("me", ["None", "self"])
def test_the_first_empty_queue_in_a_destructor_at_the_very_end(how, me):
    assert run("-c", END.format(how=how, me=me)) == "[1]\nfull\n"


# ---------------------------------------------------------------- forks


def test_a_child_whose_parents_thread_was_comparing():
    program = """
import os, signal, threading, warnings
from procession import queue
warnings.simplefilter("ignore", DeprecationWarning)
at_it, gate = threading.Event(), threading.Event()
class Slow:
    def __lt__(self, other):
        at_it.set()
        return gate.wait(20)
q = queue.PriorityQueue()
q.put(Slow())
thread = threading.Thread(target=q.put, args=(Slow(),))
thread.start()
at_it.wait()
child = os.fork()
if child == 0:
    signal.alarm(20)
    for call in q.get_nowait, q.get, q.peek, lambda: q.put(1), lambda: q.mutex, q.get_many:
        try:
            call()
        except RuntimeError as error:
            assert "fork" in str(error)
        else:
            os._exit(1)
    q.__init__()
    q.put(1)
    os._exit(q.get(timeout=5) + 4)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
gate.set()
thread.join()
print(q.qsize())
"""
    assert run("-c", program) == "5\n2\n"


# ---------------------------------------------------------------- garbage


@pytest.mark.parametrize("name", ["maxsize", "is_shutdown"])
def test_an_attribute_that_refers_to_its_queue(name):
    class Knot(int):
        pass

    q, knot = queue.Queue(), Knot(5)
    knot.queue = q
    setattr(q, name, knot)
    assert getattr(q, name) is knot
    watch = weakref.ref(q)
    del q, knot
    gc.collect()
    assert watch() is None


def test_the_module_may_be_loaded_once_more():
    program = """
import importlib, procession
from procession import queue
procession.install()
import queue as installed
assert importlib.reload(queue) is queue and importlib.reload(installed) is installed
assert not hasattr(installed, "no_such_name")
assert installed.deque is not None
q = installed.Queue()
try:
    q.get_nowait()
except installed.Empty:
    print("empty")
"""
    assert run("-c", program) == "empty\n"
