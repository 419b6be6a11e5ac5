"""A list on a server.

Each method is one script of the server's, and one round trip; but those that compare (`in`,
`index`, `count`, `remove`) and `sort` read the values and work here. `remove` and `sort` then
change the list if it is still the one that they saw, and else do all again.
"""

import threading
import types

from .._core import ListBase, RemoteListBase
from .._std import managers as _std
from ._proxied import Locked, Own, Proxied

_PAGE = 64 << 10


class ListProxy(Proxied, Own, Locked, RemoteListBase, _std.ListProxy):
    """A list on a server. Each operation is one step, for all processes on all machines.

    Besides what a list has: `lock()`. Who iterates reads some values ahead.
    """

    _typeid = "list"

    def __init__(self, sequence=(), /, *, ctx):
        self._begin(ctx)
        self._fill(sequence)

    def _fill(self, sequence=(), /):
        self.extend(sequence)

    def _messages(self, values):
        if isinstance(values, RemoteListBase | ListBase):
            values = values.copy()
        return list(map(self._pack, values))

    def _objects(self, messages):
        return list(map(self._unpack, messages))

    # ------------------------------------------------------------ by index

    def __getitem__(self, index):
        if type(index) is slice:
            return self._objects(self._get_slice(index))
        found = self._get(index)
        if found is None:
            raise IndexError("list index out of range")
        return self._unpack(found)

    def __setitem__(self, index, value):
        if type(index) is slice:
            messages = self._messages(value) if _is_iterable(value) else None
            self._changed()
            self._set_slice(index, messages)
            return
        message = self._pack(value)
        self._changed()
        if not self._set(index, message):
            raise IndexError("list assignment index out of range")

    def __delitem__(self, index):
        self._changed()
        if type(index) is slice:
            self._delete_slice(index)
        elif not self._delete(index):
            raise IndexError("list assignment index out of range")

    def insert(self, index, value):
        """Puts a value before the one with this index."""
        message = self._pack(value)
        self._changed()
        self._insert(index, message)

    def pop(self, *index):
        """Removes the value with this index, which is the last one's if none is given, and returns
        it."""
        if len(index) > 1:
            raise TypeError(f"pop expected at most 1 argument, got {len(index)}")
        self._changed()
        popped = self._pop(*index)
        if popped is not None:
            return self._unpack(popped)
        raise IndexError("pop index out of range" if len(self) else "pop from empty list")

    # ------------------------------------------------------------ at the end

    def append(self, value):
        """Adds a value behind the others."""
        message = self._pack(value)
        self._changed()
        self._extend([message])

    def extend(self, values):
        """Adds all values of an iterable behind the others, in one step."""
        messages = self._messages(values)
        self._changed()
        self._extend(messages)

    def __iadd__(self, values):
        self.extend(values)
        return self

    # ------------------------------------------------------------ by value

    def _where(self, value, *bounds):
        """The list's version, and the index of the first value that equals this one, or None."""
        version, start, messages = self._between(*bounds)
        for index, message in enumerate(messages, start):
            if self._unpack(message) == value:
                return version, index
        return version, None

    def __contains__(self, value):
        return self._where(value)[1] is not None

    def index(self, value, *bounds):
        """The index of the first value that equals this one, from start on and before stop.
        ValueError if there is none."""
        if len(bounds) > 2:
            raise TypeError(f"index expected at most 3 arguments, got {len(bounds) + 1}")
        index = self._where(value, *bounds)[1]
        if index is None:
            raise ValueError(f"{value!r} is not in list")
        return index

    def count(self, value):
        """How many values equal this one."""
        return sum(bool(there == value) for there in self.copy())

    def remove(self, value):
        """Removes the first value that equals this one. ValueError if there is none."""
        self._changed()
        with self._attempts() as attempts:
            for _ in attempts:
                version, index = self._where(value)
                if index is None:
                    raise ValueError("list.remove(x): x not in list")
                # As CPython has it: if the comparison changed the list, what has that index goes.
                if self._cut(index, None if attempts.own else version):
                    return

    # ------------------------------------------------------------ all of it

    def sort(self, *, key=None, reverse=False):
        """Sorts the list, in one step: the smallest first, or the greatest if reverse is true, by
        what key makes of each value."""
        self._changed()
        with self._attempts() as attempts:
            for _ in attempts:
                version, _, messages = self._between()
                keys = self._objects(messages)
                if key is not None:
                    keys = [key(value) for value in keys]
                order = sorted(range(len(keys)), key=keys.__getitem__, reverse=reverse)
                if attempts.own:
                    raise ValueError("list modified during sort")
                if self._reorder(version, order):
                    return

    def reverse(self):
        """Turns the list round, in one step."""
        self._changed()
        self._reverse()

    def clear(self):
        """Removes all values."""
        self._changed()
        self._clear()

    def copy(self):
        """A list of this process's with the same values, as they are at one moment."""
        return self._objects(self._between()[2])

    def _getvalue(self):
        return self.copy()

    def __add__(self, other):
        return self.copy() + (other.copy() if isinstance(other, RemoteListBase) else other)

    def __mul__(self, n):
        return self.copy() * n

    __rmul__ = __mul__

    def __imul__(self, n):
        [] * n  # says what is wrong with n
        self._changed()
        if not self._repeat(n):
            raise MemoryError
        return self

    def __iter__(self):
        return _Values(self)

    def __reversed__(self):
        return reversed(self.copy())

    __class_getitem__ = classmethod(types.GenericAlias)  # type: ignore[var-annotated]


class _Values:
    """An iterator over a list: by index, up to the end that there is when it comes there. What the
    same object changes meanwhile is seen at once, and what others change when more is read."""

    def __init__(self, it):
        self._it, self._lock = it, threading.Lock()
        self._index, self._messages, self._seen, self._at_end = 0, [], None, False

    def __iter__(self):
        return self

    def __next__(self):
        with self._lock:
            message = self._next_message()
        return self._it._unpack(message)

    def _next_message(self):
        if self._at_end:
            raise StopIteration
        now = self._it._changes
        if not self._messages or now != self._seen:
            self._seen = now
            self._messages = self._it._page(self._index, _PAGE)
            self._messages.reverse()
        if not self._messages:
            self._at_end = True
            raise StopIteration
        self._index += 1
        return self._messages.pop()


def _is_iterable(value):
    try:
        iter(value)
    except TypeError:
        return False
    return True
