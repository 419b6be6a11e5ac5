"""A dict on a server.

Each method is one script of the server's, and one round trip, for keys that are found by their
bytes: texts, bytes, whole numbers, None, and tuples of these. Others are found as on one machine
(see `procession._keys`): the candidates are read, compared here by `==`, and the change is made if
no other candidate has come or gone meanwhile, which the server says; else all is done again.
"""

import threading
import time
import types

from .._core import DictBase, RemoteDictBase
from .._std import managers as _std
from ._proxied import Locked, Own, Proxied

# Only who made the keys can tell: the caller compares them.
UNSURE = NotImplemented
AGAIN = object()
_MISSING = object()
_PAGE = 64 << 10
# How often the Python code that a comparison runs may change what it is about.
_OWN_CHANGES = 1000


class DictProxy(Proxied, Own, Locked, RemoteDictBase, _std.DictProxy):
    """A dict on a server. Each operation is one step, for all processes on all machines.

    Besides what a dict has: `lock()`, `increment(key, n)`, `compare_exchange(key, old, new)` and
    `wait_for(key, timeout)`. `keys`, `values` and `items` are lists, as they are at one moment;
    who iterates reads some keys ahead.
    """

    _typeid = "dict"

    def __init__(self, /, *args, ctx, **kwds):
        self._begin(ctx)
        self._fill(*args, **kwds)

    def _fill(self, /, *args, **kwds):
        if args or kwds:
            self.update(*args, **kwds)

    # ------------------------------------------------------------ keys that are compared

    def _candidate(self, key, name):
        """The field of an equal key, or None; and what the server is told if none is."""
        group = name[0][1:] if name[1] is None else name[1]
        mark, fields = self._candidates(group)
        hashed = hash(key)
        for field in fields:
            stored = self._unpack_key(field, True)
            if stored is UNSURE:
                continue
            if stored is key or (hash(stored) == hashed and stored == key):
                return field, None
        return None, (group, mark)

    def _until(self, attempt):
        """Tries until it works: `attempt` gives AGAIN if something came in between."""
        with self._attempts() as attempts:
            for own in attempts:
                if own >= _OWN_CHANGES:
                    break
                done = attempt()
                if done is not AGAIN:
                    return done
        raise RuntimeError("it was changed again and again by the comparisons that it needs")

    def _found(self, key, name, act):
        """What `act` gives of the field with an equal key; None if there is none."""

        def attempt():
            field, _ = self._candidate(key, name)
            done = None if field is None else act(field)
            return AGAIN if field is not None and (done is None or done is UNSURE) else done

        return self._until(attempt)

    def _set_compared(self, entries):
        """Sets values for keys, each with its name and the value's message, all in one step."""

        def attempt():
            settled = []
            for key, name, value in entries:
                field, mark = self._candidate(key, name)
                settled.append([name[0], value, *mark] if field is None else [field, value])
            return None if self._settle(settled) else AGAIN

        self._until(attempt)

    def _look_up(self, key):
        """The value's message, or None."""
        name = self._name(key)
        found = UNSURE if name[1] is not None else self._get(name[0])
        return self._found(key, name, self._get) if found is UNSURE else found

    # ------------------------------------------------------------ one entry

    def __getitem__(self, key):
        found = self._look_up(key)
        if found is None:
            raise KeyError(key)
        return self._unpack(found)

    def get(self, key, default=None, /):
        """The value for key, or default."""
        found = self._look_up(key)
        return default if found is None else self._unpack(found)

    def __contains__(self, key):
        name = self._name(key)
        found = UNSURE if name[1] is not None else self._contains(name[0])
        return self._candidate(key, name)[0] is not None if found is UNSURE else found

    has_key = __contains__

    def __setitem__(self, key, value):
        name, message = self._name(key), self._pack(value)
        self._changed()
        if name[1] is not None or self._set(name[0], message) is UNSURE:
            self._set_compared([(key, name, message)])

    def __delitem__(self, key):
        if self._remove(key) is None:
            raise KeyError(key)

    def _remove(self, key):
        """The message of the value that was there, or None."""
        name = self._name(key)
        self._changed()
        popped = UNSURE if name[1] is not None else self._pop(name[0])
        return self._found(key, name, self._pop) if popped is UNSURE else popped

    def pop(self, key, /, *default):
        """Removes key and returns its value; default, or KeyError, if there is none."""
        if len(default) > 1:
            raise TypeError(f"pop expected at most 2 arguments, got {len(default) + 1}")
        popped = self._remove(key)
        if popped is not None:
            return self._unpack(popped)
        if not default:
            raise KeyError(key)
        return default[0]

    def popitem(self):
        """Removes the newest entry and returns it as (key, value)."""
        self._changed()
        popped = self._popitem()
        if popped is None:
            raise KeyError("popitem(): dictionary is empty")
        return self._unpack_key(popped[0]), self._unpack(popped[1])

    def setdefault(self, key, default=None, /):
        """The value for key, which is set to default if there is none."""
        name, message = self._name(key), self._pack(default)
        self._changed()
        found = UNSURE if name[1] is not None else self._default(name[0], message)
        if found is UNSURE:
            found = self._default_compared(key, name, message)
        return default if found is None else self._unpack(found)

    def _default_compared(self, key, name, message):
        def attempt():
            field, mark = self._candidate(key, name)
            if field is None:
                return None if self._settle([[name[0], message, *mark]]) else AGAIN
            found = self._get(field)
            return AGAIN if found is None or found is UNSURE else found

        return self._until(attempt)

    # ------------------------------------------------------------ steps that many processes need

    def increment(self, key, n=1):
        """Adds n to the value for key, which is 0 if there is none, in one step; the sum."""
        name = self._name(key)
        self._changed()
        if name[1] is None and (type(n) is float or (type(n) is int and abs(n) < 2**63)):
            added = self._add(name[0], self._pack(n))
            if type(added) is bytes:
                return self._unpack(added)
        return self._change(key, name, lambda old: (0 if old is _MISSING else old) + n)

    def compare_exchange(self, key, old, new):
        """Sets the value for key to new if it equals old, in one step. Whether it did."""
        name, new_message, old_message = self._name(key), self._pack(new), self._pack(old)
        self._changed()
        if name[1] is None:
            done = self._exchange(name[0], old_message, new_message)
            if done is True:
                return True
            # Equal values may have other bytes: 1 and 1.0.
            if done is not UNSURE and (done[0] is None or self._unpack(done[0]) != old):
                return False

        def exchanged(there):
            return new if there is not _MISSING and there == old else _MISSING

        return self._change(key, name, exchanged) is not _MISSING

    def _change(self, key, name, make):
        """Replaces the value by what `make` gives for it, as if in one step; `_MISSING` stands for
        none, and leaves it as it is."""

        def attempt():
            field, mark = name[0], None
            found = UNSURE if name[1] is not None else self._get(field)
            if found is UNSURE:
                field, mark = self._candidate(key, name)
                found = None if field is None else self._get(field)
                if field is not None and (found is None or found is UNSURE):
                    return AGAIN  # it went meanwhile
            new = make(_MISSING if found is None else self._unpack(found))
            if new is _MISSING:
                return new
            message = self._pack(new)
            if field is None:
                done = self._settle([[name[0], message, *mark]])
            else:
                done = self._exchange(field, found, message)
            return new if done is True else AGAIN

        return self._until(attempt)

    def wait_for(self, key, timeout=None):
        """Waits until there is a value for key, at most timeout seconds, and returns it.

        multiprocessing.TimeoutError if none came.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            shape = self._shape()
            found = self._look_up(key)
            if found is not None:
                return self._unpack(found)
            left = None if until is None else max(until - time.monotonic(), 0)
            if not self._wait(shape, left) and (found := self._look_up(key)) is None:
                from multiprocessing import TimeoutError

                raise TimeoutError
            if found is not None:
                return self._unpack(found)

    # ------------------------------------------------------------ all entries, or many

    def update(self, /, *args, **kwds):
        """Sets all entries of a mapping or of an iterable of pairs, and those given by keyword, in
        one step: all of them, or none if it fails."""
        entries = [
            (key, self._name(key), self._pack(value))
            for key, value in list(_gathered(args, kwds).items())
        ]
        self._changed()
        if all(name[1] is None for _, name, _ in entries):
            if self._update([part for _, name, value in entries for part in (name[0], value)]):
                return
        self._set_compared(entries)

    def clear(self):
        """Removes all entries."""
        self._changed()
        self._clear()

    def copy(self):
        """A dict of this process's with the same entries, as they are at one moment."""
        return dict(self.items())

    def keys(self):
        """A list of the keys."""
        return list(map(self._unpack_key, self._snapshot(False)[0]))

    def values(self):
        """A list of the values."""
        return list(map(self._unpack, self._snapshot(True)[1]))

    def items(self):
        """A list of (key, value)."""
        fields, values = self._snapshot(True)
        return [
            (self._unpack_key(field), self._unpack(value))
            for field, value in zip(fields, values, strict=True)
        ]

    def _getvalue(self):
        return self.copy()

    def __iter__(self):
        return _Keys(self)

    def __reversed__(self):
        return reversed(self.keys())

    def __or__(self, other):
        if isinstance(other, RemoteDictBase | DictBase):
            other = other.copy()
        return self.copy() | other if isinstance(other, dict) else NotImplemented

    def __ror__(self, other):
        return other | self.copy() if isinstance(other, dict) else NotImplemented

    def __ior__(self, other):
        self.update(other)
        return self

    __class_getitem__ = classmethod(types.GenericAlias)  # type: ignore[var-annotated]


