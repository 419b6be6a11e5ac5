"""What a manager hands out: objects in shared memory, with the faces of the standard library's proxies.

There is no server behind them: an operation *is* the core's, in this process. Each is one of the
standard library's proxy classes, too, for those who ask `isinstance`; of that class's methods those
remain that are about a server, and are replaced here (`_Shared`).

A proxy may go anywhere in the family: as a Process argument, to a Pool's worker, into a queue, and
into another shared object, which then keeps it alive. It says to which manager it belongs, for once
that was shut down each operation raises BrokenPipeError.
"""

import array
import types
import weakref

from . import synchronize
from ._core import (
    BarrierBase,
    DictBase,
    EventBase,
    ListBase,
    LockBase,
    QueueBase,
    Scope,
    SemaphoreBase,
)
from ._family import enter, papers
from ._std import managers as _std

TYPES: dict = {}  # typeid → class
_scopes: weakref.WeakValueDictionary = weakref.WeakValueDictionary()  # handle → Scope


def _new(typeid):
    kind = TYPES[typeid]
    return kind.__new__(kind)


def make(scope, typeid, /, *args, **kwds):
    """A new shared object of that type."""
    proxy = _new(typeid)
    proxy._begin(*args, **kwds)
    proxy._belong_to(scope)
    return proxy


def find(typeid, handle):
    """The object that a handle names, though its manager may be shut down; RuntimeError if it is
    gone."""
    proxy = _new(typeid)
    proxy._attach(handle)
    return proxy


def _rebuild(typeid, handle, scope, travelled, *rest):
    enter(travelled)
    proxy = _new(typeid)
    proxy._attach(handle)
    proxy._travelled(*rest)
    known = _scopes.get(scope)
    if known is None:
        known = _scopes.setdefault(scope, Scope(scope))
    proxy._belong_to(known)
    return proxy


class _Shared:
    """What all have in common. A subclass has a native base, or holds one in `_native`."""

    typeid: str
    _exposed_: tuple = ()

    def __init_subclass__(cls, typeid=None, **kwargs):
        super().__init_subclass__(**kwargs)
        if typeid is not None:
            cls.typeid = typeid
            TYPES[typeid] = cls
            # The name and the home of the class that it stands for.
            face = next((base for base in cls.__mro__ if base.__module__.endswith("managers")), cls)
            if face is _std.BaseProxy:
                cls.__name__ = cls.__qualname__ = f"AutoProxy[{typeid}]"

    def __init__(self, *args, **kwargs):
        raise TypeError(f"a {type(self).__name__} is made by a manager: Manager().{self.typeid}()")

    def _belong_to(self, scope):
        self._belong(scope)
        object.__setattr__(self, "_scope", scope)

    def _rest(self):
        """What travels besides the handle."""
        return ()

    def _travelled(self):
        """Takes what `_rest` gave."""

    def __reduce__(self):
        return _rebuild, (
            self.typeid,
            self._handle(),
            self._scope._handle(),
            papers(self),
            *self._rest(),
        )

    def __reduce_ex__(self, protocol):
        return self.__reduce__()

    def __deepcopy__(self, memo):
        return self._getvalue()

    def __repr__(self):
        return f"<{type(self).__name__} object, typeid {self.typeid!r} at {id(self):#x}>"

    def __str__(self):
        try:
            return self._text()
        except Exception:
            return repr(self)[:-1] + "; '__str__()' failed>"

    def _text(self):
        return repr(self._getvalue())

    def _id(self):
        """What says which object it is, in hexadecimal."""
        return self._handle()[28:36].hex()

    @property
    def _token(self):
        return _std.Token(self.typeid, None, self._id())

    def _callmethod(self, methodname, args=(), kwds={}):  # noqa: B006 (it is the standard library's signature)
        if methodname in ("__str__", "__repr__"):
            return self._text()
        if methodname == "#GETVALUE":
            return self._getvalue()
        for base in type(self).__mro__:
            if base.__module__.endswith("managers"):
                continue  # those call this method
            if methodname in vars(base) and base is not object:
                return getattr(self, methodname)(*args, **kwds)
        raise AttributeError(f"method {methodname!r} of {self.typeid!r} object is not exposed")

    def _getvalue(self):
        raise TypeError(f"a {self.typeid} has no value that could be copied")

    # A server would count: here the core does.

    def _incref(self):
        pass

    def _after_fork(self):
        pass


class _Locked:
    """What dicts and lists have besides."""

    def lock(self):
        """The lock that belongs to this object, the same one in all processes: reentrant, and free
        again when its holder dies.

        It keeps out those who take it, too; single operations of others need no lock, and get in
        between.
        """
        lock = find("RLock", self._lock_handle())
        lock._belong_to(self._scope)
        return lock


