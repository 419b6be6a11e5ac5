"""Locks, semaphores, conditions, events and barriers, over the Rust core's.

Each is a place in shared memory: no descriptor, no named semaphore, nothing that is left behind.
`acquire`, `release`, `set` and `wait` *are* the core's methods. This file adds what
`multiprocessing` has around them: the factories' arguments, reprs, pickling, a condition's lock and
the warning about abandoned locks.

A handle of each may go anywhere in the family: as a Process argument, to a Pool's worker, inside a
queue's message or a shared object.
"""

import os
import signal
import sys
import threading
import time
import warnings

from . import _aio, _docs
from ._core import BarrierBase, ConditionBase, EventBase, LockBase, SemaphoreBase
from ._family import Travels
from ._member import introduce
from ._std import process

__all__ = ["BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore"]

RECURSIVE_MUTEX, SEMAPHORE = range(2)
SEM_VALUE_MAX = 2**31 - 1


# For those who take over a lock from this process. A child has its name from its first line on.
introduce(process.current_process().name)


class AbandonedLockWarning(RuntimeWarning):
    """The process that held the lock was killed or crashed, and this one has the lock now.

    What the lock protects may be half done. Attributes: `pid`, `name` (the process's), `exitcode`
    (negative for a signal, as in `Process.exitcode`; None if it is not known).
    """

    def __init__(self, message, pid=None, name=None, exitcode=None):
        super().__init__(message)
        self.pid = pid
        self.name = name
        self.exitcode = exitcode


def _warn_abandoned(lock, pid, name, exitcode):
    """Called by the core for the acquire that got the lock."""
    if exitcode is None:
        exitcode = _exitcode_of_child(pid)
    text = (
        f"this {type(lock).__name__} was held by process {pid}{f' ({name})' if name else ''},"
        f" which {_how(exitcode)}: what the lock protects may be half done"
    )
    # At the line that asked for the lock: it may have done so through a condition or a value.
    level, frame = 2, sys._getframe(1)
    while frame and frame.f_globals.get("__name__", "").startswith(f"{__package__}."):
        level, frame = level + 1, frame.f_back
    warnings.warn(AbandonedLockWarning(text, pid, name, exitcode), stacklevel=level)


def _exitcode_of_child(pid):
    for child in list(process._dangling):
        if child._popen is not None and child.pid == pid and child._parent_pid == os.getpid():
            return child.exitcode
    return None


def _how(exitcode):
    if exitcode is None:
        return "died"
    if exitcode >= 0:
        return f"exited with code {exitcode} without releasing it"
    try:
        return f"was killed by {signal.Signals(-exitcode).name}"
    except ValueError:
        return f"was killed by signal {-exitcode}"


class SemLock(Travels):
    """What locks and semaphores have in common."""

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


class Lock(SemLock, _aio.AsyncLock, LockBase):
    __doc__ = _docs.LOCK

    kind = SEMAPHORE
    maxvalue = 1

    def __init__(self, *, ctx):
        self._create(False)

    def __repr__(self):
        return f"<{type(self).__name__}(owner={self._owner()})>"


class RLock(SemLock, _aio.AsyncRLock, LockBase):
    __doc__ = _docs.RLOCK

    kind = RECURSIVE_MUTEX
    maxvalue = 1

    def __init__(self, *, ctx):
        self._create(True)

    def __repr__(self):
        owner = self._owner()
        count = 0 if owner == "None" else self._count() if self._is_mine() else "nonzero"
        return f"<{type(self).__name__}({owner}, {count})>"


class Semaphore(SemLock, _aio.AsyncLock, SemaphoreBase):
    __doc__ = _docs.SEMAPHORE

    kind = SEMAPHORE

    def __init__(self, value=1, *, ctx):
        self._create(value, SEM_VALUE_MAX)

    def get_value(self):
        """Returns how many permits there are at this moment."""
        return self._get_value()

    def __repr__(self):
        return f"<{type(self).__name__}(value={self._get_value()})>"


class BoundedSemaphore(Semaphore):
    __doc__ = _docs.BOUNDED_SEMAPHORE

    def __init__(self, value=1, *, ctx):
        self._create(value, value)

    def __repr__(self):
        name, value = type(self).__name__, self._get_value()
        return f"<{name}(value={value}, maxvalue={self.maxvalue})>"


class Condition(Travels, ConditionBase):
    __doc__ = _docs.CONDITION

    def __init__(self, lock=None, *, ctx):
        self._create()
        self._set_lock(lock or ctx.RLock())

    def _set_lock(self, lock):
        self._lock = lock
        self.acquire = lock.acquire
        self.release = lock.release

    def __getstate__(self):
        return self._lock, super().__getstate__()

    def __setstate__(self, state):
        lock, state = state
        super().__setstate__(state)
        self._set_lock(lock)

    def __enter__(self):
        return self._lock.__enter__()

    def __exit__(self, *args):
        return self._lock.__exit__(*args)

    def __repr__(self):
        return f"<{type(self).__name__}({self._lock}, {self._waiting()})>"

    # Counts under the standard library's names; who has been woken is no longer counted here.
    _sleeping_count = property(lambda self: _Count(self._waiting))
    _woken_count = _wait_semaphore = property(lambda self: _Count(int))

    def _check_mine(self, text):
        assert self._lock._semlock._is_mine(), text

    def wait(self, timeout=None):
        """Releases the lock, waits for a notification, and takes the lock again.

        Returns False if `timeout` seconds passed before one came.
        """
        self._check_mine("must acquire() condition before using wait()")
        waiter = self._enlist()
        count = self._lock._semlock._count()
        for _ in range(count):
            self._lock.release()
        try:
            waiter.wait(timeout)
        except BaseException:
            waiter.withdraw()
            raise
        finally:
            for _ in range(count):
                self._lock.acquire()
        # Only now: if this process is killed before it has the lock, another one is woken.
        return waiter.leave()

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


class Event(Travels, EventBase):
    __doc__ = _docs.EVENT

    def __init__(self, *, ctx):
        self._create()

    def __repr__(self):
        state = "set" if self.is_set() else "unset"
        return f"<{type(self).__qualname__} at {id(self):#x} {state}>"


def check_parties(parties):
    """ValueError if so many cannot meet at a barrier."""
    if parties < 1:
        raise ValueError("parties must be > 0")
    if parties > 65535:
        raise ValueError("parties must be < 65536: so many can meet at a barrier")


class Barrier(Travels, BarrierBase, threading.Barrier):
    __doc__ = _docs.BARRIER

    def __init__(self, parties, action=None, timeout=None, *, ctx):
        check_parties(parties)
        self._create(parties)
        self._action = action
        self._timeout = timeout

    def __getstate__(self):
        return self._action, self._timeout, super().__getstate__()

    def __setstate__(self, state):
        self._action, self._timeout, state = state
        super().__setstate__(state)

    def wait(self, timeout=None):
        """Waits for the others; returns a number from 0 on, another one to each.

        Raises threading.BrokenBarrierError, in all who wait, if one waits longer than its timeout
        in seconds, the action raises, the barrier is reset or aborted, or a process dies that
        waits.
        """
        return self._wait(self._action, self._timeout if timeout is None else timeout)
