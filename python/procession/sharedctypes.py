"""Shared ctypes objects: `Value`, `Array` and their raw forms, in the arena.

An object's bytes are shared memory of its own, which every process with a handle sees; a handle may
go anywhere in the family. What wraps an object holds its lock for each access.
"""

import ctypes
import weakref

from . import _core, heap
from ._core import LockedAttribute
from .reduction import ForkingPickler

__all__ = ["Array", "RawArray", "RawValue", "Value", "copy", "synchronized"]

typecode_to_type = {
    "c": ctypes.c_char,
    "u": ctypes.c_wchar,
    "b": ctypes.c_byte,
    "B": ctypes.c_ubyte,
    "h": ctypes.c_short,
    "H": ctypes.c_ushort,
    "i": ctypes.c_int,
    "I": ctypes.c_uint,
    "l": ctypes.c_long,
    "L": ctypes.c_ulong,
    "q": ctypes.c_longlong,
    "Q": ctypes.c_ulonglong,
    "f": ctypes.c_float,
    "d": ctypes.c_double,
}


def RawValue(typecode_or_type, *args):
    """Returns a ctypes object in shared memory, zero or initialised with `args`.

    Nothing orders the accesses of several processes.

    >>> from procession.sharedctypes import RawValue
    >>> RawValue("i", 7).value
    7
    """
    obj = _new_value(_type(typecode_or_type))
    obj.__init__(*args)
    return obj


def RawArray(typecode_or_type, size_or_initializer):
    """Returns a ctypes array in shared memory: of zeroes, or of what an iterable gives.

    >>> from procession.sharedctypes import RawArray
    >>> list(RawArray("h", [1, 2, 3]))
    [1, 2, 3]
    """
    item = _type(typecode_or_type)
    if isinstance(size_or_initializer, int):
        return _new_value(item * size_or_initializer)
    obj = _new_value(item * len(size_or_initializer))
    obj.__init__(*size_or_initializer)
    return obj


def Value(typecode_or_type, *args, lock=True, ctx=None):
    """Returns a shared ctypes object with a lock: an RLock of its own, or the one that is given.

    With `lock=False` it is a `RawValue`. `value += 1` takes the lock twice: hold it around that.

    >>> from procession.sharedctypes import Value
    >>> counter = Value("i", 0)
    >>> with counter.get_lock():
    ...     counter.value += 1
    >>> counter.value
    1
    """
    return _with_lock(RawValue(typecode_or_type, *args), lock, ctx)


def Array(typecode_or_type, size_or_initializer, *, lock=True, ctx=None):
    """Returns a shared ctypes array with a lock: an RLock of its own, or the one that is given.

    With `lock=False` it is a `RawArray`.

    >>> from procession.sharedctypes import Array
    >>> Array("d", 2)[:]
    [0.0, 0.0]
    """
    return _with_lock(RawArray(typecode_or_type, size_or_initializer), lock, ctx)


def copy(obj):
    """Returns a copy of a ctypes object in shared memory of its own.

    >>> from procession.sharedctypes import RawValue, copy
    >>> copy(RawValue("i", 7)).value
    7
    """
    new = _new_value(type(obj))
    ctypes.pointer(new)[0] = obj
    return new


def synchronized(obj, lock=None, ctx=None):
    """Returns an object that wraps a ctypes object and holds the lock for each access.

    >>> from procession.sharedctypes import RawValue, synchronized
    >>> synchronized(RawValue("i", 7)).value
    7
    """
    assert not isinstance(obj, SynchronizedBase), "object already synchronized"
    ctx = ctx or _default_context()
    if isinstance(obj, ctypes._SimpleCData):
        return Synchronized(obj, lock, ctx)
    if isinstance(obj, ctypes.Array):
        kind = SynchronizedString if obj._type_ is ctypes.c_char else SynchronizedArray
        return kind(obj, lock, ctx)
    cls = type(obj)
    wrapper = class_cache.get(cls)
    if wrapper is None:
        fields = {field[0]: make_property(field[0]) for field in cls._fields_}
        wrapper = type("Synchronized" + cls.__name__, (SynchronizedBase,), fields)
        class_cache[cls] = wrapper
    return wrapper(obj, lock, ctx)


def _type(typecode_or_type):
    return typecode_to_type.get(typecode_or_type, typecode_or_type)


def _default_context():
    from .context import _default_context

    return _default_context.get_context()


def _with_lock(obj, lock, ctx):
    if lock is False:
        return obj
    ctx = ctx or _default_context()
    if lock in (True, None):
        lock = ctx.RLock()
    if not hasattr(lock, "acquire"):
        raise AttributeError(f"{lock!r} has no method 'acquire'")
    return synchronized(obj, lock, ctx=ctx)


def _new_value(type_):
    return rebuild_ctype(type_, heap.BufferWrapper(ctypes.sizeof(type_)), None)


def rebuild_ctype(type_, wrapper, length):
    """Returns the ctypes object over a wrapper's memory, in the receiver as well."""
    if length is not None:
        type_ = type_ * length
    ForkingPickler.register(type_, reduce_ctype)
    obj = type_.from_buffer(wrapper.create_memoryview())
    obj._wrapper = wrapper
    return obj


def reduce_ctype(obj):
    """Reduces a shared ctypes object to its handle; one that is not shared to its bytes."""
    wrapper = getattr(obj, "_wrapper", None)
    if wrapper is None:
        return obj.__reduce__()
    if isinstance(obj, ctypes.Array):
        return rebuild_ctype, (obj._type_, wrapper, obj._length_)
    return rebuild_ctype, (type(obj), wrapper, None)


def make_property(name):
    """Returns a property that is the wrapped object's attribute, under the lock."""
    return LockedAttribute(name)


class_cache = weakref.WeakKeyDictionary()


class SynchronizedBase(_core.SynchronizedBase):
    """A shared ctypes object and its lock."""

    def __init__(self, obj, lock=None, ctx=None):
        self._wrap(obj, lock or (ctx or _default_context()).RLock())

    def __reduce__(self):
        # By the reducer, whichever pickler it is: a plain one would copy the bytes.
        function, args = reduce_ctype(self._obj)[:2]
        return _rebuild, (function, args, self._lock)

    def __repr__(self):
        return f"<{type(self).__name__} wrapper for {self._obj}>"


def _rebuild(function, args, lock):
    return synchronized(function(*args), lock)


class Synchronized(SynchronizedBase):
    """A shared simple value: its `value` is read and written under the lock."""

    value = make_property("value")


class SynchronizedArray(SynchronizedBase):
    """A shared array: items and slices are read and written under the lock."""

    def __len__(self):
        return len(self._obj)

    def __getitem__(self, i):
        with self._lock:
            return self._obj[i]

    def __setitem__(self, i, value):
        with self._lock:
            self._obj[i] = value

    def __getslice__(self, start, stop):
        return self[start:stop]

    def __setslice__(self, start, stop, values):
        self[start:stop] = values


class SynchronizedString(SynchronizedArray):
    """A shared array of bytes: `value` up to the first zero byte, `raw` as a whole."""

    value = make_property("value")
    raw = make_property("raw")
