"""A manager's server and its clients within the family: they go on over a pipe."""

import gc
import multiprocessing
import os
import signal
import threading

import pytest
from server_support import (
    KEY,
    Counter,
    Numbers,
    each_family,
    is_over_ring,
    is_over_socket,
    started,
)
from support import METHODS, PATIENCE, descriptors, each_method, ended, run, until

import procession as mp
from procession import _managing, connection
from procession.managers import SharedMemoryManager, SyncManager

# ---------------------------------------------------------------- the family


def use_in_child(results, proxies):
    results.put([(proxy.next(), is_over_ring(proxy)) for proxy in proxies])


def use_travelled(results, messages):
    use_in_child(results, messages.get())


@each_family
@each_method
def test_family(family, method):
    """Under each start method, here and in a child that is handed proxies of both sorts."""
    context = mp.get_context(method)
    results = context.Queue()
    with started(family, method) as manager:
        proxies = manager.Counter(), manager.Own(10)
        assert [proxy.next() for proxy in proxies] == [1, 11]
        assert all(map(is_over_ring, proxies))
        child = context.Process(target=use_in_child, args=(results, proxies))
        child.start()
        assert results.get(timeout=PATIENCE) == [(2, True), (12, True)]
        ended(child)
        assert [proxy.next() for proxy in proxies] == [3, 13]


@pytest.mark.parametrize("method", METHODS[:2])
def test_in_messages(method):
    """A process that knew nothing of the manager; and two to whom it comes from a third."""
    context = mp.get_context(method)
    results, messages = context.Queue(), context.Queue()
    child = context.Process(target=use_travelled, args=(results, messages))
    child.start()
    with started(method=method) as manager:
        proxies = manager.Counter(), manager.Own(10)
        messages.put(proxies)
        assert results.get(timeout=PATIENCE) == [(1, True), (11, True)]
        ended(child)
        a, b = mp.Pipe()
        a.send(proxies)
        again = b.recv()
        assert [type(p) for p in again] == [type(p) for p in proxies]
        assert [p.next() for p in again] == [2, 12]


def next_of(proxy):
    return proxy.next(), is_over_ring(proxy), proxy


def test_in_a_pool():
    with mp.get_context("spawn").Pool(1) as pool, started() as manager:
        counter = manager.Counter()
        value, over_ring, same = pool.apply(next_of, (counter,))
        assert (value, over_ring) == (1, True)
        assert same.next() == 2 and is_over_ring(same)


def test_what_calls_bring():
    with started() as manager:
        counter = manager.Counter()
        blob = os.urandom(5 << 20)  # more than a pipe holds
        for value in ((), (1, "two", None), ({3: [4.0]},), (blob,)):
            assert counter.echo(*value, name=value) == (value, {"name": value})
        with pytest.raises(LookupError, match="^as asked$"):
            counter.fail()
        with pytest.raises(multiprocessing.managers.RemoteError, match="cannot pickle"):
            counter.lock()
        with pytest.raises(multiprocessing.managers.RemoteError, match="is not in exposed"):
            counter._callmethod("nonsense")
        another = counter.another()
        assert another.next() == 101 and is_over_ring(another)
        assert "Counter object" in str(another)


