"""`Family`: named families, where unrelated processes of one user find the same objects by name.

A family is shared memory; its name is a small file at which its processes meet. What `family.queue`
and the others give are Procession's ordinary objects, which are pickled, passed to children and
waited for as any others.
"""

from . import _familyface
from ._core import FamilyBase
from ._lockface import check_parties
from .queues import JoinableQueue, LifoQueue, PriorityQueue, Queue
from .synchronize import Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, Semaphore

__all__ = ["Family"]


class Family(_familyface.Family, FamilyBase):
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
        super().close()

    def __repr__(self):
        plain = "" if self._allow_pickle else ", allow_pickle=False"
        return f"<Family({self._name!r}{plain}){', closed' if self._closed else ''}>"

    def __reduce__(self):
        self._check_open()
        return _reopen, (type(self), self._name, self._allow_pickle)

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

    def _of_kind(self, kind, name, argument=None):
        if kind == "barrier":
            check_parties(argument)
        self._check_open()
        # What is held keeps it alive until its handles are opened.
        handles, held = self._object(kind, name, argument, not self._allow_pickle)
        if kind in _PROXIES:
            from ._proxies import find  # the standard library's managers are slow to import

            made = find(_PROXIES[kind], handles[0])
        else:
            made = _attached(_CLASSES[kind], handles[0])
        if kind == "barrier":
            made._action = made._timeout = None
        elif kind == "condition":
            made._set_lock(_attached(RLock, handles[1]))
        del held
        if not self._allow_pickle and hasattr(made, "_refuse_pickle"):
            made._refuse_pickle()
        return made


_CLASSES = {
    "queue": Queue,
    "delivery_queue": Queue,
    "joinable_queue": JoinableQueue,
    "lifo_queue": LifoQueue,
    "priority_queue": PriorityQueue,
    "lock": Lock,
    "rlock": RLock,
    "semaphore": Semaphore,
    "bounded_semaphore": BoundedSemaphore,
    "event": Event,
    "condition": Condition,
    "barrier": Barrier,
}
_PROXIES = {"dict": "dict", "list": "list", "value": "Value"}


def _attached(cls, handle):
    made = cls.__new__(cls)
    made._attach(handle)
    return made


def _reopen(cls, name, allow_pickle):
    return cls(name, allow_pickle=allow_pickle)
