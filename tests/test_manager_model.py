"""Random operations by several processes, in a known order, against Python's own dict and list.

One process after the other works on a shared dict or list. Whatever is done, it must come to what the
same does to a plain one: the result or the exception, the contents and their order.
"""

import collections
import decimal
import enum
import operator
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from manager_support import sound
from support import LONG, PATIENCE, ended

import procession as mp

pytestmark = pytest.mark.both_backends

EXAMPLES = 5000 if LONG else 200
SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class Letter(enum.Enum):
    A = 1
    B = 2


Pair = collections.namedtuple("Pair", "a b")
KEYS = [0, 1, 1.0, True, -1, 2**70, 0.5, decimal.Decimal("0.5"), None, "a", "b", "ab" * 30, "é", b"a", (), (1, "a"), (1.0, "a"), Pair(1, "a"), frozenset({1}), Letter.A, Letter.B, "k" * 5000]  # fmt: skip
keys = (
    st.sampled_from(KEYS)
    | st.integers(0, 40)
    | st.sampled_from(["", "x", "y"]).flatmap(lambda s: st.just(s * 2))
)
sizes = st.sampled_from([0, 1, 6, 7, 31, 32, 33, 100, 1000, 4095, 4096, 9000])
values = (
    st.integers(-3, 3)
    | st.sampled_from(
        [
            None,
            True,
            1.5,
            2**40,
            2**63,
            "a",
            "",
            b"",
            (),
            [],
            [1, [2]],
            {"a": 1},
            Letter.A,
        ]
    )
    | st.builds(operator.mul, st.sampled_from(["s", b"b", (1,)]), sizes)
)
small = st.integers(-5, 5) | st.sampled_from([2**70, -(2**70)])
indices = st.integers(-5, 5) | st.integers(-2000, 2000)
bounds = st.none() | indices | st.just(2**70)
slices = st.builds(slice, bounds, bounds, st.none() | st.sampled_from([1, 1, -1, 2, -3, 0, 700]))
many = st.lists(values, max_size=4) | st.builds(lambda n: list(range(n)), st.integers(0, 1200))
pairs = st.lists(st.tuples(keys, values), max_size=5) | st.builds(
    lambda start, n: [(f"many {number}", number) for number in range(start, start + n)],
    st.integers(0, 500),
    st.integers(0, 900),
)


def step(name, *arguments):
    return st.tuples(st.just(name), st.tuples(*arguments))


dict_steps = st.one_of(
    step("set", keys, values),
    step("set", keys, values),
    step("delete", keys),
    step("look up", keys),
    step("contains", keys | st.just([])),
    *(step("get", keys, *more) for more in ((), (values,))),
    *(step("pop", keys, *more) for more in ((), (values,))),
    step("popitem"),
    *(step("setdefault", keys, *more) for more in ((), (values,))),
    step("update", pairs),
    step("update", st.builds(dict, pairs)),
    step("merge", st.builds(dict, pairs)),
    step("merge in", pairs),
    step("increment", keys, st.integers(-3, 3) | st.just(0.5)),
    step("exchange", keys, values, values),
    step("drop some", st.integers(2, 7)),
    *(
        step(name)
        for name in ("clear", "copy", "keys", "values", "items", "length", "all", "backwards")
    ),
)
list_steps = st.one_of(
    step("append", values),
    step("append", values),
    step("extend", many),
    step("insert", indices, values),
    *(step("pop", *more) for more in ((), (indices,))),
    *(step(name, indices | slices) for name in ("look up", "delete")),
    step("set", indices, values),
    step("set", slices, many),
    step("set", slices, values),
    *(step(name, values) for name in ("contains", "remove", "index", "count")),
    step("index", values, indices, indices),
    step("sort by", st.sampled_from(["repr", "type"]), st.booleans()),
    *(step(name, many) for name in ("add", "add in")),
    *(step(name, st.integers(-1, 3)) for name in ("repeat", "repeat in")),
    *(step(name) for name in ("reverse", "sort", "clear", "copy", "length", "all", "backwards")),
)


