"""Dicts and lists of managers between processes: iteration, values, and each operation as one step."""

import decimal
import functools
import threading

import pytest
from manager_support import kind_of, lines, outcome, sound
from support import PATIENCE, each_method, ended, until_waiting

import procession as mp
from procession.synchronize import AbandonedLockWarning

pytestmark = pytest.mark.both_backends


@pytest.fixture
def manager():
    with mp.Manager() as manager:
        yield manager


# ---------------------------------------------------------------- iteration


def grow(d):
    for key in d:
        d[f"{key}+"] = 1


def shrink(d):
    for key in d:
        del d[key]


def swap(d):
    """The size is the same, but the keys are not."""
    seen = []
    for key in d:
        seen.append(key)
        if len(seen) == 1:
            d.pop(next(reversed(d.keys())))
            d["new"] = 1
    return len(seen)


def overwrite(d):
    seen = []
    for key in d:
        seen.append(key)
        d[key] = seen[0]
    return seen


def empty(d):
    seen = [next(iter(d))]
    iterator = iter(d)
    seen.append(next(iterator))
    d.clear()
    return seen + [*iterator]


def exhaust(d):
    iterator = iter(d)
    seen = [*iterator]
    return seen, next(iterator, "end"), next(iterator, "end"), iter(iterator) is iterator


def two_at_once(d):
    return [(a, b) for a in d for b in [*d][:2]]


@pytest.mark.parametrize("size", [2, 40, 3000])
@pytest.mark.parametrize("change", [grow, shrink, overwrite, empty, exhaust, two_at_once])
def test_a_dict_that_is_changed_while_it_is_gone_through(manager, change, size):
    plain = {f"key {number}" * (number % 5 + 1): number for number in range(size)}
    shared = manager.dict(plain)
    want = outcome("change(d)", change=change, d=plain)
    assert outcome("change(d)", change=change, d=shared) == want
    assert shared.copy() == plain and list(shared) == list(plain)
    sound(shared)


@pytest.mark.parametrize("change", [grow, shrink, empty])
def test_a_change_in_the_last_turn_is_noticed(manager, change):
    with pytest.raises(RuntimeError, match="^dictionary changed size during iteration$"):
        change(manager.dict(a=1))


def test_other_keys_of_the_same_number_are_noticed(manager):
    shared = manager.dict(enumerate(range(100)))
    with pytest.raises(RuntimeError, match="^dictionary changed size during iteration$"):
        swap(shared)


def append(row):
    for _ in row:
        if len(row) < 2000:
            row.append(len(row))
    return len(row)


def pop_first(row):
    return [(value, row.pop(0)) for value in row]


def set_ahead(row):
    seen = []
    for index, value in enumerate(row):
        seen.append(value)
        if index + 1 < len(row):
            row[index + 1] = -index
    return seen


def end_and_grow(row):
    iterator = iter(row)
    seen = [*iterator]
    row.append("late")
    return seen, next(iterator, "stays at its end")


def cut(row):
    iterator = iter(row)
    first = next(iterator, None)
    del row[1:]
    return first, [*iterator]


@pytest.mark.parametrize("size", [0, 1, 2, 33, 1500])
@pytest.mark.parametrize("change", [append, pop_first, set_ahead, end_and_grow, cut])
def test_a_list_that_is_changed_while_it_is_gone_through(manager, change, size):
    plain = list(range(size))
    shared = manager.list(plain)
    want = outcome("change(row)", change=change, row=plain)
    assert outcome("change(row)", change=change, row=shared) == want
    assert shared.copy() == plain
    sound(shared)


# ---------------------------------------------------------------- values


class Point:
    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return type(other) is Point and other.x == self.x


RECURSIVE: list = [1]
RECURSIVE.append(RECURSIVE)
VALUES = [
    None, True, False, 0, 1, -1, 2**31, -(2**63), 2**64 - 1, 2**64, -(2**200), 0.0, -0.0, 1.5, float("inf"), 1e-320, 2j,
    "", "a", "\0", "ä€𝄞", "\udcff", "x" * 10_000, b"", b"\0\xff", b"y" * 100_000, bytearray(b"z"), (), (1,), ((),), [], [[]], {}, {1: {2: [3]}},
    {"x": ()}, set(), {1, 2}, frozenset({3}), range(3), slice(1, 2), ..., NotImplemented, int, len, Point, Point(5), decimal.Decimal("1.10"),
    ValueError("text"), functools.partial(int, base=2), "x" * 7, b"x" * 6, 2**40, [None] * 1000, {n: str(n) for n in range(500)},
]  # fmt: skip


