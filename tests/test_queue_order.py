"""LifoQueue and PriorityQueue of one process: the order in which messages come out, against models."""

import enum
import functools
import queue as standard
import typing
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import procession as mp
from procession import queues

pytestmark = pytest.mark.both_backends

NUMBERS = st.one_of(
    st.booleans(),
    st.integers(-3, 3),
    st.integers(-(2**70), 2**70),
    st.sampled_from([2**53, 2**53 + 1, 2**63, 2**64, -(2**63), -(2**64), 2**2000, -(2**2000)]),
    st.floats(allow_nan=False),
    st.sampled_from([0.0, -0.0, 2.0**53, 1e308, 5e-324, float("inf"), float("-inf")]),
)
# Lone surrogates among them, which UTF-8 has no bytes for, and what is no character of Latin-1.
TEXTS = st.text(st.sampled_from("\0a\xff\u0100\ud800\udfff\uffff\U00010000\U0010ffff"), max_size=4)
BYTES = st.binary(max_size=4)
PAIRS = st.tuples(NUMBERS, TEXTS)
NESTED = st.tuples(st.tuples(NUMBERS), st.sampled_from([None]), BYTES)
# Rows of different lengths, of which one may be the beginning of the other.
ROWS = st.lists(st.integers(0, 2), max_size=4).map(tuple)
FRACTIONS = st.fractions(-2, 2, max_denominator=4)
# Some of these have a key, and some have none.
MIXED = st.one_of(NUMBERS, FRACTIONS)
LISTS = st.lists(st.integers(0, 2), max_size=3)
KEYED = [NUMBERS, TEXTS, BYTES, PAIRS, NESTED, ROWS]
ODD = [FRACTIONS, MIXED, LISTS]


class Sorted:
    """What a PriorityQueue is to be: a list in order, what is put behind all that is not more."""

    def __init__(self):
        self.messages = []

    def put(self, message):
        place = 0
        for at, other in enumerate(self.messages, 1):
            if not message < other:
                place = at
        self.messages.insert(place, message)

    def get(self):
        return self.messages.pop(0)


def same(one, other):
    """Equal, of the same type, and of the same sign if it is zero."""
    return repr(one) == repr(other)


def steps_of(kinds):
    """Messages of one of these kinds, and where one is taken."""
    take = st.just(standard.Empty)
    return st.sampled_from(kinds).flatmap(lambda of: st.lists(st.one_of(of, take), max_size=60))


@settings(max_examples=200, deadline=None)
@given(steps_of(KEYED))
def test_by_priority(steps):
    play(steps)


@settings(max_examples=150, deadline=None)
@given(steps_of(ODD))
def test_by_what_python_compares(steps):
    play(steps)


def play(steps):
    q, model = mp.PriorityQueue(), Sorted()
    for step in steps:
        if step is not standard.Empty:
            q.put(step)
            model.put(step)
        elif model.messages:
            assert same(q.peek(), model.messages[0])
            assert same(q.get(), model.get())
        assert q.qsize() == len(model.messages)
    assert same(q.get_many() if steps and model.messages else [], model.messages)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(NUMBERS, TEXTS, LISTS, st.just(standard.Empty)), max_size=60))
def test_the_newest_first(steps):
    q, model = mp.LifoQueue(), []
    for step in steps:
        if step is not standard.Empty:
            q.put(step)
            model.append(step)
        elif model:
            assert same(q.peek(), model[-1])
            assert same(q.get(), model.pop())
        assert q.qsize() == len(model)


def are_comparable(one, other):
    try:
        return one < other, other < one
    except TypeError:
        return False


PLAIN = [st.integers(0, 1), st.sampled_from(["a", b"a", None, 0.5])]


def few_of(*kinds):
    one = st.one_of(*kinds)
    return st.lists(st.one_of(one, st.tuples(one, one)), max_size=12)


@settings(max_examples=200, deadline=None)
@given(few_of(*PLAIN))
def test_what_cannot_be_compared_is_refused_in_pythons_words(messages):
    refused_or_put(messages)


@settings(max_examples=150, deadline=None)
@given(few_of(*PLAIN, st.just([0])))
def test_what_only_python_compares_is_refused_by_it(messages):
    refused_or_put(messages)


def refused_or_put(messages):
    q, model = mp.PriorityQueue(), Sorted()
    for message in messages:
        if all(are_comparable(message, other) for other in model.messages):
            q.put(message)
            model.put(message)
            continue
        with pytest.raises(TypeError, match="'<' not supported between instances of") as refused:
            q.put(message)
        assert type(refused.value) is TypeError
        assert q.qsize() == len(model.messages)
    assert same(q.get_many() if model.messages else [], model.messages)


def test_a_refusal_has_the_text_of_the_comparison():
    q = mp.PriorityQueue()
    q.put("a")
    with pytest.raises(TypeError, match="^'<' not supported between instances of 'int' and 'str'$"):
        q.put(1)
    assert q.get() == "a"


def test_so_has_one_of_what_only_python_compares():
    q = mp.PriorityQueue()
    q.put((1, {"a": 1}))
    q.put((2, {}))
    q.put((1, {"a": 1}))  # the dicts are equal: neither is less
    with pytest.raises(TypeError, match="^'<' not supported between instances of 'dict' and"):
        q.put((1, {}))
    assert q.get_many() == [(1, {"a": 1}), (1, {"a": 1}), (2, {})]


