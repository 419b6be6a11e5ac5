"""`SyncManager` and `BaseManager`: objects that processes share, in shared memory if that can be.

What a `SyncManager` makes, dicts, lists, locks, queues and so on, are objects in shared memory, and
no server is started for them. A server, the standard library's, with its protocol, is started when
there is no other way: for a `Pool`, for classes that somebody has registered, and for managers with
an address, to which other programs can connect. Within the family the protocol goes over pipes (see
_managing.py).
"""

import errno
import functools
import os
import threading

from . import _core, _managing, _proxies
from ._core import Scope
from ._std import managers as _std
from ._std import util
from ._std.managers import BaseProxy, Token

__all__ = ["BaseManager", "BaseProxy", "SharedMemoryManager", "SyncManager", "Token"]

# A manager's list of what it made is looked through when it has become so long.
_PRUNE_FROM = 64


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_std, name)


class BaseManager(_std.BaseManager):
    __doc__ = """A server process that holds objects, and makes proxies of them.

    Its kinds of objects are registered. See
    https://docs.python.org/3/library/multiprocessing.html#customized-managers

    >>> from procession.managers import BaseManager
    >>> class Numbers(BaseManager):
    ...     pass
    >>> Numbers.register("numbers", set)
    """

    _Server = _managing.Server

    @functools.wraps(_std.BaseManager.__init__)
    def __init__(self, address=None, authkey=None, serializer="pickle", ctx=None, **options):
        if ctx is None:
            from . import get_context

            ctx = get_context()
        super().__init__(address, authkey, serializer, ctx, **options)

    def get_server(self):
        """A server for this process: `get_server().serve_forever()`."""
        if self._state.value != _std.State.INITIAL:
            super().get_server()  # raises
        _core.family_fd()
        return self._Server(self._registry, self._address, self._authkey, self._serializer)

    def start(self, initializer=None, initargs=()):
        """Starts the server's process."""
        _core.family_fd()  # there is a family, so that the two are of one
        super().start(initializer, initargs)

    def _create(self, typeid, /, *args, **kwds):
        if self._serializer == "pickle":
            _managing.meet(self._address)
        return super()._create(typeid, *args, **kwds)


