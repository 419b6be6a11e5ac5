"""Procession's managers and those of others: over a socket, in the standard library's protocol."""

import copyreg
import multiprocessing
import multiprocessing.managers
import pickle
import subprocess
import sys

import pytest
from server_support import (
    KEY,
    Counter,
    CounterProxy,
    Numbers,
    each_family,
    in_thread,
    is_over_ring,
    is_over_socket,
    new_address,
    started,
)
from support import PATIENCE, run, script

import procession as mp
from procession import _managing, reduction
from procession.managers import BaseManager, BaseProxy, SyncManager

CLIENT = """
import sys
{imports}
class Manager(SyncManager): pass
Manager.register("Counter")
address, key = eval(sys.stdin.read())
manager = Manager(address=address, authkey=key)
manager.connect()
counter, names = manager.Counter(), manager.list(["x"])
counter.next()
names.append(counter.next())
print(names, manager._number_of_objects())
{check}
"""
THEIRS = CLIENT.format(
    imports="from multiprocessing.managers import SyncManager",
    check="assert not any('procession' in name for name in sys.modules)",
)
OTHER_FAMILY = CLIENT.format(
    imports="import procession\nfrom procession.managers import SyncManager\nprocession.Pipe()",
    check="assert not procession.connection.is_ring(counter._tls.connection)",
)

SERVER = """
import sys, threading
from multiprocessing import managers
accepted = []
class Counter:
    n = 0
    def next(self):
        self.n += 1
        return self.n
    def connections(self):
        return len(accepted)
class Server(managers.Server):
    def accept_connection(self, c, name):
        accepted.append(name)
        super().accept_connection(c, name)
    def incref(self, *args):
        accepted.append("incref")
        super().incref(*args)
class Manager(managers.BaseManager): pass
Manager.register("Counter", Counter)
address, key = eval(sys.stdin.readline())
server = Server(Manager._registry, address, key, "pickle")
print(repr(server.address), flush=True)
assert not any("procession" in name for name in sys.modules)
server.serve_forever()
"""


class Registered(SyncManager):
    pass


Registered.register("Counter", Counter)


@pytest.mark.parametrize("program", [THEIRS, OTHER_FAMILY], ids=["stdlib", "other family"])
@pytest.mark.parametrize("family", ["abstract", "TCP"])
def test_their_client(family, program, tmp_path):
    with started(family, kind=Registered, key=KEY) as manager:
        mine = manager.list()
        mine.append(1)
        assert is_over_ring(mine)
        where = repr((manager.address, KEY))
        assert run(script(tmp_path, program), stdin=where) == "['x', 2] 3\n"


class TheirServer:
    def __init__(self, family):
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.process.stdin.write(f"{(new_address(family), KEY)!r}\n")
        self.process.stdin.flush()

    def __enter__(self):
        return eval(self.process.stdout.readline())

    def __exit__(self, *exc_info):
        self.process.kill()
        self.process.communicate(timeout=PATIENCE)


class FromElsewhere(BaseManager):
    pass


class FromElsewhereTheirs(multiprocessing.managers.BaseManager):
    pass


for each in (FromElsewhere, FromElsewhereTheirs):
    each.register("Counter")


def connections_of(kind, address):
    """How many connections a few proxies and threads cost, beside each other's."""
    manager = kind(address=address, authkey=KEY)
    manager.connect()
    counter = manager.Counter()
    before = counter.connections()
    for _ in range(3):
        in_thread(counter.next)
        manager.Counter().next()
    assert is_over_socket(counter)
    return counter.connections() - before


@each_family
def test_their_server(family, monkeypatch):
    """One offer, which costs no connection."""
    offers = []
    offer = _managing._offer
    monkeypatch.setattr(_managing, "_offer", lambda *args: offers.append(args) or offer(*args))
    mp.Pipe()  # there is a family to offer
    with TheirServer(family) as address:
        theirs = connections_of(FromElsewhereTheirs, address)
        # The entry is shared by all proxies of the address, also theirs.
        del BaseProxy._address_to_local[address]
        assert connections_of(FromElsewhere, address) == theirs
        assert len(offers) == 1
        known, _ = BaseProxy._address_to_local.pop(address)
        assert known.is_strangers


def test_theirs_in_the_same_process():
    """Who uses `multiprocessing` itself has what it always was."""
    mp.Pipe()
    with multiprocessing.get_context("fork").Manager() as manager:
        shared = manager.list([1])
        assert shared[0] == 1
        assert is_over_socket(shared) and type(shared._tls) is not _managing._Line
        a, b = mp.Pipe()
        a.send(shared)
        assert b.recv()[0] == 1


def test_pickles_for_strangers():
    with started() as manager:
        for proxy in (manager.Counter(), manager.Own()):
            for text in (pickle.dumps(proxy), bytes(reduction.ForkingPickler.dumps(proxy))):
                assert b"procession" not in text and b"RebuildProxy" in text
            assert proxy.next() == 1


class Reduced(CounterProxy):
    pass


Numbers.register("Reduced", Counter, Reduced)


def test_registered_reducers():
    with started() as manager:
        proxy = manager.Reduced()
        copyreg.pickle(Reduced, lambda proxy: (str, ("instead",)))
        try:
            a, b = mp.Pipe()
            a.send(proxy)
            assert b.recv() == "instead"
        finally:
            del copyreg.dispatch_table[Reduced]
