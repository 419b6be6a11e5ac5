"""Each method, argument and exception of a pipe's ends, as the standard library has them.

What is parametrised by `each_pipe` runs on the standard library's pipes too; what is compared by
`outcome` is whatever they do.
"""

import array
import inspect
import multiprocessing.connection
import os
import pickle
import threading
import time
import weakref

import pytest
from connection_support import OBJECTS, Unpicklable, outcome, state
from support import PATIENCE, descriptors, each_pipe, until_waiting

import procession as mp
from procession import connection


def same(script, *arguments, duplex=True):
    """Runs a script on either pipe, and sees that it comes to the same."""
    results = []
    for pipe in (multiprocessing.Pipe, mp.Pipe):
        a, b = pipe(duplex)
        with a, b:
            results.append(list(script(a, b, *arguments)))
    assert results[1] == results[0]
    return results[1]


@each_pipe
def test_objects_both_ways(pipe):
    a, b = pipe()
    with a, b:
        for here, there in ((a, b), (b, a)):
            for obj in OBJECTS:
                assert here.send(obj) is None
                got = there.recv()
                assert repr(got) == repr(obj) and type(got) is type(obj)
        for number in range(100):
            a.send(number)
            b.send(-number)
        assert [b.recv() for _ in range(100)] == list(range(100))
        assert [a.recv() for _ in range(100)] == [-number for number in range(100)]
        ring = []
        ring.append(ring)
        a.send(ring)
        got = b.recv()
        assert got[0] is got


@each_pipe
def test_simplex(pipe):
    reader, writer = pipe(duplex=False)
    with reader, writer:
        assert state(reader) == (False, True, False)
        assert state(writer) == (False, False, True)
        writer.send("one way")
        assert reader.poll() is True
        assert reader.recv() == "one way"
        assert reader.poll() is False
    a, b = pipe(duplex=[])
    with a, b:
        assert (a.writable, b.readable) == (False, False)


