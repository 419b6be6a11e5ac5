"""Locks, semaphores, conditions, events and barriers on a server: the names, methods and meanings
of `procession.synchronize`, for any number of machines.

**A lock is a lease.** It is held while its holder's process renews its lease (the address's
`lease`); one that is killed, stopped or cut off for so long loses it. The next one gets it, with an
`AbandonedLockWarning`; who has lost it gets `LeaseLost`: at `release`, at the end of a `with`, at
`check()`, and when it acquires an `RLock` once more. `token` numbers the holds, so that what the
lock protects can refuse whoever comes late with a smaller one.
"""

import contextlib
import itertools
import os
import threading
import weakref

from .._core import (
    LeaseLost,
    RemoteBarrierBase,
    RemoteConditionBase,
    RemoteEventBase,
    RemoteLockBase,
    RemoteSemaphoreBase,
    ServerUnreachableError,
)
from .._lockface import (
    BoundedFace,
    ConditionFace,
    EventFace,
    PlainFace,
    ReentrantFace,
    SemaphoreFace,
    check_parties,
)
from ..synchronize import AbandonedLockWarning, _exitcode_of_child, _how, warn_outside
from . import _lockdocs as _docs
from ._aio import run
from ._server import Remote

__all__ = ["Barrier", "BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore"]


def _warn_abandoned(lock, pid, host, name, panicked):
    """Called by the core for the acquire that got the lock."""
    exitcode = None
    if panicked:
        became = "which panicked with it"
    else:
        if host == os.uname().nodename:
            exitcode = _exitcode_of_child(pid)
        if exitcode is None:
            became = "whose lease ran out: it has ended, is stopped, or does not reach the server"
        else:
            became = f"which {_how(exitcode)}"
    who = f"process {pid}{f' ({name})' if name else ''}{f' on {host}' if host else ''}"
    text = (
        f"this {type(lock).__name__} was held by {who}, {became}: what the lock protects may be"
        " half done"
    )
    warn_outside(AbandonedLockWarning(text, pid, name, exitcode, host))


class _Leased(Remote):
    """What both kinds of locks have around the core's methods."""

    _reentrant: bool

    def __init__(self, *, ctx):
        self._begin(ctx, self._reentrant)

    @classmethod
    def _named(cls, place, name):
        return super()._named(place, name, cls._reentrant)

    def _attach_args(self):
        return (self._reentrant,)

    def __enter__(self):
        return self.acquire()

    def __exit__(self, kind=None, error=None, traceback=None):
        if _is_without(self, error):
            return
        # Who was told in the block that the lock is lost is not told once more.
        if not isinstance(error, LeaseLost):
            self.release()
        elif self._is_noted(self._holder_here()):
            with contextlib.suppress(LeaseLost):
                self.release()

    def _holder_here(self):
        """The number of this thread as a holder."""
        return self._thread_here()

    async def __aenter__(self):
        return await self.aacquire()

    async def __aexit__(self, kind=None, error=None, traceback=None):
        self.__exit__(kind, error, traceback)


class Lock(_Leased, PlainFace, RemoteLockBase):
    __doc__ = _docs.LOCK
    _reentrant = False

    __repr__ = PlainFace.__repr__

    async def aacquire(self):
        """Acquires it for this thread; waits for that in this task alone, and returns True.

        The other tasks of the loop go on meanwhile: a thread of this lock's asks the server, one
        for all tasks that wait for it, in their order. A task that is cancelled has acquired
        nothing. It may be released by any task, thread or process.
        """
        me = self._thread_here()
        return await run(
            self,
            "acquire",
            lambda stop: self._acquire_for(me, True, stop),
            lambda _had: self._release_for(me),
        )


# Tasks are numbered oddly: no thread is.
_numbers = itertools.count(1, 2)


class RLock(_Leased, ReentrantFace, RemoteLockBase):
    __doc__ = _docs.RLOCK
    _reentrant = True

    __repr__ = ReentrantFace.__repr__

    # Task: its number. Who has acquired it as a task is another holder than its thread.
    _tasks = None

    async def aacquire(self):
        """As `Lock.aacquire`; it is this task's then, which may acquire it again and releases it.

        Other tasks wait, as other threads do; so do all while the loop's thread itself has it by
        `acquire`.
        """
        from asyncio import current_task

        if self._tasks is None:
            self._tasks = weakref.WeakKeyDictionary()
        me = self._tasks.setdefault(current_task(), next(_numbers))
        if self._count_of(me):
            return self._acquire_for(me, True)  # at once
        return await run(
            self,
            "acquire",
            lambda stop: self._acquire_for(me, True, stop),
            lambda _had: self._release_for(me),
        )

    def release(self):
        me = self._holder_here()
        if self._tasks and me == self._thread_here() and not self._is_noted(me) and _in_task():
            raise AssertionError("attempt to release recursive lock not owned by task")
        self._release_for(me)

    release.__doc__ = RemoteLockBase.release.__doc__

    def _holder_here(self):
        number = None if self._tasks is None else self._task_here()
        return super()._holder_here() if number is None else number

    def _task_here(self):
        """The number of the running task, if it has acquired the lock."""
        task = _in_task()
        return None if task is None else self._tasks.get(task)


