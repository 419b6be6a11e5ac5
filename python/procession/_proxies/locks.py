"""Locks, semaphores, conditions, events and barriers: with `threading`'s arguments and errors."""

import threading

from .. import synchronize
from .._core import BarrierBase, EventBase, LockBase, SemaphoreBase
from .._std import managers as _std
from .base import Shared, make


class _Acquirer(Shared, _std.AcquirerProxy):
    """What locks and semaphores have in common."""

    @property
    def _semlock(self):
        return self


class LockProxy(LockBase, _Acquirer, typeid="Lock"):
    """A lock between processes. If its holder dies the next one has it, with a warning."""

    _reentrant = False

    def _begin(self):
        self._create(self._reentrant)

    def _text(self):
        state = "locked" if self.locked() else "unlocked"
        return f"<{state} _thread.{self._details()} at {id(self):#x}>"

    def _details(self):
        return "lock object"


class RLockProxy(LockProxy, typeid="RLock"):
    """A lock that its holder may take again."""

    _reentrant = True

    def _details(self):
        # The thread, if it is of this process; else the holder is a process.
        holder = threading.get_ident() if self._is_mine() else (self._holder() or (0,))[0]
        return f"RLock object owner={holder} count={self._count()}"


class SemaphoreProxy(SemaphoreBase, _Acquirer, typeid="Semaphore"):
    """A semaphore between processes."""

    def _begin(self, value=1):
        if value < 0:
            raise ValueError("semaphore initial value must be >= 0")
        self._create(value, synchronize.SEM_VALUE_MAX)

    def acquire(self, blocking=True, timeout=None):
        """Takes a permit; waits for one if blocking is true, at most timeout seconds."""
        if not blocking and timeout is not None:
            raise ValueError("can't specify timeout for non-blocking acquire")
        return SemaphoreBase.acquire(self, blocking, timeout)

    def release(self, n=1):
        """Gives n permits back."""
        if n < 1:
            raise ValueError("n must be one or more")
        self._give(n)

    def _text(self):
        name = f"threading.{self._typeid}"
        return f"<{name} at {id(self):#x}: value={self._state()}>"

    def _state(self):
        return f"{self._get_value()}"


class BoundedSemaphoreProxy(SemaphoreProxy, typeid="BoundedSemaphore"):
    """A semaphore that is never released more often than acquired."""

    def _begin(self, value=1):
        if value < 0:
            raise ValueError("semaphore initial value must be >= 0")
        self._create(value, value)

    def release(self, n=1):
        """Gives n permits back. ValueError if fewer had been taken."""
        try:
            super().release(n)
        except ValueError:
            if n < 1:
                raise
            raise ValueError("Semaphore released too many times") from None

    def _state(self):
        return f"{self._get_value()}/{self.maxvalue}"


class ConditionProxy(Shared, synchronize.Condition, _std.ConditionProxy, typeid="Condition"):
    """A condition between processes, with a lock of a manager's, or one of its own."""

    _lock = None

    def _begin(self, lock=None):
        self._create()
        self._lock = lock

    def _belong_to(self, scope):
        super()._belong_to(scope)
        self._set_lock(make(scope, "RLock") if self._lock is None else self._lock)

    def _rest(self):
        return (self._lock,)

    def _travelled(self, lock):
        self._lock = lock

    def _check_mine(self, text):
        if not self._lock._semlock._is_mine():
            verb = "wait" if "wait" in text else "notify"
            raise RuntimeError(f"cannot {verb} on un-acquired lock")

    def _text(self):
        return f"<Condition({self._lock}, {self._waiting()})>"


class EventProxy(Shared, EventBase, _std.EventProxy, typeid="Event"):
    """An event between processes."""

    def _begin(self):
        self._create()

    def _text(self):
        return f"<threading.Event at {id(self):#x}: {'set' if self.is_set() else 'unset'}>"


class BarrierProxy(Shared, BarrierBase, _std.BarrierProxy, typeid="Barrier"):
    """A barrier between processes; the last one to come runs the action."""

    _action = _timeout = None

    def _begin(self, parties, action=None, timeout=None):
        synchronize.check_parties(parties)
        self._create(parties)
        self._action, self._timeout = action, timeout

    def _rest(self):
        return self._action, self._timeout

    def _travelled(self, action, timeout):
        self._action, self._timeout = action, timeout

    def wait(self, timeout=None):
        """Waits for the others; returns a number from 0 on, another one to each."""
        return self._wait(self._action, self._timeout if timeout is None else timeout)

    def _text(self):
        name = f"threading.Barrier at {id(self):#x}"
        state = "broken" if self.broken else f"waiters={self.n_waiting}/{self.parties}"
        return f"<{name}: {state}>"
