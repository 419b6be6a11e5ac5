"""Dicts, lists, namespaces, values and arrays on a server, against Python's own, and against those who
die or come in between."""

import decimal
import pickle

import pytest
import test_manager_model as model
from collections_support import Odd, Same, place_at
from hypothesis import given
from hypothesis import strategies as st
from support import LONG, ended

import procession
from procession import _core
from procession.remote.collections import Array, Dict, List, Namespace, Value

pytestmark = pytest.mark.timeout(60 if not LONG else 1200)
EXAMPLES = 2000 if LONG else 60


@pytest.fixture
def place(remote_server):
    """Where objects are made."""
    yield from place_at(remote_server)


@pytest.fixture
def plain_place(remote_server):
    yield from place_at(remote_server, allow_pickle=False)


@pytest.fixture(scope="module")
def long_place(shared_server):
    """For many examples, whose objects go by themselves."""
    return procession.get_context(shared_server.url("model", lease=3, keep=60), allow_pickle=True)


@pytest.fixture(scope="module")
def workers(long_place):
    # They know the servers that their parent has opened.
    yield from model.working()


# ---------------------------------------------------------------- as Python's own

SETTINGS = model.settings(model.SETTINGS, max_examples=EXAMPLES)


@SETTINGS
@given(start=st.sampled_from([0, 0, 1, 5, 200, 1500]), steps=model.turns(model.dict_steps))
def test_dicts_do_what_pythons_do(workers, long_place, start, steps):
    plain = {f"many {number}": str(number) * (number % 40) for number in range(start)}
    model.play(workers, Dict(plain, ctx=long_place), plain, steps)


@SETTINGS
@given(start=st.sampled_from([0, 0, 1, 5, 500, 1500]), steps=model.turns(model.list_steps))
def test_lists_do_what_pythons_do(workers, long_place, start, steps):
    plain = [str(number) * (number % 40) for number in range(start)]
    model.play(workers, List(plain, ctx=long_place), plain, steps)


def test_a_class_is_its_home_sister_by_its_face(place):
    shared = [Dict(a=1, ctx=place), List([1], ctx=place), Value("i", 1, ctx=place)]
    shared += [Namespace(a=1, ctx=place), Array("i", [1], ctx=place)]
    with procession.Manager() as manager:
        home = [manager.dict(a=1), manager.list([1]), manager.Value("i", 1)]
        home += [manager.Namespace(a=1), manager.Array("i", [1])]
        for ours, theirs in zip(shared, home, strict=True):
            assert type(ours).__name__ == type(theirs).__name__
            assert (str(ours), repr(ours).split(" at ")[0]) == (
                str(theirs),
                repr(theirs).split(" at ")[0],
            )
            assert ours._token.typeid == theirs._token.typeid
            public = {name for name in dir(theirs) if not name.startswith("_")}
            assert public - set(dir(ours)) == set()


def test_methods_are_called_by_name_as_a_proxys(place):
    d, space = Dict(ctx=place), Namespace(ctx=place)
    d._callmethod("__setitem__", ("a", 1))
    assert d._callmethod("get", ("a",)) == 1 and d._callmethod("#GETVALUE") == {"a": 1}
    space._callmethod("__setattr__", ("name", 2))
    assert space.name == space._callmethod("__getattribute__", ("name",)) == 2
    with pytest.raises(AttributeError, match="not exposed"):
        d._callmethod("no such method")


def test_namespaces_values_and_arrays(place):
    space = Namespace(ctx=place, a=1)
    space.b, space._own = [2], 3
    other = pickle.loads(pickle.dumps(space))
    assert (other.a, other.b, hasattr(other, "_own")) == (1, [2], False)
    del other.a
    with pytest.raises(AttributeError, match="'Namespace' object has no attribute 'a'"):
        _ = space.a
    with pytest.raises(AttributeError, match="no attribute 'a'"):
        del space.a
    value = Value("i", 1, ctx=place)
    same = pickle.loads(pickle.dumps(value))
    same.value += 1
    value.set(value.get() + 1)
    assert value.value == same.value == 3 and str(same) == "Value('i', 3)"
    numbers = Array("h", range(5), ctx=place)
    numbers[1:3] = pickle.loads(pickle.dumps(numbers))[3:]
    numbers[-1] = 9
    assert (list(numbers), numbers[2], len(numbers)) == ([0, 3, 4, 3, 9], 4, 5)
    with pytest.raises(OverflowError):
        numbers[0] = 2**20
    with pytest.raises(IndexError, match="array index out of range"):
        _ = numbers[5]


def test_merging_with_dicts_of_this_machine_and_of_others(place):
    d, other = Dict(ctx=place, a=1), Dict(ctx=place, b=2)
    with procession.Manager() as manager:
        home = manager.dict(c=3)
        assert d | other | home._getvalue() == {"a": 1, "b": 2, "c": 3}
        assert d | home == {"a": 1, "c": 3} and {"a": 0} | d == {"a": 1}
        d |= home
        d.update(other, d=4)
        assert d.copy() == {"a": 1, "c": 3, "b": 2, "d": 4}
        values = List([1], ctx=place)
        values += manager.list([2])
        values.extend(List([3], ctx=place))
        assert values + List([4], ctx=place) == [1, 2, 3, 4]
    for wrong in (lambda: d.update({}, {}), lambda: d.pop(1, 2, 3), lambda: d.update(5)):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(TypeError):
        [1] + values
    assert d != other and d == d and d not in ({"a": 1},)


