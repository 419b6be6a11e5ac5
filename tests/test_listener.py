"""`Listener`, `Client` and connections over other descriptors: the standard library's protocol."""

import array
import multiprocessing.connection
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import threading

import pytest
from support import PATIENCE, descriptors, each_method, ended, stop_sharing

import procession as mp
from procession import connection, reduction

FAMILIES = ["AF_INET", "AF_UNIX", "abstract"]
KEY = b"a key"


@pytest.fixture(params=FAMILIES)
def address(request):
    """Where to listen, as keyword arguments of a Listener."""
    if request.param == "abstract":
        return {"address": f"\0procession-test-{os.getpid()}"}
    return {"family": request.param}


# What an unmodified program does: it never hears of Procession.
THEIRS = """
import sys
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Listener
role, argument, key = eval(sys.stdin.readline())
assert not any("procession" in name for name in sys.modules)
if role == "client":
    try:
        conn = Client(argument, authkey=key)
    except AuthenticationError as error:
        print(type(error).__name__, error)
        sys.exit()
else:
    listener = Listener(authkey=key, **argument)
    print(repr(listener.address), flush=True)
    try:
        conn = listener.accept()
    except AuthenticationError as error:
        print(type(error).__name__, error)
        sys.exit()
while True:
    try:
        message = conn.recv()
    except EOFError:
        break
    conn.send((message, "by " + role))
    conn.send_bytes(conn.recv_bytes())
print("end")
"""


class Theirs:
    """A process of the standard library's alone."""

    def __init__(self, role, argument, key=None):
        command = [sys.executable, "-W", "error", "-c", THEIRS]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.process.stdin.write(f"{role, argument, key!r}\n")
        self.process.stdin.flush()

    def line(self):
        return self.process.stdout.readline().rstrip("\n")

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0


def talk(conn, role):
    assert type(conn) is connection.Connection
    assert (conn.readable, conn.writable) == (True, True)
    for message in ("hello", [1, {2: 3}], b"x" * 100_000, 2**100):
        conn.send(message)
        assert conn.poll(PATIENCE)
        assert conn.recv() == (message, "by " + role)
        conn.send_bytes(pickle.dumps(message), 0)
        assert pickle.loads(conn.recv_bytes()) == message
        assert conn.poll() is False


@pytest.mark.parametrize("key", [None, KEY])
def test_their_client(address, key):
    with connection.Listener(**address, authkey=key) as listener:
        with Theirs("client", listener.address, key) as theirs:
            conn = listener.accept()
            talk(conn, "client")
            conn.close()
            assert theirs.line() == "end"


@pytest.mark.parametrize("key", [None, KEY])
def test_their_listener(address, key):
    with Theirs("listener", address, key) as theirs:
        where = eval(theirs.line())
        with connection.Client(where, authkey=key) as conn:
            talk(conn, "listener")
        assert theirs.line() == "end"


def test_their_client_with_a_wrong_key():
    with connection.Listener(authkey=KEY) as listener:
        with Theirs("client", listener.address, b"another") as theirs:
            with pytest.raises(mp.AuthenticationError, match="^digest received was wrong$"):
                listener.accept()
            assert theirs.line().startswith("AuthenticationError digest sent was rejected")


def test_their_listener_with_a_wrong_key():
    with Theirs("listener", {}, KEY) as theirs:
        where = eval(theirs.line())
        before = descriptors()
        with pytest.raises(mp.AuthenticationError, match="^digest sent was rejected$"):
            connection.Client(where, authkey=b"another")
        assert descriptors() == before
        assert theirs.line().startswith("AuthenticationError digest received was wrong")


def connect(address, key):
    with connection.Client(address, authkey=key) as conn:
        conn.send(conn.recv() * 2)


@each_method
def test_between_our_own_processes(method, address):
    with connection.Listener(**address, authkey=KEY) as listener:
        process = mp.get_context(method).Process(target=connect, args=(listener.address, KEY))
        process.start()
        with listener.accept() as conn:
            conn.send("twice ")
            assert conn.recv() == "twice twice "
            with pytest.raises(EOFError):
                conn.recv()
        ended(process)


def test_a_listener_is_theirs_in_all_else():
    with connection.Listener(family="AF_UNIX", backlog=5) as listener:
        assert isinstance(listener, multiprocessing.connection.Listener)
        path = listener.address
        assert os.path.exists(path) and listener.last_accepted is None
        with pytest.raises(OSError):
            connection.Listener(path)
    assert not os.path.exists(path)
    with pytest.raises(OSError, match="^listener is closed$"):
        listener.accept()
    with pytest.raises(ValueError):
        connection.Listener(r"\\.\test")
    with pytest.raises(FileNotFoundError):
        connection.Client(tempfile.mktemp())


