"""LifoQueue and PriorityQueue between processes: nothing lost, nothing doubled, the order kept; and what
they have as every queue has it."""

import collections
import contextlib
import gc
import os
import pickle
import queue as standard
import random
import signal
import threading
import time

import backends
import pytest
from support import LONG, PATIENCE, each_method, ended, until, until_waiting

import procession as mp
from procession import _core, queues
from procession.queues import ShutDown

pytestmark = pytest.mark.both_backends

KINDS = ["LifoQueue", "PriorityQueue"]
each_kind = pytest.mark.parametrize("kind", KINDS)
ROUNDS = 100 if LONG else 8
SEED = int(os.environ.get("PROCESSION_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
END = (9, 0, 0)  # the last of all priorities


class Job:
    """What only Python can compare."""

    def __init__(self, *order):
        self.order = order

    def __lt__(self, other):
        return self.order < other.order


def message(odd, *order):
    return Job(*order) if odd else order


def parts(message):
    return message.order if isinstance(message, Job) else message


def produce(queue, me, count, odd):
    for number in range(count):
        queue.put(message(odd, number * 7 % 3, me, number), timeout=PATIENCE)


def takes(queue, odd):
    """Looks whether it takes such messages: here, where an error says why."""
    queue.put(message(odd, 0))
    assert parts(queue.get()) == (0,)
    queue.task_done()


def consume(queue, results):
    results.put([parts(message) for message in queue])


@each_kind
@pytest.mark.parametrize("odd", [False, True], ids=["keyed", "odd"])
@pytest.mark.parametrize("producers, consumers, maxsize", [(2, 2, 0), (4, 1, 5), (1, 4, 1)])
def test_every_message_once(kind, odd, producers, consumers, maxsize):
    deliver(mp.get_context("fork"), kind, producers, consumers, maxsize, 300 if odd else 2000, odd)


@each_method
@each_kind
def test_under_each_start_method(method, kind):
    deliver(mp.get_context(method), kind, 2, 2, 7, 300, False)


def deliver(context, kind, producers, consumers, maxsize, count, odd):
    queue, results = getattr(context, kind)(maxsize), context.Queue()
    takes(queue, odd)
    count //= producers
    senders = [
        context.Process(target=produce, args=(queue, n, count, odd)) for n in range(producers)
    ]
    receivers = [context.Process(target=consume, args=(queue, results)) for _ in range(consumers)]
    for process in senders + receivers:
        process.start()
    ended(*senders)
    queue.shutdown()
    seen = [results.get(timeout=PATIENCE) for _ in receivers]
    ended(*receivers)
    counted = collections.Counter(message for each in seen for message in each)
    wanted = [(n * 7 % 3, me, n) for me in range(producers) for n in range(count)]
    assert counted == collections.Counter(wanted)
    # What the dead had set aside is given back by the others, perhaps just now.
    until(lambda: _core.check() == [], "a sound arena")


@each_kind
@pytest.mark.parametrize("odd", [False, True], ids=["keyed", "odd"])
def test_what_many_have_put_comes_out_in_order(kind, odd):
    context = mp.get_context("fork")
    queue = getattr(context, kind)()
    takes(queue, odd)
    senders = [context.Process(target=produce, args=(queue, n, 100, odd)) for n in range(3)]
    for process in senders:
        process.start()
    ended(*senders)
    got = [parts(message) for message in queue.get_many()]
    assert len(set(got)) == 300
    if kind == "PriorityQueue":
        assert got == sorted(got)
    else:
        for me in range(3):
            assert [n for _, sender, n in got if sender == me] == list(range(99, -1, -1))


def test_equal_ones_come_in_the_order_of_arrival():
    queue = mp.PriorityQueue()
    for number in range(200):
        queue.put(number % 3 + (0.0 if number % 2 else 0))  # ints and floats of the same worth
    got = queue.get_many()
    for priority in range(3):
        types = [type(n) for n in got if n == priority]
        assert types == [float if n % 2 else int for n in range(200) if n % 3 == priority]


@each_kind
def test_full_and_empty(kind):
    queue = getattr(mp, kind)(2)
    with pytest.raises(standard.Empty):
        queue.get_nowait()
    with pytest.raises(standard.Empty):
        queue.peek(timeout=0.01)
    queue.put(1)
    assert not queue.full() and not queue.empty()
    queue.put_nowait(1)
    assert queue.full() and queue.qsize() == 2
    with pytest.raises(standard.Full):
        queue.put_nowait(1)
    with pytest.raises(standard.Full, match="0 objects were put"):
        queue.put_many([1], timeout=0.01)
    assert queue.peek() == 1 and queue.qsize() == 2
    assert queue.get_many(1) == [1] and queue.get_many(max=5, block=False) == [1]
    queue.close()
    for use in (queue.get, queue.peek, lambda: queue.put(1)):
        with pytest.raises(ValueError, match="is closed"):
            use()


def take_one(queue, results):
    results.put((os.getpid(), queue.get(), queue.peek()))


@each_kind
def test_who_only_looks_keeps_nothing_from_others(kind):
    context = mp.get_context("fork")
    queue, results = getattr(context, kind)(), context.Queue()
    lookers = [context.Process(target=queue.peek) for _ in range(2)]
    taker = context.Process(target=take_one, args=(queue, results))
    for process in (*lookers, taker):
        process.start()
    until_waiting(*(process.pid for process in (*lookers, taker)))
    queue.put((1, "x"))
    queue.put((1, "x"))
    ended(*lookers, taker)
    assert results.get()[1:] == ((1, "x"), (1, "x"))
    assert queue.get_many() == [(1, "x")]


def work(queue):
    for number in queue:
        assert isinstance(number, int)
        queue.task_done()


@each_kind
def test_join_waits_until_all_is_done(kind):
    context = mp.get_context("fork")
    queue = getattr(context, kind)()
    queue.join()
    queue.put_many(range(200))
    workers = [context.Process(target=work, args=(queue,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    queue.join()
    assert queue.empty()
    with pytest.raises(ValueError, match="called too many times"):
        queue.task_done()
    queue.shutdown()
    ended(*workers)


def wait_for(queue, how, results):
    try:
        queue.put(1) if how == "put" else getattr(queue, how)()
        results.put((how, "went on"))
    except ShutDown:
        results.put((how, "ShutDown"))


@each_kind
@pytest.mark.parametrize("immediate", [False, True])
def test_a_shutdown_wakes_all_who_wait(kind, immediate):
    context = mp.get_context("fork")
    empty, full, results = getattr(context, kind)(), getattr(context, kind)(1), context.Queue()
    full.put(1)
    waiters = [
        context.Process(target=wait_for, args=(queue, how, results))
        for queue, how in ((empty, "get"), (empty, "peek"), (full, "put"), (full, "join"))
    ]
    for process in waiters:
        process.start()
    until_waiting(*(process.pid for process in waiters))
    for queue in (empty, full):
        assert not queue.is_shutdown
        queue.shutdown(immediate)
        assert queue.is_shutdown
    if not immediate:
        assert full.get() == 1
        full.task_done()
    ended(*waiters)
    told = dict(results.get(timeout=PATIENCE) for _ in waiters)
    assert told == {"get": "ShutDown", "peek": "ShutDown", "put": "ShutDown", "join": "went on"}
    for use in (full.get, full.get_nowait, full.peek, lambda: full.put(1), full.get_many):
        with pytest.raises(ShutDown):
            use()
    assert list(full) == [] and full.qsize() == 0


@each_kind
def test_iteration_takes_what_is_left_after_a_shutdown(kind):
    queue = getattr(mp, kind)()
    queue.put_many([1, 2, 3])
    queue.shutdown()
    assert queue.get() == (3 if kind == "LifoQueue" else 1)
    assert list(queue) == ([2, 1] if kind == "LifoQueue" else [2, 3])
    for number in queue:
        raise AssertionError(number)


def answer(requests):
    for number, replies in requests:
        replies.put((number, requests))


@each_method
@each_kind
def test_a_queue_travels_in_messages(method, kind):
    context = mp.get_context(method)
    requests = getattr(context, kind)()
    server = context.Process(target=answer, args=(requests,))
    server.start()
    for number in range(5):
        replies = getattr(context, kind)()
        requests.put((number, replies))
        got, same = replies.get(timeout=PATIENCE)
        assert got == number and type(same) is type(requests)
        assert same.qsize() == 0
    same.shutdown()
    ended(server)


@each_kind
def test_a_queue_inside_of_one_lives_as_long_as_the_message(kind):
    outer = getattr(mp, kind)()
    gc.collect()  # what other tests have left in cycles
    before = backends.current.queues()
    inner = getattr(mp, kind)()
    inner.put("kept")
    outer.put((1, inner))
    del inner
    assert outer.peek()[1].get() == "kept"
    _, inner = outer.get()
    assert inner.empty()
    del inner
    if backends.current.name == backends.SERVER:
        return  # what has travelled is kept there for a while: see test_manager_model::test_nothing_is_left
    # What processes of other tests had may be found to be nobody's meanwhile.
    until(lambda: backends.current.queues() <= before, "the queue's end")


@each_kind
def test_pickled_by_itself(kind):
    queue = getattr(mp, kind)(3)
    queue.put("x")
    same = pickle.loads(pickle.dumps(queue))
    assert type(same) is type(queue) and same._maxsize == 3 and same.get() == "x"


@each_kind
def test_large_messages(kind):
    numpy = pytest.importorskip("numpy")
    queue = getattr(mp, kind)()
    queue.put((1, b"x" * 300_000))
    queue.put((2, b"y" * 300_000))
    got = [queue.get(), queue.get()]
    assert sorted(got) == [(1, b"x" * 300_000), (2, b"y" * 300_000)]
    queue.put((1, numpy.arange(100_000)))
    number, array = queue.get()
    assert number == 1 and array.sum() == sum(range(100_000))
    array[0] = 1  # it is the receiver's own


def put_large(queue):
    queue.put((0, b"z" * 600))


@each_kind
def test_a_bound_in_bytes(kind):
    context = mp.get_context("fork")
    queue = getattr(mp, kind)(maxbytes=1000)
    assert queue.maxbytes == 1000
    queue.put((1, b"x" * 5000))  # larger than the bound: alone
    with pytest.raises(standard.Full):
        queue.put_nowait((1, b""))
    assert queue.get() == (1, b"x" * 5000)
    queue.put((1, b"x" * 600))
    putter = context.Process(target=put_large, args=(queue,))
    putter.start()
    until_waiting(putter.pid)
    with pytest.raises(standard.Full):
        queue.put((2, b"y" * 600), timeout=0.01)
    queue.put((2, b""))  # a small one has room
    got = [queue.get(timeout=PATIENCE) for _ in range(3)]
    ended(putter)
    assert sorted(got) == [(0, b"z" * 600), (1, b"x" * 600), (2, b"")]


@each_kind
def test_what_cannot_be_pickled_is_refused(kind):
    queue = getattr(mp, kind)()
    with pytest.raises(TypeError, match="cannot pickle"):
        queue.put((1, threading.Lock()))
    assert queue.empty()
    queue.put((1, "x"))
    assert queue.get() == (1, "x")


@each_kind
def test_named_in_a_family(kind, family):
    name = "lifo_queue" if kind == "LifoQueue" else "priority_queue"
    queue = getattr(family, name)("jobs", 2)
    assert type(queue) is getattr(queues, kind)
    queue.put((1, "x"))
    assert getattr(family, name)("jobs").get() == (1, "x")
    assert family.names() == {"jobs": name}
    with pytest.raises(ValueError, match="capacity 2, and not 3"):
        getattr(family, name)("jobs", 3)
    with pytest.raises(TypeError, match=f"is a {name}, and no queue"):
        family.queue("jobs")


@each_kind
def test_plain_data_only(kind, family):
    strict = backends.current.family(allow_pickle=False)
    name = "lifo_queue" if kind == "LifoQueue" else "priority_queue"
    queue, open_queue = getattr(strict, name)("jobs"), getattr(family, name)("jobs")
    queue.put_many([[1], [0]])
    with pytest.raises(pickle.PicklingError):
        queue.put(Job(1))
    assert queue.get() == [0]
    open_queue.put([0, len])
    for use in (queue.peek, queue.get):
        with pytest.raises(pickle.UnpicklingError):
            use()
    assert queue.get() == [1]


def storm(queue, me, odd):
    random.seed(SEED + me)
    for number in range(10**9):
        queue.put(message(odd, random.randrange(5), me, number))


def drain(queue):
    for _ in queue:
        pass


@each_kind
@pytest.mark.parametrize("odd", [False, True], ids=["keyed", "odd"])
def test_killed_under_load(kind, odd):
    """The others go on, nothing arrives twice, and the queue is sound."""
    context = mp.get_context("fork")
    chance = random.Random(SEED)
    queue = getattr(context, kind)(64)
    takes(queue, odd)
    for round in range(ROUNDS):
        victims = [
            context.Process(target=storm, args=(queue, 10 * round + n, odd)) for n in range(2)
        ]
        victims.append(context.Process(target=drain, args=(queue,)))
        for victim in victims:
            victim.start()
        deadline = time.monotonic() + chance.uniform(0.002, 0.04)
        seen = set()
        while time.monotonic() < deadline:
            got = parts(queue.get(timeout=PATIENCE))
            assert got not in seen, SEED
            seen.add(got)
        for victim in victims:
            os.kill(victim.pid, signal.SIGKILL)
        ended(*victims, code=-signal.SIGKILL)
        left = [] if queue.empty() else [parts(got) for got in queue.get_many()]
        assert len(set(left)) == len(left) and seen.isdisjoint(left), SEED
        if kind == "PriorityQueue":
            assert [order[0] for order in left] == sorted(order[0] for order in left), SEED
        queue.put((0, 0, 0))
        assert queue.get(timeout=PATIENCE) == (0, 0, 0)
    # A victim may have been killed while it gave back what another had: whoever waits goes on with that.
    until(lambda: wait_in_vain(queue) or not _core.check(), f"a sound arena ({SEED})")


def wait_in_vain(queue):
    with contextlib.suppress(mp.queues.Empty):
        queue.get(timeout=0.3)
