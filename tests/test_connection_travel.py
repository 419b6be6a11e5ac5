"""A pipe's ends go anywhere in the family."""

import gc
import multiprocessing
import os
import pickle
from concurrent.futures import ProcessPoolExecutor

import pytest
from support import (
    PATIENCE,
    descriptors,
    each_method,
    ended,
    is_broken,
    run,
    stop_sharing,
    until,
)

import procession as mp
from procession import _core, connection


@pytest.fixture(autouse=True)
def nobody_shares():
    """Descriptors under way keep a thread, until the end of the process or of the test."""
    yield
    stop_sharing()


def echo(conn):
    while (message := conn.recv()) is not None:
        conn.send((message, os.getpid()))


@each_method
def test_as_an_argument(method):
    context = mp.get_context(method)
    here, there = context.Pipe()
    process = context.Process(target=echo, args=(there,))
    process.start()
    there.close()  # perhaps before the child has it
    for message in ("hello", [1, 2], b"x" * 100_000):
        here.send(message)
        assert here.recv() == (message, process.pid)
    here.send(None)
    with pytest.raises(EOFError):
        here.recv()
    ended(process)
    here.close()


def pass_on(reader, writer):
    for message in iter(reader.recv, None):
        writer.send(message)


@each_method
def test_one_way_ends_as_arguments(method):
    context = mp.get_context(method)
    first_r, first_w = context.Pipe(False)
    second_r, second_w = context.Pipe(False)
    process = context.Process(target=pass_on, args=(first_r,), kwargs={"writer": second_w})
    process.start()
    first_r.close()
    second_w.close()
    for number in range(1000):
        first_w.send(number)
    first_w.send(None)
    assert [second_r.recv() for _ in range(1000)] == list(range(1000))
    with pytest.raises(EOFError):
        second_r.recv()
    ended(process)
    until(lambda: is_broken(first_w), "the broken pipe")  # a clock tick later at most


@each_method
def test_nothing_but_the_child_holds_an_end(method):
    """The parent lets go of both ends before the child has unpickled them."""
    context = mp.get_context(method)
    answers = context.Queue()
    reader, writer = context.Pipe(False)
    writer.send("left there")
    process = context.Process(target=receive_and_tell, args=(reader, writer, answers))
    process.start()
    del reader, writer
    gc.collect()
    assert answers.get(timeout=PATIENCE) == ["left there", "EOFError"]
    ended(process)


def receive_and_tell(reader, writer, answers):
    got = [reader.recv()]
    writer.close()
    try:
        got.append(reader.recv())
    except EOFError:
        answers.put([*got, "EOFError"])


def grandparent(depth, conn):
    if depth == 0:
        conn.send(mp.current_process().name)
        return
    process = mp.Process(target=grandparent, args=(depth - 1, conn), name=f"depth {depth - 1}")
    process.start()
    conn.close()
    ended(process)


@each_method
def test_to_grandchildren(method):
    context = mp.get_context(method)
    reader, writer = context.Pipe(False)
    process = context.Process(target=grandparent, args=(2, writer))
    process.start()
    writer.close()
    assert reader.recv() == "depth 0"
    with pytest.raises(EOFError):
        reader.recv()
    ended(process)


@each_method
def test_to_the_standard_librarys_own_process(method):
    context = multiprocessing.get_context(method)
    here, there = mp.Pipe()
    process = context.Process(target=echo, args=(there,))
    process.start()
    there.close()
    here.send("hello")
    assert here.recv() == ("hello", process.pid)
    here.send(None)
    with pytest.raises(EOFError):
        here.recv()
    ended(process)


def serve(requests):
    """Answers each request over the connection that came with it."""
    while (request := requests()) is not None:
        number, conn = request
        conn.send(number * 2)
        conn.close()


def serve_queue(queue):
    serve(queue.get)


def serve_connection(conn):
    serve(conn.recv)


@each_method
@pytest.mark.parametrize("way", ["Queue", "SimpleQueue", "Pipe", "standard Pipe"])
def test_inside_a_message(method, way):
    context = mp.get_context(method)
    if way.endswith("Pipe"):
        pipe = context.Pipe if way == "Pipe" else multiprocessing.Pipe
        there, here = pipe(False)
        send, server = here.send, context.Process(target=serve_connection, args=(there,))
    else:
        queue = getattr(context, way)()
        send, server = queue.put, context.Process(target=serve_queue, args=(queue,))
    server.start()
    for number in range(10):
        mine, theirs = context.Pipe(duplex=number % 2)
        send((number, theirs))
        theirs.close()
        assert mine.recv() == number * 2
        with pytest.raises(EOFError):
            mine.recv()
    send(None)
    ended(server)
    if way.endswith("Pipe"):
        here.close()
        there.close()


def make_pipe(outbox):
    reader, writer = mp.Pipe(False)
    writer.send("inside")
    writer.close()
    outbox.send(reader)
    del reader
    assert outbox.recv() == "got it"  # until then this process has to live


