"""Managers with a server: registered classes, addresses, and servers that are killed."""

import collections
import os
import queue
import signal
import threading

import pytest
from manager_support import kind_of, outcome
from support import PATIENCE, each_method, ended

import procession as mp
from procession import managers
from procession.managers import BaseManager, SharedMemoryManager, SyncManager


class Counter:
    def __init__(self, start=0, *, step=1):
        self.value, self.step = start, step

    def next(self):
        self.value += self.step
        return self.value

    def where(self):
        return os.getpid()

    def fail(self):
        raise LookupError("in the server")

    def take(self, shared):
        self.shared = shared
        shared.append(os.getpid())
        return len(shared)

    def taken(self):
        return self.shared

    def numbers(self, n):
        yield from range(n)

    def twin(self):
        return self.value

    def _private(self):
        return "private"


def make_counter(start):
    return Counter(start, step=10)


class CounterProxy(managers.BaseProxy):
    """A proxy of one's own, with a method that the referent does not have."""

    _exposed_ = ("next", "__getattribute__")

    def next(self):
        return self._callmethod("next")

    def twice(self):
        return self.next(), self.next()

    @property
    def step(self):
        return self._callmethod("__getattribute__", ("step",))


class OrderProxy(managers.DictProxy):
    _exposed_ = (*managers.DictProxy._exposed_, "move_to_end", "__reversed__")

    def move_to_end(self, key):
        return self._callmethod("move_to_end", (key,))


class OurManager(SyncManager):
    pass


class TheirKindOfManager(BaseManager):
    pass


for _manager in OurManager, TheirKindOfManager:
    _manager.register("Counter", Counter)
    _manager.register("make_counter", make_counter)
    _manager.register("Own", Counter, CounterProxy)
    _manager.register("Narrow", Counter, exposed=("next", "_private"))
    _manager.register(
        "Nested", Counter, method_to_typeid={"numbers": "Iterator", "twin": "Counter"}
    )
    _manager.register("Order", collections.OrderedDict, OrderProxy)
    _manager.register("defaultdict", collections.defaultdict, managers.DictProxy)
    _manager.register("PriorityQueue", queue.PriorityQueue)
    _manager.register("Iterator", proxytype=managers.IteratorProxy, create_method=False)
    _manager.register("unmade", Counter, create_method=False)


each_kind = pytest.mark.parametrize("kind", [OurManager, TheirKindOfManager])


@each_kind
@each_method
def test_registered_classes(method, kind):
    with kind(ctx=mp.get_context(method)) as manager:
        counter = manager.Counter(5, step=2)
        assert [counter.next(), counter.next()] == [7, 9] and counter.where() != os.getpid()
        assert repr(counter).startswith("<AutoProxy[Counter] object, typeid 'Counter' at 0x")
        assert not hasattr(counter, "_private") and not hasattr(manager, "unmade")
        assert outcome("c.fail()", c=counter) == "LookupError: in the server"
        assert manager.make_counter(1).next() == 11
        assert manager.Own(1).twice() == (2, 3) and manager.Own(1).step == 1
        narrow = manager.Narrow(1)
        assert narrow._private() == "private" and not hasattr(narrow, "where")
        nested = manager.Nested(3)
        assert list(nested.numbers(4)) == [0, 1, 2, 3] and nested.twin().next() == 4
        order = manager.Order(a=1, b=2)
        order.move_to_end("a")
        assert list(order) == ["b", "a"] and order._getvalue() == collections.OrderedDict(b=2, a=1)
        groups = manager.defaultdict(list)
        assert groups["new"] == [] and str(groups) == "defaultdict(<class 'list'>, {'new': []})"
        tasks = manager.PriorityQueue()
        for number in 3, 1, 2:
            tasks.put(number)
        assert [tasks.get() for _ in range(3)] == [1, 2, 3]


def use_counter(counter, rounds):
    for _ in range(rounds):
        counter.next()


