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
import warnings

from . import _aio, _docs, _lockface
from ._core import BarrierBase, ConditionBase, EventBase, LockBase, SemaphoreBase
from ._family import Travels
from ._lockface import (
    SEM_VALUE_MAX,
    BoundedFace,
    ConditionFace,
    EventFace,
    PlainFace,
    ReentrantFace,
    SemaphoreFace,
    check_parties,
)
from ._member import introduce
from ._std import process

__all__ = ["BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore"]

RECURSIVE_MUTEX, SEMAPHORE = _lockface.RECURSIVE_MUTEX, _lockface.SEMAPHORE


# For those who take over a lock from this process. A child has its name from its first line on.
introduce(process.current_process().name)


class AbandonedLockWarning(RuntimeWarning):
    """The process that held the lock was killed or crashed, and this one has the lock now.

    What the lock protects may be half done. Attributes: `pid`, `name` (the process's), `exitcode`
    (negative for a signal, as in `Process.exitcode`; None if it is not known), and `host`, the
    machine's name, of a lock on a server: there it may also be stopped, or cut off.
    """

    def __init__(self, message, pid=None, name=None, exitcode=None, host=None):
        super().__init__(message)
        self.pid = pid
        self.name = name
        self.exitcode = exitcode
        self.host = host


def _warn_abandoned(lock, pid, name, exitcode):
    """Called by the core for the acquire that got the lock."""
    if exitcode is None:
        exitcode = _exitcode_of_child(pid)
    text = (
        f"this {type(lock).__name__} was held by process {pid}{f' ({name})' if name else ''},"
        f" which {_how(exitcode)}: what the lock protects may be half done"
    )
    warn_outside(AbandonedLockWarning(text, pid, name, exitcode))


def warn_outside(warning):
    """At the line that asked for the lock: it may have done so through a condition or a value."""
    level, frame = 2, sys._getframe(1)
    while frame and frame.f_globals.get("__name__", "").startswith(f"{__package__}."):
        level, frame = level + 1, frame.f_back
    warnings.warn(warning, stacklevel=level)


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


class Lock(PlainFace, SemLock, _aio.AsyncLock, LockBase):
    __doc__ = _docs.LOCK

    def __init__(self, *, ctx):
        self._create(False)


class RLock(ReentrantFace, SemLock, _aio.AsyncRLock, LockBase):
    __doc__ = _docs.RLOCK

    def __init__(self, *, ctx):
        self._create(True)


class Semaphore(SemaphoreFace, SemLock, _aio.AsyncLock, SemaphoreBase):
    __doc__ = _docs.SEMAPHORE

    def __init__(self, value=1, *, ctx):
        self._create(value, SEM_VALUE_MAX)


class BoundedSemaphore(BoundedFace, Semaphore):
    __doc__ = _docs.BOUNDED_SEMAPHORE

    def __init__(self, value=1, *, ctx):
        self._create(value, value)


class Condition(ConditionFace, Travels, ConditionBase):
    __doc__ = _docs.CONDITION

    def __init__(self, lock=None, *, ctx):
        self._create()
        self._set_lock(lock or ctx.RLock())

    def __getstate__(self):
        return self._lock, super().__getstate__()

    def __setstate__(self, state):
        lock, state = state
        super().__setstate__(state)
        self._set_lock(lock)

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


class Event(EventFace, Travels, EventBase):
    __doc__ = _docs.EVENT

    def __init__(self, *, ctx):
        self._create()


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
