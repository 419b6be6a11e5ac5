"""Contexts: the factories of everything, one per start method, and the default one.

They are subclasses of the standard library's, so that whoever takes an ``mp_context``
(concurrent.futures, joblib, PyTorch) accepts them; `_children`, `_current_process` and the logger
are the standard library's own, shared with it. So is the start method: which one is the default
follows the running Python, and a `set_start_method` here counts there, and the reverse, as if the
two were one.
"""

import sys
from multiprocessing import context as _std
from multiprocessing import process as _process
from multiprocessing.context import (
    AuthenticationError,
    BaseContext,
    BufferTooShort,
    ProcessError,
    TimeoutError,
    assert_spawning,
    get_spawning_popen,
    reduction,
    set_spawning_popen,
)

from . import _byvalue as _byvalue  # from now on it sees every fork
from . import _docs, _member

__all__ = [
    "AuthenticationError",
    "BaseContext",
    "BufferTooShort",
    "DefaultContext",
    "ForkContext",
    "ForkProcess",
    "ForkServerContext",
    "ForkServerProcess",
    "Process",
    "ProcessError",
    "SpawnContext",
    "SpawnProcess",
    "TimeoutError",
    "assert_spawning",
    "get_spawning_popen",
    "reduction",
    "set_spawning_popen",
]


class _Factories(BaseContext):
    """What Procession's contexts do otherwise than the standard library's."""

    def Queue(self, maxsize=0, *, maxbytes=0, redeliver=False):
        from .queues import Queue

        ctx = self.get_context()
        return Queue(maxsize, maxbytes=maxbytes, redeliver=redeliver, ctx=ctx)

    def JoinableQueue(self, maxsize=0, *, maxbytes=0, redeliver=False):
        from .queues import JoinableQueue

        ctx = self.get_context()
        return JoinableQueue(maxsize, maxbytes=maxbytes, redeliver=redeliver, ctx=ctx)

    def SimpleQueue(self):
        from .queues import SimpleQueue

        return SimpleQueue(ctx=self.get_context())

    def LifoQueue(self, maxsize=0, *, maxbytes=0):
        from .queues import LifoQueue

        return LifoQueue(maxsize, maxbytes=maxbytes, ctx=self.get_context())

    def PriorityQueue(self, maxsize=0, *, maxbytes=0):
        from .queues import PriorityQueue

        return PriorityQueue(maxsize, maxbytes=maxbytes, ctx=self.get_context())

    def Pipe(self, duplex=True):
        from .connection import Pipe

        return Pipe(duplex)

    def Lock(self):
        from .synchronize import Lock

        return Lock(ctx=self.get_context())

    def RLock(self):
        from .synchronize import RLock

        return RLock(ctx=self.get_context())

    def Condition(self, lock=None):
        from .synchronize import Condition

        return Condition(lock, ctx=self.get_context())

    def Semaphore(self, value=1):
        from .synchronize import Semaphore

        return Semaphore(value, ctx=self.get_context())

    def BoundedSemaphore(self, value=1):
        from .synchronize import BoundedSemaphore

        return BoundedSemaphore(value, ctx=self.get_context())

    def Event(self):
        from .synchronize import Event

        return Event(ctx=self.get_context())

    def Barrier(self, parties, action=None, timeout=None):
        from .synchronize import Barrier

        return Barrier(parties, action, timeout, ctx=self.get_context())

    def RawValue(self, typecode_or_type, *args):
        """Returns a shared ctypes object, see procession.sharedctypes.RawValue."""
        from .sharedctypes import RawValue

        return RawValue(typecode_or_type, *args)

    def RawArray(self, typecode_or_type, size_or_initializer):
        """Returns a shared ctypes array, see procession.sharedctypes.RawArray."""
        from .sharedctypes import RawArray

        return RawArray(typecode_or_type, size_or_initializer)

    def Value(self, typecode_or_type, *args, lock=True):
        """Returns a shared ctypes object with a lock, see procession.sharedctypes.Value."""
        from .sharedctypes import Value

        return Value(typecode_or_type, *args, lock=lock, ctx=self.get_context())

    def Array(self, typecode_or_type, size_or_initializer, *, lock=True):
        """Returns a shared ctypes array with a lock, see procession.sharedctypes.Array."""
        from .sharedctypes import Array

        return Array(typecode_or_type, size_or_initializer, lock=lock, ctx=self.get_context())

    Lock.__doc__ = _docs.LOCK
    RLock.__doc__ = _docs.RLOCK
    Condition.__doc__ = _docs.CONDITION
    Semaphore.__doc__ = _docs.SEMAPHORE
    BoundedSemaphore.__doc__ = _docs.BOUNDED_SEMAPHORE
    Event.__doc__ = _docs.EVENT
    Barrier.__doc__ = _docs.BARRIER
    Queue.__doc__ = _docs.QUEUE
    JoinableQueue.__doc__ = _docs.JOINABLE_QUEUE
    SimpleQueue.__doc__ = _docs.SIMPLE_QUEUE
    LifoQueue.__doc__ = _docs.LIFO_QUEUE
    PriorityQueue.__doc__ = _docs.PRIORITY_QUEUE
    Pipe.__doc__ = _docs.PIPE

    def Pool(
        self,
        processes=None,
        initializer=None,
        initargs=(),
        maxtasksperchild=None,
        *,
        timeout=None,
        retries=0,
        daemon=True,
        executor=None,
        backend=None,
        **elsewhere,
    ):
        from .pool import Pool

        return Pool(
            processes,
            initializer,
            initargs,
            maxtasksperchild,
            context=self.get_context(),
            timeout=timeout,
            retries=retries,
            daemon=daemon,
            executor=executor,
            backend=backend,
            **elsewhere,
        )

    Pool.__doc__ = _docs.POOL

    def Manager(self):
        """Returns a started `SyncManager`: what it makes lies in shared memory."""
        from .managers import SyncManager

        manager = SyncManager(ctx=self.get_context())
        manager.start()
        return manager

    def freeze_support(self):
        """Runs the child's part and exits, if this is a child of a frozen program."""
        if getattr(sys, "frozen", False):
            from .spawn import freeze_support

            freeze_support()

    def set_forkserver_preload(self, module_names):
        """Sets the modules that the fork server tries to import before its first fork."""
        from .forkserver import set_forkserver_preload

        set_forkserver_preload(module_names)

    def get_context(self, method=None, *, allow_pickle=None):
        """Returns the context of a start method, or this one.

        Of the URL of a Valkey or Redis server (``redis://host``) it is one whose queues, locks and
        shared objects are there. ``allow_pickle`` is for such a one, see `procession.Family`.
        """
        if isinstance(method, str) and "://" in method:
            from .remote.context import RemoteContext

            return RemoteContext(method, allow_pickle=bool(allow_pickle))
        if allow_pickle is not None:
            raise TypeError("allow_pickle is for contexts on a server")
        if method is None:
            return self
        try:
            context = _concrete_contexts[method]
        except KeyError:
            raise ValueError(f"cannot find context for {method!r}") from None
        context._check_available()
        return context


