"""Managers with a server: registered classes, addresses, and programs of `multiprocessing`'s own on the
other side."""

import collections
import os
import queue
import signal
import subprocess
import sys
import threading

import pytest
from manager_support import kind_of, outcome
from support import METHODS, PATIENCE, each_method, ended, run, script

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


# ---------------------------------------------------------------- programs of the standard library's

SIDES = {
    "stdlib": """
import multiprocessing as mp
from multiprocessing import managers
""",
    "procession": """
import procession as mp
from procession import managers
""",
    "installed": """
import procession
procession.install()
import multiprocessing as mp
from multiprocessing import managers
assert mp is procession
""",
}
SERVER = """
import collections, queue, sys

class Counter:
    value = 0
    def next(self):
        self.value += 1
        return self.value
    def numbers(self, n):
        return iter(range(n))

kept = queue.Queue()
def get_kept():
    return kept

class Manager(managers.SyncManager):
    pass

Manager.register("Counter", Counter, method_to_typeid={"numbers": "Iterator"})
Manager.register("get_kept", callable=get_kept)

if __name__ == "__main__":
    address = ("127.0.0.1", 0) if sys.argv[1] == "tcp" else sys.argv[1]
    with Manager(address, b"secret") as manager:
        manager.get_kept().put("from the server")
        print(manager.address, flush=True)
        sys.stdin.read()
    print("ended")
"""
CLIENT = """
import ast, sys

class Manager(managers.SyncManager):
    pass

class CounterProxy(managers.BaseProxy):
    def next(self):
        return self._callmethod("next")
    def numbers(self, n):
        return self._callmethod("numbers", (n,))

Manager.register("Counter", proxytype=CounterProxy)
Manager.register("get_kept")

def work(shared, row, counter, kept, lock):
    with lock:
        shared["worked"] = row.pop()
        shared["counted"] = counter.next()
    kept.put("from the child")

if __name__ == "__main__":
    address = sys.argv[1]
    mp.current_process().authkey = b"secret"
    manager = Manager(ast.literal_eval(address) if address[0] == "(" else address, b"secret")
    manager.connect()
    shared, row, counter = manager.dict(a=1), manager.list([1, 2, 3]), manager.Counter()
    kept, lock = manager.get_kept(), manager.RLock()
    print(kept.get(timeout=20), counter.next(), str(shared), row[1:])
    print(type(shared).__name__, type(row).__name__, repr(shared).partition(" at ")[0])
    child = mp.get_context(sys.argv[2]).Process(target=work, args=(shared, row, counter, kept, lock))
    child.start()
    print(kept.get(timeout=20))
    child.join()
    print(sorted(shared.items()), str(row), child.exitcode)
    names, value, array = manager.Namespace(x=1), manager.Value("i", 5), manager.Array("i", [1, 2])
    names.y = value.value = array[0] = 7
    print(names, value, array, names.y, len(array))
    event, condition, barrier = manager.Event(), manager.Condition(), manager.Barrier(1)
    event.set()
    with condition:
        condition.notify()
    print(event.wait(1), barrier.wait(), barrier.parties, list(shared), list(counter.numbers(3)))
    row.append(manager.dict(inner=1))
    row[-1]["more"] = shared
    print(len(row[-1]["more"]), row[-1]["inner"])
    for attempt in "shared['none']", "row[9]", "array['x']", "names.none", "kept.get_nowait()":
        try:
            eval(attempt)
        except Exception as error:
            print(type(error).__name__, error)
    try:
        Manager(manager.address, b"wrong").connect()
    except mp.AuthenticationError as error:
        print("refused")
"""


def play(server_side, client_side, method, folder, at):
    """What a client of such a server writes."""
    env = {**os.environ, "PYTHONHASHSEED": "0"}
    server = subprocess.Popen(
        [
            sys.executable,
            "-W",
            "error",
            script(folder, SIDES[server_side] + SERVER, "server.py"),
            at,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    )
    with server:
        try:
            address = server.stdout.readline().strip()
            client = script(folder, SIDES[client_side] + CLIENT, "client.py")
            return run(client, address, method, env=env)
        finally:
            assert server.communicate(timeout=PATIENCE)[0] == "ended\n"
            assert server.returncode == 0


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected")
    return play("stdlib", "stdlib", "fork", folder, str(folder / "socket"))


PAIRS = [(a, b) for a in SIDES for b in SIDES if (a, b) != ("stdlib", "stdlib")]


@pytest.mark.parametrize(("server_side", "client_side"), PAIRS)
def test_programs_on_either_side(server_side, client_side, tmp_path, expected):
    assert play(server_side, client_side, "fork", tmp_path, str(tmp_path / "socket")) == expected


@pytest.mark.parametrize(
    ("server_side", "client_side"), [("procession", "stdlib"), ("stdlib", "procession")]
)
def test_programs_with_a_network_between(server_side, client_side, tmp_path, expected):
    assert play(server_side, client_side, "fork", tmp_path, "tcp") == expected


@pytest.mark.parametrize("method", [method for method in METHODS if method != "fork"])
@pytest.mark.parametrize("side", ["procession", "installed"])
def test_programs_with_children_of_each_kind(method, side, tmp_path, expected):
    assert play("stdlib", side, method, tmp_path, str(tmp_path / "socket")) == expected


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