USES = {
    "send": lambda end: end.send(1),
    "send unpicklable": lambda end: end.send(Unpicklable()),
    "send_bytes": lambda end: end.send_bytes(b"x"),
    "send_bytes str": lambda end: end.send_bytes("x"),
    "send_bytes offset": lambda end: end.send_bytes(b"x", 5),
    "recv": lambda end: end.recv(),
    "recv_bytes": lambda end: end.recv_bytes(),
    "recv_bytes negative": lambda end: end.recv_bytes(-1),
    "recv_bytes_into": lambda end: end.recv_bytes_into(bytearray(10)),
    "recv_bytes_into offset": lambda end: end.recv_bytes_into(bytearray(10), -1),
    "recv_bytes_into int": lambda end: end.recv_bytes_into(5),
    "poll": lambda end: end.poll(),
    "poll timeout": lambda end: end.poll(0.01),
    "poll str": lambda end: end.poll("soon"),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("which", ["reader", "writer", "closed", "closed simplex"])
def test_which_check_comes_first(use, which):
    def script(a, b):
        end = {"reader": a, "writer": b, "closed": a, "closed simplex": b}[which]
        if which.startswith("closed"):
            end.close()
        else:
            b.send_bytes(b"there is a message")
            if which == "writer":
                a.recv_bytes()
        yield outcome(USES[use], end)
        yield state(end)

    same(script, duplex=which == "closed")


def test_texts_of_the_checks():
    reader, writer = mp.Pipe(False)
    for use in (writer.recv, writer.recv_bytes, writer.poll):
        with pytest.raises(OSError, match="^connection is write-only$"):
            use()
    with pytest.raises(OSError, match="^connection is read-only$"):
        reader.send(1)
    for end in (reader, writer):
        end.close()
        end.close()
        for use in (end.recv, end.recv_bytes, end.poll, end.fileno, lambda end=end: end.send(1)):
            with pytest.raises(OSError, match="^handle is closed$") as caught:
                use()
            assert caught.value.errno is None


BUFFERS = [
    b"abcdef",
    bytearray(b"abcdef"),
    memoryview(b"abcdef"),
    array.array("i", [1, 2]),
    array.array("d", []),
    b"",
    b"x" * 40_000,
    "text",
    None,
    7,
]
SLICES = [(), (0,), (2,), (6,), (7,), (8,), (9,), (-1,), (0, 3), (2, 4), (2, 5), (6, 0), (6, 1)]
SLICES += [(0, -1), (-1, -1), (3, None), ("x",), (1.0,), (0, "x"), (0, 1.0), (True, True)]
SLICES += [(2**70,), (0, 2**70), (-(2**70),)]


@pytest.mark.parametrize("buffer", BUFFERS, ids=lambda b: f"{type(b).__name__}-{b!r:.12}")
def test_send_bytes_arguments(buffer):
    def script(a, b):
        for arguments in SLICES:
            result = outcome(a.send_bytes, buffer, *arguments)
            yield arguments, result
            if result == ("returned", None):
                yield b.recv_bytes()
            assert not b.poll()

    same(script)


@pytest.mark.parametrize("size", [6])
def test_bytes_that_do_not_lie_together(size):
    def script(a, b):
        yield outcome(a.send_bytes, memoryview(b"x" * size)[::2])
        yield outcome(a.send_bytes, memoryview(b"x" * size)[::2], 1, 2)
        yield b.poll()

    same(script)


def test_send_bytes_keywords():
    a, b = mp.Pipe()
    a.send_bytes(buf=b"abcdef", offset=2, size=3)
    assert b.recv_bytes(maxlength=None) == b"cde"
    a.send_bytes(b"abcdef")
    target = bytearray(8)
    assert b.recv_bytes_into(buf=target, offset=1) == 6
    assert target == b"\0abcdef\0"
    assert b.poll(timeout=0) is False


@pytest.mark.parametrize("duplex", [True, False])
@pytest.mark.parametrize("size", [0, 1, 5, 40_000])
@pytest.mark.parametrize("maxlength", [None, 0, 1, 4, 5, 40_000, 2**40, -1, "x", 5.0, 4.5])
def test_recv_bytes_arguments(maxlength, size, duplex):
    def script(a, b):
        b.send_bytes(b"x" * size)
        b.send_bytes(b"next")
        yield outcome(a.recv_bytes, maxlength)
        yield state(a)
        if a.closed or not a.readable:
            yield outcome(a.recv)
            if duplex:
                a.send(1)  # the other direction goes on
                yield b.recv()

    same(script, duplex=duplex)


@pytest.mark.parametrize("size", [0, 1, 4, 8, 12, 40_000])
@pytest.mark.parametrize("offset", [0, 4, 12, 16, 17, -1, "x", 2**70])
@pytest.mark.parametrize("kind", ["bytearray", "array", "memoryview", "read-only", "str"])
def test_recv_bytes_into_arguments(kind, offset, size):
    def script(a, b):
        target = {
            "bytearray": bytearray(16),
            "array": array.array("i", [0] * 4),
            "memoryview": memoryview(bytearray(16)),
            "read-only": bytes(16),
            "str": "x" * 16,
        }[kind]
        b.send_bytes(bytes(range(1, 250)) * 200 if size == 40_000 else b"\1" * size)
        b.send_bytes(b"next")
        yield outcome(a.recv_bytes_into, target, offset)
        yield bytes(target) if kind != "str" else target
        # Whether the message is gone, or still there.
        yield a.recv_bytes()
        yield state(a)

    same(script)


@each_pipe
def test_a_buffer_that_is_too_short_keeps_the_message(pipe):
    a, b = pipe()
    with a, b:
        for message in (b"0123456789", b"0123456789" * 10_000):
            a.send_bytes(message)
            with pytest.raises(mp.BufferTooShort) as caught:
                b.recv_bytes_into(bytearray(9))
            assert caught.value.args == (message,)
            assert type(caught.value.args[0]) is bytes
        a.send("after")
        assert b.recv() == "after"


@each_pipe
def test_bytes_and_objects_are_the_same_messages(pipe):
    a, b = pipe()
    with a, b:
        for obj in (*OBJECTS, [b"x" * 100_000]):
            a.send_bytes(pickle.dumps(obj))
            assert repr(b.recv()) == repr(obj)
            a.send(obj)
            assert repr(pickle.loads(b.recv_bytes())) == repr(obj)
            a.send(obj)
            target = bytearray(200_000)
            size = b.recv_bytes_into(target)
            assert repr(pickle.loads(target[:size])) == repr(obj)
        a.send("a text of some length")
        with pytest.raises(OSError, match="^bad message length$"):
            b.recv_bytes(3)


@pytest.mark.parametrize("garbage", [b"", b"nonsense", b"\x80\x05.", b"x" * 100_000])
def test_bytes_that_are_no_pickle(garbage):
    def script(a, b):
        a.send_bytes(garbage)
        kind, _ = outcome(b.recv)
        yield kind
        a.send("after")
        yield b.recv()

    same(script)


@each_pipe
def test_what_cannot_be_pickled_is_not_sent(pipe):
    a, b = pipe()
    with a, b:
        for obj in (Unpicklable(), [1, Unpicklable()], threading.Lock(), (x for x in ())):
            with pytest.raises((TypeError, ZeroDivisionError)):
                a.send(obj)
        assert b.poll() is False
        a.send("after")
        assert b.recv() == "after"


def fail(*_):
    raise ZeroDivisionError("no")


class Unloadable:
    def __reduce__(self):
        return fail, (1,)


@each_pipe
def test_what_cannot_be_loaded_is_an_error_at_recv(pipe):
    a, b = pipe()
    with a, b:
        a.send(Unloadable())
        a.send("after")
        with pytest.raises(ZeroDivisionError):
            b.recv()
        assert b.recv() == "after"


@each_pipe
def test_poll(pipe):
    a, b = pipe()
    with a, b:
        for timeout in (0, 0.0, -1, -0.5, False, -1e9):
            assert a.poll(timeout) is False
        start = time.monotonic()
        assert a.poll(0.2) is False
        assert 0.2 <= time.monotonic() - start < 2
        b.send_bytes(b"")
        for timeout in (0, -1, 0.1, None, PATIENCE, True):
            assert a.poll(timeout) is True
        assert a.recv_bytes() == b""
        assert a.poll() is False


@pytest.mark.parametrize("timeout", ["soon", [], 1j])
def test_a_timeout_that_is_no_number(timeout):
    def script(a, b):
        result = outcome(a.poll, timeout)
        yield result if isinstance(result, type) else result[0]

    same(script)


@each_pipe
def test_waiting_with_success(pipe):
    a, b = pipe()
    with a, b:
        for use in (a.recv, a.recv_bytes, lambda: a.poll(PATIENCE), lambda: a.poll(None)):
            took = []
            waiter = threading.Thread(target=lambda use=use, took=took: took.append(use()))
            waiter.start()
            if pipe is mp.Pipe:
                until_waiting(os.getpid())
            b.send("late")
            waiter.join(PATIENCE)
            assert took in (["late"], [True], [pickle.dumps("late", pickle.DEFAULT_PROTOCOL)])
            if took == [True]:
                a.recv()


@each_pipe
def test_as_a_context(pipe):
    a, b = pipe()
    with a as entered:
        assert entered is a and not a.closed
    assert a.closed and not b.closed
    with pytest.raises(ZeroDivisionError), b:
        fail()
    assert b.closed


def test_object_protocol():
    a, b = mp.Pipe()
    assert repr(a).startswith("<procession.connection.Connection object at 0x")
    assert isinstance(a, multiprocessing.connection.Connection)
    a.label = "anything"
    before = descriptors()
    ref = weakref.ref(a)
    del a
    assert ref() is None
    assert descriptors() == before - 1
    with pytest.raises(EOFError):
        b.recv()


@pytest.mark.parametrize(
    "name", [n for n in dir(multiprocessing.connection.Connection) if not n.startswith("_")]
)
def test_signatures(name):
    ours = inspect.getattr_static(connection.Connection, name)
    theirs = inspect.getattr_static(multiprocessing.connection.Connection, name)
    assert inspect.isdatadescriptor(ours) == inspect.isdatadescriptor(theirs)
    if callable(theirs):
        mine, wanted = (list(inspect.signature(f).parameters.values()) for f in (ours, theirs))
        assert mine[1:] == wanted[1:]
    assert ours.__doc__


def test_an_end_that_was_never_begun():
    end = connection.Connection.__new__(connection.Connection)
    assert end.closed
    end.close()
    for use in (end.recv, end.poll, end.fileno, lambda: end.send(1)):
        with pytest.raises(OSError, match="^handle is closed$"):
            use()


def test_forgetting_the_descriptor():
    a, b = mp.Pipe()
    fd = a._socket()
    a._handle = None
    assert a.closed and a._handle is None
    os.fstat(fd)  # is open still
    again = connection.Connection(fd)
    assert again.fileno() == fd == again._handle
    b.send("found again")
    assert again.recv() == "found again"
    again.close()
    with pytest.raises(OSError):
        os.fstat(fd)


def test_the_methods_beneath():
    """Whoever calls or overrides these gets whole messages, and never touches the socket."""
    a, b = mp.Pipe()
    a._send_bytes(memoryview(b"one"))
    assert b._poll(0) is True
    buffer = b._recv_bytes()
    assert (buffer.getvalue(), buffer.tell()) == (b"one", 3)
    for use in (lambda: a._send(b"raw"), lambda: a._recv(1)):
        with pytest.raises(OSError):
            use()
    assert b._poll(0) is False
