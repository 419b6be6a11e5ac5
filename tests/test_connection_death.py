"""An end is closed when its last copy is: by `close`, by an exit, by a kill. And signals."""

import os
import signal
import time

import pytest
from support import PATIENCE, each_method, each_pipe, ended, is_broken, until, until_waiting

import procession as mp
from procession import connection


@each_pipe
def test_fork_with_both_ends(pipe):
    a, b = pipe()
    pid = os.fork()
    if pid == 0:
        try:
            a.close()
            b.send(("from the child", b.recv()))
            b.send("last")
        finally:
            os._exit(0)
    a.send("from the parent")
    assert a.recv() == ("from the child", "from the parent")
    assert a.recv() == "last"
    assert os.waitpid(pid, 0) == (pid, 0)
    assert a.poll() is False  # this process has the other end still
    b.close()
    with pytest.raises(EOFError):
        a.recv()
    with pytest.raises(BrokenPipeError):
        a.send(1)
    a.close()


def hold(conn, told):
    told.put(os.getpid())
    signal.pause()


@each_method
def test_the_end_comes_with_the_last_copy(method):
    context = mp.get_context(method)
    reader, writer = context.Pipe(False)
    told = context.Queue()
    holders = [context.Process(target=hold, args=(writer, told)) for _ in range(3)]
    for holder in holders:
        holder.start()
    for _ in holders:
        told.get(timeout=PATIENCE)
    writer.send("before")
    writer.close()
    assert reader.recv() == "before"
    for holder in holders:
        assert reader.poll(0.01) is False
        holder.kill()
        holder.join(PATIENCE)
    assert reader.poll(PATIENCE) is True
    with pytest.raises(EOFError):
        reader.recv()
    ended(*holders, code=-9)


@each_method
def test_a_broken_pipe_comes_with_the_last_copy(method):
    context = mp.get_context(method)
    reader, writer = context.Pipe(False)
    told = context.Queue()
    holders = [context.Process(target=hold, args=(reader, told)) for _ in range(2)]
    for holder in holders:
        holder.start()
    for _ in holders:
        told.get(timeout=PATIENCE)
    reader.close()
    for holder in holders:
        writer.send("nobody reads this")
        holder.kill()
        holder.join(PATIENCE)

    # An unannounced death may be seen a clock tick later.
    until(lambda: is_broken(writer), "the broken pipe")
    ended(*holders, code=-9)


def send_and_wait(writer, told):
    for number in range(60):
        writer.send((number, b"x" * 1000 * number))
    told.put("sent")
    signal.pause()


@each_method
def test_killed_with_messages_unread(method):
    context = mp.get_context(method)
    reader, writer = context.Pipe(False)
    told = context.Queue()
    process = context.Process(target=send_and_wait, args=(writer, told))
    process.start()
    writer.close()
    assert told.get(timeout=PATIENCE) == "sent"
    process.kill()
    ended(process, code=-9)
    for number in range(60):
        assert reader.recv() == (number, b"x" * 1000 * number)
    with pytest.raises(EOFError):
        reader.recv()


@each_method
def test_a_kill_is_seen_at_once(method):
    context = mp.get_context(method)
    delays = []
    for _ in range(5):
        here, there = context.Pipe()
        told = context.Queue()
        process = context.Process(target=hold, args=(there, told))
        process.start()
        there.close()
        told.get(timeout=PATIENCE)
        start = time.monotonic()
        process.kill()
        with pytest.raises(EOFError):
            here.recv()
        delays.append(time.monotonic() - start)
        ended(process, code=-9)
    assert min(delays) < 0.05, delays


def fill(writer):
    while True:
        writer.send(b"x" * 100_000)


@each_method
def test_killed_while_it_waits_for_room(method):
    context = mp.get_context(method)
    reader, writer = context.Pipe(False)
    process = context.Process(target=fill, args=(writer,))
    process.start()
    writer.close()
    until_waiting(process.pid)
    process.kill()
    ended(process, code=-9)
    with pytest.raises(EOFError):
        while True:
            assert reader.recv() == b"x" * 100_000


@each_method
def test_a_killed_reader_lets_a_waiting_sender_go(method):
    context = mp.get_context(method)
    here, there = context.Pipe()
    told = context.Queue()
    holder = context.Process(target=hold, args=(there, told))
    holder.start()
    told.get(timeout=PATIENCE)
    there.close()
    sender = context.Process(target=fill_until_broken, args=(here, told))
    sender.start()
    until_waiting(sender.pid)
    start = time.monotonic()
    holder.kill()
    assert told.get(timeout=PATIENCE) == "broken"
    assert time.monotonic() - start < 2
    ended(holder, code=-9)
    ended(sender)


def fill_until_broken(conn, told):
    try:
        fill(conn)
    except BrokenPipeError:
        told.put("broken")


def interrupted(use, conn, told):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        {
            "recv": conn.recv,
            "recv_bytes": conn.recv_bytes,
            "poll": lambda: conn.poll(None),
            "poll with time-out": lambda: conn.poll(100),
            "send": lambda: fill(conn),
            "wait": lambda: connection.wait([conn]),
        }[use]()
    except KeyboardInterrupt:
        told.put(time.monotonic())


@each_method
@pytest.mark.parametrize("use", ["recv", "recv_bytes", "poll", "poll with time-out", "send"])
def test_ctrl_c_ends_a_wait_at_once(method, use):
    context = mp.get_context(method)
    told = context.Queue()
    delays = []
    for _ in range(3):
        here, there = context.Pipe()
        process = context.Process(target=interrupted, args=(use, there, told))
        process.start()
        until_waiting(process.pid)
        start = time.monotonic()
        os.kill(process.pid, signal.SIGINT)
        delays.append(told.get(timeout=PATIENCE) - start)
        ended(process)
        here.close()
        there.close()
    assert min(delays) < 0.1, delays


def test_a_handler_that_returns_does_not_end_a_wait():
    a, b = mp.Pipe()
    seen = []
    was = signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        start = time.monotonic()
        assert a.poll(0.4) is False
        assert time.monotonic() - start >= 0.4
        assert connection.wait([a, b], 0.2) == []
        assert time.monotonic() - start >= 0.6
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, was)
    assert len(seen) >= 2


def test_a_handler_may_use_the_connection():
    a, b = mp.Pipe()
    was = signal.signal(signal.SIGALRM, lambda *_: b.send("from the handler"))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert a.recv() == "from the handler"
    finally:
        signal.signal(signal.SIGALRM, was)