class DictProxy(_Shared, _Locked, DictBase, _std.DictProxy, typeid="dict"):
    """A dict between processes. Each operation is one step, for all of them.

    Besides what a dict has: `lock()`, `increment(key, n)`, `compare_exchange(key, old, new)` and
    `wait_for(key, timeout)`.
    """

    def _begin(self, /, *args, **kwds):
        self._create()
        if args or kwds:
            self.update(*args, **kwds)

    def _getvalue(self):
        return self.copy()

    def has_key(self, key):
        return key in self

    def __or__(self, other):
        if isinstance(other, DictBase):
            other = other.copy()
        return self.copy() | other if isinstance(other, dict) else NotImplemented

    def __ror__(self, other):
        return other | self.copy() if isinstance(other, dict) else NotImplemented

    def __ior__(self, other):
        self.update(other)
        return self

    __class_getitem__ = classmethod(types.GenericAlias)


class ListProxy(_Shared, _Locked, ListBase, _std.ListProxy, typeid="list"):
    """A list between processes. Each operation is one step, for all of them.

    Besides what a list has: `lock()`.
    """

    def _begin(self, sequence=(), /):
        self._create()
        self.extend(sequence)

    def _getvalue(self):
        return self.copy()

    __class_getitem__ = classmethod(types.GenericAlias)


class _Held:
    """Of those whose names are not to be mixed with the native class's: it is an attribute."""

    def _begin_native(self, native):
        object.__setattr__(self, "_native", native)
        for name in ("_handle", "_lease", "_belong"):
            object.__setattr__(self, name, getattr(native, name))
        return native

    def _attach(self, handle):
        self._begin_native(self._kind())._attach(handle)

    def _clear(self):
        self._native.clear()


class NamespaceProxy(_Shared, _Held, _std.NamespaceProxy, typeid="Namespace"):
    """Attributes that all processes see. Names that begin with _ are this process's own."""

    _kind = DictBase

    def _begin(self, /, **kwds):
        native = self._begin_native(DictBase())
        native._create()
        native.update(kwds)

    def __getattr__(self, key):
        if key[0] == "_":
            return object.__getattribute__(self, key)
        try:
            return object.__getattribute__(self, "_native")[key]
        except KeyError:
            raise _no_attribute(key) from None

    def __setattr__(self, key, value):
        if key[0] == "_":
            object.__setattr__(self, key, value)
        else:
            self._native[key] = value

    def __delattr__(self, key):
        if key[0] == "_":
            return object.__delattr__(self, key)
        try:
            del self._native[key]
        except KeyError:
            raise _no_attribute(key) from None

    def _callmethod(self, methodname, args=(), kwds={}):  # noqa: B006
        own = {
            "__getattribute__": getattr,
            "__setattr__": setattr,
            "__delattr__": delattr,
        }.get(methodname)
        return own(self, *args) if own else super()._callmethod(methodname, args, kwds)

    def _getvalue(self):
        return _std.Namespace(**self._native.copy())


def _no_attribute(key):
    return AttributeError(f"'Namespace' object has no attribute {key!r}")


class ValueProxy(_Shared, _Held, _std.ValueProxy, typeid="Value"):
    """A value that all processes see; `v.value += 1` is two operations."""

    _kind = ListBase

    def _begin(self, typecode, value, lock=True):
        native = self._begin_native(ListBase())
        native._create()
        native.extend((value, typecode))

    def get(self):
        return self._native[0]

    def set(self, value):
        self._native[0] = value

    value = property(get, set)

    def _getvalue(self):
        value, typecode = self._native.copy()
        return _std.Value(typecode, value)


class ArrayProxy(_Shared, _Held, _std.ArrayProxy, typeid="Array"):
    """An array that all processes see: numbers of one type, as `array.array` has them."""

    _kind = ListBase

    def _begin(self, typecode, sequence, lock=True):
        self._typecode = typecode
        native = self._begin_native(ListBase())
        native._create()
        native.extend(array.array(typecode, sequence))

    def _rest(self):
        return (self._typecode,)

    def _travelled(self, typecode):
        self._typecode = typecode

    def __len__(self):
        return len(self._native)

    def __iter__(self):
        return iter(self._native)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return array.array(self._typecode, self._native[index])
        try:
            return self._native[index]
        except IndexError:
            raise IndexError("array index out of range") from None

    def __setitem__(self, index, value):
        if isinstance(index, slice):
            self._native[index] = self._checked(value)
            return
        value = array.array(self._typecode, [value])[0]
        try:
            self._native[index] = value
        except IndexError:
            raise IndexError("array assignment index out of range") from None

    def _checked(self, value):
        # An array says itself what it takes for a slice.
        like = array.array(self._typecode)
        like[:] = value
        return like

    def _getvalue(self):
        return array.array(self._typecode, self._native.copy())