def same(one, other):
    if isinstance(one, ValueError | functools.partial):
        return type(one) is type(other) and repr(one) == repr(other)
    return type(one) is type(other) and one == other and repr(one)[:1] == repr(other)[:1]


def test_values_are_what_was_stored(manager):
    shared, row = manager.dict(), manager.list(VALUES)
    for number, value in enumerate(VALUES):
        shared[number] = value
        assert same(shared[number], value), value
    assert all(map(same, row, VALUES)) and all(map(same, shared.values(), VALUES))
    for number, value in enumerate(VALUES):  # each over each other's place
        shared[len(VALUES) - 1 - number] = row[len(VALUES) - 1 - number] = value
        sound_ends(shared, row)
    assert all(map(same, row[::-1], VALUES)) and all(map(same, shared.values()[::-1], VALUES))
    assert [same(row.pop(0), value) for value in VALUES[::-1]] == [True] * len(VALUES)


def sound_ends(*proxies):
    assert all(proxy._check() == [] for proxy in proxies)


def test_a_value_is_a_copy(manager):
    inner = [1]
    shared, row = manager.dict(a=inner), manager.list([inner, RECURSIVE])
    inner.append(2)
    shared["a"].append(3)
    row[0].append(3)
    assert str(shared) == "{'a': [1]}" and row[0] == [1] and shared["a"] is not shared["a"]
    assert row[1][1][1][0] == 1


def test_arrays(manager):
    numpy = pytest.importorskip("numpy")
    shared, row = manager.dict(), manager.list()
    for size in (0, 3, 100_000):
        array = numpy.arange(size, dtype="f4").reshape(-1, 1)
        shared[size] = array
        row.append(array)
        array += 1
        for found in (shared[size], row[-1], shared.copy()[size]):
            assert found.dtype == array.dtype and (found == array - 1).all()
            found += 5  # its receiver's own
        assert (shared[size] == array - 1).all()
    sound_ends(shared, row)


class Unwilling:
    def __reduce__(self):
        raise LookupError("it does not want to")


class Broken:
    def __reduce__(self):
        return _break, ()


def _break():
    raise LookupError("it cannot be made again")


REFUSALS = """
    d['a'] = bad
    d['new'] = bad
    d[bad] = 1
    d.update(a=2, b=bad)
    d.update({'n': 1, bad: 2})
    d.setdefault('new', bad)
    d.compare_exchange('a', 1, bad)
    d.pop(bad)
    d.get(bad)
    bad in d
    l[0] = bad
    l.append(bad)
    l.extend([5, bad])
    l.insert(0, bad)
    l[:] = [bad]
    l += [7, bad]
    n.x = bad
    v.value = bad
"""


@pytest.mark.parametrize("code", lines(REFUSALS))
def test_what_cannot_be_pickled_is_refused_at_the_call(manager, code):
    names = {"d": manager.dict(a=1), "l": manager.list([1]), "n": manager.Namespace(x=1)}
    names["v"] = manager.Value("i", 1)
    assert outcome(code, bad=Unwilling(), **names) == "LookupError: it does not want to"
    texts = [str(shared) for shared in names.values()]
    assert texts == ["{'a': 1}", "[1]", "Namespace(x=1)", "Value('i', 1)"]
    sound(names["d"], names["l"])


def test_what_cannot_be_made_again_is_an_error_where_it_is_read(manager):
    shared, row = manager.dict(good=1, bad=Broken()), manager.list([1, Broken()])
    error = "LookupError: it cannot be made again"
    for code in (
        "d['bad']",
        "d.copy()",
        "d.values()",
        "d.pop('bad')",
        "l[1]",
        "l[:]",
        "l.index(2)",
        "l.sort()",
    ):
        assert outcome(code, d=shared, l=row) == error, code
    assert shared["good"] == row[0] == 1 and "bad" not in shared and len(row) == 2
    del row[1]
    sound(shared, row)


# ---------------------------------------------------------------- one step each