class _Member(_process.BaseProcess):
    """A process that belongs to the family."""

    def _bootstrap(self, *args, **kwargs):
        _member.introduce(self._name)
        code = super()._bootstrap(*args, **kwargs)
        _member.end_with(code)
        return code


class Process(_Member):
    """A process started by the default context's method, with the interface of `threading.Thread`.

    Under spawn and forkserver the target and its arguments are pickled; lambdas, closures and what
    the child cannot import go by value. See
    https://docs.python.org/3/library/multiprocessing.html#multiprocessing.Process

    >>> import procession as mp
    >>> child = mp.Process(target=print, args=("hello",))
    >>> child.start()
    >>> child.join()
    """

    _start_method = None

    @staticmethod
    def _Popen(process_obj):
        return _default_context.get_context().Process._Popen(process_obj)

    @staticmethod
    def _after_fork():
        return _default_context.get_context().Process._after_fork()


class ForkProcess(_Member, _std.ForkProcess):
    """A process started by fork."""

    @staticmethod
    def _Popen(process_obj):
        from .popen_fork import Popen

        return Popen(process_obj)


class SpawnProcess(_Member, _std.SpawnProcess):
    """A process started as a fresh interpreter."""

    @staticmethod
    def _Popen(process_obj):
        from .popen_spawn_posix import Popen

        return Popen(process_obj)


class ForkServerProcess(_Member, _std.ForkServerProcess):
    """A process forked by the fork server, which is started at the first use."""

    @staticmethod
    def _Popen(process_obj):
        from .popen_forkserver import Popen

        return Popen(process_obj)


class ForkContext(_std.ForkContext, _Factories):
    """Starts processes by fork."""

    Process = ForkProcess


class SpawnContext(_std.SpawnContext, _Factories):
    """Starts processes as fresh interpreters."""

    Process = SpawnProcess


class ForkServerContext(_std.ForkServerContext, _Factories):
    """Has processes forked by a server that is itself a fresh interpreter."""

    Process = ForkServerProcess


class DefaultContext(_std.DefaultContext, _Factories):
    """The context behind the package's functions; its start method can be set once."""

    Process = Process

    @property
    def _actual_context(self):
        """The start method that was set, which the standard library's default context keeps."""
        theirs = _std._default_context._actual_context
        return None if theirs is None else _concrete_contexts[theirs._name]

    @_actual_context.setter
    def _actual_context(self, context):
        theirs = None if context is None else _std._concrete_contexts[context._name]
        _std._default_context._actual_context = theirs

    def get_context(self, method=None, *, allow_pickle=None):
        if method is None and allow_pickle is None:
            return super().get_context()
        return _Factories.get_context(self, method, allow_pickle=allow_pickle)

    get_context.__doc__ = _Factories.get_context.__doc__

    def __init__(self, context):
        # As in the base class, which would set the start method back.
        self._default_context = context


_concrete_contexts = {
    "fork": ForkContext(),
    "spawn": SpawnContext(),
    "forkserver": ForkServerContext(),
}
_default_context = DefaultContext(_concrete_contexts[_std._default_context._default_context._name])