def test_names_of_the_module():
    theirs = multiprocessing.connection
    assert connection.__all__ == theirs.__all__
    missing = [name for name in dir(theirs) if not hasattr(connection, name)]
    assert missing == []
    assert set(dir(theirs)) <= set(dir(connection))
    for name in ("BUFSIZE", "families", "_ConnectionBase", "SocketListener", "address_type"):
        assert getattr(connection, name) is getattr(theirs, name)
    assert connection.deliver_challenge is theirs.deliver_challenge
    with pytest.raises(AttributeError):
        connection.nonsense  # noqa: B018


@pytest.mark.parametrize("key", [KEY, b"another"])
def test_a_challenge_over_a_pipe(key):
    a, b = mp.Pipe()
    came = []

    def answer():
        try:
            connection.answer_challenge(b, key)
            came.append("welcome")
        except mp.AuthenticationError as error:
            came.append(str(error))

    other = threading.Thread(target=answer)
    other.start()
    if key == KEY:
        connection.deliver_challenge(a, KEY)
    else:
        with pytest.raises(mp.AuthenticationError, match="digest received was wrong"):
            connection.deliver_challenge(a, KEY)
    other.join(PATIENCE)
    assert came == (["welcome"] if key == KEY else ["digest sent was rejected"])


# ---------------------------------------------------------------- Connection(fd)


def test_over_a_pipe_of_the_kernels():
    r, w = os.pipe()
    reader = connection.Connection(r, writable=False)
    writer = connection.Connection(w, readable=False)
    assert (reader.fileno(), writer.fileno()) == (r, w) == (reader._handle, writer._handle)
    assert (reader.readable, reader.writable) == (True, False)
    assert reader.poll() is False
    writer.send({"a": 1})
    assert reader.poll(PATIENCE) is reader.poll() is True
    assert reader.recv() == {"a": 1}
    writer.send_bytes(b"0123456789", 2, 5)
    target = bytearray(10)
    assert reader.recv_bytes_into(target, 1) == 5
    assert target == b"\x0023456\0\0\0\0"
    for use in (writer.recv, writer.poll, lambda: reader.send(1)):
        with pytest.raises(OSError, match="^connection is (write|read)-only$"):
            use()
    writer.send_bytes(b"long")
    writer.close()
    with pytest.raises(OSError, match="^bad message length$"):
        reader.recv_bytes(3)
    assert reader.closed
    with pytest.raises(OSError, match="^handle is closed$"):
        reader.recv()


def test_over_half_of_theirs():
    a, b = multiprocessing.Pipe()
    ours = connection.Connection(os.dup(a.fileno()))
    a.close()
    ours.send([1, 2])
    assert b.recv() == [1, 2]
    b.send_bytes(b"x" * 9)
    assert ours.recv_bytes() == b"x" * 9
    b.send_bytes(b"0123456789")
    with pytest.raises(mp.BufferTooShort) as caught:
        ours.recv_bytes_into(bytearray(5))
    assert caught.value.args == (b"0123456789",)
    b.close()
    with pytest.raises(EOFError):
        ours.recv()
    with pytest.raises(BrokenPipeError):
        ours.send(1)
    ours.close()


@pytest.mark.parametrize(
    "arguments, kind, text",
    [
        ((-1,), ValueError, "invalid handle"),
        (("text",), AttributeError, "'str' object has no attribute '__index__'"),
        ((1.5,), AttributeError, "'float' object has no attribute '__index__'"),
        ((0, False, False), ValueError, "at least one of `readable` and `writable` must be True"),
    ],
)
def test_wrong_descriptors(arguments, kind, text):
    for cls in (multiprocessing.connection.Connection, connection.Connection):
        with pytest.raises(kind) as caught:
            cls(*arguments)
        assert str(caught.value) == text


def test_a_descriptor_that_is_not_open():
    end = connection.Connection(44977608)
    for use in (end.recv, lambda: end.send(1)):
        with pytest.raises((ValueError, OSError)):
            use()
    end._handle = None
    assert end.closed


