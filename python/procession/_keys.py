"""Which key of plain data stands for a key that is none: for dicts in shared memory.

There a key of plain data is found by its bytes. Another one, say 1.0 or a member of an Enum, may be
equal to a plain one, and to others of many types. It is found by `==`, among the keys that were
filed under the same plain key.
"""

import enum
import math
import sys
from types import BuiltinFunctionType, FunctionType


class _NoneSuch:
    """Not plain, and so never mistaken for a key."""


NONE_SUCH = _NoneSuch()
_NUMBERS = ("b", "i", "u", "f", "c")  # kinds of numpy's types


def plain_key(key):
    """A key of plain data that is the same for all keys that are equal to `key`, or `NONE_SUCH`.

    >>> plain_key(True), plain_key(1.0), plain_key(("a", 2.0))
    (1, 1, ('a', 2))
    """
    function = _hash_function(key)
    of = _OF_HASH.get(function)
    if of is None and _OF_CLASS:
        _learn()
        of = _OF_HASH.get(function)
    if of is not None:
        return of(key)
    if getattr(function, "__qualname__", None) in ("PurePath.__hash__", "PureWindowsPath.__hash__"):
        return "path", key.as_posix().lower()  # on some systems case does not matter
    return _numpy(key) if type(key).__module__ == "numpy" else NONE_SUCH


def _hash_function(key):
    # What a class compares by cannot be seen; what it hashes by can, and equal keys hash alike.
    try:
        return type(key).__hash__
    except AttributeError:
        return None


def _numpy(key):
    # Dates and spans are equal in more ways than their numbers say.
    if getattr(getattr(key, "dtype", None), "kind", None) not in _NUMBERS:
        return NONE_SUCH
    value = key.item()
    return plain_key(value) if type(value) in (bool, int, float, complex) else NONE_SUCH


def _number(key):
    # What a subclass makes of these conversions is its own affair.
    if isinstance(key, int):
        key = int.__index__(key)
    elif isinstance(key, float):
        key = float.__float__(key)
    try:
        if isinstance(key, complex):
            if key.imag:
                return "complex", hash(key)
            key = key.real
        if math.isnan(key):
            return NONE_SUCH
        if math.isinf(key):
            return "infinite", key > 0
        if key == int(key):
            whole = int(key)
            return whole if -(2**63) <= whole < 2**64 else ("large", hash(key))
        nearest = float(key)
    except (ArithmeticError, TypeError, ValueError):
        return NONE_SUCH
    return nearest if nearest == key else ("fraction", hash(key))


def _text(key):
    text = str.__str__(key)
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return "text", text.encode("utf-8", "surrogatepass")
    return text


def _tuple(key):
    parts = tuple(map(_part, tuple.__iter__(key)))
    return NONE_SUCH if NONE_SUCH in parts else parts


def _frozenset(key):
    # The parts have no order that all processes know.
    parts = [_part(part) for part in frozenset.__iter__(key)]
    return NONE_SUCH if NONE_SUCH in parts else ("frozenset", len(parts))


def _part(part):
    return part if type(part) in (str, bytes, type(None)) else plain_key(part)


def _identity(key):
    """Equal to itself alone: and pickle makes another one of it, unless it goes by name."""
    named = key if isinstance(key, type | FunctionType) else type(key)
    return "object", _module(named), named.__qualname__


def _module(named):
    # A spawned child's main module is called so, and may be called the other way later.
    return "__main__" if named.__module__ == "__mp_main__" else named.__module__


def _builtin(key):
    return "builtin", _module(key), key.__qualname__


def _enum(key):
    kind = type(key)
    return "enum", _module(kind), kind.__qualname__, key._name_


def _date(key):
    return "date", key.toordinal()


def _datetime(key):
    if key.utcoffset() is not None:
        return "datetime"  # those of other zones may be equal
    return "datetime", *key.timetuple()[:6], key.microsecond


_OF_HASH = {
    int.__hash__: _number,  # bool and IntEnum as well
    float.__hash__: _number,
    complex.__hash__: _number,
    str.__hash__: _text,
    bytes.__hash__: lambda key: bytes.__getitem__(key, slice(None)),
    tuple.__hash__: _tuple,
    frozenset.__hash__: _frozenset,
    enum.Enum.__hash__: _enum,
    object.__hash__: _identity,
    BuiltinFunctionType.__hash__: _builtin,
}

# Of modules that are costly to import: who has such a key has imported them.
_OF_CLASS = {
    ("decimal", "Decimal"): _number,
    ("fractions", "Fraction"): _number,
    ("uuid", "UUID"): lambda key: ("uuid", key.bytes),
    ("datetime", "date"): _date,
    ("datetime", "datetime"): _datetime,
    ("datetime", "timedelta"): lambda key: ("timedelta", key.days, key.seconds, key.microseconds),
}


def _learn():
    """Knows the hash functions of classes that were imported since."""
    for (module, name), of in list(_OF_CLASS.items()):
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None:
            _OF_HASH[kind.__hash__] = of
            _OF_CLASS.pop((module, name), None)
