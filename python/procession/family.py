"""`Family`: named families, where unrelated processes of one user find the same objects by name.

A family is shared memory; its name is a small file at which its processes meet. What `family.queue`
and the others give are Procession's ordinary objects, which are pickled, passed to children and
waited for as any others.
"""

from . import synchronize
from ._core import FamilyBase
from .queues import JoinableQueue, LifoQueue, PriorityQueue, Queue
from .synchronize import Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, Semaphore

__all__ = ["Family"]


class Family(FamilyBase):
    """Family(name, *, allow_pickle=None): what unrelated processes of one user share by name.

    All processes of this user that open a family of this name are in it, in Python or Rust,
    whatever started them; the first one makes it. Its objects have names as well: each is made by
    the first one who asks for it, and stays, with what is in it, until it is removed and nobody has
    it any more, or until the last process of the family has ended, however it ended.

    A name has 1 to 100 letters, digits, dots, underscores and hyphens of ASCII, and does not begin
    with a dot. The meeting place is a file in ``/dev/shm``, or in the folder that the environment
    variable ``PROCESSION_FAMILY_DIR`` names.

    The name may be the URL of a Valkey or Redis server instead, ``redis://host``: then this gives a
    `procession.remote.Family`, which processes of any machines share.

    ``allow_pickle`` is True if it is not given, and on a server False.
    With ``allow_pickle=False`` this process puts and stores plain data only (None, bool, int,
    float, str, bytes, and list, tuple, dict, set and frozenset of these): else
    ``pickle.PicklingError``. And it does not unpickle what others have put there, which could run
    any code: ``pickle.UnpicklingError``; ``get`` has taken the message then, in a dict or list the
    value stays, unless it was ``pop`` or ``popitem`` that took it.

    ``ValueError`` for a name that cannot be one; ``OSError`` if the file cannot be used;
    ``LayoutError`` if the family's processes have another version of Procession.

    >>> import os, procession
    >>> with procession.Family(f"example-{os.getpid()}", allow_pickle=False) as family:
    ...     jobs = family.queue("jobs", maxsize=1000)
    ...     jobs.put({"number": 1})  # by any process ...
    ...     print(family.queue("jobs").get())  # ... to any other
    {'number': 1}
    """

    def __new__(cls, name, *, allow_pickle=None):
        if isinstance(name, str) and "://" in name:
            from .remote.family import Family as RemoteFamily

            return RemoteFamily(name, allow_pickle=bool(allow_pickle))
        return super().__new__(cls)

    def __init__(self, name, *, allow_pickle=None):
        self._name = name
        self._allow_pickle = allow_pickle is None or bool(allow_pickle)
        self._closed = False
        self._open(name)

    @property
    def name(self):
        """The family's name."""
        return self._name

    @property
    def id(self):
        """What tells this family from others of the same name, before it and after it."""
        return self._id

    @property
    def allow_pickle(self):
        """Whether other than plain data is accepted here."""
        return self._allow_pickle

    def close(self):
        """Ends the use of this object; what was had by it lives on, and so does the family."""
        self._closed = True

    def __enter__(self):
        self._check_open()
        return self

    def __exit__(self, *exc_info):
        self.close()

    def __repr__(self):
        plain = "" if self._allow_pickle else ", allow_pickle=False"
        return f"<Family({self._name!r}{plain}){', closed' if self._closed else ''}>"

    def __reduce__(self):
        self._check_open()
        return _reopen, (type(self), self._name, self._allow_pickle)

    # ------------------------------------------------------------ objects

    def queue(self, name, maxsize=None, *, redeliver=False):
        """The `Queue` of that name. `maxsize`: how many messages it holds, 0 for any number; None:
        as it is, and any number if it is new. With redeliver it is another kind of object.

        Here and below: TypeError if the name is something else's, ValueError if the object there
        was made otherwise than is asked for.
        """
        return self._attached(Queue, "delivery_queue" if redeliver else "queue", name, maxsize)

    def joinable_queue(self, name, maxsize=None):
        """The `JoinableQueue` of that name; `maxsize` as of `queue`."""
        return self._attached(JoinableQueue, "joinable_queue", name, maxsize)

    def lifo_queue(self, name, maxsize=None):
        """The `LifoQueue` of that name; `maxsize` as of `queue`."""
        return self._attached(LifoQueue, "lifo_queue", name, maxsize)

    def priority_queue(self, name, maxsize=None):
        """The `PriorityQueue` of that name; `maxsize` as of `queue`."""
        return self._attached(PriorityQueue, "priority_queue", name, maxsize)

    def lock(self, name):
        """The `Lock` of that name."""
        return self._attached(Lock, "lock", name)

    def rlock(self, name):
        """The `RLock` of that name."""
        return self._attached(RLock, "rlock", name)

    def semaphore(self, name, value=1):
        """The `Semaphore` of that name; a new one has `value` permits."""
        return self._attached(Semaphore, "semaphore", name, value)

    def bounded_semaphore(self, name, value=None):
        """The `BoundedSemaphore` of that name, which has `value` permits when all were given back;
        None: as it is, and 1 if it is new."""
        return self._attached(BoundedSemaphore, "bounded_semaphore", name, value)

    def event(self, name):
        """The `Event` of that name."""
        return self._attached(Event, "event", name)

    def condition(self, name):
        """The `Condition` of that name, with a reentrant lock of its own."""
        handles, held = self._have("condition", name)
        condition, lock = Condition.__new__(Condition), RLock.__new__(RLock)
        condition._attach(handles[0])
        lock._attach(handles[1])
        del held
        condition._set_lock(lock)
        return condition

    def barrier(self, name, parties):
        """The `Barrier` of that name, at which so many meet."""
        synchronize.check_parties(parties)
        barrier = self._attached(Barrier, "barrier", name, parties)
        barrier._action = barrier._timeout = None
        return barrier

    def dict(self, name):
        """The shared dict of that name: what `Manager().dict()` gives, without a manager."""
        return self._proxy("dict", "dict", name)

    def list(self, name):
        """The shared list of that name: what `Manager().list()` gives, without a manager."""
        return self._proxy("list", "list", name)

    def value(self, name, initial=None):
        """The shared value of that name, `v.value`, which is `initial` if it is new."""
        return self._proxy("Value", "value", name, initial)

    def names(self):
        """What has a name in the family: a dict of names and kinds, the oldest first."""
        self._check_open()
        return self._names()

    def remove(self, name):
        """Takes the name from its object, which lives on where somebody has it: the next one to ask
        for the name makes a new object. Returns whether there was one."""
        self._check_open()
        return self._remove(name)

    def stats(self):
        """What the family uses and who is in it: a dict of `arena_bytes`, `idle_bytes`, `limit`,
        `queues`, `pipes` and `participants`, a list of dicts with `pid`, `name` and others."""
        self._check_open()
        return self._stats()

    # ------------------------------------------------------------ how they are had

    def _check_open(self):
        if self._closed:
            raise ValueError(f"{self!r}: no object can be had by it any more")

    def _have(self, kind, name, argument=None):
        """The handles of an object, and what keeps it alive until they are opened."""
        self._check_open()
        return self._object(kind, name, argument, not self._allow_pickle)

    def _attached(self, cls, kind, name, argument=None):
        handles, held = self._have(kind, name, argument)
        made = cls.__new__(cls)
        made._attach(handles[0])
        del held
        return self._restricted(made)

    def _proxy(self, typeid, kind, name, argument=None):
        from ._proxies import find  # the standard library's managers are slow to import

        handles, held = self._have(kind, name, argument)
        made = find(typeid, handles[0])
        del held
        return self._restricted(made)

    def _restricted(self, made):
        if not self._allow_pickle and hasattr(made, "_refuse_pickle"):
            made._refuse_pickle()
        return made


def _reopen(cls, name, allow_pickle):
    return cls(name, allow_pickle=allow_pickle)
