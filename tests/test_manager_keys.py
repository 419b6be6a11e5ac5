"""Keys of managers' dicts are equal as Python says, in all processes, whatever hashes they have there."""

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import ipaddress
import pathlib
import random
import uuid

import pytest
from manager_support import outcome, sound
from support import PATIENCE, each_method, ended

import procession as mp

pytestmark = pytest.mark.both_backends

UTC, LATER = datetime.timezone.utc, datetime.timezone(datetime.timedelta(hours=1))


class Color(enum.Enum):
    RED = 1
    BLUE = 2
    ALSO_RED = 1


class Number(enum.IntEnum):
    ONE = 1


class Text(str, enum.Enum):
    X = "x"


class Flags(enum.Flag):
    A = 1
    B = 2


@dataclasses.dataclass(frozen=True)
class Point:
    x: object
    y: object = 0


Pair = collections.namedtuple("Pair", "a b")


class Str(str):
    pass


class Int(int):
    pass


class Folded(str):
    """Equal whatever the case; to other texts as well."""

    def __eq__(self, other):
        return self.lower() == other.lower() if isinstance(other, str) else NotImplemented

    def __hash__(self):
        return hash(self.lower())


class Like:
    """Equal to what it holds."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return self.value == (other.value if isinstance(other, Like) else other)

    def __hash__(self):
        return hash(self.value)

    def __repr__(self):
        return f"Like({self.value!r})"


D, F = decimal.Decimal, fractions.Fraction
GROUPS = [
    [1, 1.0, True, 1 + 0j, D(1), F(1), Number.ONE, Int(1), Like(1), D("1.000")],
    [0, False, -0.0, 0.0, D("-0"), 0j],
    [-1, -1.0, F(-1)],
    [-2],  # its hash is that of -1
    [2**53, 2.0**53],
    [2**53 + 1],
    [2**63 - 1],
    [2**63, 2.0**63, F(2**63)],
    [-(2**63), -(2.0**63)],
    [2**64, 2.0**64, D(2**64), Int(2**64)],
    [-(2**64), -(2.0**64)],
    [2**200, 2.0**200],
    [10**400],
    [2**61 - 1, Int(2**61 - 1)],  # its hash is 0
    [0.1],
    [D("0.1"), F(1, 10)],
    [0.5, D("0.5"), F(1, 2), Like(0.5)],
    [1e300, int(1e300)],
    [F(1, 3)],
    [float("inf"), D("inf")],
    [float("-inf"), D("-inf")],
    [2j],
    [1 + 2j],
    ["x", Str("x"), Text.X, Folded("x"), Like("x")],
    ["", Str()],
    ["\udcff", Str("\udcff")],
    ["é" * 3000, Str("é" * 3000)],
    ["a" * 5, Folded("AAAAA")],
    [Folded("B"), "b"],
    ["B"],
    [b"x" * 5000],
    [None],
    [()],
    [(1,), (1.0,), (True,), Pair(1, 2)[:1]],
    [(1, 2), Pair(1, 2), Pair(True, 2.0), (Int(1), D(2)), Like((1, 2))],
    [((1,), (2,)), ((True,), (2.0,))],
    [("a", None, (b"c", 1.5)), (Str("a"), None, (b"c", F(3, 2)))],
    [tuple(range(1000)), tuple(map(float, range(1000)))],
    [frozenset()],
    [frozenset({1, "a"}), frozenset({"a", True})],
    [frozenset({frozenset({1}), 2})],
    [Color.RED, Color.ALSO_RED],
    [Color.BLUE],
    [Flags.A | Flags.B],
    [Point(1), Point(1.0, 0.0), Point(True, False)],
    [Point("a", ("b",)), Point(Str("a"), ("b",))],
    [Point(None)],
    [datetime.date(2020, 1, 1)],
    [datetime.datetime(2020, 1, 1)],
    [datetime.datetime(2020, 1, 1, 12, tzinfo=UTC), datetime.datetime(2020, 1, 1, 13, tzinfo=LATER)],
    [datetime.timedelta(1), datetime.timedelta(hours=24)],
    [LATER],
    [uuid.UUID(int=5)],
    [ipaddress.ip_address("1.2.3.4")],
    [pathlib.PurePosixPath("/a"), pathlib.PurePosixPath("/a/")],
    [range(3), range(0, 3, 1)],
    [int],
    [len],
    [Like],
    [...],
]  # fmt: skip


def found(shared):
    """What is wrong with the look-ups of the groups' keys."""
    wrong = []
    for number, group in enumerate(GROUPS):
        for key in group:
            if key not in shared or shared.get(key) != number or shared[key] != number:
                wrong.append(repr(key)[:60])
    if [*shared] != [group[0] for group in GROUPS]:
        wrong.append("the order")
    return wrong + [repr(key)[:60] for key in ABSENT if key in shared]