class _Queue(_Shared, QueueBase, _std.BaseProxy):
    def _begin(self, maxsize=0):
        self._create(maxsize)

    def task_done(self):
        """Says that an object that was got is dealt with."""
        self._put_done()

    def join(self):
        """Waits until all objects that were put are dealt with."""
        self._join()

    def _text(self):
        return f"<queue.Queue object at {id(self):#x}>"

    __class_getitem__ = classmethod(types.GenericAlias)


class QueueProxy(_Queue, typeid="Queue"):
    """A queue between processes, which may go anywhere: also to a Pool's workers."""


class JoinableQueueProxy(_Queue, typeid="JoinableQueue"):
    """The same as `Queue`."""


class _Acquirer(_Shared, _std.AcquirerProxy):
    """What locks and semaphores have in common: `threading`'s arguments and errors."""

    @property
    def _semlock(self):
        return self


class LockProxy(LockBase, _Acquirer, typeid="Lock"):
    """A lock between processes. If its holder dies the next one has it, with a warning."""

    _reentrant = False

    def _begin(self):
        self._create(self._reentrant)

    def _text(self):
        state = "locked" if self.locked() else "unlocked"
        return f"<{state} _thread.{self.typeid.lower()} object at {id(self):#x}>"


class RLockProxy(LockProxy, typeid="RLock"):
    """A lock that its holder may take again."""

    _reentrant = True


class SemaphoreProxy(SemaphoreBase, _Acquirer, typeid="Semaphore"):
    """A semaphore between processes."""

    def _begin(self, value=1):
        if value < 0:
            raise ValueError("semaphore initial value must be >= 0")
        self._create(value, synchronize.SEM_VALUE_MAX)

    def acquire(self, blocking=True, timeout=None):
        """Takes a permit; waits for one if blocking is true, at most timeout seconds."""
        if not blocking and timeout is not None:
            raise ValueError("can't specify timeout for non-blocking acquire")
        return SemaphoreBase.acquire(self, blocking, timeout)

    def release(self, n=1):
        """Gives n permits back."""
        if n < 1:
            raise ValueError("n must be one or more")
        for _ in range(n):
            self._release()

    def _release(self):
        SemaphoreBase.release(self)

    def _text(self):
        name = f"threading.{self.typeid}"
        return f"<{name} at {id(self):#x}: value={self._get_value()}>"


class BoundedSemaphoreProxy(SemaphoreProxy, typeid="BoundedSemaphore"):
    """A semaphore that is never released more often than acquired."""

    def _begin(self, value=1):
        if value < 0:
            raise ValueError("semaphore initial value must be >= 0")
        self._create(value, value)

    def _release(self):
        try:
            SemaphoreBase.release(self)
        except ValueError:
            raise ValueError("Semaphore released too many times") from None


class ConditionProxy(_Shared, synchronize.Condition, _std.ConditionProxy, typeid="Condition"):
    """A condition between processes, with a lock of a manager's, or one of its own."""

    def _begin(self, lock=None):
        self._create()
        self._lock = lock

    def _belong_to(self, scope):
        super()._belong_to(scope)
        self._set_lock(make(scope, "RLock") if self._lock is None else self._lock)

    def _rest(self):
        return (self._lock,)

    def _travelled(self, lock):
        self._lock = lock

    def _check_mine(self, text):
        if not self._lock._semlock._is_mine():
            verb = "wait" if "wait" in text else "notify"
            raise RuntimeError(f"cannot {verb} on un-acquired lock")

    def _text(self):
        return f"<Condition({self._lock}, {self._waiting()})>"


class EventProxy(_Shared, EventBase, _std.EventProxy, typeid="Event"):
    """An event between processes."""

    def _begin(self):
        self._create()

    def _text(self):
        return f"<threading.Event at {id(self):#x}: {'set' if self.is_set() else 'unset'}>"


class BarrierProxy(_Shared, BarrierBase, _std.BarrierProxy, typeid="Barrier"):
    """A barrier between processes; the last one to come runs the action."""

    _action = _timeout = None

    def _begin(self, parties, action=None, timeout=None):
        if parties < 1:
            raise ValueError("parties must be > 0")
        self._create(parties)
        self._action, self._timeout = action, timeout

    def _rest(self):
        return self._action, self._timeout

    def _travelled(self, action, timeout):
        self._action, self._timeout = action, timeout

    def wait(self, timeout=None):
        """Waits for the others; returns a number from 0 on, another one to each."""
        return self._wait(self._action, self._timeout if timeout is None else timeout)

    def _text(self):
        name = f"threading.Barrier at {id(self):#x}"
        state = "broken" if self.broken else f"waiters={self.n_waiting}/{self.parties}"
        return f"<{name}: {state}>"