def test_increments(manager):
    shared = manager.dict(i=1, f=0.5, big=2**63 - 1, text="a", t=True, l=[1], d=decimal.Decimal(1))
    assert [shared.increment("i"), shared.increment("i", 5), shared.increment("i", -7)] == [2, 7, 0]
    assert [shared.increment("new"), shared.increment("other", 3)] == [1, 3]
    assert shared.increment("f", 2) == 2.5 and shared.increment("i", 0.5) == 0.5
    assert shared.increment("big") == 2**63 and shared.increment("big", -(2**64)) == -(2**63)
    assert shared.increment("text", "b") == "ab" and shared.increment("l", [2]) == [1, 2]
    assert shared.increment("t") == 2 and type(shared["t"]) is int
    assert shared.increment("d", 2) == decimal.Decimal(3) and shared.increment("n", True) == 1
    assert shared.increment((1, 2.0), 2**70) == shared.increment((1.0, 2), 0) == 2**70
    before = shared.copy()
    for code in (
        "d.increment('text', 1)",
        "d.increment('i', 'x')",
        "d.increment([])",
        "d.increment()",
    ):
        assert kind_of(outcome(code, d=shared)) == "TypeError", code
    assert shared.copy() == before
    sound(shared)


def test_nothing_is_no_increment(manager):
    with pytest.raises(TypeError):
        manager.dict(a=1).increment("a", None)


def test_compare_and_exchange(manager):
    shared = manager.dict(a=1, n=None, l=[1], big=b"x" * 50_000, o=Point(1))
    assert shared.compare_exchange("a", 1, 2) and not shared.compare_exchange("a", 1, 3)
    assert shared.compare_exchange("a", 2.0, "two") and shared["a"] == "two"
    assert shared.compare_exchange("n", None, 0) and shared.compare_exchange("n", False, True)
    assert shared.compare_exchange("l", [1], [2]) and not shared.compare_exchange("l", [1], [3])
    assert shared.compare_exchange("big", b"x" * 50_000, b"small")
    assert shared.compare_exchange("o", Point(1), Point(2)) and not shared.compare_exchange(
        "o", Point(1), 0
    )
    assert not shared.compare_exchange("missing", None, 1) and "missing" not in shared
    assert shared["o"] == Point(2) and list(shared) == ["a", "n", "l", "big", "o"]
    with pytest.raises(TypeError):
        shared.compare_exchange([], 1, 2)
    sound_ends(shared)


def add_in_all_ways(shared, row, pairs, times):
    for number in range(times):
        shared.increment("int")
        shared.increment("float", 0.5)
        while not shared.compare_exchange("exchanged", old := shared["exchanged"], old + 1):
            pass
        with shared.lock(), shared.lock():
            shared["locked"] += 1
        with row.lock():
            row[0] = row[0] + 1
        row.append(number)
        pairs.extend([number, -number])
        pairs.sort(key=abs)
        pairs.reverse()
        shared.update({"x": number, "y": number})


@each_method
def test_no_step_is_lost_or_seen_half_done(manager, method):
    context, times = mp.get_context(method), 200
    start = {"int": 0, "float": 0.0, "exchanged": 0, "locked": 0, "x": 0, "y": 0}
    shared, row, pairs = manager.dict(start), manager.list([0]), manager.list()
    children = [
        context.Process(target=add_in_all_ways, args=(shared, row, pairs, times)) for _ in range(4)
    ]
    for child in children:
        child.start()
    while any(child.is_alive() for child in children):
        copy = shared.copy()
        assert copy["x"] == copy["y"] and list(copy) == list(start)
        assert sum(pairs[:]) == sum(pairs.copy()) == 0
    ended(*children)
    assert shared["int"] == shared["exchanged"] == shared["locked"] == row[0] == 4 * times
    assert shared["float"] == 2 * times
    assert sorted(row[1:]) == sorted(4 * [*range(times)])
    assert sorted(pairs) == sorted(4 * [*range(times), *range(0, -times, -1)])
    sound(shared, row, pairs)


def take(shared, row, told):
    mine = []
    while True:
        try:
            mine.append((shared.popitem()[0], row.pop()))
        except (KeyError, IndexError):
            break
    told.put(mine)


