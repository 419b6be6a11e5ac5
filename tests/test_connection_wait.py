"""`fileno` and `wait`: level-triggered, in every kind of loop, mixed with everything else."""

import asyncio
import multiprocessing.connection
import os
import select
import selectors
import signal
import socket
import threading
import time

import pytest
from support import PATIENCE, each_method, each_pipe, ended, until_waiting

import procession as mp
from procession import connection


def by_select(end, timeout=0):
    return bool(select.select([end], [], [], timeout)[0])


def by_poll(end, timeout=0):
    poll = select.poll()
    poll.register(end, select.POLLIN)
    return bool(poll.poll(timeout * 1000))


def by_epoll(end, timeout=0):
    with select.epoll() as epoll:
        epoll.register(end, select.EPOLLIN)
        return bool(epoll.poll(timeout))


def by_selectors(end, timeout=0):
    with selectors.DefaultSelector() as selector:
        selector.register(end, selectors.EVENT_READ)
        return bool(selector.select(timeout))


def by_wait(end, timeout=0):
    ready = connection.wait([end], timeout)
    assert ready in ([], [end])
    return bool(ready)


def by_wait_for_two(end, timeout=0):
    idle, _keep = mp.Pipe()
    ready = connection.wait([idle, end], timeout)
    assert ready in ([], [end])
    return bool(ready)


def by_standard_wait(end, timeout=0):
    return bool(multiprocessing.connection.wait([end], timeout))


def by_loop(end, timeout=0):
    async def look():
        seen = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(end, seen.set)
        try:
            await asyncio.wait_for(seen.wait(), max(timeout, 0.05))
            return True
        except asyncio.TimeoutError:
            return False
        finally:
            loop.remove_reader(end)

    return asyncio.run(look())


WAYS = [by_select, by_poll, by_epoll, by_selectors, by_wait, by_wait_for_two, by_standard_wait]
WAYS += [by_loop]
each_way = pytest.mark.parametrize("readable", WAYS)


@each_pipe
@each_way
@pytest.mark.parametrize("duplex", [True, False])
def test_readable_as_long_as_there_is_something(pipe, readable, duplex):
    a, b = pipe(duplex)
    with a, b:
        assert not readable(a)
        b.send(1)
        assert readable(a) and readable(a)
        b.send_bytes(b"x" * 50_000)
        assert readable(a)
        assert a.recv() == 1
        assert readable(a)
        assert len(a.recv_bytes()) == 50_000
        assert not readable(a)
        for number in range(10):
            b.send(number)
            assert readable(a)
            assert a.recv() == number
            assert not readable(a)
        b.send("last")
        b.close()
        assert readable(a)
        assert a.recv() == "last"
        assert readable(a)
        with pytest.raises(EOFError):
            a.recv()
        assert readable(a)


@each_way
def test_the_ways_mixed(readable):
    """A descriptor once asked for stays right, whoever reads in between and how."""
    a, b = mp.Pipe()
    for number in range(20):
        b.send(number)
        assert readable(a)
        by_wait_for_two(a)
        assert a.poll()
        assert a.recv() == number
        assert not by_wait_for_two(a)
        assert not a.poll(0.001)
        assert not readable(a)


@each_way
def test_what_was_sent_before_the_first_look_counts(readable):
    a, b = mp.Pipe()
    for number in range(3):
        b.send(number)
    assert a.recv() == 0
    assert readable(a)
    assert a.recv() == 1
    assert a.recv() == 2
    assert not readable(a)


def send_when_told(go, conn):
    go.get()
    conn.send("woke you")
    go.get()


@each_method
@each_way
def test_waking(method, readable):
    context = mp.get_context(method)
    reader, writer = context.Pipe(False)
    go = context.Queue()
    process = context.Process(target=send_when_told, args=(go, writer))
    process.start()
    writer.close()
    until_waiting(process.pid)
    assert not readable(reader)
    threading.Timer(0.05, go.put, (None,)).start()
    assert readable(reader, PATIENCE)
    assert reader.recv() == "woke you"
    assert not readable(reader)
    threading.Timer(0.05, go.put, (None,)).start()
    assert readable(reader, PATIENCE)  # the end of the process
    with pytest.raises(EOFError):
        reader.recv()
    ended(process)


