"""The queue in order: its end for all processes, a look at the next message, and a bound in bytes."""

import os
import queue as standard
import signal
import threading
import time

import pytest
from support import PATIENCE, each_method, ended, until, until_waiting

import procession as mp
from procession import queues
from procession.queues import ShutDown

pytestmark = pytest.mark.both_backends


@pytest.fixture(params=["Queue", "JoinableQueue"])
def kind(request):
    return getattr(mp, request.param)


def test_what_is_left_can_be_got(kind):
    q = kind()
    q.put_many([1, 2])
    assert not q.is_shutdown
    q.shutdown()
    assert q.is_shutdown
    for put in (lambda: q.put(3), lambda: q.put_nowait(3), lambda: q.put_many([3])):
        with pytest.raises(ShutDown):
            put()
    assert q.qsize() == 2
    assert q.peek() == 1
    assert q.get() == 1
    assert q.get_nowait() == 2
    for get in (q.get, q.get_nowait, q.get_many, q.peek, lambda: q.get(timeout=5)):
        with pytest.raises(ShutDown):
            get()
    q.shutdown()
    q.shutdown(immediate=True)


def test_at_once_nothing_is_left(kind):
    q = kind(4)
    q.put_many([1, "x" * 100_000, {3}, mp.Queue()])
    assert q.full()
    q.shutdown(immediate=True)
    assert (q.qsize(), q.empty(), q.full(), q.is_shutdown) == (0, True, False, True)
    with pytest.raises(ShutDown):
        q.get_nowait()
    with pytest.raises(ShutDown):
        q.put(1)
    q.shutdown()
    assert q.empty()


def test_first_in_order_and_then_at_once(kind):
    q = kind()
    q.put_many([1, 2, 3])
    q.shutdown()
    assert q.get() == 1
    q.shutdown(True)
    with pytest.raises(ShutDown):
        q.get()


def test_ended_is_not_closed():
    q = mp.Queue()
    q.shutdown()
    with pytest.raises(ShutDown):
        q.put(1)
    q.close()
    with pytest.raises(ValueError, match="closed"):
        q.put(1)
    with pytest.raises(ValueError, match="closed"):
        q.peek()


def test_dropped_tasks_are_done_and_taken_ones_are_not():
    q = mp.JoinableQueue()
    q.put_many([1, 2, 3])
    q.get()
    q.shutdown(immediate=True)
    assert not q._join(timeout=0.01)  # one was taken, and is not done
    q.task_done()
    q.join()
    with pytest.raises(ValueError):
        q.task_done()
    with pytest.raises(ValueError):
        q.task_done()


def test_join_after_an_end_in_order():
    q = mp.JoinableQueue()
    q.put_many([1, 2])
    q.shutdown()
    joining = threading.Thread(target=q.join)
    joining.start()
    for _ in range(2):
        q.get()
        assert joining.is_alive()
        q.task_done()
    joining.join(PATIENCE)
    assert not joining.is_alive()


def wait_for_the_end(what, q, told):
    wait = {
        "get": q.get,
        "get_many": q.get_many,
        "peek": q.peek,
        "put": lambda: q.put("one more"),
        "put_many": lambda: q.put_many(["one more", "and one"]),
        "join": q.join,
    }[what]
    try:
        told.put((what, wait(), time.monotonic()))
    except ShutDown as error:
        told.put((what, type(error) is queues.ShutDown, time.monotonic()))