def do(it, name, arguments):
    """Does one step with a plain or a shared one; returns what it comes to, as text."""
    try:
        result = DO[name](it, *arguments) if name in DO else getattr(it, name)(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return repr(list(result) if name in ("keys", "values", "items") else result)


def _increment(it, key, n):
    if hasattr(it, "increment"):
        return it.increment(key, n)
    it[key] = it[key] + n if key in it else n
    return it[key]


def _exchange(it, key, old, new):
    if hasattr(it, "compare_exchange"):
        return it.compare_exchange(key, old, new)
    same = key in it and it[key] == old
    if same:
        it[key] = new
    return same


def _drop_some(it, every):
    for number, key in enumerate(list(it)):
        if number % every:
            del it[key]


def _merge_in(it, other):
    it |= other


def _add_in(it, other):
    it += other


def _repeat_in(it, n):
    it *= n if len(it) < 3000 else 1


def _sort(it, key=None, reverse=False):
    if isinstance(it, list):  # which is half sorted when it fails
        it[:] = sorted(it, key=key, reverse=reverse)
    else:
        it.sort(key=key, reverse=reverse)


def _sort_by(it, what, reverse):
    _sort(it, repr if what == "repr" else _name_of_type, reverse)


def _name_of_type(value):
    return type(value).__name__


DO = {
    "set": operator.setitem,
    "delete": operator.delitem,
    "look up": operator.getitem,
    "contains": operator.contains,
    "length": len,
    "all": list,
    "backwards": lambda it: list(reversed(it)),
    "merge": lambda it, other: (it | other, other | it),
    "merge in": _merge_in,
    "increment": _increment,
    "exchange": _exchange,
    "drop some": _drop_some,
    "add": lambda it, other: it + other,
    "add in": _add_in,
    "repeat": lambda it, n: (it * n, n * it) if len(it) < 3000 else None,
    "repeat in": _repeat_in,
    "sort": _sort,
    "sort by": _sort_by,
}


def work(connection):
    it = None
    while (told := connection.recv()) is not None:
        if isinstance(told, tuple):
            connection.send(do(it, *told))
        else:
            it = told
            connection.send(repr(it._getvalue()))


@pytest.fixture(scope="module")
def workers(backend):
    yield from working()


def working():
    connections, processes = [], []
    seed = os.environ.get("PYTHONHASHSEED")
    try:
        for number, method in enumerate(("fork", "spawn", "spawn")):
            os.environ["PYTHONHASHSEED"] = str(number)
            context = mp.get_context(method)
            mine, theirs = context.Pipe()
            processes.append(context.Process(target=work, args=(theirs,)))
            processes[-1].start()
            theirs.close()
            connections.append(mine)
    finally:
        os.environ.pop("PYTHONHASHSEED")
        if seed is not None:
            os.environ["PYTHONHASHSEED"] = seed
    yield connections
    for connection in connections:
        connection.send(None)
        connection.close()
    ended(*processes)


@pytest.fixture(scope="module")
def manager(backend):
    with mp.Manager() as manager:
        yield manager


def told(worker, message):
    worker.send(message)
    assert worker.poll(PATIENCE), message
    return worker.recv()


def play(workers, shared, plain, steps):
    for worker in workers:
        assert told(worker, shared) == repr(plain)
    for number, (who, (name, arguments)) in enumerate(steps):
        want = do(plain, name, arguments)
        got = told(workers[who], (name, arguments))
        assert got == want, f"step {number}"
    contents = repr(plain)
    assert repr(shared._getvalue()) == contents
    assert all(told(worker, shared) == contents for worker in workers)
    assert shared._check() == []


def turns(steps):
    one = st.tuples(st.integers(0, 2), steps)
    # So that long ones are as likely as short ones.
    return st.integers(0, 60).flatmap(lambda n: st.lists(one, min_size=n, max_size=n))


@pytest.mark.timeout(60 if not LONG else 1200)
@SETTINGS
@given(start=st.sampled_from([0, 0, 1, 5, 200, 1500]), steps=turns(dict_steps))
def test_dicts(workers, manager, start, steps):
    plain = {f"many {number}": str(number) * (number % 40) for number in range(start)}
    play(workers, manager.dict(plain), plain, steps)


@pytest.mark.timeout(60 if not LONG else 1200)
@SETTINGS
@given(start=st.sampled_from([0, 0, 1, 5, 500, 513, 1500]), steps=turns(list_steps))
def test_lists(workers, manager, start, steps):
    plain = [str(number) * (number % 40) for number in range(start)]
    play(workers, manager.list(plain), plain, steps)


def test_nothing_is_left(workers, manager):
    shared = manager.dict(a=manager.list([1]))
    play(workers, shared["a"], [1], [(0, ("append", (2,))), (1, ("pop", (0,)))])
    sound(shared["a"])
    assert manager._number_of_objects() == 2
