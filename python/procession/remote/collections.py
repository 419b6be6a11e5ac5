"""Dicts, lists, namespaces, values and arrays on a server: what a manager's proxies are on one
machine, with the same methods."""

import array

from .._core import RemoteValueBase
from .._proxies.containers import ArrayProxy as _HomeArray
from .._proxies.containers import NamespaceProxy as _HomeNamespace
from .._std import managers as _std
from ._dict import DictProxy as Dict
from ._list import ListProxy as List
from ._proxied import Proxied

__all__ = ["Array", "Dict", "List", "Namespace", "Value"]


class ValueProxy(Proxied, RemoteValueBase, _std.ValueProxy):
    """A value on a server; `v.value += 1` is two operations."""

    _typeid = "Value"
    _typecode = None

    def __init__(self, typecode, value, lock=True, *, ctx):
        self._begin(ctx, value, not ctx.allow_pickle)
        self._typecode = typecode

    @classmethod
    def _made(cls, place, /, typecode, value, lock=True):
        return cls(typecode, value, lock, ctx=place)

    @classmethod
    def _named(cls, place, name, initial=None):
        return super()._named(place, name, initial, not place.allow_pickle)

    def get(self):
        """What is in it."""
        return RemoteValueBase.get(self)

    def set(self, value):
        """Puts something else into it."""
        RemoteValueBase.set(self, value)

    value = property(get, set)

    def _extra(self):
        return self._typecode

    def _set_extra(self, extra):
        self._typecode = extra

    def _getvalue(self):
        return _std.Value(self._typecode, self.get())


class _Held(Proxied):
    """Of those whose names are not to be mixed with the native class's: it is an attribute."""

    def _set_native(self, native):
        object.__setattr__(self, "_native", native)
        return native

    def _create(self, server):
        self._set_native(self._kind.__new__(self._kind))._create(server)

    def _find(self, server, name):
        self._set_native(self._kind.__new__(self._kind))._find(server, name)

    def _attach(self, server, key):
        self._set_native(self._kind.__new__(self._kind))._attach(server, key)

    def _refuse_pickle(self):
        self._native._refuse_pickle()

    @property
    def _plain_only(self):
        return self._native._plain_only

    def _there(self, to_send=False):
        return self._native._there(to_send)

    def _clear(self):
        self._native.clear()


class NamespaceProxy(_Held, _std.NamespaceProxy):
    """Attributes on a server, which all processes see. Names that begin with _ are this process's
    own."""

    _typeid = "Namespace"
    _kind = Dict

    def __init__(self, /, *, ctx, **kwds):
        self._begin(ctx)
        self._fill(**kwds)

    def _fill(self, /, **kwds):
        self._native._fill(**kwds)

    __getattr__ = _HomeNamespace.__getattr__
    __setattr__ = _HomeNamespace.__setattr__
    __delattr__ = _HomeNamespace.__delattr__
    _callmethod = _HomeNamespace._callmethod

    def _getvalue(self):
        return _std.Namespace(**self._native.copy())


class ArrayProxy(_Held, _std.ArrayProxy):
    """An array on a server: numbers of one type, as `array.array` has them."""

    _typeid = "Array"
    _kind = List
    _typecode = None

    def __init__(self, typecode, sequence, lock=True, *, ctx):
        self._begin(ctx)
        self._fill(typecode, sequence, lock)

    def _fill(self, typecode, sequence, lock=True):
        self._typecode = typecode
        self._native.extend(array.array(typecode, sequence))

    def _extra(self):
        return self._typecode

    def _set_extra(self, extra):
        self._typecode = extra

    __len__ = _HomeArray.__len__
    __iter__ = _HomeArray.__iter__
    __getitem__ = _HomeArray.__getitem__
    __setitem__ = _HomeArray.__setitem__
    _checked = _HomeArray._checked
    _set_slice = _HomeArray._set_slice
    _getvalue = _HomeArray._getvalue


Array, Namespace, Value = ArrayProxy, NamespaceProxy, ValueProxy