# ---------------------------------------------------------------- keys


def test_keys_that_are_compared(place):
    d = Dict(ctx=place)
    d[Odd(1)] = "odd"
    d[1.0] = "one"
    d[True] += "!"
    d[decimal.Decimal(1)] += "!"
    d[Same("a")], d[Same("b")] = "a", "b"
    assert (d[1], d[Odd(1.0)], d[Same("b")], len(d)) == ("one!!", "odd", "b", 4)
    assert (1 in d, Odd(2) in d, Same("c") in d, "text" in d) == (True, False, False, False)
    assert d.increment(Odd(3), 2) == 2 and d.increment(Odd(3)) == 3
    assert d.compare_exchange(Odd(3), 3.0, 4) and not d.compare_exchange(Odd(4), 1, 1)
    assert (d.pop(Odd(3)), d.pop(Odd(3), None), d.setdefault(Odd(3), 5)) == (4, None, 5)
    assert d.setdefault(Odd(3), 6) == 5
    d.update({Odd(3): "new", Odd(9): "nine", "text": "plain"})
    del d[Odd(1)], d[Same("a")]
    want = {1: "one!!", Same("b"): "b", Odd(3): "new", Odd(9): "nine", "text": "plain"}
    assert d.copy() == want and list(d) == list(want)
    for method in (d.__getitem__, d.__delitem__, d.pop):
        with pytest.raises(KeyError) as caught:
            method(Odd(77))
        assert caught.value.args == (Odd(77),)
    nan = float("nan")
    d[nan] = 1
    d[nan] = 2
    assert len(d) == 7, "what is read is another one, and unequal"
    with pytest.raises(TypeError, match="unhashable"):
        _ = d[[]]


def test_a_comparison_that_changes_the_dict_again_and_again(place):
    d = Dict(ctx=place)

    class Meddler(Same):
        def __eq__(self, other):
            d[f"another {len(d)}"] = 1
            return False

        __hash__ = Same.__hash__

    d[Same("a")] = 1
    procession_dict, limit = type(d), 20
    module = __import__(procession_dict.__module__, fromlist=["_OWN_CHANGES"])
    before, module._OWN_CHANGES = module._OWN_CHANGES, limit
    try:
        with pytest.raises(RuntimeError, match="changed again and again"):
            d[Meddler("b")] = 2
    finally:
        module._OWN_CHANGES = before
    assert not any(isinstance(key, Meddler) for key in d)


def _set_odds(d, numbers):
    for number in numbers:
        d[Odd(number % 10)] = number
        d.increment(Same("count"))


def test_many_processes_set_equal_keys(place):
    d = Dict(ctx=place)
    children = [
        place.Process(target=_set_odds, args=(d, range(start, start + 40))) for start in range(3)
    ]
    for child in children:
        child.start()
    ended(*children)
    assert len(d) == 11 and d[Same("count")] == 120
    assert {key.number for key in d if isinstance(key, Odd)} == set(range(10))


# ---------------------------------------------------------------- numbers and exchanges

NUMBERS = [
    0,
    1,
    -1,
    127,
    128,
    255,
    256,
    2**31,
    2**32,
    2**53 - 1,
    2**53,
    2**53 + 1,
    2**62,
    2**63 - 1,
]
NUMBERS += [-number for number in NUMBERS[2:]] + [2**64 - 1, 2**70, 0.1, -0.0, 1e300, True, 2.5]


def test_numbers_are_added_as_python_adds_them(place):
    d = Dict(ctx=place)
    for one in NUMBERS:
        for other in NUMBERS:
            d["n"] = one
            assert repr(d.increment("n", other)) == repr(one + other), (one, other)
            assert repr(d["n"]) == repr(one + other)
        d.pop("m", None)
        assert repr(d.increment("m", one)) == repr(0 + one)
    d["text"] = "a"
    assert d.increment("text", "b") == "ab"
    with pytest.raises(TypeError):
        d.increment("text")
    assert d["text"] == "ab"


def test_exchanges_go_by_equality(place):
    d = Dict(ctx=place, a=1, b=[1.0])
    assert d.compare_exchange("a", 1.0, 2) and not d.compare_exchange("a", 1, 3)
    assert d.compare_exchange("b", [True], "b") and not d.compare_exchange("c", None, 1)
    assert d.compare_exchange("a", 2, None) and d.compare_exchange("a", None, 5)
    assert d.copy() == {"a": 5, "b": "b"}


# ---------------------------------------------------------------- iteration