def _in_task():
    """The running task, or None."""
    from asyncio import _get_running_loop, current_task

    return None if _get_running_loop() is None else current_task()


class _Permits(Remote):
    _bounded: bool

    def __init__(self, value=1, *, ctx):
        self._begin(ctx, value, self._bounded)

    @classmethod
    def _named(cls, place, name, value=None):
        return super()._named(place, name, value, cls._bounded)

    def _attach_args(self):
        return (self._bounded,)

    # What a condition needs of its lock.

    def _check_here(self):
        pass  # permits have no lease

    def _release_all(self):
        count = self._count()
        self._give(count)
        return count

    def _acquire_deep(self, count, timeout=None):
        for done in range(count):
            if not self.acquire(timeout=timeout):
                if done:
                    self._give(done)
                return False
        return True

    def __enter__(self):
        return self.acquire()

    def __exit__(self, kind=None, error=None, traceback=None):
        if not _is_without(self, error):
            self.release()

    async def __aenter__(self):
        return await self.aacquire()

    async def __aexit__(self, kind=None, error=None, traceback=None):
        self.release()

    async def aacquire(self):
        """Takes a permit; waits for one in this task alone, and returns True.

        The other tasks of the loop go on meanwhile; a task that is cancelled has taken none.
        """
        return await run(self, "acquire", self._acquire_unless, lambda _had: self.release())


class Semaphore(_Permits, SemaphoreFace, RemoteSemaphoreBase):
    __doc__ = _docs.SEMAPHORE
    _bounded = False

    __repr__ = SemaphoreFace.__repr__


class BoundedSemaphore(Semaphore):
    __doc__ = _docs.BOUNDED_SEMAPHORE
    _bounded = True

    __repr__ = BoundedFace.__repr__


class Event(Remote, EventFace, RemoteEventBase):
    __doc__ = _docs.EVENT

    __repr__ = EventFace.__repr__

    def __init__(self, *, ctx):
        self._begin(ctx)


class Condition(Remote, ConditionFace, RemoteConditionBase):
    __doc__ = _docs.CONDITION

    __repr__ = ConditionFace.__repr__

    def __init__(self, lock=None, *, ctx):
        if lock is not None:
            _check_lock(lock, ctx._server)
        self._begin(ctx)
        self._set_lock(lock or ctx.RLock())

    @classmethod
    def _named(cls, place, name):
        condition = super()._named(place, name)
        lock = RLock.__new__(RLock)
        lock._attach(place._server, f"{condition._key}:lock", True)
        condition._set_lock(lock)
        return condition

    def _extra(self):
        return self._lock

    def _set_extra(self, lock):
        self._set_lock(lock)

    def _check_mine(self, text):
        self._lock._check_here()
        super()._check_mine(text)

    def wait(self, timeout=None):
        """Releases the lock, waits for a notification, and takes the lock again.

        Returns False if `timeout` seconds passed before one came. LeaseLost if the lock was lost
        before, or the place in the line meanwhile: then others may have been notified instead.
        """
        self._check_mine("must acquire() condition before using wait()")
        waiter = self._enlist()
        try:
            count = self._lock._release_all()
        except BaseException:
            waiter.withdraw()
            raise
        try:
            waiter.wait(timeout)
        except BaseException as error:
            waiter.withdraw()
            self._take_back(count, error)
            raise
        self._lock._acquire_deep(count)
        # Only now: if this process is killed before it has the lock, another one is woken.
        return waiter.leave()

    def _take_back(self, count, error):
        """Takes the lock again, for who leaves a wait with an error.

        However long others have it; but if the server does not answer he goes without it, and what
        he is to be told is not hidden by that.
        """
        try:
            while not self._lock._acquire_deep(count, 1):
                pass
        except (ServerUnreachableError, LeaseLost):
            error._procession_without = self._lock
        except BaseException as another:  # Ctrl-C once more
            another._procession_without = self._lock
            raise


def _is_without(lock, error):
    """Whether that error left a condition's wait when its lock could not be taken again."""
    return error is not None and getattr(error, "_procession_without", None) is lock


def _check_lock(lock, server):
    if not isinstance(lock, (Lock, RLock, Semaphore)):
        raise TypeError(f"a condition on a server needs a lock on that server, not {lock!r}")
    if lock._server.address != server.address:
        there, here = lock._server.address, server.address
        raise ValueError(f"the lock is on {there}, and the condition would be on {here}")


class Barrier(Remote, RemoteBarrierBase, threading.Barrier):
    __doc__ = _docs.BARRIER

    _action = _timeout = None

    def __init__(self, parties, action=None, timeout=None, *, ctx):
        check_parties(parties)
        self._begin(ctx, parties)
        self._action = action
        self._timeout = timeout

    @classmethod
    def _named(cls, place, name, parties):
        check_parties(parties)
        return super()._named(place, name, parties)

    def _extra(self):
        return self._action, self._timeout

    def _set_extra(self, extra):
        self._action, self._timeout = extra

    def wait(self, timeout=None):
        """Waits for the others; returns a number from 0 on, another one to each.

        Raises threading.BrokenBarrierError, in all who wait, if one waits longer than its timeout
        in seconds, the action raises, the barrier is reset or aborted, or the lease of one runs out
        who waits.
        """
        return self._wait(self._action, self._timeout if timeout is None else timeout)