def test_none_alone_is_less_than_nothing():
    q = mp.PriorityQueue()
    q.put(None)
    with pytest.raises(TypeError, match="'NoneType' and 'NoneType'"):
        q.put(None)
    assert q.get() is None and q.empty()


@dataclass(order=True)
class Prioritized:
    priority: int
    item: Any = field(compare=False)


def test_the_prioritized_items_of_the_documentation():
    q = mp.PriorityQueue()
    for number in range(100):
        q.put(Prioritized(number * 7 % 10, {"number": number}))
    got = [q.get() for _ in range(100)]
    put = [Prioritized(number * 7 % 10, {"number": number}) for number in range(100)]
    wanted = sorted(put, key=lambda item: item.priority)  # stable, as the queue is
    assert [item.item for item in got] == [item.item for item in wanted]


class Point(NamedTuple):
    x: int
    y: int


class Colour(enum.IntEnum):
    RED = 1
    BLUE = 2


@functools.total_ordering
class Backwards(int):
    """Compares the other way round, as a number and with numbers."""

    def __lt__(self, other):
        return int(self) > int(other)

    __hash__ = int.__hash__


def test_subclasses_go_by_their_own_order():
    q = mp.PriorityQueue()
    q.put_many([Point(2, 1), (1, 5), Point(1, 2)])
    got = q.get_many()
    assert got == [(1, 2), (1, 5), (2, 1)] and isinstance(got[0], Point)
    q.put_many([Colour.BLUE, 1.5, Colour.RED])
    assert q.get_many() == [Colour.RED, 1.5, Colour.BLUE]
    q.put_many(map(Backwards, [1, 3, 2]))
    assert q.get_many() == [3, 2, 1]
    q.put_many([(Backwards(n), "x") for n in (1, 3, 2)])
    assert [n for n, _ in q.get_many()] == [3, 2, 1]


def test_what_is_not_a_number_loses_nothing():
    nan = float("nan")
    q = mp.PriorityQueue()
    q.put_many([2.0, nan, 1.0, 3.0])
    got = q.get_many()
    assert len(got) == 4 and {1.0, 2.0, 3.0} < set(got)
    q.put_many([(nan, 2), (1, 2), (nan, 1)])
    assert len(q.get_many()) == 3


def test_long_keys():
    q = mp.PriorityQueue()
    long = ["x" * 5000 + end for end in ("b", "a", "\0", "")]
    q.put_many(long)
    assert q.get_many() == sorted(long)


def test_what_is_too_long_for_a_key():
    q = mp.PriorityQueue()
    longest = ["y" * (2 << 20), "y" * (2 << 20) + "x", "never"]
    q.put_many(longest)
    assert q.get_many() == sorted(longest)
    deep = 1
    for _ in range(100):
        deep = (deep,)
    q.put_many([deep, deep])
    assert q.get_many() == [deep, deep]


def refuse(*_):
    raise LookupError("looked at")


class Unloadable(tuple):
    """Has a tuple's order, and cannot be unpickled."""

    def __reduce__(self):
        return refuse, tuple(self)


def test_what_has_a_key_is_not_looked_at():
    q = mp.PriorityQueue()
    q.put_many([Unloadable((3,)), Unloadable((1,)), (2,), Unloadable((2,))])
    assert q.qsize() == 4
    with pytest.raises(LookupError):
        q.peek()
    with pytest.raises(LookupError):
        q.get()
    assert q.get() == (2,)
    assert q.qsize() == 2


def test_what_has_none_is_compared_with_what_has_one():
    q = mp.PriorityQueue()
    q.put(Unloadable((3,)))
    with pytest.raises(LookupError):
        q.put([1])
    assert q.qsize() == 1


class Talkative:
    """Has its queue used by whoever compares it."""

    def __init__(self, value, act=None):
        self.value = value
        self.act = act

    def __lt__(self, other):
        if self.act:
            self.act()
        return self.value < other.value

    def __reduce__(self):
        return Talkative, (self.value,)


def test_a_comparison_may_use_the_queue():
    q = mp.PriorityQueue()
    q.put_many([Talkative(1), Talkative(3), Talkative(5)])
    acts = [lambda: q.put(Talkative(2)), q.get, q.qsize]
    q.put(Talkative(4, lambda: acts.pop()() if acts else None))
    assert [message.value for message in q.get_many()] == [2, 3, 4, 5]


def test_a_comparison_that_changes_the_queue_for_ever_is_told():
    q = mp.PriorityQueue()
    q.put_many([Talkative(1), Talkative(3)])
    with pytest.raises(RuntimeError, match="changed again and again"):
        q.put(Talkative(2, lambda: (q.get(), q.put(Talkative(9)))))
    assert q.qsize() == 2


def test_a_comparison_that_raises_changes_nothing():
    def fail():
        raise LookupError("no")

    q = mp.PriorityQueue(2)
    q.put(Talkative(1))
    for _ in range(3):
        with pytest.raises(LookupError):
            q.put(Talkative(2, fail))
    assert q.qsize() == 1
    q.put(Talkative(0))
    with pytest.raises(standard.Full):
        q.put(Talkative(2, fail), timeout=0.01)  # nothing is compared if there is no room
    assert [message.value for message in q.get_many()] == [0, 1]
    for _ in range(2):
        q.task_done()
    with pytest.raises(ValueError):
        q.task_done()  # what was refused was never put


def test_types_of_the_classes():
    for kind in (queues.LifoQueue, queues.PriorityQueue):
        assert issubclass(kind, queues.JoinableQueue)
        assert typing.get_origin(kind[int]) is kind