@each_method
def test_each_is_taken_once(manager, method):
    context, told = mp.get_context(method), mp.Queue()
    shared, row = manager.dict(enumerate(range(2000))), manager.list(range(2000))
    children = [context.Process(target=take, args=(shared, row, told)) for _ in range(3)]
    for child in children:
        child.start()
    taken = [one for _ in children for one in told.get(timeout=PATIENCE)]
    ended(*children)
    assert sorted(key for key, _ in taken) == list(range(2000))
    assert sorted(value for _, value in taken) == list(range(2000))
    assert not shared and not row
    sound(shared, row)


def set_default(shared, told, number):
    told.put([shared.setdefault(key, (key, number)) for key in range(500)])


def test_the_first_default_is_the_one(manager):
    shared, told = manager.dict(), mp.Queue()
    children = [mp.Process(target=set_default, args=(shared, told, n)) for n in range(3)]
    for child in children:
        child.start()
    got = [told.get(timeout=PATIENCE) for _ in children]
    ended(*children)
    assert got[0] == got[1] == got[2] == [*shared.values()]


# ---------------------------------------------------------------- lock() and wait_for()


def hold(shared, ready):
    with shared.lock():
        ready.set()
        threading.Event().wait()


@each_method
@pytest.mark.parametrize("kind", ["dict", "list"])
def test_a_dead_holders_lock_is_taken_over(manager, method, kind):
    context = mp.get_context(method)
    shared, ready = getattr(manager, kind)(), context.Event()
    child = context.Process(target=hold, args=(shared, ready), name="holder")
    child.start()
    assert ready.wait(PATIENCE)
    assert not shared.lock().acquire(False) and len(shared) == 0, "single steps need no lock"
    child.kill()
    with pytest.warns(AbandonedLockWarning, match="was killed by SIGKILL"):
        assert shared.lock().acquire(timeout=PATIENCE)
    shared.lock().release()
    ended(child, code=-9)


def test_the_lock_is_one_and_reentrant(manager):
    shared, other = manager.dict(a=1), manager.dict()
    other["shared"] = shared
    with shared.lock() as had:
        assert had and shared.lock().acquire(False) and other["shared"].lock().acquire(False)
        got = []
        thread = threading.Thread(target=lambda: got.append(shared.lock().acquire(False)))
        thread.start()
        thread.join(PATIENCE)
        assert got == [False] and other.lock().acquire(False)
        shared.lock().release()
        other["shared"].lock().release()
    with pytest.raises(RuntimeError, match="^cannot release un-acquired lock$"):
        shared.lock().release()


def wait_and_tell(shared, key, told):
    told.put(shared.wait_for(key))


@each_method
def test_wait_for_a_key(manager, method):
    context, told = mp.get_context(method), mp.Queue()
    shared = manager.dict(there=1)
    assert shared.wait_for("there") == shared.wait_for("there", 0) == 1
    children = [context.Process(target=wait_and_tell, args=(shared, 1.0, told)) for _ in range(3)]
    for child in children:
        child.start()
    until_waiting(*(child.pid for child in children))
    for number in range(50):
        shared[number + 2] = number
    assert told.empty()
    shared[True] = [5]
    assert [told.get(timeout=PATIENCE) for _ in children] == [[5]] * 3
    ended(*children)


@pytest.mark.parametrize("timeout", [0, 0.01, -1])
def test_a_key_that_does_not_come(manager, timeout):
    with pytest.raises(mp.TimeoutError):
        manager.dict(a=1).wait_for("b", timeout)


@pytest.mark.parametrize("arguments", ["", "'a', 'soon'", "[], 1", "'a', 1, 2", "'b', timeout='x'"])
def test_bad_waits(manager, arguments):
    assert kind_of(outcome(f"d.wait_for({arguments})", d=manager.dict(a=1))) == "TypeError"


def test_a_killed_waiter_hurts_nobody(manager):
    shared, told = manager.dict(), mp.Queue()
    children = [mp.Process(target=wait_and_tell, args=(shared, "a", told)) for _ in range(2)]
    for child in children:
        child.start()
    until_waiting(*(child.pid for child in children))
    children[0].kill()
    ended(children[0], code=-9)
    shared["a"] = 1
    assert told.get(timeout=PATIENCE) == 1
    ended(children[1])
    sound(shared)
