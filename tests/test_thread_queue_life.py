"""Thread queues and what may happen to a program: garbage, interrupts, forks, ends, many threads."""

import gc
import os
import signal
import threading
import time
import weakref

import pytest
from support import PATIENCE, run
from thread_queues import KINDS, calls, each_kind, opened, until_blocked  # noqa: F401

from procession import queue


class Thing:
    pass


@pytest.fixture(params=["native", "opened"])
def make(request):
    def make(kind="Queue", *args):
        q = getattr(queue, kind)(*args)
        if request.param == "opened" and kind != "SimpleQueue":
            opened(q)
        return q

    return make


# ---------------------------------------------------------------- garbage


@each_kind
def test_what_is_inside_goes_with_the_queue(kind, make):
    q, thing = make(kind), Thing()
    watch = weakref.ref(thing)
    q.put((1, thing))
    del thing
    assert watch() is not None
    del q
    gc.collect()
    assert watch() is None


@each_kind
def test_a_cycle_through_a_queue_is_collected(kind, make):
    q, thing = make(kind), Thing()
    watches = weakref.ref(q), weakref.ref(thing)
    thing.queue = q
    q.put((1, thing))
    q.put((0, thing))
    q.note = q
    gc.collect()
    assert watches[0]() is q
    del q, thing
    gc.collect()
    assert [watch() for watch in watches] == [None, None]


@each_kind
def test_objects_that_use_the_queue_when_they_are_dropped(kind):
    q = getattr(queue, kind)()
    seen = []

    class Last:
        def __lt__(self, other):
            return id(self) < id(other)

        def __del__(self):
            seen.append(q.qsize())
            q.put(1)
            seen.append(q.get())

    q.put(Last())
    q.get()
    assert seen == [0, 1]


def test_objects_that_use_the_queue_when_it_is_emptied():
    q = queue.Queue()
    sizes = []

    class Last:
        def __del__(self):
            sizes.append((q.qsize(), q.is_shutdown))

    for _ in range(3):
        q.put(Last())
    q.shutdown(immediate=True)
    assert sizes == [(0, True)] * 3
    q = queue.Queue()
    q.put(Last())
    q.__init__()
    assert sizes[3:] == [(0, False)]


def test_a_collection_in_the_midst_of_everything(calls):  # noqa: F811
    """The collector runs all the time, and its callbacks use the queue that is being used."""
    q = queue.Queue()
    thing = q

    class Knot:
        def __init__(self):
            self.knot = self
            self.queue = thing

        def __del__(self):
            self.queue.put(None)
            self.queue.get_nowait()

    before = gc.get_threshold()
    gc.set_threshold(3)
    try:

        def work():
            for _ in range(500):
                q.put(Knot())
                q.get(timeout=20)

        working = [calls(work) for _ in range(2)]
        for call in working:
            call.result()
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert q.empty()


# ---------------------------------------------------------------- interrupts

INTERRUPTED = """
import os, signal, sys, threading
from procession import queue
q = queue.{kind}({size})
{inside}
{before}
main = threading.get_native_id()
def interrupt():
    while True:
        with open(f"/proc/self/task/{{main}}/stat") as file:
            if file.read().rpartition(")")[2].split()[0] == "S":
                break
    os.kill(os.getpid(), signal.SIGINT)
thread = threading.Thread(target=interrupt)
thread.start()
try:
    {wait}
except KeyboardInterrupt:
    thread.join()
    print("interrupted", q.qsize())
"""


@pytest.mark.parametrize("inside", ["", "q.mutex"], ids=["native", "opened"])
@pytest.mark.parametrize(
    ("before", "wait", "left"),
    [
        ("", "q.get()", 0),
        ("", "q.get(timeout=40)", 0),
        ("", "q.peek()", 0),
        ("", "q.get_many()", 0),
        ("", "next(iter(q))", 0),
        ("q.put(1)", "q.put(2)", 1),
        ("q.put(1)", "q.put_many([2])", 1),
        ("q.put(1)", "q.join()", 1),
    ],
)
def test_control_c_ends_a_wait(inside, before, wait, left):
    program = INTERRUPTED.format(kind="Queue", size=1, inside=inside, before=before, wait=wait)
    assert run("-c", program) == f"interrupted {left}\n"


def test_control_c_ends_a_wait_in_a_simple_queue():
    program = INTERRUPTED.format(kind="SimpleQueue", size="", inside="", before="", wait="q.get()")
    assert run("-c", program) == "interrupted 0\n"


def test_a_signal_handler_may_use_the_queue_that_is_waited_in(make):
    q = make()
    main = threading.get_native_id()

    def send():
        for _ in range(20):
            while state_of(main) != "S":
                time.sleep(0)
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(0)

    before = signal.signal(signal.SIGUSR1, lambda *_: handled.append(q.qsize()))
    handled = []
    thread = threading.Thread(target=send)
    try:
        thread.start()
        stopper = threading.Thread(target=lambda: (thread.join(), q.put("end")))
        stopper.start()
        assert q.get(timeout=PATIENCE) == "end"
        stopper.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert handled and set(handled) == {0}


