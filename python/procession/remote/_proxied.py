"""What dicts, lists, namespaces and values on a server have in common: a proxy's face."""

import threading

from .._proxies.base import Shared
from ._server import Remote


class Proxied(Remote, Shared):
    """Mixed in first. The standard library's proxy classes are among the bases, too, for those who
    ask `isinstance`."""

    _typeid: str

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        face = next((base for base in cls.__mro__ if base.__module__.endswith("managers")), None)
        if face is not None:
            cls.__name__ = cls.__qualname__ = face.__name__

    __repr__ = Shared.__repr__

    @classmethod
    def _made(cls, place, /, *args, **kwds):
        """A new one without a name, with such arguments as a manager's method has."""
        proxy = cls.__new__(cls)
        proxy._begin(place)
        proxy._fill(*args, **kwds)
        return proxy

    @property
    def _id(self):
        return self._key

    def _check(self):
        """What is wrong in it, as sentences. For tests."""
        return []


class Locked:
    """What dicts and lists have besides."""

    def lock(self):
        """The lock that belongs to this object, the same one in all processes: reentrant, and free
        again when its holder's lease is over.

        It keeps out those who take it, too; single operations of others need no lock, and get in
        between.
        """
        from ._managed import RLockProxy

        lock = RLockProxy.__new__(RLockProxy)
        lock._attach(self._server, self._lock_key(), *lock._attach_args())
        return lock


# How often an operation is tried before other clients are asked to wait for it; ms.
_TRIES = 4
_FIRST_CLAIM, _LONGEST_CLAIM = 20, 10_000
_local = threading.local()


class Own:
    """Knows the changes that this process makes by an object: what has been read ahead by it is not
    what is there any more. And what a comparison changes is another matter than what others do."""

    _changes = 0

    def _changed(self):
        self.__dict__["_changes"] = self._changes + 1
        for attempts in getattr(_local, "under_way", ()):
            if attempts.key == self._key:
                attempts.own += 1

    def _attempts(self):
        return Attempts(self)


class Attempts:
    """Tries of an operation that reads, compares here, and changes what it saw if that is there
    still: a loop, with `own` changes that its own Python code has made.

    Who is outrun by other clients again and again asks them to wait, for longer and longer.
    """

    def __init__(self, it):
        self.it, self.key, self.own = it, it._key, 0
        self.tries, self.ms, self.claimed = 0, _FIRST_CLAIM, False

    def __enter__(self):
        self.outer = getattr(_local, "under_way", ())
        _local.under_way = (*self.outer, self)
        return self

    def __exit__(self, *exc_info):
        _local.under_way = self.outer
        if self.claimed:
            self.it._claim(0)

    def __iter__(self):
        return self

    def __next__(self):
        self.tries += 1
        if self.tries > _TRIES and not self.own:
            self.claimed = self.it._claim(self.ms)
            self.ms = min(2 * self.ms, _LONGEST_CLAIM)
        return self.own
