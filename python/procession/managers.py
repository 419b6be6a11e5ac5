"""`SyncManager` and `BaseManager`: objects that processes share, in shared memory if that can be.

What a `SyncManager` makes, dicts, lists, locks, queues and so on, are objects in shared memory, and
no server is started for them. A server, the standard library's, with its protocol, is started when
there is no other way: for a `Pool`, for classes that somebody has registered, and for managers with
an address, to which other programs can connect. Within the family the protocol goes over pipes (see
_managing.py).
"""

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
    _process_started = None
    _prune_at = _PRUNE_FROM

    def start(self, initializer=None, initargs=()):
        """Makes the manager ready. `initializer` is called in the server's process, which is
        started for it."""
        if self._state.value != _std.State.INITIAL:
            super().start()  # raises
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._starting = threading.Lock()
        self._in_server = self._address is not None or self._serializer != "pickle"
        if self._in_server or initializer is not None:
            self._start_server(initializer, initargs)
        if not self._in_server:
            self._scope = Scope()
            self._pid = os.getpid()
            self._state.value = _std.State.STARTED

    def connect(self):
        """Connects to the server at the manager's address."""
        self._in_server = True
        super().connect()

    def shutdown(self):
        """Ends the manager and all its objects."""
        if self._scope is None or self._pid != os.getpid() or self._scope.ended:
            return
        self._scope.end()
        self._state.value = _std.State.SHUTDOWN
        for handle, typeid in self._scope._members():
            _empty(typeid, handle)
        self._scope._forget([handle for handle, _ in self._scope._members()])
        if "_stop_server" in self.__dict__:
            self._stop_server()

    # ------------------------------------------------------------ the server

    def _start_server(self, initializer=None, initargs=()):
        super().start(initializer, initargs)
        if not self._in_server:
            # Our own shutdown calls it; and it is called when the manager is collected.
            self._stop_server = self.__dict__.pop("shutdown")

    def _need_server(self):
        """Starts the server, if there is none."""
        known = self._in_server or self._process_started is not None
        if known or self._state.value != _std.State.STARTED:
            return
        with self._starting:
            if self._process_started is None:
                self._state.value = _std.State.INITIAL
                try:
                    self._start_server()
                finally:
                    self._state.value = _std.State.STARTED

    @property
    def _process(self):
        self._need_server()
        return self._process_started

    @_process.setter
    def _process(self, process):
        self._process_started = process

    @property
    def address(self):
        """The server's address."""
        self._need_server()
        return self._address

    def _create(self, typeid, /, *args, **kwds):
        self._need_server()
        return super()._create(typeid, *args, **kwds)

    def join(self, timeout=None):
        """Waits until the server has ended, if there was one."""
        if self._process_started is not None:
            super().join(timeout)

    # ------------------------------------------------------------ objects in shared memory

    def _make(self, typeid, /, *args, **kwds):
        if self._in_server:
            return getattr(super(), typeid)(*args, **kwds)
        assert self._state.value == _std.State.STARTED, "server not yet started"
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

    def _has_server(self):
        return self._in_server or self._process_started is not None

    def _number_of_objects(self):
        """How many of the manager's objects there are."""
        theirs = super()._number_of_objects() if self._has_server() else 0
        return theirs if self._in_server else theirs + len(self._living())

    def _debug_info(self):
        """A text with a few lines for each of the manager's objects."""
        theirs = [super()._debug_info()] if self._has_server() else []
        if self._in_server:
            return theirs[0]
        ours = sorted((proxy._id(), str(proxy)[:75]) for proxy in self._living())
        return "\n".join([f"  {ident}:\n    {text}" for ident, text in ours] + theirs)


def _empty(typeid, handle):
    """Gives back what an object holds, whoever still has a handle to it."""
    try:
        proxy = _proxies.find(typeid, handle)
    except RuntimeError:
        return
    empty = getattr(proxy, "_clear", None) or getattr(proxy, "clear", None)
    if typeid in ("dict", "list", "Namespace", "Value", "Array"):
        empty()


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
