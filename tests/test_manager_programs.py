"""Programs over a manager with an address, where one side, or both, is `multiprocessing`'s own: they
write the same."""

import os
import subprocess
import sys

import pytest
from support import METHODS, PATIENCE, run, script

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
