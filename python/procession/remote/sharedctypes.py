"""Numbers on a server as ctypes has them: what a remote context's `Value` gives.

What is on the server is the plain number, text or bytes that ctypes makes of it: machines need not
agree on how long a C `long` is.
"""

import ctypes

from .. import sharedctypes as _home
from .._core import RemoteValueBase
from ._server import Remote

__all__ = ["Value"]

# Addresses mean something to one process only.
_ADDRESSES = ctypes.c_char_p, ctypes.c_wchar_p, ctypes.c_void_p, ctypes.py_object


def Value(typecode_or_type, *args, lock=True, ctx):
    """Returns a shared number with a lock: an RLock of its own, or the one that is given.

    With `lock=False` it has none, and each access is one round trip, in place of three.
    """
    obj = RawValue(_kind(typecode_or_type), *args, ctx=ctx)
    if lock is False:
        return obj
    if lock in (True, None):
        lock = ctx.RLock()
    if not hasattr(lock, "acquire"):
        raise AttributeError(f"{lock!r} has no method 'acquire'")
    return Synchronized(obj, lock)


def _kind(typecode_or_type):
    kind = _home._type(typecode_or_type)
    ctypes.sizeof(kind)  # in whose words an unknown one is refused
    simple = isinstance(kind, type) and issubclass(kind, ctypes._SimpleCData)
    if not simple or issubclass(kind, _ADDRESSES):
        name = getattr(kind, "__name__", kind)
        raise TypeError(
            f"a Value on a server is one number or character, and no {name}: fields, items and"
            " addresses are of one machine's memory"
        )
    return kind


class RawValue(Remote, RemoteValueBase):
    """A number on a server, without a lock."""

    _kind: type

    def __init__(self, kind, *args, ctx):
        self._kind = kind
        self._begin(ctx, kind(*args).value, not ctx.allow_pickle)

    @property
    def value(self):
        """What it is: one round trip."""
        return self.get()

    @value.setter
    def value(self, value):
        # ctypes converts it, or refuses it.
        converted = self._kind()
        converted.value = value
        self.set(converted.value)

    def _extra(self):
        return self._kind

    def _set_extra(self, extra):
        self._kind = extra

    def __str__(self):
        return repr(self._kind(self.value))


class Synchronized(_home.Synchronized):
    """A number on a server and its lock, which is held for each access to `value`."""

    def __init__(self, obj, lock):
        self._wrap(obj, lock)

    def __reduce__(self):
        return type(self), (self._obj, self._lock)
