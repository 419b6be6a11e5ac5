"""Dicts and lists of managers do what Python's own do: the same results, exceptions and texts.

The standard library's proxies are asked as well, so that what is demanded is what theirs do.
"""

import multiprocessing

import pytest
from manager_support import kind_of, lines, outcome, sound

import procession as mp

pytestmark = pytest.mark.both_backends

DICT = {"a": 1, "b": [1, 2], 1: "one", ("t", 2): None}
LISTS = [[3, "b", None, 2.5, [1]], [3, 1, 2, 3, 5], []]


@pytest.fixture(scope="module")
def ours(backend):
    with mp.Manager() as manager:
        yield manager


DICTS = {
    "look-ups": """
        d['a']
        d['z']
        d[1.0], d[True], 1.0 in d, True in d
        d[[]]
        d[{}]
        d.get('a'), d.get('z'), d.get('z', 5), d.get('a', 5), d.get(None), d.get(1.0)
        d.get([])
        'a' in d, 'z' in d, ('t', 2) in d, ('t', 2.0) in d, 'z' not in d
        [] in d
        len(d), bool(d)
        max(d, key=str), list(map(d.get, ['a', 'b', 'c']))
    """,
    "whole": """
        list(d)
        [key for key in d]
        next(iter(d))
        list(d.keys()), list(d.values()), list(d.items())
        list(zip(d, d.values()))
        sorted(d, key=str)
        d.copy()
        dict(d)
        dict(d.items(), x=1)
        {**d}
        str(d)
        f'{d}', '%s' % d
        set(d)
    """,
    "changes": """
        d['n'] = 1
        d['a'] = [1, {2: 3}]
        d[1.0] = 'f'; list(d)
        d[True] = 'f'
        d[[]] = 1
        del d['a']
        del d['z']
        del d[[]]
        d['a'] += 5
        d['b'] += [3]
        d['z'] += 1
        d.setdefault('a', 5), d.setdefault('n', 5), d.setdefault('m')
        d.setdefault([], 1)
        d.clear(), len(d), bool(d), list(d), str(d)
    """,
    "taking out": """
        d.pop('a')
        d.pop('z')
        d.pop('z', None), d.pop('a', 7), d.pop(True)
        d.pop([])
        d.pop([], 1)
        d.popitem()
        [d.popitem() for _ in range(4)]
        [d.popitem() for _ in range(5)]
        d.pop('a'); d['a'] = 'last'; d.popitem()
        d.clear(); d.popitem()
        d.clear(); d.pop('a', 'nothing')
    """,
    "updates": """
        d.update({'a': 2, 'n': 3})
        d.update([('a', 2)], b=7)
        d.update(x=1), d.update()
        d.update(self=3, other=4)
        d.update(['ab', 'cd'])
        d.update(1)
        d.update(None)
        d.update('ab')
        d.update([1])
        d.update([(1, 2, 3)])
        d.update({}, {})
        d.update({(): 1, frozenset(): 2, b'': 3, '': 4, None: 5})
        d.update({'a': 1}, **{'not a name': 2})
        d.update({}.keys())
    """,
}
# What the standard library's proxies do not have, or have since some version.
MORE_DICTS = {
    "operators": """
        d | {'n': 1, 'a': 5}
        {'n': 1, 'a': 5} | d
        type(d | {}).__name__, type({} | d).__name__
        list(reversed(d))
        d.update((k, k) for k in 'xyz')
        d |= {'q': 1, 'a': 5}
        d |= [('q', 1)]
        d |= 5
        d |= [1]
        d |= d
        d.update(d)
        (lambda **names: sorted(names))(**{k: v for k, v in d.items() if isinstance(k, str)})
        len(d | d)
    """,
}
# Those that fail after a part was done. A shared dict or list does all, or nothing.
IN_ONE_STEP = """
    d.update([('n', 1), ([], 2)])
    d.update([('n', 1), 5])
    d.update((1 / (3 - n), n) for n in range(9))
    d |= [('n', 1), 'abc']
    l.extend(1 / (3 - n) for n in range(9))
    l += (1 / (3 - n) for n in range(9))
"""
# A type, not a text: it would name classes.
BAD_CALLS = """
    d.get()
    d.get(1, 2, 3)
    d.get(key=1)
    d.keys(1)
    d.copy(1)
    d.pop()
    d.pop(1, 2, 3)
    d.popitem(1)
    d.setdefault()
    d.setdefault(1, 2, 3)
    d.clear(1)
    d.__getitem__()
    d.__setitem__(1)
    d.__contains__(1, 2)
    d.nosuch
    d < d
    d | 5
    5 | d
    d | [('a', 1)]
"""