ABSENT = [3, 1.5, "y", Str("y"), Folded("c"), (2, 1), Pair(2, 1), Color, Point(3), Like(7), frozenset({5}), F(1, 7), b"a", D("0.3"), datetime.date(2020, 1, 2), float("nan")]  # fmt: skip


@pytest.fixture
def manager():
    with mp.Manager() as manager:
        yield manager


def filled(manager, start=0):
    shared = manager.dict()
    for number, group in enumerate(GROUPS):
        for key in [*group[start:], *group]:
            shared[key] = number
    return shared


def test_the_groups_are_pythons():
    plain = {key: number for number, group in enumerate(GROUPS) for key in group}
    assert [*map(id, plain)] == [id(group[0]) for group in GROUPS]


def test_equal_keys_are_one(manager):
    shared = filled(manager)
    assert found(shared) == []
    assert [type(key) for key in shared] == [type(group[0]) for group in GROUPS]
    sound(shared)
    for number, group in enumerate(GROUPS):
        key = random.choice(group)
        assert shared.pop(key) == number and key not in shared and shared.pop(key, "gone") == "gone"
    assert len(shared) == 0
    sound(shared)


def test_every_operation_takes_any_of_them(manager):
    shared = filled(manager)
    for number, group in enumerate(GROUPS):
        for key in group:
            assert shared.setdefault(key, "other") == number
            assert shared.increment(key, 1000) == number + 1000
            assert shared.compare_exchange(key, number + 1000, "text")
            assert not shared.compare_exchange(key, "no text", 5)
            assert shared.wait_for(key, 0) == "text"
            shared.update([(key, number)])
    assert found(shared) == []
    shared.update((key, number) for number, group in enumerate(GROUPS) for key in reversed(group))
    assert found(shared) == [] and len(shared) == len(GROUPS)
    for group in GROUPS:
        del shared[group[-1]]
        assert outcome("del d[k]", d=shared, k=group[0]).startswith("KeyError: ")
    sound(shared)


def look(shared, told):
    told.put(found(shared))
    told.put(hash("x"))
    for number, group in enumerate(GROUPS):
        for key in group:
            shared[key] = number
    told.put(found(shared))
    for group in GROUPS:
        assert shared.pop(group[-1]) is not None
    told.put(len(shared))


@each_method
def test_in_processes_with_other_hashes(manager, method, monkeypatch):
    context, told = mp.get_context(method), mp.Queue()
    for seed in "1", "2":
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        shared = filled(manager)
        child = context.Process(target=look, args=(shared, told))
        child.start()
        assert told.get(timeout=PATIENCE) == []
        # A fork server has its hashes from its own start.
        assert (told.get(timeout=PATIENCE) == hash("x")) == (method == "fork")
        assert told.get(timeout=PATIENCE) == [] and told.get(timeout=PATIENCE) == 0
        ended(child)
        sound(shared)


def count_all(shared, start, times):
    keys = [group[(start + turn) % len(group)] for turn in range(times) for group in GROUPS]
    random.Random(start).shuffle(keys)
    for key in keys:
        shared.increment(key)


@each_method
def test_processes_that_add_equal_keys_at_once(manager, method, monkeypatch):
    monkeypatch.setenv("PYTHONHASHSEED", "3")
    context, shared = mp.get_context(method), manager.dict()
    children = [context.Process(target=count_all, args=(shared, n, 3)) for n in range(3)]
    for child in children:
        child.start()
    ended(*children)
    wrong = {key: value for key, value in shared.items() if value != 9}
    assert not wrong and len(shared) == len(GROUPS)
    sound(shared)


