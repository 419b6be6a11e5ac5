"""What a remote manager's locks, conditions and queues are: a context's, with the face that the
standard library's proxies have, and `threading`'s arguments and errors."""

import queue
import types

from .._core import RemoteQueueBase
from .._lockface import check_parties
from .._proxies import locks as _home
from .._std import managers as _std
from . import _aio, queues, synchronize
from ._proxied import Proxied

__all__ = ["KINDS"]

KINDS: dict = {}  # what a manager calls it → class


def _rebuild(typeid):
    return KINDS[typeid].__new__(KINDS[typeid])


class _Managed(Proxied):
    def __init_subclass__(cls, typeid=None, **kwargs):
        super().__init_subclass__(**kwargs)
        if typeid is None:
            return
        cls._typeid, KINDS[typeid] = typeid, cls
        if cls.__name__ == "BaseProxy":
            cls.__name__ = cls.__qualname__ = f"AutoProxy[{typeid}]"

    @classmethod
    def _made(cls, place, /, *args, **kwds):
        proxy = cls.__new__(cls)
        proxy._open(place, *args, **kwds)
        return proxy

    def __reduce__(self):
        # Several have the name of one class of the standard library's.
        return _rebuild, (self._typeid,), self.__getstate__()


def _patience(blocking, timeout, text):
    """A timeout of `threading`'s as one of `multiprocessing`'s."""
    if timeout is None or timeout == -1:
        return None
    if not blocking:
        raise ValueError(text)
    if timeout < 0:
        raise ValueError("timeout value must be a non-negative number")
    return timeout


class _Lock(_Managed):
    def _open(self, place):
        self._begin(place, self._reentrant)

    def acquire(self, blocking=True, timeout=None):
        """Takes the lock; waits for it if blocking is true, at most timeout seconds."""
        text = "can't specify a timeout for a non-blocking call"
        return super().acquire(blocking, _patience(blocking, timeout, text))

    _text = _home.LockProxy._text


class LockProxy(_Lock, synchronize.Lock, _std.AcquirerProxy, typeid="Lock"):
    """A lock on a server: a lease, as `remote.synchronize.Lock`."""

    def release(self):
        try:
            super().release()
        except ValueError:
            raise RuntimeError("release unlocked lock") from None

    _details = _home.LockProxy._details


class RLockProxy(_Lock, synchronize.RLock, _std.AcquirerProxy, typeid="RLock"):
    """A lock on a server that its holder may take again."""

    def release(self):
        try:
            super().release()
        except AssertionError:
            raise RuntimeError("cannot release un-acquired lock") from None

    _details = _home.RLockProxy._details


class _Permits(_Managed):
    def _open(self, place, value=1):
        if value < 0:
            raise ValueError("semaphore initial value must be >= 0")
        self._begin(place, value, self._bounded)

    def acquire(self, blocking=True, timeout=None):
        """Takes a permit; waits for one if blocking is true, at most timeout seconds."""
        if not blocking and timeout is not None:
            raise ValueError("can't specify timeout for non-blocking acquire")
        return super().acquire(blocking, timeout)

    def release(self, n=1):
        """Gives n permits back. ValueError if fewer had been taken, and it is bounded."""
        if n < 1:
            raise ValueError("n must be one or more")
        try:
            self._give(n)
        except ValueError:
            raise ValueError("Semaphore released too many times") from None

    _text = _home.SemaphoreProxy._text
    _state = _home.SemaphoreProxy._state


class SemaphoreProxy(_Permits, synchronize.Semaphore, _std.AcquirerProxy, typeid="Semaphore"):
    """A semaphore on a server."""


class BoundedSemaphoreProxy(
    _Permits, synchronize.BoundedSemaphore, _std.AcquirerProxy, typeid="BoundedSemaphore"
):
    """A semaphore on a server that is never released more often than acquired."""

    _state = _home.BoundedSemaphoreProxy._state


class ConditionProxy(_Managed, synchronize.Condition, _std.ConditionProxy, typeid="Condition"):
    """A condition on a server, with a lock of a manager's, or one of its own."""

    def _open(self, place, lock=None):
        if lock is None:
            lock = RLockProxy._made(place)
        lock.acquire  # noqa: B018 (what is no lock is told as by threading's)
        synchronize._check_lock(lock, place._server)
        self._begin(place)
        self._set_lock(lock)

    def _check_mine(self, text):
        self._lock._check_here()
        _home.ConditionProxy._check_mine(self, text)

    _text = _home.ConditionProxy._text


class EventProxy(_Managed, synchronize.Event, _std.EventProxy, typeid="Event"):
    """An event on a server."""

    def _open(self, place):
        self._begin(place)

    _text = _home.EventProxy._text


class BarrierProxy(_Managed, synchronize.Barrier, _std.BarrierProxy, typeid="Barrier"):
    """A barrier on a server; the last one to come runs the action."""

    def _open(self, place, parties, action=None, timeout=None):
        check_parties(parties)
        self._begin(place, parties)
        self._action, self._timeout = action, timeout

    _text = _home.BarrierProxy._text


def _check_time(block, timeout):
    if block and timeout is not None and timeout < 0:
        raise ValueError("'timeout' must be a non-negative number")


class _Queue(_Managed, queues._Shared, _aio.AsyncJoin, _std.BaseProxy):
    _exposed_ = tuple(name for name in vars(queue.Queue) if not name.startswith("_"))

    def _open(self, place, maxsize=0):
        self._begin(place, "joinable_queue", maxsize, 0)

    def put(self, item, block=True, timeout=None):
        """Puts an object; waits for room if block is true, at most timeout seconds."""
        _check_time(block, timeout)
        RemoteQueueBase.put(self, item, block, timeout)

    def get(self, block=True, timeout=None):
        """Takes an object; waits for one if block is true, at most timeout seconds."""
        _check_time(block, timeout)
        return RemoteQueueBase.get(self, block, timeout)

    def task_done(self):
        """Says that an object that was got is dealt with."""
        self._put_done()

    def join(self):
        """Waits until all objects that were put are dealt with."""
        self._join()

    def shutdown(self, immediate=False):
        """Ends the queue, for all processes: `put` raises `queues.ShutDown`, and so does `get` when
        it is empty; `immediate` empties it."""
        self._shut_down(bool(immediate))

    def _text(self):
        return f"<queue.Queue object at {id(self):#x}>"

    __class_getitem__ = classmethod(types.GenericAlias)  # type: ignore[var-annotated]


class QueueProxy(_Queue, typeid="Queue"):
    """A queue on a server, whose objects can be reported as dealt with."""


class JoinableQueueProxy(_Queue, typeid="JoinableQueue"):
    """The same as `Queue`."""
