"""Nothing lost, nothing doubled, each producer's order kept; arrival in whatever shape it was put."""

import collections
import socket
from multiprocessing import connection

import pytest
from support import PATIENCE, each_method, ended, stop_sharing

import procession as mp
from procession import _core

pytestmark = pytest.mark.both_backends

MESSAGES = 6_000


def produce(queue, me, count):
    for number in range(count):
        if number % 100 == 99:
            queue.put((me, number, b"y" * 50_000))
        elif number % 10 == 9:
            queue.put([me, number, {"a": number}])
        else:
            queue.put((me, number))


def consume(queue, results):
    seen = []
    while (message := queue.get()) is not None:
        seen.append(tuple(message[:2]))
        assert len(message) == 2 or message[2] in (b"y" * 50_000, {"a": message[1]})
    results.put(seen)


@pytest.mark.parametrize("maxsize", [0, 1, 16])
@pytest.mark.parametrize("producers, consumers", [(1, 1), (2, 2), (4, 1), (1, 4)])
def test_every_message_once_and_in_order(producers, consumers, maxsize):
    deliver(mp.get_context("fork"), producers, consumers, maxsize, MESSAGES)


@each_method
def test_under_each_start_method(method):
    deliver(mp.get_context(method), 2, 2, 16, 2_000)


def deliver(context, producers, consumers, maxsize, count):
    queue, results = context.Queue(maxsize), context.Queue()
    count //= producers
    senders = [context.Process(target=produce, args=(queue, n, count)) for n in range(producers)]
    receivers = [context.Process(target=consume, args=(queue, results)) for _ in range(consumers)]
    for process in senders + receivers:
        process.start()
    ended(*senders)
    for _ in receivers:
        queue.put(None, timeout=PATIENCE)
    seen = [results.get(timeout=PATIENCE) for _ in receivers]
    ended(*receivers)
    assert queue.empty()
    counted = collections.Counter(message for each in seen for message in each)
    assert set(counted.values()) == {1}
    assert set(counted) == {(n, number) for n in range(producers) for number in range(count)}
    for each in seen:
        for sender in range(producers):
            numbers = [number for n, number in each if n == sender]
            assert numbers == sorted(numbers)


@pytest.mark.skipif(
    _core.memory_limit() < 1 << 29, reason="64 MB messages, three times over, need 512 MB of memory"
)
def test_huge_messages():
    queue = mp.Queue()
    sizes = [0, 1, 2**15 - 64, 2**15, 2**20 + 1, 64 * 2**20]
    for size in sizes:
        queue.put(bytes(size))
    for size in sizes:
        assert queue.get() == bytes(size)


def test_growing_and_shrinking():
    queue = mp.Queue()
    put = got = 0
    for step in (1, 100, 10_000, 3, 30_000, 1):
        for _ in range(step):
            queue.put(put)
            put += 1
        for _ in range(queue.qsize() if step == 1 else step // 2):
            assert queue.get() == got
            got += 1
    assert got == put - queue.qsize()


def send_back(queue, answers):
    here, sock, listening = queue.get()
    here.send("by the connection")
    sock.sendall(b"by the socket")
    answers.put(listening.getsockname())
    for each in here, sock, listening:
        each.close()


@each_method
def test_descriptors_travel(method):
    """By the standard library's reducers: their sender lives until they are fetched."""
    context = mp.get_context(method)
    queue, answers = context.Queue(), context.Queue()
    process = context.Process(target=send_back, args=(queue, answers))
    process.start()
    a, b = connection.Pipe()
    c, d = socket.socketpair()
    with a, b, c, d, socket.create_server(("127.0.0.1", 0)) as server:
        queue.put((b, d, server))
        assert a.recv() == "by the connection"
        assert c.recv(100) == b"by the socket"
        assert answers.get(timeout=PATIENCE) == server.getsockname()
    ended(process)
    stop_sharing()