def test_nan_is_not_equal_to_itself(manager):
    # A dict finds the very same object. What comes out of a manager is another one, also the standard
    # library's.
    nan, shared = float("nan"), manager.dict()
    for value in range(3):
        shared[nan] = shared[nan, 1] = shared[D("nan")] = value
    assert (
        len(shared) == 9
        and nan not in shared
        and outcome("d[k]", d=shared, k=nan) == "KeyError: nan"
    )
    assert shared.pop(nan, "none") == "none" and shared.values() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert shared._check() == []


@pytest.mark.parametrize(
    "key", [[], {}, set(), bytearray(), ([],), Pair(1, []), slice(1), Point([])]
)
def test_what_is_not_hashable(manager, key):
    try:
        want = f"TypeError: {hash(key) and ''}"
    except TypeError as error:
        want = f"TypeError: {error}"
    else:
        pytest.skip("slices are hashable in this Python")
    shared = manager.dict(a=1)
    for code in (
        "d[k]",
        "d[k] = 1",
        "k in d",
        "d.get(k)",
        "d.pop(k, 1)",
        "d.setdefault(k)",
        "d.increment(k)",
        "d.update([(k, 1)])",
    ):
        assert outcome(code, d=shared, k=key) == want, code
    assert shared.copy() == {"a": 1}


class Spoilt:
    """A key whose methods do what they are told, in this process. No two have the same bytes: those
    would be taken for one key unasked, as a dict takes the very same object.
    """

    eq = staticmethod(lambda one, other: one.name == getattr(other, "name", None))
    hash = staticmethod(lambda one: 7)

    def __init__(self, name):
        self.name, self.own = name, uuid.uuid4()

    def __eq__(self, other):
        return Spoilt.eq(self, other)

    def __hash__(self):
        return Spoilt.hash(self)

    def __repr__(self):
        return f"Spoilt({self.name!r})"


def fails(*_):
    raise LookupError("on purpose")


CODES = """d[k] | d[k] = 1 | k in d | d.get(k) | d.pop(k) | d.pop(k, 1) | del d[k] | d.setdefault(k, 1)
    d.update([('x', 1), (k, 2)]) | d.increment(k) | d.compare_exchange(k, 1, 2) | d.wait_for(k, 0)"""
CODES = [code.strip() for line in CODES.splitlines() for code in line.split(" | ")]


@pytest.fixture
def spoilt(manager, monkeypatch):
    shared = manager.dict({Spoilt("a"): 1, "between": 2, Spoilt("b"): 3})

    def spoil(**methods):
        for name, method in methods.items():
            monkeypatch.setattr(Spoilt, name, staticmethod(method))
        return shared

    yield spoil
    monkeypatch.undo()
    assert (
        shared.values() == [1, 2, 3]
        and str(shared.keys()) == "[Spoilt('a'), 'between', Spoilt('b')]"
    )
    sound(shared)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("method", ["eq", "hash"])
def test_an_error_of_a_key_is_the_callers(spoilt, code, method):
    shared = spoilt(**{method: fails})
    assert outcome(code, d=shared, k=Spoilt("b")) == "LookupError: on purpose"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RecursionError, MemoryError])
def test_whatever_error_it_is(spoilt, error):
    def fails_so(*_):
        raise error

    shared = spoilt(eq=fails_so)
    with pytest.raises(error):
        shared[Spoilt("b")] = 5
    with pytest.raises(error):
        shared.update({Spoilt("b"): 5, "new": 1})


def test_a_key_that_equals_nothing(spoilt):
    shared = spoilt(eq=lambda *_: False)
    assert Spoilt("a") not in shared and shared.pop(Spoilt("a"), "none") == "none"
    shared[Spoilt("c")] = 4
    assert len(shared) == 4 and shared.popitem()[1] == 4


def test_a_key_that_equals_all_of_its_hash(spoilt):
    shared = spoilt(eq=lambda *_: True)
    assert shared[Spoilt("c")] == shared[7] == 1  # 7 is the hash of both
    assert "between" in shared and "other" not in shared and 5 not in shared


def test_a_hash_that_changes(spoilt):
    numbers = iter(range(100, 10**6))
    shared = spoilt(hash=lambda _: next(numbers))
    assert Spoilt("a") not in shared and shared.get("between") == 2


