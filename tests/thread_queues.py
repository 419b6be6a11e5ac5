"""What the tests of thread queues use."""

import contextlib
import queue as standard
import threading

import pytest
from support import PATIENCE, until

from procession import queue

KINDS = ("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue")
# The standard library's as well: so what a test demands is what theirs do.
MODULES = {"stdlib": standard, "procession": queue}
each_module = pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
each_kind = pytest.mark.parametrize("kind", KINDS)
# Ours has shutdown() on every Python.
each_with_shutdown = pytest.mark.parametrize(
    "module",
    [m for m in MODULES.values() if hasattr(m, "ShutDown")],
    ids=[n for n, m in MODULES.items() if hasattr(m, "ShutDown")],
)


class Calls:
    """Calls in threads of their own, whose results or errors are waited for."""

    def __init__(self):
        self.threads = []

    def start(self, function, *args, **kwargs):
        call = _Call(function, args, kwargs)
        self.threads.append(call)
        call.start()
        return call


class _Call(threading.Thread):
    def __init__(self, function, args, kwargs):
        super().__init__(daemon=True)
        self.call = function, args, kwargs
        self.outcome = None

    def run(self):
        function, args, kwargs = self.call
        try:
            self.outcome = True, function(*args, **kwargs)
        except BaseException as error:
            self.outcome = False, error
        del self.call, function, args, kwargs

    def result(self):
        self.join(PATIENCE)
        assert not self.is_alive(), "a thread still waits"
        good, value = self.outcome
        if not good:
            raise value
        return value


@pytest.fixture
def calls():
    """Starts calls in threads; none may be left at the end."""
    calls = Calls()
    yield calls.start
    for call in calls.threads:
        call.join(PATIENCE)
        assert not call.is_alive(), "a thread still waits"


def until_blocked(*calls):
    """Waits until threads sleep in the kernel, each for longer than it takes to look twice."""

    def asleep():
        return all(_state(call.native_id) == "S" for call in calls)

    for _ in range(20):
        until(asleep, "threads that sleep")


def _state(thread):
    try:
        with open(f"/proc/self/task/{thread}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def drained(q):
    """All that is in a queue, in the order in which it comes."""
    items = []
    with contextlib.suppress(standard.Empty):
        while True:
            items.append(q.get_nowait())
    return items


def opened(q):
    """A queue in the mode in which its parts can be touched."""
    q.mutex  # noqa: B018
    assert q._is_open
    return q
