"""What the tests of managers with a server use."""

import multiprocessing
import os
import threading
import time
from multiprocessing.connection import Connection as TheirConnection

import pytest
from support import PATIENCE, descriptors

import procession as mp
from procession import connection
from procession.managers import BaseManager, BaseProxy

KEY = b"a key"


class Counter:
    def __init__(self, n=0):
        self.n = n
        self.mutex = threading.Lock()

    def next(self):
        with self.mutex:
            self.n += 1
            return self.n

    def echo(self, *args, **kwds):
        return args, kwds

    def fail(self):
        raise LookupError("as asked")

    def lock(self):
        return self.mutex

    def another(self):
        return Counter(100)

    def wait(self):
        threading.Event().wait()


class CounterProxy(BaseProxy):
    _exposed_ = ("next",)

    def next(self):
        return self._callmethod("next")


def about_server():
    """What a server says of itself, at the moment."""
    server = multiprocessing.current_process()._manager_server
    return type(server).__name__, threading.active_count(), descriptors()


class Numbers(BaseManager):
    pass


Numbers.register("Counter", Counter, method_to_typeid={"another": "Another"})
Numbers.register("Another", proxytype=CounterProxy, create_method=False)
Numbers.register("Own", Counter, CounterProxy)
Numbers.register("about", about_server, exposed=("__getitem__",))


def new_address(family):
    if family == "abstract":
        return f"\0procession-ring-{os.getpid()}-{time.monotonic_ns()}"
    return {"default": None, "TCP": ("127.0.0.1", 0)}[family]


each_family = pytest.mark.parametrize("family", ["default", "abstract", "TCP"])


def started(family="default", method="fork", kind=Numbers, key=None):
    manager = kind(address=new_address(family), authkey=key, ctx=mp.get_context(method))
    manager.start()
    return manager


def is_over_ring(proxy):
    return connection.is_ring(proxy._tls.connection)


def is_over_socket(proxy):
    return type(proxy._tls.connection) is TheirConnection


def in_thread(use):
    """Calls `use` in a thread of its own, and returns what it returns."""
    results = []
    thread = threading.Thread(target=lambda: results.append(use()), daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return results.pop()