def test_what_is_changed_during_an_iteration(place):
    d = Dict(((number, number) for number in range(20)), ctx=place)
    for key in d:
        d[key] += 1
    with pytest.raises(RuntimeError, match="dictionary changed size during iteration"):
        for key in d:
            del d[key]
    keys = iter(d)
    d["new"] = 1
    with pytest.raises(RuntimeError, match="changed size"):
        next(keys)
    # What others change is noticed when more is read.
    d.update((f"key {number:060}", number) for number in range(4000))
    other, seen = pickle.loads(pickle.dumps(d)), []
    with pytest.raises(RuntimeError, match="changed size"):
        for key in d:
            if not seen:
                del other["new"]
            seen.append(key)
    assert 1 < len(seen) < len(d)
    assert list(other) == other.keys() == list(reversed(list(reversed(other))))

    values, plain = List(range(10), ctx=place), list(range(10))
    for shared in (values, plain):
        seen = []
        for value in shared:
            seen.append(value)
            if value % 3 == 0:
                shared.remove(value)
            elif value == 4:
                shared.append(20)
        assert seen == [0, 2, 3, 5, 6, 8, 9]
    assert values.copy() == plain


def test_long_ones(place):
    plain = {f"key {number}": "x" * 100 for number in range(20_000)}
    d = Dict(plain, ctx=place)
    assert d.copy() == plain and list(d) == list(plain) and d.values()[-1] == "x" * 100
    values = List(range(200_000), ctx=place)
    assert values[100_000] == 100_000 and values[::50_000] == [0, 50_000, 100_000, 150_000]
    values.insert(100_000, "in")
    del values[50_000]
    values[70_000:70_003] = ["a"]
    expected = list(range(200_000))
    expected.insert(100_000, "in")
    del expected[50_000]
    expected[70_000:70_003] = ["a"]
    assert values.copy() == expected
    values.sort(key=str)
    assert values.copy() == sorted(expected, key=str)


# ---------------------------------------------------------------- what may go in


def test_plain_data_only(plain_place, remote_server):
    d, values = Dict(ctx=plain_place), List(ctx=plain_place)
    d["a"], d[1.0], d[1, 2.5] = {"b": [1, (2, 3)]}, {1}, frozenset({2})
    assert d[1] == {1} and d[1, 2.5] == frozenset({2})
    for wrong in (
        lambda: d.__setitem__("c", Odd(1)),
        lambda: d.__setitem__(Odd(1), 1),
        lambda: d.update(c=Odd(1)),
        lambda: values.append(Odd(1)),
        lambda: values.extend([1, Odd(1)]),
        lambda: Value("i", Odd(1), ctx=plain_place),
        lambda: values.append(values),
    ):
        with pytest.raises(pickle.PicklingError):
            wrong()
    assert len(d) == 3 and len(values) == 0

    free = procession.get_context(remote_server.url(lease=3), allow_pickle=True)
    theirs = pickle.loads(pickle.dumps(d))
    assert theirs._plain_only
    family = procession.Family(remote_server.url(lease=3), allow_pickle=True)
    mine = procession.Family(remote_server.url(lease=3))
    open_one, closed = Dict._named(family, "d"), Dict._named(mine, "d")
    open_one[Odd(1)], open_one["value"], open_one["plain"] = 1, Odd(2), 3
    assert closed["plain"] == 3 and "other" not in closed and len(closed) == 3
    closed[2.0] = "two"
    assert closed[2] == "two", "keys that others have pickled do not keep him from finding his"
    for wrong in (lambda: closed["value"], closed.copy, closed.keys, lambda: list(closed)):
        with pytest.raises(pickle.UnpicklingError):
            wrong()
    assert isinstance(open_one["value"], Odd)
    assert mine.remove("d")
    del free, theirs


def test_what_is_in_this_machines_memory_does_not_go_in(place):
    d, queue = Dict(ctx=place), procession.Queue()
    with procession.Manager() as manager:
        for wrong in (queue, manager.list([1])):
            with pytest.raises((pickle.PicklingError, RuntimeError)):
                d["a"] = wrong
    assert len(d) == 0


def test_shared_ones_inside(place):
    d = Dict(ctx=place, plain=[1])
    inner = d["inner"] = List([1], ctx=place)
    d["plain"].append(2)
    d["inner"].append(2)
    d["queue"] = queue = place.Queue()
    d["queue"].put("through")
    assert (d["plain"], inner.copy(), queue.get()) == ([1], [1, 2], "through")
    d.clear()
    inner.append(d)
    inner[-1]["a"] = 1
    assert d.copy() == {"a": 1}


def test_names(remote_server):
    family = procession.Family(remote_server.url(lease=3), allow_pickle=True)
    d, values, value = family.dict("d"), family.list("l"), family.value("v", 5)
    d["a"], value.value = 1, value.value + 1
    values.append(1)
    same = procession.Family(remote_server.url(lease=3))
    assert same.dict("d").copy() == {"a": 1} and same.list("l").copy() == [1]
    assert same.value("v", 9).get() == 6
    with pytest.raises(TypeError):
        family.list("d")
    assert family.names() == {"d": "dict", "l": "list", "v": "value"}
    for name in "dlv":
        assert family.remove(name)
    with pytest.raises(RuntimeError, match="gone"):
        d["b"] = 1
    with pytest.raises(RuntimeError, match="gone"):
        len(values)
    del d, values, value, same, family
    _core.leave_servers(1.0)
