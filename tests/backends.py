"""One suite for both back ends: the tests of queues, locks, containers and pools, in the arena and over
a server.

A module that says ``pytestmark = pytest.mark.both_backends`` is run twice. The second time its globals
`mp`, `queues`, `synchronize` and so on are the context that a server's address gives, and that one's
modules. What is of the arena alone in such a module has the mark `of_the_arena`, with the reason; what
cannot hold over a network is in `backend_differences.py`, and has to fail there.
"""

import contextlib
import functools
import importlib
import itertools
import multiprocessing
import os

import pool_workers
import pytest
from backend_differences import DIFFERENCES

import procession
from procession import _core

ARENA, SERVER = "arena", "redis"
LEASE = 1
# What a test module may have as a global, and what stands for it over a server.
MODULES = ("queues", "synchronize")
# Whose tests have been gone through; PROCESSION_BOTH=test_pool,... adds others.
READY = {
    "test_abandoned",
    "test_asyncio",
    "test_asyncio_locks",
    "test_asyncio_loops",
    "test_delivery",
    "test_executor",
    "test_executor_end",
    "test_kill",
    "test_manager",
    "test_manager_corners",
    "test_manager_keys",
    "test_manager_kill",
    "test_manager_model",
    "test_manager_objects",
    "test_manager_steps",
    "test_pool",
    "test_pool_failures",
    "test_pool_inside",
    "test_pool_owner",
    "test_pool_start",
    "test_progress",
    "test_queue_batches",
    "test_queue_end",
    "test_queue_order",
    "test_queue_order_processes",
    "test_queues",
    "test_redeliver",
    "test_redeliver_deaths",
    "test_synchronize",
    "test_travel",
}
READY |= set(os.environ.get("PROCESSION_BOTH", "").split(","))


def pytest_configure(config):
    for line in (
        "both_backends(workers=0): is run in the arena, and over a server, with that many for its pools",
        "of_the_arena(reason): in a module of both, a test of what there is in the arena only",
    ):
        config.addinivalue_line("markers", line)


def is_shared(item):
    return item.get_closest_marker("both_backends") and not is_of_the_arena(item)


def pytest_generate_tests(metafunc):
    if is_shared(metafunc.definition):
        both = [ARENA, SERVER] if metafunc.module.__name__ in READY else [ARENA]
        metafunc.parametrize("backend", both, indirect=True, scope="module")


def difference(item):
    """Why a test cannot hold over a server, if it cannot."""
    whole = f"{item.path.name}::{item.originalname}"
    exact = f"{item.path.name}::{item.name}"
    return DIFFERENCES.get(whole) or DIFFERENCES.get(exact)


def pytest_collection_modifyitems(items):
    # Of a test whose mark `of_the_arena` is one parameter's, the others are of both.
    items[:] = [item for item in items if not (is_over_server(item) and is_of_the_arena(item))]
    for item in filter(is_over_server, items):
        reason = difference(item)
        if reason is not None:
            item.add_marker(pytest.mark.xfail(strict=True, reason=reason))


def is_over_server(item):
    callspec = getattr(item, "callspec", None)
    return callspec is not None and callspec.params.get("backend") == SERVER


def is_of_the_arena(item):
    return item.get_closest_marker("of_the_arena") is not None


class Arena:
    """Where the package itself keeps what is shared."""

    name = ARENA
    url = None
    lease = 0
    context = procession
    executor = procession.ProcessPoolExecutor

    def waiting(self):
        """The processes that wait for something shared."""
        return {p["pid"] for p in _core.stats()["participants"] if p["waiting_on"] is not None}

    def queues(self):
        """How many there are."""
        return _core.stats()["queues"]

    def used(self):
        """The bytes that something takes up."""
        stats = _core.stats()
        return stats["arena_bytes"] - stats["idle_bytes"]

    def family(self, **options):
        """The named one that the tests are in."""
        return procession.Family("f", **options)