@each_kind
@each_method
def test_proxies_of_registered_classes_travel(method, kind):
    context = mp.get_context(method)
    with kind(ctx=context) as manager:
        counter = manager.Counter()
        children = [context.Process(target=use_counter, args=(counter, 50)) for _ in range(2)]
        for child in children:
            child.start()
        ended(*children)
        with context.Pool(1) as pool:
            pool.apply(use_counter, (counter, 5))
        assert counter.next() == 106


def test_a_manager_with_classes_of_its_own_has_one_server():
    with OurManager() as manager:
        shared = manager.list([1])
        counter = manager.Counter()
        (server,) = mp.active_children()
        assert server is manager._process and counter.where() == server.pid
        assert manager.Counter().where() == server.pid  # the same
        manager.dict()["x"] = 1
        assert mp.active_children() == [server]
        # It is of the family: what lies in shared memory is used there as it is.
        assert counter.take(shared) == 2 and shared[1] == server.pid
        counter.taken().append(3)
        assert str(shared) == f"[1, {server.pid}, 3]"
    server.join(PATIENCE)
    assert not mp.active_children()
    for code in ("c.next()", "m.Counter()", "m.list()", "len(l)"):
        kind = kind_of(outcome(code, c=counter, m=manager, l=shared))
        assert kind in (
            "BrokenPipeError",
            "ConnectionResetError",
            "AssertionError",
            "FileNotFoundError",
        )


def test_proxies_of_registered_classes_in_shared_memory():
    with OurManager() as manager:
        kept = manager.Counter()
        shared = manager.dict(counter=kept)
        children = [mp.Process(target=count_inside, args=(shared,)) for _ in range(2)]
        for child in children:
            child.start()
        ended(*children)
        assert shared["counter"].next() == 3


def count_inside(shared):
    shared["counter"].next()


@pytest.mark.xfail(reason="the server does not know of what lies in shared memory")
def test_what_only_shared_memory_holds_lives_in_the_server():
    with OurManager() as manager:
        shared = manager.dict(counter=manager.Counter())
        assert shared["counter"].next() == 1


def test_a_subclass_may_replace_dict():
    class Ordered(SyncManager):
        pass

    Ordered.register("dict", collections.OrderedDict, managers.DictProxy)
    with Ordered(ctx=mp.get_context("fork")) as manager:
        assert str(manager.dict(a=1)).startswith("OrderedDict(") and mp.active_children()
        assert str(manager.list([1])) == "[1]"
    with mp.Manager() as manager:
        assert str(manager.dict(a=1)) == "{'a': 1}" and not mp.active_children()


def set_up(told, text):
    told.put((text, os.getpid(), signal.getsignal(signal.SIGINT) == signal.SIG_IGN))


@each_method
@pytest.mark.parametrize("kind", [SyncManager, BaseManager, SharedMemoryManager])
def test_an_initializer_runs_in_the_server(method, kind):
    told = mp.Queue()
    manager = kind(ctx=mp.get_context(method))
    manager.start(set_up, (told, "hello"))
    text, pid, ignores = told.get(timeout=PATIENCE)
    assert text == "hello" and pid == manager._process.pid != os.getpid() and ignores
    manager.shutdown()
    assert not mp.active_children()


@each_method
def test_a_pool_in_the_server(method):
    with mp.get_context(method).Manager() as manager, manager.Pool(2) as pool:
        assert pool.map(abs, [-1, 2]) == [1, 2] and list(pool.imap(abs, [-3])) == [3]
        assert pool.apply_async(abs, (-4,)).get(PATIENCE) == 4 and pool.starmap(pow, [(2, 3)]) == [
            8
        ]
        assert outcome("p.apply(int, ('x',))", p=pool).startswith("ValueError: invalid literal")
        assert type(pool).__name__ == "PoolProxy"


# ---------------------------------------------------------------- addresses


def address_of(kind, folder):
    return {"tcp": ("127.0.0.1", 0), "unix": str(folder / "socket"), "abstract": f"\0{folder}"}[
        kind
    ]


