"""What locks and their kin have around the core's methods, wherever they lie: in shared memory
(`procession.synchronize`) or on a server (`procession.remote.synchronize`)."""

import sys
import threading
import time

from ._std import process

RECURSIVE_MUTEX, SEMAPHORE = range(2)
SEM_VALUE_MAX = 2**31 - 1


class LockFace:
    """Of locks and semaphores."""

    @property
    def _semlock(self):
        return self

    def _owner(self):
        """Who holds it, as the reprs say it."""
        if self._is_mine():
            name = process.current_process().name
            if threading.current_thread().name != "MainThread":
                name += "|" + threading.current_thread().name
            return name
        if self._get_value():
            return "None"
        return "SomeOtherThread" if self._count() else "SomeOtherProcess"


class PlainFace(LockFace):
    kind = SEMAPHORE
    maxvalue = 1

    def __repr__(self):
        return f"<{type(self).__name__}(owner={self._owner()})>"


class ReentrantFace(LockFace):
    kind = RECURSIVE_MUTEX
    maxvalue = 1

    def __repr__(self):
        owner = self._owner()
        count = 0 if owner == "None" else self._count() if self._is_mine() else "nonzero"
        return f"<{type(self).__name__}({owner}, {count})>"


class SemaphoreFace(LockFace):
    kind = SEMAPHORE

    def get_value(self):
        """Returns how many permits there are at this moment."""
        return self._get_value()

    def __repr__(self):
        return f"<{type(self).__name__}(value={self._get_value()})>"


class BoundedFace:
    """Before the above."""

    def __repr__(self):
        name, value = type(self).__name__, self._get_value()
        return f"<{name}(value={value}, maxvalue={self.maxvalue})>"


class EventFace:
    def __repr__(self):
        state = "set" if self.is_set() else "unset"
        return f"<{type(self).__qualname__} at {id(self):#x} {state}>"


class ConditionFace:
    """All but `wait`."""

    def _set_lock(self, lock):
        self._lock = lock
        self.acquire = lock.acquire
        self.release = lock.release

    def __enter__(self):
        return self._lock.__enter__()

    def __exit__(self, *args):
        return self._lock.__exit__(*args)

    def __repr__(self):
        return f"<{type(self).__name__}({self._lock}, {self._waiting()})>"

    # Counts under the standard library's names; who has been woken is no longer counted here.
    @property
    def _sleeping_count(self):
        return _Count(self._waiting)

    @property
    def _woken_count(self):
        return _Count(int)

    @property
    def _wait_semaphore(self):
        return _Count(int)

    def _check_mine(self, text):
        assert self._lock._semlock._is_mine(), text

    def notify(self, n=1):
        """Wakes up to `n` of those who wait."""
        self._check_mine("lock is not owned")
        self._notify(max(0, min(int(n), SEM_VALUE_MAX)))

    def notify_all(self):
        """Wakes all who wait."""
        self.notify(n=sys.maxsize)

    def wait_for(self, predicate, timeout=None):
        """Waits until `predicate()` is true, at most `timeout` seconds; returns its last value."""
        endtime = None if timeout is None else time.monotonic() + timeout
        while not (result := predicate()):
            left = None if endtime is None else endtime - time.monotonic()
            if left is not None and left <= 0:
                break
            self.wait(left)
        return result


class _Count:
    """A number that is asked for like a semaphore's value."""

    def __init__(self, value):
        self.get_value = value


def check_parties(parties):
    """ValueError if so many cannot meet at a barrier."""
    if parties < 1:
        raise ValueError("parties must be > 0")
    if parties > 65535:
        raise ValueError("parties must be < 65536: so many can meet at a barrier")