def test_a_comparison_that_has_no_truth(spoilt):
    class Neither:
        __bool__ = fails

    shared = spoilt(eq=lambda *_: Neither())
    assert outcome("d[k]", d=shared, k=Spoilt("a")) == "LookupError: on purpose"


def test_a_comparison_that_changes_the_dict(manager, monkeypatch):
    shared = manager.dict({Spoilt("a"): 1, Spoilt("b"): 2})
    turns = iter(range(5))

    def meddles(one, other):
        for turn in turns:
            shared[f"turn {turn}"] = turn
            break
        return one.name == other.name

    monkeypatch.setattr(Spoilt, "eq", staticmethod(meddles))
    shared[Spoilt("b")] = "set"
    shared[Spoilt("c")] = "new"
    assert shared.pop(Spoilt("a")) == 1
    assert [str(key) for key in shared] == [
        "Spoilt('b')",
        *(f"turn {n}" for n in range(5)),
        "Spoilt('c')",
    ]
    assert shared[Spoilt("b")] == "set" and shared["turn 4"] == 4
    sound(shared)


def test_a_comparison_that_uses_the_dict_and_its_lock(manager, monkeypatch):
    shared = manager.dict({Spoilt("a"): 1})

    def looks(one, other):
        with shared.lock():
            return one.name == other.name and len(shared.copy()) == 1

    monkeypatch.setattr(Spoilt, "eq", staticmethod(looks))
    assert shared[Spoilt("a")] == 1 and shared.increment(Spoilt("a")) == 2
    sound(shared)


class Unmakeable:
    def __init__(self):
        pass

    def __reduce__(self):
        return fails, ()


def test_a_key_that_cannot_be_made_again(manager):
    shared = manager.dict(a=1)
    shared[Unmakeable()] = 2
    shared["b"] = 3
    assert len(shared) == 3 and shared["a"] == 1 and shared["b"] == 3 and "a" in shared
    assert shared.values() == [1, 2, 3]
    for code in ("d.keys()", "list(d)", "d.copy()", "d.items()"):
        assert outcome(code, d=shared) == "LookupError: on purpose", code
    assert shared.pop("a") == 1 and shared._check() == []
    shared.clear()
    assert str(shared) == "{}"
    sound(shared)


@pytest.mark.parametrize("code", ["v in l", "l.index(v)", "l.count(v)", "l.remove(v)", "l.sort()"])
def test_an_error_of_a_value_is_the_callers(manager, monkeypatch, code):
    row = manager.list([1, Spoilt("a"), Spoilt("b"), 2])
    monkeypatch.setattr(Spoilt, "eq", staticmethod(fails))
    monkeypatch.setattr(Spoilt, "__lt__", fails, raising=False)
    assert outcome(code, l=row, v=Spoilt("b")) == "LookupError: on purpose"
    assert str(row) == "[1, Spoilt('a'), Spoilt('b'), 2]"
    assert row._check() == []


@pytest.mark.parametrize("code", ["row.count(b)", "b in row", "row.sort(key=meddle)"])
def test_a_comparison_that_changes_the_list(manager, monkeypatch, code):
    def play(row):
        turns = iter(range(2))

        def meddle(value):
            for turn in turns:
                row.insert(0, Spoilt(f"turn {turn}"))
                break
            return value.name

        equal = lambda one, other: meddle(one) == other.name  # noqa: E731
        monkeypatch.setattr(Spoilt, "eq", staticmethod(equal))
        return outcome(code, row=row, b=Spoilt("b"), meddle=meddle).partition(":")[0]

    plain = [Spoilt("a"), Spoilt("b"), Spoilt("c")]
    shared = manager.list(plain)
    assert play(shared) == play(plain)
    if "sort" not in code:  # a list gives up what was done to it while it was sorted
        assert str(shared) == str(plain)
    assert shared._check() == []


def test_many_keys_that_only_eq_tells_apart(manager):
    shared = manager.dict()
    for number in range(300):
        shared[Point(number)] = number
        shared[number] = -number
    assert [shared[Point(float(number))] for number in range(300)] == [*range(300)]
    for number in range(0, 300, 2):
        del shared[Point(number)]
    assert Point(2) not in shared and shared[Point(3)] == 3 and len(shared) == 450
    sound(shared)