def compare(manager, kind, start, codes):
    """Demands that all codes come to the same with a shared dict or list as with a plain one."""
    name, wrong = kind[0], []
    for code in lines(codes):
        plain, shared = type(start)(start), getattr(manager, kind)(start)
        want, got = outcome(code, **{name: plain}), outcome(code, **{name: shared})
        holds = shared._getvalue()
        if (got, repr(holds)) != (want, repr(plain)):
            wrong.append(f"{code}: {got}, {holds}; not {want}, {plain}")
        if hasattr(shared, "_check"):
            sound(shared)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("group", DICTS)
def test_dicts(ours, group):
    compare(ours, "dict", DICT, DICTS[group])


@pytest.mark.parametrize("group", MORE_DICTS)
def test_more_of_dicts(ours, group):
    compare(ours, "dict", DICT, MORE_DICTS[group])


@pytest.mark.parametrize("code", lines(IN_ONE_STEP))
def test_many_are_added_or_none(ours, code):
    shared = {"d": ours.dict(DICT), "l": ours.list(LISTS[0])}
    assert outcome(code, **shared) == outcome(code, d=dict(DICT), l=list(LISTS[0]))
    assert shared["d"].copy() == DICT and shared["l"].copy() == LISTS[0]
    sound(*shared.values())


@pytest.mark.parametrize("code", lines(BAD_CALLS))
def test_bad_calls_of_dicts(ours, code):
    shared = ours.dict(DICT)
    assert kind_of(outcome(code, d=shared)) == kind_of(outcome(code, d=dict(DICT)))
    assert shared.copy() == DICT


