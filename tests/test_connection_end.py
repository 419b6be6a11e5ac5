"""What comes after the other end, or this one, was closed."""

import errno
import os
import threading

import pytest
from connection_support import OBJECTS, Unpicklable, outcome, state
from support import PATIENCE, each_pipe, until_waiting

import procession as mp


@each_pipe
@pytest.mark.parametrize("duplex", [True, False])
def test_the_end(pipe, duplex):
    reader, writer = pipe(duplex)
    with reader:
        writer.send("first")
        writer.send_bytes(b"second" * 10_000)
        writer.close()
        assert reader.poll() is True
        assert reader.recv() == "first"
        assert reader.poll(None) is True
        assert reader.recv_bytes() == b"second" * 10_000
        for _ in range(2):
            assert reader.poll() is reader.poll(PATIENCE) is reader.poll(None) is True
            for use in (
                reader.recv,
                reader.recv_bytes,
                lambda: reader.recv_bytes_into(bytearray(9)),
            ):
                with pytest.raises(EOFError) as caught:
                    use()
                assert caught.value.args == ()
        assert state(reader) == (False, True, duplex)
        if duplex:
            with pytest.raises(BrokenPipeError):
                reader.send(1)


@each_pipe
@pytest.mark.parametrize("duplex", [True, False])
def test_a_broken_pipe(pipe, duplex):
    reader, writer = pipe(duplex)
    with writer:
        reader.close()
        for use in (
            lambda: writer.send(1),
            lambda: writer.send_bytes(b""),
            lambda: writer.send(OBJECTS),
        ):
            with pytest.raises(BrokenPipeError) as caught:
                use()
            assert caught.value.args == (errno.EPIPE, os.strerror(errno.EPIPE))
        with pytest.raises(ZeroDivisionError):
            writer.send(Unpicklable())
        assert not writer.closed


def test_a_broken_pipe_with_messages_unread():
    reader, writer = mp.Pipe(False)
    writer.send("never read")
    reader.close()
    with pytest.raises(BrokenPipeError):
        writer.send(1)


WAITS = {
    "recv": lambda end: end.recv(),
    "recv_bytes": lambda end: end.recv_bytes(),
    "recv_bytes_into": lambda end: end.recv_bytes_into(bytearray(9)),
    "poll": lambda end: end.poll(None),
    "send": lambda end: end.send(b"x" * 5_000_000),
    "send_bytes": lambda end: end.send_bytes(b"x" * 5_000_000),
}


def start_waiting(use, end):
    """A thread that waits, and the list for what that will come to."""
    ended = []
    waiter = threading.Thread(target=lambda: ended.append(outcome(WAITS[use], end)))
    waiter.start()
    until_waiting(os.getpid())
    return waiter, ended


@pytest.mark.parametrize("use", WAITS)
def test_the_end_ends_a_wait(use):
    a, b = mp.Pipe()
    waiter, ended = start_waiting(use, a)
    b.close()
    waiter.join(PATIENCE)
    if use == "poll":
        assert ended == [("returned", True)]
    elif use.startswith("send"):
        assert ended == [(BrokenPipeError, (errno.EPIPE, os.strerror(errno.EPIPE)))]
    else:
        assert ended == [(EOFError, ())]


@pytest.mark.parametrize("use", WAITS)
def test_closing_ends_a_wait_of_another_thread(use):
    """The standard library's would wait on, on a descriptor that may be somebody else's by then."""
    a, b = mp.Pipe()
    waiter, ended = start_waiting(use, a)
    a.close()
    waiter.join(PATIENCE)
    assert ended == [(OSError, ("handle is closed",))]
    if use.startswith("send"):
        assert len(b.recv_bytes()) >= 5_000_000
    with pytest.raises(EOFError):
        b.recv()
