"""A queue's `_reader` and `_writer`: in selectors, in asyncio, in concurrent.futures."""

import asyncio
import io
import os
import pickle
import select
import selectors
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection

import pytest
from support import PATIENCE, each_method, ended, until_waiting

import procession as mp


@pytest.fixture(params=["Queue", "JoinableQueue", "SimpleQueue"])
def queue(request):
    return getattr(mp, request.param)()


def readable(queue):
    return connection.wait([queue._reader], 0) == [queue._reader]


def test_readable_as_long_as_there_is_something(queue):
    assert not readable(queue)
    queue.put(1)
    assert readable(queue)
    queue.put(2)
    assert readable(queue)
    assert queue.get() == 1
    assert readable(queue)
    assert queue.get() == 2
    assert not readable(queue)
    for number in range(100):
        queue.put(number)
        assert readable(queue)
        queue.get()
        assert not readable(queue)


def test_what_was_put_before_the_first_look_counts(queue):
    queue.put(1)
    assert select.select([queue._reader], [], [], 0)[0]
    assert queue.get() == 1
    assert not select.select([queue._reader], [], [], 0)[0]


def put_after(go, queue):
    go.get()
    queue.put("woke you")


@each_method
def test_waking_a_selector(method):
    context = mp.get_context(method)
    queues = [context.Queue() for _ in range(3)]
    go = context.Queue()
    process = context.Process(target=put_after, args=(go, queues[1]))
    process.start()
    until_waiting(process.pid)
    with selectors.DefaultSelector() as selector:
        for queue in queues:
            selector.register(queue._reader, selectors.EVENT_READ, queue)
        assert selector.select(0) == []
        go.put(None)
        ready = [key.data for key, _ in selector.select(PATIENCE)]
    assert ready == [queues[1]]
    assert queues[1].get() == "woke you"
    ended(process)


def test_waking_a_selector_in_a_child():
    """Who was forked has a descriptor of its own."""
    context = mp.get_context("fork")
    queue, answers = context.Queue(), context.Queue()
    queue._reader.fileno()

    def child():
        answers.put("there")
        assert connection.wait([queue._reader], PATIENCE)
        answers.put(queue.get(block=False))

    process = context.Process(target=child)
    process.start()
    assert answers.get(timeout=PATIENCE) == "there"
    queue.put("for the child")
    assert answers.get(timeout=PATIENCE) == "for the child"
    ended(process)
    assert not readable(queue)


def test_asyncio():
    queue, go = mp.Queue(), mp.Queue()
    process = mp.get_context("fork").Process(target=put_after, args=(go, queue))
    process.start()

    async def receive():
        loop = asyncio.get_running_loop()
        got = loop.create_future()
        loop.add_reader(queue._reader.fileno(), lambda: got.done() or got.set_result(queue.get()))
        go.put(None)
        try:
            return await asyncio.wait_for(got, PATIENCE)
        finally:
            loop.remove_reader(queue._reader.fileno())

    assert asyncio.run(receive()) == "woke you"
    ended(process)


def test_the_interface_of_a_connection(queue):
    reader, writer = queue._reader, queue._writer
    assert reader is queue._reader and writer is queue._writer
    assert (reader.readable, reader.writable) == (True, False)
    assert (writer.readable, writer.writable) == (False, True)
    writer.send([1])
    assert reader.recv() == [1]
    writer.send_bytes(pickle.dumps("as bytes"))
    assert queue.get() == "as bytes"
    writer.send_bytes(b"**" + pickle.dumps(7) + b"**", 2)
    queue.put({"a": 1})
    assert reader.recv() == 7
    assert pickle.loads(reader.recv_bytes()) == {"a": 1}
    with pytest.raises(io.UnsupportedOperation):
        writer.fileno()
    assert "_Reader of <procession.queues." in repr(reader)


def test_poll(queue):
    reader = queue._reader
    assert reader.poll() is False
    start = time.monotonic()
    assert reader.poll(0.1) is False
    assert 0.1 <= time.monotonic() - start < 2
    assert reader.poll(-1) is False
    queue.put(1)
    assert reader.poll() is reader.poll(0.1) is reader.poll(None) is True
    assert queue.get() == 1


def test_closing_an_end(queue):
    reader, writer = queue._reader, queue._writer
    descriptors = len(os.listdir("/proc/self/fd"))
    with reader:
        reader.fileno()
    assert reader.closed and not writer.closed
    assert "(closed)" in repr(reader)
    for use in (reader.recv, reader.poll, reader.fileno, reader.recv_bytes):
        with pytest.raises(OSError, match="^handle is closed$"):
            use()
    writer.send(1)
    assert queue.get() == 1
    writer.close()
    with pytest.raises(OSError, match="^handle is closed$"):
        writer.send(1)
    del reader, writer
    assert queue._reader.closed and queue._writer.closed
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 2  # the bell, one for all queues


@pytest.mark.parametrize(
    "make",
    [mp.LifoQueue, mp.PriorityQueue, lambda: mp.Queue(redeliver=True)],
    ids=["lifo", "priority", "redeliver"],
)
def test_queues_without_a_descriptor_say_what_works_instead(make):
    with pytest.raises(OSError, match=r"descriptor.* get\(timeout=seconds\).* await aget\(\)"):
        make()._reader.fileno()


def test_a_closed_queue_can_still_be_drained():
    """As in the standard library, closing is about put and get, not about the reader."""
    queue = mp.Queue()
    queue.put(1)
    queue.close()
    assert queue._reader.poll()
    assert queue.qsize() == 1


def triple(x):
    return 3 * x


def die(_):
    os.kill(os.getpid(), signal.SIGKILL)


class Unpicklable:
    def __reduce__(self):
        raise ZeroDivisionError("no")


def return_unpicklable():
    return Unpicklable()


@each_method
def test_concurrent_futures(method):
    context = mp.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        assert list(executor.map(triple, range(50), chunksize=3)) == [3 * x for x in range(50)]
        with pytest.raises(ZeroDivisionError):
            executor.submit(return_unpicklable).result(PATIENCE)
        assert executor.submit(triple, 2).result(PATIENCE) == 6


@each_method
def test_concurrent_futures_with_a_killed_worker(method):
    with ProcessPoolExecutor(2, mp_context=mp.get_context(method)) as executor:
        with pytest.raises(BrokenProcessPool):
            executor.submit(die, 1).result(PATIENCE)


def set_up(queue):
    global inherited
    inherited = queue


def use(x):
    inherited.put(x)


@each_method
def test_concurrent_futures_with_a_queue(method):
    context = mp.get_context(method)
    queue = context.Queue()
    with ProcessPoolExecutor(2, context, set_up, (queue,)) as executor:
        list(executor.map(use, range(10)))
    assert sorted(queue.get(timeout=PATIENCE) for _ in range(10)) == list(range(10))