LIST_CODES = {
    "items": """
        l[0], l[-1], l[True]
        l[9]
        l[-9]
        l['a']
        l[None]
        l[1.0]
        l[2**70]
        l[-2**70]
        len(l), bool(l), list(l), tuple(reversed(l)), [*l], str(l), f'{l}'
        3 in l, 3.0 in l, 'zz' in l, None in l, [1] in l
        [x for x in l], list(zip(l, l)), list(enumerate(l))
        next(iter(l))
        max(l)
        sum(l)
        sorted(l)
    """,
    "slices": """
        l[1:3], l[:], l[-3:], l[:-1], l[9:], l[3:1]
        l[::-1], l[::2], l[5:1:-2], l[0:9:3], l[-1:-9:-3], l[1:1:-1]
        l[2**70:], l[:-2**70], l[-2**70:2**70], l[::2**70], l[::-2**70], l[::-2**63], l[::2**63 - 1]
        l[None:None:None], l[False:True]
        l[::0]
    """,
    "setting": """
        l[0] = 'x'
        l[-1] = [7]
        l[9] = 'x'
        l[-9] = 'x'
        l['a'] = 1
        l[2**70] = 1
        l[1:3] = [7, 8, 9]
        l[1:3] = []
        l[1:1] = 'abc'
        l[3:1] = [7]
        l[-1:0] = (7,)
        l[:] = range(3)
        l[9:] = {7: 8}
        l[::2] = [1]
        l[::2] = 'xyz'
        l[::-1] = range(5)
        l[::0] = []
    """,
    "deleting": """
        del l[0]
        del l[-1]
        del l[9]
        del l['a']
        del l[2**70]
        del l[1:3]
        del l[3:1]
        del l[9:99]
        del l[::2]
        del l[::-2]
        del l[1::3]
        del l[:]
        del l[::0]
        l.pop()
        l.pop(0)
        l.pop(-1)
        l.pop(9)
        l.pop(-9)
        [l.pop() for _ in range(5)]
        [l.pop() for _ in range(6)]
        l.remove(3)
        l.remove(3.0)
        l.remove('zz')
    """,
    "adding": """
        l.append(1), l.append([1]), l.append(None)
        l.extend([1, 2]), l.extend('ab'), l.extend(()), l.extend({3: 4})
        l.extend(5)
        l.insert(0, 'x')
        l.insert(99, 'x')
        l.insert(-1, 'x')
        l.insert(-99, 'x')
        l.insert(True, 'x')
        l.insert('a', 1)
        l.insert(1.0, 1)
        l.insert(None, 1)
        l += [5]
        l += 'xy'
        l += 5
        l *= 2
        l *= 0
        l *= -3
        l *= True
    """,
    "finding": """
        l.index(3), l.count(3), l.index(3.0), l.count(3.0)
        l.index('zz')
        l.index(3, 1)
        l.index(3, 3)
        l.index(3, 0, 1)
        l.index(3, -9, 9)
        l.index(3, -2)
        l.index(3, 0, -1)
        l.index(3, 0, 2**70)
        l.index(3, -2**70)
        l.count('zz')
    """,
    "order": """
        l.reverse()
        l.sort()
        l.sort(reverse=True)
        l.sort(reverse=False)
        l.sort(key=str)
        l.sort(key=repr, reverse=True)
        l.sort(key=None)
        l.sort(key=5)
    """,
    "operators": """
        l + [1]
        l * 2
        2 * l
        l * 0, l * -1, l * True
    """,
}
MORE_LISTS = {
    "copies": """
        l.copy(), l.copy() is l.copy(), type(l.copy()).__name__
        l.clear(), len(l)
        l + l
        l.extend(l)
        l += l
        l[:] = l
        l[1:2] = l
        l[::-1] = l
        l.copy() == list(l) == [*l]
    """,
    "what cannot travel": """
        l[::-1] = (x for x in range(5))
        l[:] = (1 / x for x in (2, 1, 0))
        l.extend(x * 2 for x in (1, 2))
        l.sort(key=lambda x: -x)
        l.sort(key=lambda x: 0)
        l.sort(key=lambda x: 0, reverse=True)
        l.sort(key=lambda x: 1 / 0)
        l * 1.5
    """,
}
# `l + (1,)`, since a list says in its text what the other one is.
BAD_LIST_CALLS = """
    l.append()
    l.append(1, 2)
    l.extend()
    l.insert(1)
    l.pop(1, 2)
    l.remove()
    l.index()
    l.count()
    l.reverse(1)
    l.sort(None)
    l.sort(foo=1)
    l.clear(1)
    l.copy(1)
    l.__getitem__()
    l.__setitem__(1)
    l.nosuch
    l * l
    'a' * l
    (1,) + l
    l + (1,)
    l + 5
    l *= 1.5
    l *= 'a'
    l[1.5:]
    l[1:3] = 5
    l[::2] = 5
    l.pop('a')
    l.pop(1.0)
    l.index(3, 'a')
"""
# As a list has them, to the letter.
RARE = {
    "the way of sorting": """
        l.sort(reverse=1)
        l.sort(reverse=0)
        l.sort(reverse='yes')
    """,
    "none": """
        l.pop(None)
        l.index(3, None)
    """,
    "too large": """
        l.insert(2**70, 1)
        l.insert(-2**70, 1)
        l.pop(2**70)
    """,
    "texts": """
        l['a':]
        l[1.5:]
        l[1:2:'x']
        l.index(3, 'a')
        l[::2] = 5
        l.pop('a')
        l.pop(1.0)
        l + 5
    """,
}


@pytest.mark.parametrize("start", LISTS, ids=["mixed", "numbers", "empty"])
@pytest.mark.parametrize("group", LIST_CODES)
def test_lists(ours, group, start):
    compare(ours, "list", start, LIST_CODES[group])


@pytest.mark.of_the_arena("that what is demanded is what the standard library's proxies do")
def test_theirs():
    with multiprocessing.Manager() as theirs:
        for codes in DICTS.values():
            compare(theirs, "dict", DICT, codes)
        for codes in LIST_CODES.values():
            for start in LISTS:
                compare(theirs, "list", start, codes)


@pytest.mark.parametrize("start", LISTS, ids=["mixed", "numbers", "empty"])
@pytest.mark.parametrize("group", MORE_LISTS)
def test_more_of_lists(ours, group, start):
    compare(ours, "list", start, MORE_LISTS[group])


@pytest.mark.parametrize("code", lines(BAD_LIST_CALLS))
def test_bad_calls_of_lists(ours, code):
    shared, plain = ours.list(LISTS[0]), list(LISTS[0])
    assert kind_of(outcome(code, l=shared)) == kind_of(outcome(code, l=plain))
    assert shared.copy() == plain


@pytest.mark.parametrize("group", RARE)
def test_rare_arguments_of_lists(ours, group):
    compare(ours, "list", LISTS[1], RARE[group])