@each_way
def test_in_a_forked_child(readable):
    """Both processes have the descriptor, and what either receives is gone for both."""
    a, b = mp.Pipe()
    done = mp.Queue()
    a.fileno()

    def child():
        assert readable(a, PATIENCE)
        done.put(a.recv())
        assert readable(a, PATIENCE)

    process = mp.get_context("fork").Process(target=child)
    process.start()
    b.send("for the child")
    assert done.get(timeout=PATIENCE) == "for the child"
    b.send("for both")
    assert readable(a, PATIENCE)
    ended(process)
    assert a.recv() == "for both"
    assert not readable(a)


def test_asyncio_echo():
    here, there = mp.Pipe()

    async def main():
        loop = asyncio.get_running_loop()
        got, finished = [], loop.create_future()

        def answer():
            while there.poll():
                try:
                    there.send(there.recv() * 2)
                except EOFError:
                    loop.remove_reader(there.fileno())
                    return finished.set_result(None)

        def collect():
            got.append(here.recv())
            if len(got) < 50:
                here.send(len(got))
            else:
                loop.remove_reader(here)
                here.close()

        loop.add_reader(there.fileno(), answer)
        loop.add_reader(here, collect)
        here.send(0)
        await asyncio.wait_for(finished, PATIENCE)
        return got

    assert asyncio.run(main()) == [2 * number for number in range(50)]


# ---------------------------------------------------------------- wait


def exit_when_told(go):
    go.get()


def test_a_mixed_list_in_its_order():
    context = mp.get_context("fork")
    go = context.Queue()
    process = context.Process(target=exit_when_told, args=(go,))
    process.start()
    rings, theirs = [mp.Pipe() for _ in range(3)], multiprocessing.Pipe()
    first, second = socket.socketpair()
    queue = mp.Queue()
    r, w = os.pipe()
    wake = {
        rings[0][0]: lambda: rings[0][1].send(1),
        first: lambda: second.send(b"x"),
        rings[1][0]: lambda: rings[1][1].close(),
        theirs[0]: lambda: theirs[1].send(1),
        queue._reader: lambda: queue.put(1),
        process.sentinel: lambda: (go.put(None), process.join()),
        rings[2][0]: lambda: rings[2][1].send_bytes(b""),
        r: lambda: os.write(w, b"x"),
    }
    objects = list(wake)
    assert connection.wait(objects, 0) == []
    for each in (*objects[::2], *objects[1::2]):
        before = connection.wait(iter(objects), 0)
        wake[each]()
        ready = connection.wait(objects, PATIENCE)
        assert ready == [other for other in objects if other in before or other is each]
    assert connection.wait(reversed(objects), 0) == objects[::-1]
    ended(process)
    for each in (*theirs, first, second, *(end for pair in rings for end in pair)):
        each.close()
    os.close(r)
    os.close(w)


@each_pipe
@pytest.mark.parametrize("others", [0, 1])
def test_time_outs(pipe, others):
    wait = connection.wait if pipe is mp.Pipe else multiprocessing.connection.wait
    pairs = [pipe() for _ in range(1 + others)]
    ends = [a for a, _ in pairs]
    for timeout in (0, -1, 0.0, -0.5, False):
        start = time.monotonic()
        assert wait(ends, timeout) == []
        assert time.monotonic() - start < 1
    start = time.monotonic()
    assert wait(ends, timeout=0.2) == []
    assert 0.2 <= time.monotonic() - start < 2
    with pytest.raises(TypeError):
        wait(ends, "soon")
    pairs[0][1].send(1)
    for timeout in (0, -1, 0.1, None, PATIENCE):
        assert wait(ends, timeout) == ends[:1]
    for each in (end for pair in pairs for end in pair):
        each.close()