def test_over_a_descriptor_of_a_ring():
    """It is found by its socket, as code expects that hands descriptors on by itself."""
    a, b = mp.Pipe()
    twin = connection.Connection(os.dup(a.fileno()))
    twin.send("from the twin")
    assert b.recv() == "from the twin"
    b.send([b"x" * 100_000])
    assert twin.recv() == [b"x" * 100_000]
    a.close()
    b.send("still there")
    assert twin.recv() == "still there"
    receiving = connection.Connection(os.dup(twin.fileno()), writable=False)
    with pytest.raises(OSError, match="^connection is read-only$"):
        receiving.send(1)
    receiving.close()
    twin.close()
    with pytest.raises(BrokenPipeError):
        b.send(1)
    reader, writer = mp.Pipe(False)
    twin = connection.Connection(os.dup(writer.fileno()))
    assert (twin.readable, twin.writable) == (False, True)
    twin.send(1)
    assert reader.recv() == 1


def over_descriptor(fd):
    conn = connection.Connection(fd)
    conn.send(conn.recv() * 2)
    conn.close()


def test_a_bare_descriptor_in_a_forked_child():
    here, there = mp.Pipe()
    process = mp.get_context("fork").Process(target=over_descriptor, args=(there.fileno(),))
    process.start()
    there.close()
    here.send(21)
    assert here.recv() == 42
    ended(process)


def test_closing_once():
    """An end that was closed leaves alone what has its descriptor's number by then."""
    r, w = os.pipe()
    end = connection.Connection(w, readable=False)
    end.close()
    again = os.open(os.devnull, os.O_RDONLY)
    end.close()
    del end
    os.fstat(again)
    os.close(again)
    os.close(r)


def plain_ends():
    first, second = socket.socketpair()
    return connection.Connection(first.detach()), connection.Connection(second.detach())


def echo(conn):
    conn.send((type(conn).__module__, conn.recv()))
    conn.close()


@each_method
def test_plain_ends_travel(method):
    here, there = plain_ends()
    process = mp.get_context(method).Process(target=echo, args=(there,))
    process.start()
    there.close()
    here.send("hello")
    assert here.recv() == ("procession.connection", "hello")
    ended(process)
    here.close()


def test_plain_ends_in_a_message():
    here, there = plain_ends()
    queue = mp.Queue()
    queue.put(there)
    twin = queue.get()
    assert type(twin) is connection.Connection and not connection.is_ring(twin)
    here.send_bytes(b"hello")
    assert twin.recv_bytes() == b"hello"
    with here, there, twin:
        stop_sharing()


# ---------------------------------------------------------------- reduction's descriptors


def write_to_received(conn, text):
    fd = reduction.recv_handle(conn)
    os.write(fd, text)
    os.close(fd)
    conn.send("written")


@each_method
@pytest.mark.parametrize("kind", ["ring", "plain"])
def test_send_handle(method, kind):
    here, there = mp.Pipe() if kind == "ring" else plain_ends()
    process = mp.get_context(method).Process(target=write_to_received, args=(there, b"hello"))
    process.start()
    with tempfile.TemporaryFile() as file:
        reduction.send_handle(here, file.fileno(), process.pid)
        assert here.recv() == "written"
        file.seek(0)
        assert file.read() == b"hello"
    ended(process)
    here.close()
    there.close()
    stop_sharing()


def test_handles_among_messages():
    a, b = mp.Pipe()
    r, w = os.pipe()
    a.send("before")
    reduction.send_handle(a, w, os.getpid())
    a.send("after")
    assert b.recv() == "before"
    assert connection.wait([b], 0) == [b] and b.poll()
    fd = reduction.recv_handle(b)
    assert b.recv() == "after"
    os.write(fd, b"x")
    assert os.read(r, 1) == b"x"
    for each in (r, w, fd):
        os.close(each)
    stop_sharing()


@pytest.mark.parametrize("waits_first", [True, False])
def test_a_descriptor_that_does_not_come(waits_first):
    a, b = mp.Pipe()
    a.send("no descriptor")
    with pytest.raises(RuntimeError):
        reduction.recv_handle(b)
    if waits_first:
        assert connection.wait([b], 0) == []
    os.write(a.fileno(), b"\0")
    with pytest.raises(RuntimeError):
        reduction.recv_handle(b)
    assert connection.wait([b, a], PATIENCE) == [b]
    with pytest.raises(OSError):
        reduction.send_handle(a, 44977608, os.getpid())
    a.send("goes on")
    assert b.recv() == "goes on"
    a.close()
    with pytest.raises(EOFError):
        reduction.recv_handle(b)
    b.close()
    with pytest.raises(OSError, match="^handle is closed$"):
        reduction.recv_handle(b)
    stop_sharing()


def test_sendfds():
    first, second = socket.socketpair()
    r, w = os.pipe()
    with first, second:
        reduction.sendfds(first, [r, w])
        fds = reduction.recvfds(second, 2)
        assert len(fds) == 2 and type(array.array("i", fds)) is array.array
    for fd in (*fds, r, w):
        os.close(fd)