class Server:
    """A server of this run, with a prefix of its own."""

    name = SERVER
    lease = LEASE
    numbers = itertools.count()

    def __init__(self, server):
        self.server, self.prefix = server, f"both{os.getpid()}-{next(self.numbers)}"
        self.url = server.url(self.prefix, lease=LEASE)
        self.context = procession.get_context(self.url, allow_pickle=True)
        self.executor = functools.partial(procession.ProcessPoolExecutor, backend=self.url)

    def waiting(self):
        return {int(pid) for pid in self.server.call("EVAL", WAITING, 0, self.prefix)}

    def queues(self):
        keys = self.server.call("EVAL", OBJECTS, 0, self.prefix)
        return sum(kind.endswith(b"queue") for kind in keys)

    def used(self):
        return self.server.call("EVAL", USED, 0, self.prefix)

    def family(self, *, allow_pickle=True):
        return procession.Family(self.url, allow_pickle=allow_pickle)

    def end(self):
        self.server.call("EVAL", REMOVE, 0, self.prefix)


# What a server knows of a prefix. Who asks has time, so these look at all keys.
WAITING = """
local pids = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. ':*')) do
    if redis.call('TYPE', key).ok == 'zset' then
        for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
            local life = string.match(member, '^(%w+)')
            local pid = life and redis.call('HGET', ARGV[1] .. ':client:' .. life, 'pid')
            if pid then pids[#pids + 1] = pid end
        end
    end
end
return pids
"""
OBJECTS = """
local kinds = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. ':*')) do
    local kind = redis.call('TYPE', key).ok == 'hash' and redis.call('HGET', key, 'kind')
    if kind then kinds[#kinds + 1] = kind end
end
return kinds
"""
USED = """
local sum = 0
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. ':*')) do
    sum = sum + (redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0) or 0)
end
return sum
"""
REMOVE = """
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. ':*')) do redis.call('DEL', key) end
"""


class Face:
    """What a test module calls `mp`: the context, and what that has not of the package."""

    def __init__(self, backend):
        self._context = backend.context

    def __getattr__(self, name):
        if name in MODULES:
            return stand_in(name)
        try:
            return getattr(self._context, name)
        except AttributeError:
            return getattr(procession, name)


def stand_in(name):
    try:
        return importlib.import_module(f"procession.remote.{name}")
    except ModuleNotFoundError:
        return importlib.import_module(f"procession.{name}")


@contextlib.contextmanager
def in_place(module, backend):
    """While this lasts the module's tests are of that back end."""
    global current
    before, current = current, backend
    ours = {id(procession): Face(backend)}
    ours |= {id(getattr(procession, name)): stand_in(name) for name in MODULES}
    ours[id(procession.ProcessPoolExecutor)] = backend.executor
    was = {name: value for name, value in vars(module).items() if id(value) in ours}
    vars(module).update((name, ours[id(value)]) for name, value in was.items())
    try:
        yield
    finally:
        vars(module).update(was)
        current = before


current = Arena()
workers: set[int] = set()


@pytest.fixture(autouse=True)
def children_of_a_failure(request, nothing_left):
    """A test that is to fail leaves children that wait for it."""
    before = multiprocessing.active_children()
    yield
    if is_over_server(request.node) and difference(request.node):
        for child in multiprocessing.active_children():
            if child not in before:
                child.kill()
                child.join()


@pytest.fixture(scope="module", autouse=True)
def backend(request):
    """Where the module's tests have what they share. What a module keeps for all of them asks for this."""
    if getattr(request, "param", ARENA) == ARENA:
        yield current
        return
    backend = Server(request.getfixturevalue("shared_server"))
    processes = request.node.get_closest_marker("both_backends").kwargs.get("workers", 0)
    with serving(backend.url, processes), in_place(request.module, backend):
        yield backend
    backend.end()


@contextlib.contextmanager
def serving(url, processes):
    """That many processes of a worker serve the pools there."""
    if processes == 0:
        yield
        return
    with pool_workers.working(url, processes=processes) as worker:
        workers.add(worker.pid)
        yield
    workers.discard(worker.pid)
