"""`RemoteContext`: a context whose queues, locks and shared objects are on a server.

Its processes are this machine's, started by one of the usual methods. So are what cannot be
elsewhere: pipes, and C data (`Array`, `RawValue`, `RawArray`).
"""

from .. import _docs
from ..context import _default_context, _Factories
from ._server import is_url, open_server, server_at, where_to_send

__all__ = ["RemoteContext"]


class RemoteContext(_Factories):
    """What `procession.get_context(url, allow_pickle=False)` gives.

    `url` and `allow_pickle` are as of `procession.remote.Family`. What is made here has no name: it
    lives as long as some process has it, or a message or shared object does that is kept.
    """

    def __init__(self, url, *, allow_pickle=False):
        self._become(open_server(url), bool(allow_pickle), _default_context)

    def _become(self, server, allow_pickle, machine):
        self._server = server
        self.allow_pickle = allow_pickle
        self._machine = machine  # what starts processes
        self.Process = machine.Process
        return self

    @property
    def address(self):
        """The server's, and the prefix, without credentials."""
        return self._server.address

    def __repr__(self):
        pickles = ", allow_pickle=True" if self.allow_pickle else ""
        return f"<RemoteContext({self.address!r}{pickles})>"

    def __reduce__(self):
        method = None if self._machine is _default_context else self._machine._name
        return _reopen, (type(self), where_to_send(self._server), self.allow_pickle, method)

    # ------------------------------------------------------------ processes

    def get_context(self, method=None, *, allow_pickle=None):
        """This context; or, of a start method, one on the same server that starts processes so."""
        if method is None:
            return self
        if is_url(method):
            return _default_context.get_context(method, allow_pickle=allow_pickle)
        kept = self.allow_pickle if allow_pickle is None else bool(allow_pickle)
        machine = _default_context.get_context(method)
        return type(self).__new__(type(self))._become(self._server, kept, machine)

    def get_start_method(self, allow_none=False):
        return self._machine.get_start_method(allow_none)

    def set_start_method(self, method, force=False):
        self._machine.set_start_method(method, force)

    def get_all_start_methods(self):
        return _default_context.get_all_start_methods()

    # ------------------------------------------------------------ what is on the server

    def Queue(self, maxsize=0, *, maxbytes=0, redeliver=False):
        from .queues import Queue

        return Queue(maxsize, maxbytes=maxbytes, redeliver=redeliver, ctx=self)

    def JoinableQueue(self, maxsize=0, *, maxbytes=0, redeliver=False):
        from .queues import JoinableQueue

        return JoinableQueue(maxsize, maxbytes=maxbytes, redeliver=redeliver, ctx=self)

    def SimpleQueue(self):
        from .queues import SimpleQueue

        return SimpleQueue(ctx=self)

    def LifoQueue(self, maxsize=0, *, maxbytes=0):
        from .queues import LifoQueue

        return LifoQueue(maxsize, maxbytes=maxbytes, ctx=self)

    def PriorityQueue(self, maxsize=0, *, maxbytes=0):
        from .queues import PriorityQueue

        return PriorityQueue(maxsize, maxbytes=maxbytes, ctx=self)

    def Lock(self):
        from .synchronize import Lock

        return Lock(ctx=self)

    def RLock(self):
        from .synchronize import RLock

        return RLock(ctx=self)

    def Condition(self, lock=None):
        from .synchronize import Condition

        return Condition(lock, ctx=self)

    def Semaphore(self, value=1):
        from .synchronize import Semaphore

        return Semaphore(value, ctx=self)

    def BoundedSemaphore(self, value=1):
        from .synchronize import BoundedSemaphore

        return BoundedSemaphore(value, ctx=self)

    def Event(self):
        from .synchronize import Event

        return Event(ctx=self)

    def Barrier(self, parties, action=None, timeout=None):
        from .synchronize import Barrier

        return Barrier(parties, action, timeout, ctx=self)

    def Value(self, typecode_or_type, *args, lock=True):
        """Returns a shared number with a lock, on the server, see
        procession.remote.sharedctypes.Value."""
        from .sharedctypes import Value

        return Value(typecode_or_type, *args, lock=lock, ctx=self)

    def Pool(self, processes=None, initializer=None, initargs=(), maxtasksperchild=None, **options):
        from .pool import RemotePool

        return RemotePool(
            processes,
            initializer,
            initargs,
            maxtasksperchild,
            context=self,
            backend=self._server._url,
            **options,
        )

    def Manager(self):
        """Returns a started manager: what it makes is on the server, and goes with it."""
        from .managers import RemoteManager

        return RemoteManager(self)

    Queue.__doc__ = _docs.REMOTE_QUEUE
    JoinableQueue.__doc__ = _docs.REMOTE_JOINABLE_QUEUE
    LifoQueue.__doc__ = _docs.REMOTE_LIFO_QUEUE
    PriorityQueue.__doc__ = _docs.REMOTE_PRIORITY_QUEUE
    SimpleQueue.__doc__ = _docs.REMOTE_SIMPLE_QUEUE
    Pool.__doc__ = _docs.POOL


def _reopen(cls, where, allow_pickle, method):
    machine = _default_context.get_context(method) if method else _default_context
    return cls.__new__(cls)._become(server_at(*where), allow_pickle, machine)