@each_method
def test_a_message_keeps_what_was_sent_before(method):
    """The ring lives on though nobody has an end of it in hand."""
    context = mp.get_context(method)
    here, there = mp.Pipe()
    maker = context.Process(target=make_pipe, args=(there,))
    maker.start()
    there.close()
    reader = here.recv()
    here.send("got it")
    assert reader.recv() == "inside"
    with pytest.raises(EOFError):
        reader.recv()
    ended(maker)
    here.close()


def test_over_itself():
    a, b = mp.Pipe()
    a.send(b)
    twin = b.recv()
    a.send("one")
    a.send("two")
    assert twin.recv() == "one"
    assert b.recv() == "two"
    b.close()
    a.send("three")  # the twin is there still
    assert twin.recv() == "three"
    twin.close()
    # The copy that was under way may be closed a moment later.
    until(lambda: a.poll(0), "the end")
    with pytest.raises(BrokenPipeError):
        a.send("four")


def test_what_travels_with_an_end():
    reader, writer = mp.Pipe(False)
    for end in (reader, writer):
        twin = pickle.loads(mp.reduction.Pickler.dumps(end))
        assert type(twin) is connection.Connection
        assert (twin.readable, twin.writable) == (end.readable, end.writable)
        twin.close()
    a, b = mp.Pipe()
    b.send_bytes(b"long")
    with pytest.raises(OSError):
        a.recv_bytes(1)
    twin = pickle.loads(mp.reduction.ForkingPickler.dumps(a))
    assert (twin.readable, twin.writable) == (False, True)
    a.close()
    with pytest.raises(OSError, match="^handle is closed$"):
        pickle.dumps(a)


class Labelled(connection.Connection):
    def __init__(self, handle, label):
        super().__init__(handle)
        self.label = label


def test_a_subclass_with_attributes():
    a, b = mp.Pipe()
    mine = Labelled(os.dup(a.fileno()), "a label")
    a.close()
    twin = pickle.loads(pickle.dumps(mine))
    assert type(twin) is Labelled and twin.label == "a label"
    twin.send("hello")
    assert b.recv() == "hello"


def use_connection(conn, number):
    conn.send(number)
    return conn


@each_method
def test_to_a_pool_and_back(method):
    context = mp.get_context(method)
    here, there = context.Pipe()
    with context.Pool(2) as pool:
        twin = pool.apply(use_connection, (there, 5))
        assert here.recv() == 5
        here.send("to the twin")
        assert twin.recv() == "to the twin"


@each_method
def test_to_an_executor(method):
    here, there = mp.Pipe()
    with ProcessPoolExecutor(2, mp_context=mp.get_context(method)) as executor:
        for number in range(5):
            executor.submit(use_connection, there, number).result(PATIENCE).close()
    assert [here.recv() for _ in range(5)] == list(range(5))


# ---------------------------------------------------------------- handles


def test_nothing_is_left_of_closed_pipes():
    stop_sharing()
    before = descriptors(), _core.stats()["pipes"]
    for number in range(300):
        a, b = mp.Pipe(number % 2)
        b.send([number, b"x" * 50_000])
        if number % 3:
            a.recv()
        twin = pickle.loads(pickle.dumps(a))
        twin.close()
    del a, b, twin
    stop_sharing()
    assert (descriptors(), _core.stats()["pipes"]) == before
    assert _core.check() == []


def reattached(handle, fd):
    twin = connection.Connection.__new__(connection.Connection)
    twin._attach(handle, fd)
    return twin


def test_forged_handles():
    a, b = mp.Pipe()
    handle = a._ring_handle()
    spare = descriptors()
    forgeries = [b"", b"nonsense", handle[:-1], handle + b"\0", b"\xff" * len(handle)]
    forgeries += [mp.Queue()._handle(), b._ring_handle()]
    for place in range(len(handle)):
        for bit in (1, 0x80):
            forged = bytearray(handle)
            forged[place] ^= bit
            forgeries.append(bytes(forged))
    for forged in forgeries:
        fd = os.dup(a._socket())
        try:
            reattached(forged, fd).close()
        except (RuntimeError, ValueError, OSError):
            pass
        assert descriptors() == spare, forged
    a.send("unharmed")
    assert b.recv() == "unharmed"
    assert _core.check() == []


def test_a_handle_with_the_wrong_socket():
    a, b = mp.Pipe()
    other, _ = mp.Pipe()
    spare = descriptors()
    r, w = os.pipe()
    for wrong in (b._socket(), other._socket(), r):
        with pytest.raises((RuntimeError, ValueError, OSError)):
            reattached(a._ring_handle(), os.dup(wrong))
    os.close(r)
    os.close(w)
    assert descriptors() == spare
    twin = reattached(a._ring_handle(), os.dup(a._socket()))
    twin.send("right")
    assert b.recv() == "right"


def test_outside_the_family():
    text = run(
        "-c",
        "import procession as mp; a, b = mp.Pipe(); print(a._ring_handle())",
    )
    a, _ = mp.Pipe()
    with pytest.raises(RuntimeError):
        reattached(eval(text), os.dup(a._socket()))