def test_many_threads():
    """Each has its own pipe; all ends are closed again."""
    with started() as manager:
        counter = manager.Counter()
        assert counter.next() == 1
        gc.collect()  # what earlier tests left in cycles
        threads_before, files = manager.about()[1], descriptors()
        gate = threading.Barrier(12)

        def use():
            gate.wait(PATIENCE)
            own = manager.Counter()
            mine = [own.next() for _ in range(100)]
            theirs = [counter.next() for _ in range(100)]
            return mine == list(range(1, 101)) and theirs == sorted(theirs) and is_over_ring(own)

        results = []
        threads = [threading.Thread(target=lambda: results.append(use())) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert results == [True] * 12
        assert counter.next() == 1202
        del threads, thread
        until(lambda: descriptors() <= files, "the end of all pipes")
        until(lambda: manager.about()[1] <= threads_before, "the end of the server's threads")


def test_managers_with_an_address():
    """What lies in shared memory without one is the server's then."""
    with SyncManager(address=("127.0.0.1", 0), ctx=mp.get_context("fork")) as manager:
        shared = manager.dict(a=1)
        shared["b"] = manager.list([2])
        assert is_over_ring(shared)
        assert shared["b"][0] == 2
        with manager.Lock(), manager.Condition() as held:
            assert held


def test_connect():
    with started("TCP", key=KEY) as server:
        client = Numbers(address=server.address, authkey=KEY)
        client.connect()
        counter = client.Counter()
        assert counter.next() == 1 and is_over_ring(counter)


FIRST_USE = """
import procession as mp
from procession import _core
from procession.managers import BaseManager
class Numbers(BaseManager): pass
Numbers.register("numbers", set)
assert _core.family_id() is None
with Numbers(ctx=mp.get_context("fork")) as manager:
    numbers = manager.numbers([1])
    numbers.add(2)
    print(mp.connection.is_ring(numbers._tls.connection))
"""


def test_the_first_use_of_all():
    """The family is made before the server is forked."""
    assert run("-c", FIRST_USE) == "True\n"


@each_family
def test_one_descriptor_on_each_side(family):
    """What they met over is closed."""
    with started(family) as manager:
        counter = manager.Counter()
        assert counter.next() == 1
        gc.collect()
        here, there = descriptors(), min(manager.about()[2] for _ in range(10))
        connected, done = threading.Event(), threading.Event()

        def use():
            counter.next()
            connected.set()
            done.wait(PATIENCE)

        thread = threading.Thread(target=use)
        thread.start()
        assert connected.wait(PATIENCE)
        assert descriptors() == here + 1
        until(lambda: manager.about()[2] == there + 1, "one descriptor more")
        done.set()
        thread.join()


@pytest.mark.parametrize("family", ["default", "TCP"])
def test_no_descriptor_is_left(family):
    with started(family) as manager:

        def use():
            counter = manager.Counter()
            counter.next()
            assert is_over_ring(counter)

        use()
        gc.collect()
        before = descriptors()
        for _ in range(5):
            use()
        assert descriptors() == before


# ---------------------------------------------------------------- the server's class


class OwnServer(_managing.Server):
    pass


class OwnServerNumbers(Numbers):
    _Server = OwnServer


def test_server_classes():
    with started() as manager:
        assert manager.about()[0] == "Server"
    with started(kind=OwnServerNumbers) as manager:
        assert manager.about()[0] == "OwnServer"
    for kind, server in [
        (Numbers, _managing.Server),
        (SyncManager, _managing.Server),
        (OwnServerNumbers, OwnServer),
        (SharedMemoryManager, _managing.SharedMemoryServer),
    ]:
        made = kind(authkey=KEY).get_server()
        assert type(made) is server and isinstance(made, multiprocessing.managers.Server)
        made.listener.close()
    with started() as manager, pytest.raises(mp.ProcessError, match="^Already started server$"):
        manager.get_server()


IN_ONE_PROCESS = """
import threading
import procession as mp
from procession import managers
class Counter:
    def next(self):
        return 1
class Numbers(managers.BaseManager): pass
Numbers.register("Counter", Counter)
server = Numbers(authkey=b"a key").get_server()
def use():
    client = Numbers(address=server.address, authkey=b"a key")
    client.connect()
    counter = client.Counter()
    print(counter.next(), mp.connection.is_ring(counter._tls.connection), flush=True)
    del counter
    print(client._number_of_objects(), flush=True)
    managers.dispatch(client._Client(server.address, authkey=b"a key"), None, "shutdown")
threading.Thread(target=use).start()
server.serve_forever()
"""


def test_a_server_in_this_process():
    """The two ends of its pipes are in one process, then."""
    assert run("-c", IN_ONE_PROCESS) == "1 True\n0\n"


class Memory(SharedMemoryManager):
    pass


Memory.register("Counter", Counter)


def test_shared_memory_managers():
    with started(kind=Memory) as manager:
        counter = manager.Counter()
        assert counter.next() == 1 and is_over_ring(counter)
        assert manager.ShareableList([1, "two"])[1] == "two"


# ---------------------------------------------------------------- where there can be no pipe


def too_many(*args, **kwds):
    raise OSError(24, "Too many open files")


class NoDoor(connection.Listener):
    """Has no place where it says it is."""

    address = "/nowhere/at all"


@pytest.mark.parametrize(
    "family, name, instead",
    [
        ("default", "connection.Pipe", too_many),
        ("TCP", "_std_connection.Listener", too_many),
        ("TCP", "_std_connection.Listener", NoDoor),
    ],
    ids=["pipe", "door", "way"],
)
def test_the_socket_will_do(family, name, instead, monkeypatch):
    with started(family) as manager:
        where, name = name.split(".")
        with monkeypatch.context() as patch:
            patch.setattr(getattr(_managing, where), name, instead)
            counter = manager.Counter()
            files = descriptors()
            assert counter.next() == 1 and is_over_socket(counter)
            assert descriptors() == files + 1
        assert [counter.next() for _ in range(3)] == [2, 3, 4]


# ---------------------------------------------------------------- when a process dies

GONE = (EOFError, ConnectionError)


@each_family
def test_killed_server(family):
    """Who waits for an answer hears of it, and who calls then."""
    manager = started(family)
    counter = manager.Counter()
    began = threading.Event()

    def wait():
        counter.next()
        assert is_over_ring(counter)
        began.set()
        with pytest.raises(GONE):
            counter.wait()
        return True

    assert counter.next() == 1
    waiting = []
    thread = threading.Thread(target=lambda: waiting.append(wait()), daemon=True)
    thread.start()
    assert began.wait(PATIENCE)
    os.kill(manager._process.pid, signal.SIGKILL)
    thread.join(PATIENCE)
    assert waiting == [True]
    with pytest.raises(GONE):
        counter.next()
    manager.shutdown()


def test_shutdown():
    """The same if it ends on purpose."""
    manager = started()
    counter = manager.Counter()
    assert counter.next() == 1
    manager.shutdown()
    with pytest.raises(GONE):
        counter.next()


def stay(counter, results):
    results.put((counter.next(), is_over_ring(counter)))
    threading.Event().wait()


@each_method
def test_killed_client(method):
    """The server's thread for it ends, and the others are served."""
    context = mp.get_context(method)
    with started(method=method) as manager:
        counter, results = manager.Counter(), context.Queue()
        assert counter.next() == 1
        before = manager.about()[1]
        child = context.Process(target=stay, args=(counter, results))
        child.start()
        assert results.get(timeout=PATIENCE) == (2, True)
        until(lambda: manager.about()[1] == before + 1, "the server's thread")
        os.kill(child.pid, signal.SIGKILL)
        ended(child, code=-signal.SIGKILL)
        until(lambda: manager.about()[1] == before, "the end of the server's thread")
        assert counter.next() == 3
