"""`Family`: what processes of any machines share by name, on a server."""

from ._server import is_url, open_server, server_at, where_to_send

__all__ = ["Family"]


class Family:
    """Family(url, *, allow_pickle=False): what processes share by name on a Valkey or Redis server.

    All processes that open a family with the same server and prefix are in it, in Python or Rust,
    on any machine. Its objects are made by the first one who asks for them and stay, with what is
    in them, until they are removed; they outlive all processes, and the
    server's restart just as its settings for persistence let them.

    The URL is ``redis://[user:password@]host[:port][/db]``, the same with ``rediss``, ``valkey`` or
    ``valkeys``, or ``unix:///path/of/socket``; with ``?prefix=``, ``lease=``, ``timeout=`` and
    ``keep=``, see docs/guide/remote.md. ``procession.Family(url)`` makes one of these, too.

    With ``allow_pickle=False``, as it is by default, this process puts and stores plain data only,
    and does not unpickle what others have put there: who may write to the server could run any code
    here otherwise.

    ``ValueError`` for a URL that cannot be one; ``ServerUnreachableError`` if there is no answer;
    ``PermissionError`` if the server wants another name or password.
    """

    def __init__(self, name, *, allow_pickle=False):
        if not is_url(name):
            raise ValueError("this is no address of a server: there is no :// in it")
        self._server = open_server(name)
        self.allow_pickle = bool(allow_pickle)
        self._closed = False

    @property
    def name(self):
        """The server's address and the prefix, without credentials."""
        return self._server.address

    @property
    def id(self):
        """What tells this family from others: the same as its name."""
        return self._server.address

    def close(self):
        """Ends the use of this object; what was had by it lives on. When nothing of that is left in
        this process, its connections are closed."""
        self._closed = True

    def __enter__(self):
        self._check_open()
        return self

    def __exit__(self, *exc_info):
        self.close()

    def __repr__(self):
        pickles = ", allow_pickle=True" if self.allow_pickle else ""
        return f"<Family({self.name!r}{pickles}){', closed' if self._closed else ''}>"

    def __reduce__(self):
        self._check_open()
        return _reopen, (type(self), where_to_send(self._server), self.allow_pickle)

    # ------------------------------------------------------------ objects

    def queue(self, name, maxsize=None, *, redeliver=False):
        """The `Queue` of that name. `maxsize`: how many messages it holds, 0 for any number; None:
        as it is, and any number if it is new. With redeliver it is another kind of object.

        Here and below: TypeError if the name is something else's, ValueError if the object there
        was made otherwise than is asked for.
        """
        self._check_open()
        from .queues import Queue

        kind = "delivery_queue" if redeliver else "queue"
        return Queue._named(self, name, kind, maxsize)

    def joinable_queue(self, name, maxsize=None):
        """The `JoinableQueue` of that name; `maxsize` as of `queue`."""
        self._check_open()
        from .queues import JoinableQueue

        return JoinableQueue._named(self, name, "joinable_queue", maxsize)

    def lifo_queue(self, name, maxsize=None):
        """The `LifoQueue` of that name; `maxsize` as of `queue`."""
        self._check_open()
        from .queues import LifoQueue

        return LifoQueue._named(self, name, "lifo_queue", maxsize)

    def priority_queue(self, name, maxsize=None):
        """The `PriorityQueue` of that name; `maxsize` as of `queue`."""
        self._check_open()
        from .queues import PriorityQueue

        return PriorityQueue._named(self, name, "priority_queue", maxsize)

    def lock(self, name):
        """The `Lock` of that name."""
        self._check_open()
        from .synchronize import Lock

        return Lock._named(self, name)

    def rlock(self, name):
        """The `RLock` of that name."""
        self._check_open()
        from .synchronize import RLock

        return RLock._named(self, name)

    def semaphore(self, name, value=1):
        """The `Semaphore` of that name; a new one has `value` permits."""
        self._check_open()
        from .synchronize import Semaphore

        return Semaphore._named(self, name, value)

    def bounded_semaphore(self, name, value=None):
        """The `BoundedSemaphore` of that name, which has `value` permits when all were given back;
        None: as it is, and 1 if it is new."""
        self._check_open()
        from .synchronize import BoundedSemaphore

        return BoundedSemaphore._named(self, name, value)

    def event(self, name):
        """The `Event` of that name."""
        self._check_open()
        from .synchronize import Event

        return Event._named(self, name)

    def condition(self, name):
        """The `Condition` of that name, with a reentrant lock of its own."""
        self._check_open()
        from .synchronize import Condition

        return Condition._named(self, name)

    def barrier(self, name, parties):
        """The `Barrier` of that name, at which so many meet."""
        self._check_open()
        from .synchronize import Barrier

        return Barrier._named(self, name, parties)

    def dict(self, name):
        """The shared dict of that name: what `Manager().dict()` gives, without a manager."""
        self._check_open()
        from .collections import Dict

        return Dict._named(self, name)

    def list(self, name):
        """The shared list of that name: what `Manager().list()` gives, without a manager."""
        self._check_open()
        from .collections import List

        return List._named(self, name)

    def value(self, name, initial=None):
        """The shared value of that name, `v.value`, which is `initial` if it is new."""
        self._check_open()
        from .collections import Value

        return Value._named(self, name, initial)

    def names(self):
        """What has a name in the family: a dict of names and kinds, the oldest first."""
        self._check_open()
        return self._server.names()

    def remove(self, name):
        """Removes the object of that name, with what is in it, for everybody: who has it gets a
        RuntimeError from now on. Returns whether there was one."""
        self._check_open()
        return self._server.remove(name)

    def stats(self):
        """What the server has for this family, and who is in it: a dict of `server`, `used_bytes`,
        `objects` and `participants`, a list of dicts with `id`, `pid`, `name` (the machine's),
        `lease_left` in seconds and `waiting_on`. It looks at all keys of the family."""
        self._check_open()
        return self._server.stats()

    def _check_open(self):
        if self._closed:
            raise ValueError(f"{self!r}: no object can be had by it any more")


def _reopen(cls, where, allow_pickle):
    made = cls.__new__(cls)
    made._server, made.allow_pickle, made._closed = server_at(*where), allow_pickle, False
    return made
