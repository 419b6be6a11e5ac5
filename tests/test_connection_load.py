"""Full pipes, large messages, many threads, a thousand pipes."""

import contextlib
import itertools
import os
import threading

import pytest
from support import LONG, PATIENCE, each_pipe, run, until_waiting

import procession as mp
from procession import _core


@each_pipe
@pytest.mark.parametrize("size, count", [(0, 40_000), (1_000, 20_000), (100_000, 400)])
def test_a_sender_that_fills_the_pipe_waits(pipe, size, count):
    reader, writer = pipe(False)
    sent = itertools.count()
    finished = threading.Event()

    def send():
        for number in range(count):
            writer.send((number, b"x" * size))
            next(sent)
        finished.set()

    sender = threading.Thread(target=send)
    with reader, writer:
        sender.start()
        if pipe is mp.Pipe:
            until_waiting(os.getpid())
        assert not finished.wait(0.1)
        for number in range(count):
            assert reader.recv() == (number, b"x" * size)
        sender.join(PATIENCE)
        assert finished.is_set() and next(sent) == count


@contextlib.contextmanager
def sending(send, message):
    """Sends in another thread meanwhile."""
    sender = threading.Thread(target=send, args=(message,))
    sender.start()
    yield sender
    sender.join(PATIENCE)
    assert not sender.is_alive()


def test_a_message_larger_than_the_pipe():
    """It passes by itself, when nothing else is under way; its send ends when it is received."""
    a, b = mp.Pipe()
    huge = bytes(range(256)) * 40_000
    with sending(a.send, huge) as sender:
        until_waiting(os.getpid())
        assert sender.is_alive() and b.poll()
        assert b.recv() == huge
    with sending(a.send_bytes, huge):
        assert b.recv_bytes() == huge
    a.send("small")
    with sending(a.send, huge):
        assert b.recv() == "small"
        assert b.recv() == huge
    a.send("small")
    assert b.recv() == "small"


def test_both_ways_at_once():
    """Two ends that both send more than fits, and then both receive, do not block one another
    before a pipe of the kernel's would."""
    a, b = mp.Pipe()
    for number in range(10_000):
        a.send(number)
        b.send(number)
    for number in range(10_000):
        assert a.recv() == b.recv() == number


def test_many_threads_on_each_end():
    a, b = mp.Pipe()
    count, got, lock = 3_000, [], threading.Lock()

    def send(first):
        for number in range(first, first + count):
            a.send((number, b"x" * (number % 7 * 9_000)) if number % 10 == 0 else number)

    def receive():
        mine = []
        while (message := b.recv()) is not None:
            if isinstance(message, tuple):
                number, data = message
                assert data == b"x" * (number % 7 * 9_000)
                message = number
            mine.append(message)
        with lock:
            got.append(mine)

    senders = [threading.Thread(target=send, args=(n * count,)) for n in range(4)]
    receivers = [threading.Thread(target=receive) for _ in range(4)]
    for thread in senders + receivers:
        thread.start()
    for thread in senders:
        thread.join(PATIENCE)
    for _ in receivers:
        a.send(None)
    for thread in receivers:
        thread.join(PATIENCE)
    assert sorted(itertools.chain(*got)) == list(range(4 * count))
    for mine in got:
        for sender in range(4):
            numbers = [number for number in mine if number // count == sender]
            assert numbers == sorted(numbers)


@each_pipe
@pytest.mark.parametrize("size", [2**15 - 1, 2**15, 2**15 + 1, 2**16, 10_000_000])
def test_large_bytes(pipe, size):
    a, b = pipe()
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    target = bytearray(size + 10)

    def send():
        a.send_bytes(data)
        a.send(data)
        a.send_bytes(data)
        a.send([data, {"a": data}])

    sender = threading.Thread(target=send)
    with a, b:
        sender.start()
        assert b.recv_bytes() == data
        assert b.recv() == data
        assert b.recv_bytes_into(target, 5) == size
        assert target[5:-5] == data
        assert b.recv() == [data, {"a": data}]
        sender.join(PATIENCE)


def test_arrays():
    numpy = pytest.importorskip("numpy")
    a, b = mp.Pipe()
    for count in (10, 10_000, 1_250_000):
        array = numpy.arange(count, dtype="f8")
        with sending(a.send, array):
            got = b.recv()
        array[:] = 0
        assert got.flags.writeable and (got == numpy.arange(count)).all()
        array[:] = got
        got[:] = 1  # is the receiver's own
        with sending(a.send, {"array": array, "again": array}):
            both = b.recv()
        assert both["array"] is both["again"] and (both["array"] == numpy.arange(count)).all()
        target = numpy.ones(count)
        with sending(a.send_bytes, array):
            assert b.recv_bytes_into(target) == 8 * count
        assert (target == numpy.arange(count)).all()


GIGABYTE = 1 << 30


@pytest.mark.skipif(
    not LONG or _core.memory_limit() < 4 * GIGABYTE,
    reason="PROCESSION_LONG=1, and 4 GB of memory for one message of 1 GB",
)
@pytest.mark.timeout(300)
def test_a_gigabyte():
    a, b = mp.Pipe()
    sender = threading.Thread(target=lambda: a.send_bytes(bytearray(GIGABYTE)))
    sender.start()
    got = b.recv_bytes()
    sender.join(PATIENCE)
    assert len(got) == GIGABYTE and got[-1] == 0 and not any(got[:: 1 << 20])


THOUSAND = """
import os, resource, procession as mp
from procession import _core
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
before = len(os.listdir("/proc/self/fd"))
pipes = [mp.Pipe(number % 2) for number in range(1000)]
for number, (reader, writer) in enumerate(pipes):
    writer.send(number)
    writer.send_bytes(b"x" * number)
assert len(os.listdir("/proc/self/fd")) <= before + 2001
ready = mp.connection.wait([reader for reader, _ in pipes])
assert ready == [reader for reader, _ in pipes]
pid = os.fork()
if pid == 0:
    for number, (reader, writer) in enumerate(pipes):
        assert reader.recv() == number
    os._exit(0)
assert os.waitpid(pid, 0) == (pid, 0)
for number, (reader, writer) in enumerate(pipes):
    assert reader.recv_bytes() == b"x" * number
    writer.close()
    assert reader.poll()
assert mp.connection.wait([reader for reader, _ in pipes]) == ready
while pipes:
    pipes.pop()[0].close()
del ready, reader, writer
assert len(os.listdir("/proc/self/fd")) <= before + 1
assert _core.check() == [], _core.check()
"""


def test_a_thousand_pipes():
    assert run("-c", THOUSAND) == ""


def test_no_descriptors_left():
    program = """
import resource, procession as mp
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
pipes = []
try:
    while True:
        pipes.append(mp.Pipe())
except OSError as error:
    print(error.errno)
assert len(pipes) > 20
a, b = pipes.pop()
a.send(1)
assert b.recv() == 1
"""
    assert run("-c", program) == "24\n"


LIMIT = """
import procession as mp
from procession import _core
a, b = mp.Pipe()
a.send("first")
_core.set_memory_limit(_core.stats()["arena_bytes"] + 2**20)
for use in (a.send, a.send_bytes):
    try:
        use(b"x" * 64 * 2**20)
        raise AssertionError
    except MemoryError as error:
        assert str(error), repr(error)
a.send("second")
assert (b.recv(), b.recv(), b.poll()) == ("first", "second", False)
assert _core.check() == [], _core.check()
"""


def test_a_full_arena_is_a_memory_error_and_the_pipe_goes_on():
    assert run("-c", LIMIT) == ""