@each_method
@pytest.mark.parametrize("immediate", [False, True])
def test_who_waits_in_other_processes_hears_of_it(method, immediate):
    context = mp.get_context(method)
    empty, full, told = context.JoinableQueue(), context.JoinableQueue(1), context.Queue()
    full.put("unread")
    waits = [("get", empty), ("get_many", empty), ("peek", empty), ("put", full)]
    waits += [("put_many", full)] + [("join", full)] * immediate
    processes = [
        context.Process(target=wait_for_the_end, args=(what, q, told)) for what, q in waits
    ]
    for process in processes:
        process.start()
    until_waiting(*(process.pid for process in processes))
    start = time.monotonic()
    empty.shutdown(immediate)
    full.shutdown(immediate)
    heard = {what: (how, at) for what, how, at in (told.get(timeout=PATIENCE) for _ in waits)}
    ended(*processes)
    assert {what: how for what, (how, _) in heard.items()} == {
        what: what != "join" or None for what, _ in waits
    }
    # Far less than the slice after which every sleeper looks by itself.
    assert sorted(at - start for _, at in heard.values())[len(heard) // 2] < 0.2
    assert full.qsize() == (not immediate)


def take_all(q, results):
    results.put([*q])


@each_method
def test_iterating_takes_until_the_end(method):
    context = mp.get_context(method)
    q, results = context.Queue(7), context.Queue()
    consumers = [context.Process(target=take_all, args=(q, results)) for _ in range(2)]
    for process in consumers:
        process.start()
    q.put_many(range(1000))
    q.shutdown()
    ended(*consumers)
    assert sorted(results.get() + results.get()) == [*range(1000)]
    assert [*q] == []


def put_until_the_end(q, started, counted):
    n = 0
    message = b"x" * 1500 if isinstance(q, queues.Queue) else 7
    try:
        while True:
            q.put(message)
            n += 1
            started.set()
    except ShutDown:
        counted.put(n)


def is_stopped(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "T"


@pytest.mark.parametrize("name", ["Queue", "LifoQueue", "PriorityQueue"])
def test_the_end_comes_behind_every_put_that_succeeds(name):
    """A producer is stopped somewhere, in the midst of a put as often as not."""
    context = mp.get_context("fork")
    for round in range(30):
        q, counted, started, got = getattr(context, name)(), context.Queue(), context.Event(), []
        producer = context.Process(target=put_until_the_end, args=(q, started, counted))
        producer.start()
        assert started.wait(PATIENCE)
        q.get()
        os.kill(producer.pid, signal.SIGSTOP)
        until(lambda pid=producer.pid: is_stopped(pid), "it stops")
        consumer = threading.Thread(target=got.extend, args=(q,))
        q.shutdown()
        consumer.start()
        consumer.join(0.02)  # by then it is at the end, or waits for that put
        os.kill(producer.pid, signal.SIGCONT)
        ended(producer)
        consumer.join(PATIENCE)
        assert not consumer.is_alive()
        assert (len(got) + 1, q.qsize()) == (counted.get(), 0), round


def shut_down(q, immediate):
    while True:
        q.shutdown(immediate)


def test_who_is_killed_while_he_ends_a_queue_has_ended_it_or_not():
    context = mp.get_context("fork")
    for round in range(10):
        q = context.JoinableQueue()
        q.put_many([[i, "x" * (i * 500 % 30_000)] for i in range(200)])
        process = context.Process(target=shut_down, args=(q, True))
        process.start()
        while not q.is_shutdown:
            time.sleep(0)
        process.kill()
        ended(process, code=-9)
        assert q.qsize() in (0, 200), round
        q.shutdown(immediate=True)
        assert q.empty()
        q.join()


def test_peek_leaves_it_there():
    q = mp.Queue()
    with pytest.raises(standard.Empty):
        q.peek_nowait()
    with pytest.raises(standard.Empty):
        q.peek(timeout=0.01)
    inner = mp.Queue()
    inner.put("inside")
    for message in (1, [1, {2: "x"}], "x" * 100_000, inner, object):
        q.put(message)
        seen = q.peek()
        assert q.qsize() == 1
        assert type(seen) is type(message) and type(q.peek_nowait()) is type(message)
        got = q.get()
        assert seen == got if message is not inner else seen.get() == "inside"


def test_a_peeked_array_is_ones_own():
    numpy = pytest.importorskip("numpy")
    q = mp.Queue()
    q.put(numpy.arange(100_000))
    seen, again = q.peek(), q.peek()
    seen[:] = -1
    assert (again == numpy.arange(100_000)).all()
    assert (q.get() == numpy.arange(100_000)).all()
    assert (seen == -1).all()


def look(q, told):
    told.put(q.peek(timeout=PATIENCE))


@each_method
def test_who_looks_keeps_nothing_from_who_takes(method):
    context = mp.get_context(method)
    q, told = context.Queue(), context.Queue()
    lookers = [context.Process(target=look, args=(q, told)) for _ in range(3)]
    for process in lookers:
        process.start()
    until_waiting(*(process.pid for process in lookers))
    q.put(["for all to see"])
    assert [told.get(timeout=PATIENCE) for _ in lookers] == [["for all to see"]] * 3
    ended(*lookers)
    assert q.get_nowait() == ["for all to see"]


def test_a_bound_in_bytes(kind):
    q = kind(maxbytes=1000)
    assert q.maxbytes == 1000 and kind().maxbytes == 0 and kind(maxbytes=-1).maxbytes == 0
    q.put(b"x" * 5000)  # larger than that it may be in alone
    with pytest.raises(standard.Full):
        q.put_nowait(1)
    assert q.full()
    q.get()
    q.put_many([b"x" * 300] * 3)
    assert not q.full()
    with pytest.raises(standard.Full):
        q.put(b"x" * 100, timeout=0.01)
    q.put(b"x" * 20)
    with pytest.raises(TypeError):
        kind(maxbytes="1000")


def test_both_bounds():
    q = mp.Queue(2, maxbytes=1000)
    q.put_many([1, 2])
    assert q.full()
    q.get_many()
    q.put(b"x" * 900)
    with pytest.raises(standard.Full):
        q.put_nowait(b"x" * 200)


def put_sizes(q, size, count):
    for _ in range(count):
        q.put(b"x" * size, timeout=PATIENCE)


@each_method
def test_large_and_small_messages_all_get_in(method):
    context = mp.get_context(method)
    q = context.Queue(maxbytes=20_000)
    sizes = [1, 1000, 15_000, 60_000]
    processes = [context.Process(target=put_sizes, args=(q, size, 200)) for size in sizes]
    for process in processes:
        process.start()
    got = [len(q.get(timeout=PATIENCE)) for _ in range(800)]
    ended(*processes)
    assert all(got.count(size) == 200 for size in sizes)