@pytest.mark.parametrize("at", ["tcp", "unix", "abstract"])
@pytest.mark.parametrize("serializer", ["pickle", "xmlrpclib"])
def test_managers_with_an_address(at, serializer, tmp_path):
    if serializer == "xmlrpclib" and at == "abstract":
        pytest.skip("XML has no \\0")
    manager = OurManager(address_of(at, tmp_path), b"secret", serializer)
    with manager:
        assert at == "tcp" or os.fsdecode(manager.address) == address_of(at, tmp_path)
        other = OurManager(manager.address, b"secret", serializer)
        other.connect()
        shared, row = manager.dict(a=1), other.list([1])
        shared["b"] = 2
        row.append(2)
        assert shared.copy() == {"a": 1, "b": 2} and str(row) == "[1, 2]"
        assert manager.Counter(1).where() == other.Counter(1).where() == manager._process.pid
        assert manager._number_of_objects() == other._number_of_objects() == 2
        if serializer == "pickle":
            assert outcome("m.dict()['z']", m=other) == "KeyError: 'z'"


def test_a_wrong_key_is_refused(tmp_path):
    with OurManager(str(tmp_path / "socket"), b"secret") as manager:
        for key in (b"wrong", b""):
            other = OurManager(manager.address, key)
            with pytest.raises(mp.AuthenticationError):
                other.connect()
        assert manager.Counter().next() == 1


def test_nobody_there(tmp_path):
    for address in (str(tmp_path / "none"), ("127.0.0.1", 1)):
        with pytest.raises(OSError):
            OurManager(address, b"secret").connect()


def test_a_server_in_this_process(tmp_path):
    kept = queue.Queue()

    class Here(BaseManager):
        pass

    Here.register("get_queue", callable=lambda: kept)
    server = Here(str(tmp_path / "socket"), b"secret").get_server()
    thread = threading.Thread(target=pytest.raises, args=(SystemExit, server.serve_forever))
    thread.start()

    class There(BaseManager):
        pass

    There.register("get_queue")
    there = There(server.address, b"secret")
    there.connect()
    there.get_queue().put("from afar")
    assert kept.get(timeout=PATIENCE) == "from afar"
    connection = there._Client(server.address, authkey=b"secret")
    managers.dispatch(connection, None, "shutdown")
    connection.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()


# ---------------------------------------------------------------- a killed server


def is_refused(error):
    return kind_of(error) in (
        "ConnectionResetError",
        "ConnectionRefusedError",
        "FileNotFoundError",
        "EOFError",
        "BrokenPipeError",
    )


@each_kind
@each_method
def test_a_killed_server_is_an_error_and_no_hang(method, kind, tmp_path):
    manager = kind(ctx=mp.get_context(method))
    manager.start()
    counter, tasks, got = manager.Counter(), manager.PriorityQueue(), []
    assert counter.next() == 1
    thread = threading.Thread(target=lambda: got.append(outcome("t.get()", t=tasks)))
    thread.start()
    server = manager._process
    server.kill()
    server.join(PATIENCE)
    thread.join(PATIENCE)
    assert got and is_refused(got[0]), got
    for code in ("c.next()", "m.Counter()", "t.put(1)", "str(c) and c.where()"):
        assert is_refused(found := outcome(code, c=counter, m=manager, t=tasks)), found
    if kind is OurManager:
        shared = manager.dict(a=1)  # needs no server
        assert str(shared) == "{'a': 1}"
    manager.shutdown()
    assert server.exitcode == -signal.SIGKILL and not mp.active_children()


def test_a_killed_server_of_segments():
    manager = SharedMemoryManager()
    manager.start()
    segment, row = manager.SharedMemory(10), manager.ShareableList([1, "two"])
    assert row[1] == "two" and segment.size >= 10
    manager._process.kill()
    manager._process.join(PATIENCE)
    for make in (lambda: manager.SharedMemory(10), lambda: manager.ShareableList([1])):
        with pytest.raises(OSError):
            make()
    assert row[1] == "two"
    for kept in (segment, row.shm):
        kept.close()
        kept.unlink()
    manager.shutdown()
