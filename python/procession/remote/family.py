"""`Family`: what processes of any machines share by name, on a server."""

import importlib

from .. import _familyface
from ._server import is_url, open_server, server_at, where_to_send

__all__ = ["Family"]


class Family(_familyface.Family):
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
        super().close()

    def __repr__(self):
        pickles = ", allow_pickle=True" if self.allow_pickle else ""
        return f"<Family({self.name!r}{pickles}){', closed' if self._closed else ''}>"

    def __reduce__(self):
        self._check_open()
        return _reopen, (type(self), where_to_send(self._server), self.allow_pickle)

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

    def _of_kind(self, kind, name, *argument):
        self._check_open()
        module, cls = _CLASSES[kind].split(".")
        cls = getattr(importlib.import_module(f".{module}", __package__), cls)
        if module == "queues":
            return cls._named(self, name, kind, *argument)
        return cls._named(self, name, *argument)


# Each is imported when one is asked for.
_CLASSES = {
    "queue": "queues.Queue",
    "delivery_queue": "queues.Queue",
    "joinable_queue": "queues.JoinableQueue",
    "lifo_queue": "queues.LifoQueue",
    "priority_queue": "queues.PriorityQueue",
    "lock": "synchronize.Lock",
    "rlock": "synchronize.RLock",
    "semaphore": "synchronize.Semaphore",
    "bounded_semaphore": "synchronize.BoundedSemaphore",
    "event": "synchronize.Event",
    "condition": "synchronize.Condition",
    "barrier": "synchronize.Barrier",
    "dict": "collections.Dict",
    "list": "collections.List",
    "value": "collections.Value",
}


def _reopen(cls, where, allow_pickle):
    made = cls.__new__(cls)
    made._server, made.allow_pickle, made._closed = server_at(*where), allow_pickle, False
    return made
