"""What all shared objects have in common: how they are made, found, pickled and shown."""

import weakref

from .. import _keys  # noqa: F401 (no fork shall find it half imported)
from .._core import Scope
from .._family import enter, papers
from .._std import managers as _std

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
    proxy = _rebuild_free(typeid, handle, False, travelled, *rest)
    known = _scopes.get(scope)
    if known is None:
        known = _scopes.setdefault(scope, Scope(scope))
    proxy._belong_to(known)
    return proxy


def _rebuild_free(typeid, handle, plain_only, travelled, *rest):
    enter(travelled)
    proxy = find(typeid, handle)
    if plain_only:
        proxy._refuse_pickle()
    proxy._travelled(*rest)
    return proxy


class Shared:
    """What all have in common. A subclass has a native base, or holds one in `_native`."""

    _typeid: str
    _scope = None  # what it belongs to; one that has a name in a family belongs to none

    def __init_subclass__(cls, typeid=None, **kwargs):
        super().__init_subclass__(**kwargs)
        if typeid is not None:
            cls._typeid = typeid
            TYPES[typeid] = cls
            # The name of the class that it stands for.
            face = next(base for base in cls.__mro__ if base.__module__.endswith("managers"))
            cls.__name__ = f"AutoProxy[{typeid}]" if face is _std.BaseProxy else face.__name__
            cls.__qualname__ = cls.__name__

    def __init__(self, *args, **kwargs):
        raise TypeError(f"a {type(self).__name__} is made by a manager: Manager().{self._typeid}()")

    def _belong_to(self, scope):
        self._belong(scope)
        object.__setattr__(self, "_scope", scope)

    def _rest(self):
        """What travels besides the handle."""
        return ()

    def _travelled(self):
        """Takes what `_rest` gave."""

    def __reduce__(self):
        if self._scope is None:
            plain_only = getattr(self, "_plain_only", False)
            what = self._typeid, self._handle(), plain_only, papers(self)
            return _rebuild_free, (*what, *self._rest())
        papers(self._scope)  # a child that is being started needs both
        return _rebuild, (
            self._typeid,
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
        return f"<{type(self).__name__} object, typeid {self._typeid!r} at {id(self):#x}>"

    def __str__(self):
        try:
            return self._text()
        except Exception:
            return repr(self)[:-1] + "; '__str__()' failed>"

    def _text(self):
        return repr(self._getvalue())

    @property
    def _id(self):
        """What says which object it is, in hexadecimal."""
        return self._handle()[28:36].hex()

    @property
    def _token(self):
        return _std.Token(self._typeid, None, self._id)

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
        raise AttributeError(f"method {methodname!r} of {self._typeid!r} object is not exposed")

    def _getvalue(self):
        raise TypeError(f"a {self._typeid} has no value that could be copied")

    # A server would count: here the core does.

    def _incref(self):
        pass

    def _after_fork(self):
        pass


class Held:
    """Of those whose names are not to be mixed with the native class's: it is an attribute."""

    def _begin_native(self, native):
        object.__setattr__(self, "_native", native)
        for name in ("_handle", "_lease", "_belong", "_refuse_pickle"):
            object.__setattr__(self, name, getattr(native, name))
        return native

    def _attach(self, handle):
        self._begin_native(self._kind())._attach(handle)

    def _clear(self):
        self._native.clear()

    @property
    def _plain_only(self):
        return self._native._plain_only