def state_of(thread):
    with open(f"/proc/self/task/{thread}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


# ---------------------------------------------------------------- many threads


@pytest.mark.parametrize(
    ("kind", "size"),
    [(kind, size) for kind in KINDS for size in (0, 7) if kind[0] != "S" or not size],
)
def test_every_object_comes_once(kind, size, calls):  # noqa: F811
    q = getattr(queue, kind)(*[size] if size else [])
    producers = [calls(lambda n=n: [q.put(i) for i in range(n, 8000, 4)]) for n in range(4)]
    consumers = [calls(lambda: list(q)) for _ in range(4)]
    for producer in producers:
        producer.result()
    q.shutdown()
    taken = [consumer.result() for consumer in consumers]
    assert sorted(item for items in taken for item in items) == list(range(8000))
    if kind == "Queue":
        # What one thread put comes in its order.
        for items in taken:
            for n in range(4):
                mine = [item for item in items if item % 4 == n]
                assert mine == sorted(mine)


def test_a_thousand_threads_wait(make):
    q, results = make(), make()
    threads = [
        threading.Thread(target=lambda: results.put(q.get()), daemon=True) for _ in range(1000)
    ]
    for thread in threads:
        thread.start()
    q.put_many(range(1000))
    assert sorted(results.get(timeout=PATIENCE) for _ in range(1000)) == list(range(1000))
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_a_thousand_threads_are_sent_home(make, calls):  # noqa: F811
    q = make("Queue", 1)
    getters = [calls(q.get) for _ in range(500)]
    until_blocked(*getters)
    q.shutdown()
    for getter in getters:
        with pytest.raises(queue.ShutDown):
            getter.result()


def test_ping_pong(make, calls):  # noqa: F811
    """Each wakes the other: one lost wake-up and it hangs."""
    there, back = make("Queue", 1), make("Queue", 1)

    def echo():
        for item in there:
            back.put(item)

    echoing = calls(echo)
    for number in range(2000):
        there.put(number)
        assert back.get(timeout=PATIENCE) == number
    there.shutdown()
    echoing.result()


# ---------------------------------------------------------------- fork and the end


FORKED = """
import os, threading, warnings
from procession import queue
warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads
q = queue.{kind}()
{inside}
q.put(1)
empty = queue.{kind}()
waiting = [threading.Thread(target=empty.get, daemon=True) for _ in range(3)]
stop = False
def busy():
    while not stop:
        q.put(2)
        q.get()
busy = [threading.Thread(target=busy) for _ in range(3)]
for thread in waiting + busy:
    thread.start()
children = []
for _ in range(20):
    child = os.fork()
    if child == 0:
        # None of the threads is here; the queues work.
        assert {inside!r} or q.qsize() <= 4
        {child}
        empty.put(3)
        assert empty.get(timeout=5) == 3
        taker = threading.Thread(target=lambda: empty.put(empty.get() + 1))
        taker.start()
        empty.put(4)
        taker.join()
        assert empty.get_nowait() == 5
        os._exit(0)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
stop = True
for thread in busy:
    thread.join()
for _ in waiting:
    empty.put(0)
assert codes == [0] * 20, codes
assert q.qsize() == 1
"""


@each_kind
def test_a_forked_child_has_working_queues(kind):
    program = FORKED.format(kind=kind, inside="", child="q.put(2); q.get()")
    assert run("-c", program) == ""


def test_opening_works_after_a_fork_in_the_midst_of_opening():
    program = """
import os, threading, warnings
from procession import queue
warnings.simplefilter("ignore", DeprecationWarning)
stop = False
def busy():
    while not stop:
        queue.Queue().mutex
thread = threading.Thread(target=busy)
thread.start()
codes = []
for _ in range(30):
    child = os.fork()
    if child == 0:
        assert not queue.Queue().mutex.locked()
        os._exit(0)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop = True
thread.join()
assert codes == [0] * 30, codes
"""
    assert run("-c", program) == ""


@each_kind
@pytest.mark.parametrize("inside", ["", "if hasattr(q, 'join'): q.mutex"], ids=["native", "opened"])
def test_a_program_ends_beside_blocked_threads(kind, inside):
    program = f"""
import threading, sys
from procession import queue
q = queue.{kind}()
{inside}
full = queue.Queue(1)
full.put(1)
threads = [threading.Thread(target=call, args=args, daemon=True) for call, args in
           [(q.get, ()), (q.get, (True, 60)), (full.put, (2,)), (full.join, ()), (list, (q,))]]
for thread in threads:
    thread.start()
class Last:
    def __del__(self):
        q.put(1)
        print("last")
q.last = Last()
"""
    assert run("-c", program) in ("", "last\n")


def test_a_queue_in_a_module_that_is_torn_down():
    program = """
import atexit
from procession import queue
q = queue.Queue()
q.put(q)
atexit.register(lambda: print(q.qsize()))
class Last:
    def __init__(self, queue): self.queue = queue
    def __del__(self): self.queue.qsize()
last = Last(q)
"""
    assert run("-c", program) == "1\n"


def test_without_the_core_there_are_the_same_methods():
    program = """
import asyncio, warnings
warnings.simplefilter("ignore")
from procession import native, queue
assert not native
for kind in queue.Queue, queue.LifoQueue, queue.PriorityQueue, queue.SimpleQueue:
    q = kind()
    q.put_many([2, 1])
    first = q.peek()
    assert q.get() == first and asyncio.run(q.aget()) == 3 - first
    q.put(5, False, -1) if kind is queue.SimpleQueue else q.put(5)
    q.shutdown()
    assert list(q) == [5]
    try:
        q.put(1)
    except queue.ShutDown:
        pass
    else:
        raise AssertionError
q = queue.Queue(1)
q.put(1)
q.get()
q.task_done()
q.join()
"""
    assert run("-c", program, env={"PROCESSION_FALLBACK": "1"}) == ""


def test_tracing_does_not_get_in_the_way(calls):  # noqa: F811
    q = queue.Queue()
    seen = []
    threading.settrace(lambda *event: seen.append(event[1]))
    try:
        getter = calls(q.get)
        until_blocked(getter)
        q.put(1)
        assert getter.result() == 1
    finally:
        threading.settrace(None)
    assert seen
