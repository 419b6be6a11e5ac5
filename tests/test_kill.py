"""Killed, terminated and interrupted processes: the others go on, and every message is accounted
for."""

import contextlib
import functools
import mmap
import os
import random
import signal
import sys
import time

import pytest
from support import LONG, PATIENCE, each_method, ended, until, until_waiting

import procession as mp
from procession import _core

pytestmark = pytest.mark.both_backends

ROUNDS = 200 if LONG else 20
SEED = int(os.environ.get("PROCESSION_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
PRODUCERS, CONSUMERS, MESSAGES = 4, 4, 600


def get_one(queue, taken):
    taken.put(queue.get())


def get_for_ever(queue):
    while True:
        queue.get()


@each_method
def test_a_killed_reader_hurts_nobody(method):
    context = mp.get_context(method)
    queue, taken = context.Queue(), context.Queue()
    victims = [context.Process(target=get_for_ever, args=(queue,)) for _ in range(2)]
    reader = context.Process(target=get_one, args=(queue, taken))
    for process in (*victims, reader):
        process.start()
    until_waiting(*(process.pid for process in (*victims, reader)))
    for victim in victims:
        victim.kill()
    ended(*victims, code=-9)
    start = time.monotonic()
    queue.put("for the survivor")
    assert taken.get(timeout=PATIENCE) == "for the survivor"
    assert time.monotonic() - start < 2
    ended(reader)


def put_for_ever(queue):
    while True:
        queue.put("x")


@each_method
def test_a_killed_writer_hurts_nobody(method):
    context = mp.get_context(method)
    queue = context.Queue(1)
    queue.put("x")
    victims = [context.Process(target=put_for_ever, args=(queue,)) for _ in range(2)]
    for victim in victims:
        victim.start()
    until_waiting(*(victim.pid for victim in victims))
    for victim in victims:
        victim.kill()
    ended(*victims, code=-9)
    while not queue.empty():
        assert queue.get() == "x"
    for _ in range(10):
        queue.put("y", timeout=PATIENCE)
        assert queue.get(timeout=PATIENCE) == "y"


@each_method
@pytest.mark.parametrize("kind", ["Queue", "JoinableQueue", "SimpleQueue"])
def test_terminating_a_blocked_reader_is_harmless(method, kind):
    context = mp.get_context(method)
    queue = getattr(context, kind)()
    process = context.Process(target=get_for_ever, args=(queue,))
    process.start()
    until_waiting(process.pid)
    process.terminate()
    ended(process, code=-signal.SIGTERM)
    queue.put(1)
    assert queue.get() == 1


def put_and_end(queue, count):
    for number in range(count):
        queue.put((number, b"x" * (number * 997 % 70_000)))


@each_method
def test_a_producer_that_ends_at_once_loses_nothing(method):
    context = mp.get_context(method)
    queue = context.Queue()
    producer = context.Process(target=put_and_end, args=(queue, 200))
    producer.start()
    ended(producer)  # with all messages unread: there is no feeder thread to wait for
    assert queue.qsize() == 200
    for number in range(200):
        assert queue.get(block=False) == (number, b"x" * (number * 997 % 70_000))


def put_and_exit(queue):
    queue.put("the last word")
    os._exit(3)


@each_method
def test_nor_does_one_that_exits_hard(method):
    context = mp.get_context(method)
    queue = context.Queue()
    producer = context.Process(target=put_and_exit, args=(queue,))
    producer.start()
    ended(producer, code=3)
    assert queue.get(block=False) == "the last word"


def interrupted(wait, told):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        wait()
    except KeyboardInterrupt:
        told.put(time.monotonic())


@each_method
@pytest.mark.parametrize("what", ["put", "get", "get_many", "get with time-out", "join"])
def test_ctrl_c_ends_a_wait_at_once(method, what):
    context = mp.get_context(method)
    empty, full, undone = context.Queue(), context.Queue(1), context.JoinableQueue()
    full.put(1)
    undone.put(1)
    told = context.Queue()
    wait = {
        "put": functools.partial(full.put, 2),
        "get": empty.get,
        "get_many": empty.get_many,
        "get with time-out": functools.partial(empty.get, timeout=100),
        "join": undone.join,
    }[what]
    delays = []
    for _ in range(3):
        process = context.Process(target=interrupted, args=(wait, told))
        process.start()
        until_waiting(process.pid)
        start = time.monotonic()
        os.kill(process.pid, signal.SIGINT)
        delays.append(told.get(timeout=PATIENCE) - start)
        ended(process)
    # Sleeps come in slices of 250 ms: an interrupt must not wait for the end of one.
    assert min(delays) < 0.1, delays
    empty.put(1)
    assert (empty.get(), full.get(), undone.get()) == (1, 1, 1)


def test_a_handler_that_returns_does_not_end_a_wait():
    seen = []
    was = signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        start = time.monotonic()
        with pytest.raises(mp.queues.Empty):
            mp.Queue().get(timeout=0.4)
        assert time.monotonic() - start >= 0.4
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, was)
    assert len(seen) >= 2


# ---------------------------------------------------------------- random kills


class Log:
    """Numbers that a process writes down, and that stay readable when it is killed."""

    def __init__(self, room):
        # Each word is one store; struct.pack_into would write zeros first, and be killed in between.
        self.words = memoryview(mmap.mmap(-1, 8 * (room + 1))).cast("q")

    def __len__(self):
        return self.words[0]

    def append(self, number):
        length = len(self)
        self.words[length + 1] = number
        self.words[0] = length + 1

    def numbers(self):
        return self.words[1 : len(self) + 1].tolist()


def message(number):
    """Small ones, middle ones, and such as have a block of their own."""
    size = (0, 100, 5_000, 40_000, 200_000)[number % 7 % 5] if number % 3 == 0 else 0
    return number, bytes([number % 251]) * size


def produce(queue, log, first):
    for number in range(first, first + MESSAGES):
        queue.put(message(number))
        log.append(number)


def consume(queue, log):
    while (got := queue.get()) is not None:
        assert got == message(got[0]), f"torn: {got[0]}"
        log.append(got[0])


def round_of_kills(rng, context):
    queue = context.Queue(rng.choice([0, 0, 1, 7, 64]))
    put = [Log(MESSAGES) for _ in range(PRODUCERS)]
    got = [Log(PRODUCERS * MESSAGES) for _ in range(CONSUMERS)]
    producers = [
        context.Process(target=produce, args=(queue, log, number * MESSAGES))
        for number, log in enumerate(put)
    ]
    consumers = [context.Process(target=consume, args=(queue, log)) for log in got]
    for process in producers + consumers:
        process.start()
    victims = [
        (process, log, rng.randrange(1, MESSAGES))
        for processes, logs in ((producers, put), (consumers, got))
        for process, log in rng.sample(list(zip(processes, logs, strict=True)), rng.randrange(1, 4))
    ]
    killed = set()

    def kill():
        for process, log, when in victims:
            if process not in killed and (len(log) >= when or not producing()):
                process.kill()
                killed.add(process)
        return len(killed) == len(victims)

    def producing():
        return any(p.is_alive() for p in producers if p not in killed)

    until(kill, "the moment to kill")
    for process in killed:
        process.join(PATIENCE)
        # A producer may have come to its end before.
        assert process.exitcode == -9 or (process.exitcode == 0 and process in producers)
    ended(*(p for p in producers if p not in killed))
    survivors = [p for p in consumers if p not in killed]
    for _ in survivors:
        queue.put(None, timeout=PATIENCE)
    ended(*survivors)
    assert queue.empty()

    delivered = [number for log in got for number in log.numbers()]
    assert len(delivered) == len(set(delivered)), "delivered twice"
    returned = {number for log in put for number in log.numbers()}
    # A producer may have been killed between its message's commit and its note of that.
    under_way = {number * MESSAGES + len(log) for number, log in enumerate(put)}
    assert set(delivered) <= returned | under_way, "made up"
    lost = returned - set(delivered)
    assert len(lost) <= len(consumers) - len(survivors), f"lost: {sorted(lost)}"
    for log in got:
        for number in range(PRODUCERS):
            mine = [n for n in log.numbers() if n // MESSAGES == number]
            assert mine == sorted(mine), "out of order"


@pytest.mark.timeout(60 if not LONG else 600)
def test_random_kills():
    print(f"PROCESSION_SEED={SEED}")
    rng = random.Random(SEED)
    for number in range(ROUNDS):
        try:
            round_of_kills(rng, mp.get_context("fork"))
        except AssertionError as error:
            raise AssertionError(f"round {number}, PROCESSION_SEED={SEED}: {error}") from error
    # What the dead held is taken back by whoever waits for a while.
    until(lambda: wait_in_vain() or not _core.check(), "a sound arena")


def wait_in_vain():
    with contextlib.suppress(mp.queues.Empty):
        mp.Queue().get(timeout=0.3)


def test_the_log_is_the_messages_own():
    log = Log(3)
    log.append(5)
    log.append(7)
    assert (len(log), log.numbers()) == (2, [5, 7])
    assert sys.platform == "linux"