class SyncManager(BaseManager, _std.SyncManager):
    """Makes objects that processes share. `procession.Manager()` gives a started one.

    Its objects live as long as some process has one, or a message under way or another shared
    object does; `shutdown`, or the end of the manager's `with`, ends them all: who uses one then
    gets BrokenPipeError, and who waits gets it soon. If a process dies in the middle of an
    operation, that is done or not done, and the others go on.

    >>> import procession as mp
    >>> with mp.Manager() as manager:
    ...     ages = manager.dict(Ada=36)
    ...     ages["Ada"] += 1
    ...     print(ages)
    {'Ada': 37}
    """

    _scope = None  # what the objects in shared memory belong to
    _in_server = False  # all objects are a server's
    _child = None  # the server's process
    _desk = None  # who has the server, if this manager's own objects are in shared memory
    _prune_at = _PRUNE_FROM

    def start(self, initializer=None, initargs=()):
        """Makes the manager ready. `initializer` is called in the server's process, which is
        started for it."""
        if self._state.value != _std.State.INITIAL:
            super().start()  # raises
        if self._address is not None or self._serializer != "pickle":
            self._in_server = True
            super().start(initializer, initargs)
            return
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        if initializer is not None or self._registers_more():
            self._desk = self._open_desk(initializer, initargs)
        self._locks = {}
        self._scope, self._pid = Scope(), os.getpid()
        self._state.value = _std.State.STARTED

    def _registers_more(self):
        """Whether a subclass has classes of its own. Their objects are to live in one server, also
        those that a child makes: so it starts as the standard library's does."""
        return any(_ours.get(typeid) != entry for typeid, entry in self._registry.items())

    def connect(self):
        """Connects to the server at the manager's address."""
        self._in_server = True
        super().connect()

    def shutdown(self):
        """Ends the manager and all its objects."""
        if self._scope is None or self._pid != os.getpid():
            return
        with self._opening():
            if self._state.value == _std.State.SHUTDOWN:
                return
            self._state.value = _std.State.SHUTDOWN
        self._scope.end()
        try:
            members = self._scope._members()
            for handle, typeid in members:
                _empty(typeid, handle)
            self._scope._forget([handle for handle, _ in members])
        finally:
            if self._desk is not None:
                self._desk.shutdown()

    # ------------------------------------------------------------ the server

    def _opening(self):
        """Held by who starts the server. In a forked child it is another one: nobody there would
        release one that another thread has held."""
        return self._locks.setdefault(os.getpid(), threading.Lock())

    def _open_desk(self, initializer=None, initargs=()):
        """A manager that is the same, but all of whose objects are a server's."""
        desk = object.__new__(type(self))
        vars(desk).update(vars(self), _in_server=True, _state=_std.State())
        desk._state.value = _std.State.INITIAL
        super(SyncManager, desk).start(initializer, initargs)
        return desk

    def _with_server(self):
        """The manager that has the server, which is started if there is none; None if the manager
        is not started, or was shut down before there was need of one."""
        if self._in_server:
            return self
        if self._scope is None:
            return None
        with self._opening():
            if self._desk is None and self._state.value == _std.State.STARTED:
                self._desk = self._open_desk()
        return self._desk

    @property
    def _process(self):
        has = self._with_server()
        return None if has is None else has._child

    @_process.setter
    def _process(self, process):
        self._child = process

    @property
    def address(self):
        """The server's address."""
        has = self._with_server()
        return self._address if has is None else has._address

    def _create(self, typeid, /, *args, **kwds):
        has = self._with_server()
        if has is None or has is self:
            return super()._create(typeid, *args, **kwds)
        return has._create(typeid, *args, **kwds)

    def join(self, timeout=None):
        """Waits until the server has ended, if there was one."""
        has = self if self._in_server else self._desk
        if has is self:
            super().join(timeout)
        elif has is not None:
            has.join(timeout)

    # ------------------------------------------------------------ objects in shared memory

    def _make(self, typeid, /, *args, **kwds):
        if self._in_server:
            return getattr(super(), typeid)(*args, **kwds)
        assert self._state.value == _std.State.STARTED, "server not yet started"
        if self._scope.ended:  # by another process
            raise BrokenPipeError(errno.EPIPE, "the manager was shut down")
        util.debug("making a shared %r object", typeid)
        proxy = _proxies.make(self._scope, typeid, *args, **kwds)
        if len(self._scope) >= self._prune_at:
            self._living()
        self._scope._add(proxy._handle(), typeid)
        return proxy

    def _living(self):
        """What lives of what was made."""
        living, gone = [], []
        for handle, typeid in self._scope._members():
            try:
                living.append(_proxies.find(typeid, handle))
            except RuntimeError:
                gone.append(handle)
        self._scope._forget(gone)
        self._prune_at = max(_PRUNE_FROM, 2 * len(living))
        return living

    def _number_of_objects(self):
        """How many of the manager's objects there are."""
        if self._in_server:
            return super()._number_of_objects()
        theirs = 0 if self._desk is None else self._desk._number_of_objects()
        return theirs + len(self._living())

    def _debug_info(self):
        """A text with a few lines for each of the manager's objects."""
        if self._in_server:
            return super()._debug_info()
        theirs = [] if self._desk is None else [self._desk._debug_info()]
        ours = sorted((proxy._id, str(proxy)[:75]) for proxy in self._living())
        return "\n".join([f"  {ident}:\n    {text}" for ident, text in ours] + theirs)


def _empty(typeid, handle):
    """Gives back what an object holds, whoever still has a handle to it."""
    try:
        proxy = _proxies.find(typeid, handle)
    except RuntimeError:
        return
    if typeid in ("Queue", "JoinableQueue"):
        proxy._shut_down(True)
    elif typeid in ("dict", "list"):
        proxy.clear()
    elif typeid in ("Namespace", "Value", "Array"):
        proxy._clear()


def _maker(typeid):
    def make(self, /, *args, **kwds):
        return self._make(typeid, *args, **kwds)

    make.__name__ = typeid
    make.__qualname__ = f"SyncManager.{typeid}"
    make.__doc__ = _proxies.TYPES[typeid].__doc__
    return make


def _register_ours():
    from .pool import Pool

    SyncManager.register("Pool", Pool, _std.PoolProxy)
    for typeid in _proxies.TYPES:
        setattr(SyncManager, typeid, _maker(typeid))


_register_ours()
_ours = dict(SyncManager._registry)


class SharedMemoryManager(BaseManager, _std.SharedMemoryManager):
    __doc__ = """A server process that answers for segments of shared memory: with it they go.

    See https://docs.python.org/3/library/multiprocessing.shared_memory.html

    >>> from procession.managers import SharedMemoryManager
    >>> with SharedMemoryManager() as manager:
    ...     manager.ShareableList([1, "two"])[1]
    'two'
    """

    _Server = _managing.SharedMemoryServer

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)

    def SharedMemory(self, size):
        """A new segment of `size` bytes."""
        from .shared_memory import SharedMemory

        return self._tracked(SharedMemory(None, create=True, size=size))

    def ShareableList(self, sequence):
        """A new list of these values."""
        from .shared_memory import ShareableList

        return self._tracked(ShareableList(sequence))

    def _tracked(self, made):
        segment = getattr(made, "shm", made)
        try:
            with self._Client(self._address, authkey=self._authkey) as connection:
                _std.dispatch(connection, None, "track_segment", (segment.name,))
        except BaseException:
            segment.close()
            segment.unlink()
            raise
        return made