@each_pipe
def test_what_cannot_be_waited_for(pipe):
    wait = connection.wait if pipe is mp.Pipe else multiprocessing.connection.wait
    a, b = pipe()
    with a, b:
        assert wait([], 0) == []
        for wrong in ("text", None, -1):
            with pytest.raises(ValueError):
                wait([a, wrong], 0)
        with pytest.raises(KeyError):
            wait([a, b, a], 0)
        b.close()
        for objects in ([b], [a, b], [b, a]):
            with pytest.raises(OSError, match="^handle is closed$"):
                wait(objects, 0)


@each_pipe
def test_a_writing_end_is_ready_when_nobody_reads(pipe):
    wait = connection.wait if pipe is mp.Pipe else multiprocessing.connection.wait
    reader, writer = pipe(False)
    idle, other = pipe()
    assert wait([writer], 0) == []
    for number in range(10):
        writer.send(number)
        assert wait([writer, idle], 0) == []
        assert reader.recv() == number
    reader.close()
    assert wait([idle, writer], PATIENCE) == [writer]
    assert wait([writer], PATIENCE) == [writer]
    for each in (writer, idle, other):
        each.close()


def test_a_message_that_somebody_else_took():
    """A wait that was woken for nothing goes on."""
    a, b = mp.Pipe()
    c, d = mp.Pipe()
    found = []
    waiter = threading.Thread(target=lambda: found.extend(connection.wait([a, c], PATIENCE)))
    waiter.start()
    for _ in range(100):
        b.send(1)
        assert a.recv() == 1
    d.send(2)
    waiter.join(PATIENCE)
    assert found and set(found) <= {a, c}  # a, if it was seen in time
    assert connection.wait([a, c], 0) == [c]


@each_method
def test_many_senders(method):
    context = mp.get_context(method)
    readers, processes = [], []
    for number in range(4):
        reader, writer = context.Pipe(False)
        process = context.Process(target=send_ten, args=(writer, number))
        process.start()
        writer.close()
        readers.append(reader)
        processes.append(process)
    got = []
    while readers:
        for reader in connection.wait(readers, PATIENCE):
            try:
                got.append(reader.recv())
            except EOFError:
                readers.remove(reader)
    assert sorted(got) == [(sender, number) for sender in range(4) for number in range(10)]
    ended(*processes)


def send_ten(writer, sender):
    for number in range(10):
        writer.send((sender, number))


def wait_and_tell(conn, other, told):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        told.put("waiting")
        connection.wait([conn, other])
    except KeyboardInterrupt:
        told.put("interrupted")


@each_method
def test_ctrl_c_ends_a_wait(method):
    context = mp.get_context(method)
    told = context.Queue()
    (a, b), (c, d) = context.Pipe(), context.Pipe()
    process = context.Process(target=wait_and_tell, args=(a, c, told))
    process.start()
    assert told.get(timeout=PATIENCE) == "waiting"
    os.kill(process.pid, signal.SIGINT)
    assert told.get(timeout=PATIENCE) == "interrupted"
    ended(process)
    for each in (a, b, c, d):
        each.close()


def test_no_system_call_of_a_wait_is_endless(monkeypatch):
    """A signal that comes just before it would else be heard when something comes, if ever."""
    asked = []
    really = selectors.PollSelector.select

    def recorded(self, timeout=None):
        asked.append(timeout)
        if len(asked) == 2:
            d.send("at last")
        return really(self, 0 if len(asked) == 1 else timeout)

    monkeypatch.setattr(selectors.PollSelector, "select", recorded)
    (a, b), (c, d) = mp.Pipe(), mp.Pipe()
    assert connection.wait([a, c]) == [c]
    assert all(0 <= timeout <= 1 for timeout in asked)
    for each in (a, b, c, d):
        each.close()