class _Keys:
    """An iterator over a dict's keys. RuntimeError if one is added or removed meanwhile: before the
    next key if that was by the same object, and else when more keys are read."""

    def __init__(self, it):
        self._it, self._lock = it, threading.Lock()
        # Read now, so that what happens before the first key is asked for is noticed.
        self._seen = it._changes
        self._fields, self._shape, self._after = it._page(b"0", _PAGE)
        self._fields.reverse()
        self._at_end = self._is_other = False

    def __iter__(self):
        return self

    def __next__(self):
        with self._lock:
            field = self._next_field()
        return self._it._unpack_key(field)

    def _next_field(self):
        if self._at_end:
            raise StopIteration
        now = self._it._changes
        if now != self._seen:
            self._compare(self._it._shape())
            self._seen = now
        if not self._fields and self._after is not None and not self._is_other:
            self._fields, shape, self._after = self._it._page(self._after, _PAGE)
            self._fields.reverse()
            self._compare(shape)
        if self._is_other:
            raise RuntimeError("dictionary changed size during iteration")
        if not self._fields:
            self._at_end = True
            raise StopIteration
        return self._fields.pop()

    def _compare(self, shape):
        self._is_other = self._is_other or shape != self._shape


def _gathered(args, kwds):
    """The arguments of `dict()` and `dict.update()` as a dict."""
    if len(args) > 1:
        raise TypeError(f"update expected at most 1 argument, got {len(args)}")
    new: dict = {}
    for other in args:
        new.update(other.copy() if isinstance(other, RemoteDictBase | DictBase) else other)
    new.update(kwds)
    return new
