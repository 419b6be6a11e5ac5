"""What is said of an object that is not plain data, where nothing else is accepted."""

_ATOMS = (type(None), bool, int, float, str, bytes)
_CONTAINERS = (list, tuple, dict, set, frozenset)
_CHANGING = (list, dict, set)
_DEEPEST = 64  # as codec/plain has it


def refusal(obj):
    """The text of the error.

    >>> refusal([1, {2: 3j}])[:42]
    'cannot pass on an object of type complex: '
    """
    return (
        f"cannot pass on {_culprit(obj)}: plain data only is accepted here (allow_pickle=False),"
        " that is None, bool, int, float, str, bytes, and list, tuple, dict, set and frozenset of"
        " these"
    )


def _culprit(obj):
    """What in it is not plain. No code of the object's own is run."""
    met = set()
    level = [obj]
    for depth in range(_DEEPEST + 1):
        below, here = [], set()
        for each in level:
            kind = type(each)
            if kind not in _CONTAINERS:
                if fault := _fault(each, kind):
                    return fault
                continue
            if depth == _DEEPEST:
                return f"what is nested deeper than {_DEEPEST} levels"
            if kind in _CHANGING and id(each) in met:
                return f"a {kind.__name__} that stands in it twice, or in itself"
            met.add(id(each))
            if id(each) not in here:  # a tuple of a tuple twice, and so on, are not many
                here.add(id(each))
                below += [*each.keys(), *each.values()] if kind is dict else each
        level = below
    return "what has a list, dict or set twice in it (by way of a tuple)"


def _fault(atom, kind):
    if kind not in _ATOMS:
        module = type.__getattribute__(kind, "__module__")
        name = type.__getattribute__(kind, "__qualname__")
        return f"an object of type {name if module == 'builtins' else f'{module}.{name}'}"
    if kind is int and not -(2**63) <= atom < 2**64:
        return "an int of more than 64 bits"
    if kind is str and not atom.isascii():
        try:
            atom.encode()
        except UnicodeEncodeError:
            return "a str with surrogates"
    return None
