"""Dicts, lists, namespaces, values, arrays and queues."""

import array
import queue
import types

from .._core import DictBase, ListBase, QueueBase
from .._std import managers as _std
from .base import Held, Shared, find


class _Locked:
    """What dicts and lists have besides."""

    def lock(self):
        """The lock that belongs to this object, the same one in all processes: reentrant, and free
        again when its holder dies.

        It keeps out those who take it, too; single operations of others need no lock, and get in
        between.
        """
        lock = find("RLock", self._lock_handle())
        if self._scope is not None:
            lock._belong_to(self._scope)
        return lock


class DictProxy(Shared, _Locked, DictBase, _std.DictProxy, typeid="dict"):
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

    __class_getitem__ = classmethod(types.GenericAlias)  # type: ignore[var-annotated]


class ListProxy(Shared, _Locked, ListBase, _std.ListProxy, typeid="list"):
    """A list between processes. Each operation is one step, for all of them.

    Besides what a list has: `lock()`.
    """

    def _begin(self, sequence=(), /):
        self._create()
        self.extend(sequence)

    def _getvalue(self):
        return self.copy()

    __class_getitem__ = classmethod(types.GenericAlias)  # type: ignore[var-annotated]


class NamespaceProxy(Shared, Held, _std.NamespaceProxy, typeid="Namespace"):
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


class ValueProxy(Shared, Held, _std.ValueProxy, typeid="Value"):
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
        value, *typecode = self._native.copy()  # a family's has none
        return _std.Value(typecode[0] if typecode else None, value)


class ArrayProxy(Shared, Held, _std.ArrayProxy, typeid="Array"):
    """An array that all processes see: numbers of one type, as `array.array` has them."""

    _kind = ListBase

    _typecode = None  # not known to who only looks what a manager has

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
        except (IndexError, TypeError):
            return array.array(self._typecode)[index]  # says what is wrong with it

    def __setitem__(self, index, value):
        if isinstance(index, slice):
            self._set_slice(index, self._checked(value))
            return
        value = array.array(self._typecode, [value])[0]
        try:
            self._native[index] = value
        except (IndexError, TypeError):
            array.array(self._typecode)[index] = value

    def _set_slice(self, index, values):
        try:
            self._native[index] = values
        except ValueError as error:
            raise ValueError(str(error).replace("sequence", "array")) from None

    def _checked(self, value):
        # An array says itself what it takes for a slice.
        like = array.array(self._typecode)
        like[:] = value
        return like

    def _getvalue(self):
        values = self._native.copy()
        return values if self._typecode is None else array.array(self._typecode, values)


class _Queue(Shared, QueueBase, _std.BaseProxy):
    _exposed_ = tuple(name for name in vars(queue.Queue) if not name.startswith("_"))

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

    __class_getitem__ = classmethod(types.GenericAlias)  # type: ignore[var-annotated]

    def shutdown(self, immediate=False):
        """Ends the queue, for all processes: `put` raises `queues.ShutDown`, and so does `get` when
        it is empty; `immediate` empties it."""
        self._shut_down(bool(immediate))


class QueueProxy(_Queue, typeid="Queue"):
    """A queue between processes, which may go anywhere: also to a Pool's workers."""


class JoinableQueueProxy(_Queue, typeid="JoinableQueue"):
    """The same as `Queue`."""
