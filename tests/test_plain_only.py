"""Objects that accept plain data only: nothing else goes in, and what others pickled stays pickled."""

import array
import collections
import enum
import os
import pickle
import types

import numpy
import pytest
from support import each_method, ended

import procession as mp
from procession import _plain

LARGE = 200_000  # has a block of its own


class Trap:
    """To unpickle it makes a directory; to pickle it is noted."""

    pickled = 0

    def __init__(self, path, size=0):
        self.path = path
        self.padding = bytes(size)

    def __reduce__(self):
        Trap.pickled += 1
        return _spring, (self.path, self.padding)

    def __hash__(self):
        return hash(2.0)


def _spring(path, _padding):
    os.mkdir(path)


class WithArray(Trap):
    """The same, with a buffer out of band."""

    def __reduce__(self):
        return _spring, (self.path, numpy.zeros(len(self.padding), "u1"))


class Colour(enum.IntEnum):
    RED = 1


Point = collections.namedtuple("Point", "x y")


def two_of(made):
    """An object that takes anything, and the same one that takes plain data only."""
    strict = pickle.loads(pickle.dumps(made))
    strict._refuse_pickle()
    assert strict._plain_only and not made._plain_only
    return made, strict


@pytest.fixture
def queues():
    return two_of(mp.Queue())


@pytest.fixture(scope="module")
def manager():
    with mp.Manager() as manager:
        yield manager


@pytest.fixture
def dicts(manager):
    return two_of(manager.dict())


@pytest.fixture
def lists(manager):
    return two_of(manager.list())


@pytest.fixture
def trap(tmp_path):
    path = tmp_path / "sprung"
    Trap.pickled = 0
    yield Trap(str(path))
    assert not path.exists()


def nested(depth):
    value = []
    for _ in range(depth - 1):
        value = [value]
    return value


TEXT = "ä" * 100
PLAIN = {
    "atoms": [None, True, False, 0, -1, 2**64 - 1, -(2**63), 1.5, "", "text", b"", b"bytes"],
    "containers": {"a": [1, (2, {3}), frozenset({4})], (1, "b"): {}, 1.0: (), None: {True: 1}},
    "deepest": nested(64),
    "large": ["x" * LARGE, b"y" * LARGE, ["z"] * LARGE],
    "text twice": [TEXT, TEXT, "k" * LARGE, {TEXT: TEXT}],
    "tuple twice": [PAIR := (1, "one"), PAIR, frozenset({PAIR}), {"pair": PAIR}],
}


@pytest.mark.parametrize("value", PLAIN.values(), ids=PLAIN)
def test_plain_data_passes(value, queues, dicts, lists):
    strict_queue, strict_dict, strict_list = queues[1], dicts[1], lists[1]
    strict_queue.put(value)
    assert strict_queue.get() == value
    strict_dict["key"] = value
    assert strict_dict["key"] == value
    strict_list.append(value)
    assert strict_list[0] == value


SHARED = [1]
CIRCLE: list = []
CIRCLE.append({"self": CIRCLE})
LADDER: tuple = ([],)
LADDER_OF_TEXT: tuple = ("text",)
for _ in range(60):
    LADDER = (LADDER, LADDER)
    LADDER_OF_TEXT = (LADDER_OF_TEXT, LADDER_OF_TEXT)

UNPLAIN = {
    "object": (types.SimpleNamespace(a=1), "type types.SimpleNamespace"),
    "function": (nested, "type function"),
    "lambda": (lambda: 1, "type function"),
    "class": (Trap, "type type"),
    "bytearray": (bytearray(b"x"), "type bytearray"),
    "complex": ([1, {2: 3j}], "type complex"),
    "array": (array.array("i", [1]), "type array.array"),
    "numpy": ({"rows": numpy.zeros(LARGE)}, "type numpy.ndarray"),
    "buffer": (pickle.PickleBuffer(bytearray(LARGE)), "type pickle.PickleBuffer"),
    "dict's subclass": (collections.OrderedDict(a=1), "type collections.OrderedDict"),
    "int's subclass": ({"colour": Colour.RED}, "Colour"),
    "tuple's subclass": ([Point(1, 2)], "Point"),
    "large int": ([2**64], "an int of more than 64 bits"),
    "small int": (-(2**63) - 1, "an int of more than 64 bits"),
    "surrogate": ({"name": "\udc80"}, "a str with surrogates"),
    "list twice": ([SHARED, (SHARED,)], "a list that stands in it twice"),
    "list in a tuple twice": ((LADDER, LADDER), "what has a list, dict or set twice in it"),
    "ladder": (LADDER_OF_TEXT, "twice in it"),
    "circle": (CIRCLE, "a list that stands in it twice, or in itself"),
    "deep": (nested(65), "nested deeper than 64"),
    "queue": ([mp.Queue()], "type procession.queues.Queue"),
}


@pytest.mark.parametrize("value, said", UNPLAIN.values(), ids=UNPLAIN)
def test_all_else_is_refused(value, said, queues, dicts, lists):
    strict_queue, strict_dict, strict_list = queues[1], dicts[1], lists[1]
    strict_list.append("there")
    writes = [
        lambda: strict_queue.put(value),
        lambda: strict_queue.put_nowait(value),
        lambda: strict_queue.put_many([value]),
        lambda: strict_queue._writer.send(value),
        lambda: strict_dict.__setitem__("key", value),
        lambda: strict_dict.update(good=1, bad=value),
        lambda: strict_dict.setdefault("key", value),
        lambda: strict_dict.compare_exchange("key", None, value),
        lambda: strict_list.append(value),
        lambda: strict_list.extend([1, value]),
        lambda: strict_list.insert(0, value),
        lambda: strict_list.__setitem__(0, value),
        lambda: strict_list.__setitem__(slice(0, 1), [value]),
    ]
    for write in writes:
        with pytest.raises(pickle.PicklingError) as caught:
            write()
        assert said in str(caught.value)
        assert "plain data only is accepted here (allow_pickle=False)" in str(caught.value)
    assert strict_queue.empty() and not strict_dict and strict_list[:] == ["there"]
    with pytest.raises(pickle.PicklingError, match="plain data only"):
        strict_queue.put(value)
    strict_queue.put("and goes on")
    assert strict_queue.get() == "and goes on"


def test_what_is_refused_was_never_pickled(trap, queues, dicts, lists):
    for write in (queues[1].put, dicts[1].__getitem__, lists[1].append):
        with pytest.raises(pickle.PicklingError, match="test_plain_only.Trap"):
            write(trap)
    assert Trap.pickled == 0
    queues[0].put(trap)
    assert Trap.pickled == 1


def test_keys(dicts):
    _, strict = dicts
    for key in (1.0, True, None, (1, 2.0), frozenset({1}), 2.5, b"b"):
        strict[key] = key
        assert strict[key] == key
    assert len(strict) == 6  # 1.0 is True
    for key in (1j, Colour.RED, Point(1, 2), types.SimpleNamespace):
        for use in (strict.__contains__, strict.get, strict.pop, strict.increment):
            with pytest.raises(pickle.PicklingError, match="plain data only"):
                use(key)
    with pytest.raises(TypeError, match="unhashable"):
        strict[[]] = 1
    assert len(strict) == 6


KINDS = {"inline": Trap, "block": Trap, "small buffers": WithArray, "buffers": WithArray}


@pytest.mark.parametrize("kind", KINDS)
def test_a_queue_unpickles_nothing(kind, queues, trap):
    anyone, strict = queues
    trap = KINDS[kind](trap.path, 300 if kind in ("inline", "small buffers") else LARGE)
    for _ in range(4):
        anyone.put(trap)
    anyone.put("next")
    for get in (strict.get, strict.get_nowait, strict.get_many, strict._reader.recv):
        with pytest.raises(pickle.UnpicklingError, match="was not unpickled"):
            get()
    assert strict.get() == "next" and strict.empty()
    anyone.put(["plain", 1])
    anyone.put(trap)
    with pytest.raises(pickle.UnpicklingError) as caught:
        strict.get_many()
    assert caught.value.received == [["plain", 1]]


@pytest.mark.parametrize("size", [0, LARGE])
def test_a_dict_unpickles_nothing(size, dicts, trap):
    anyone, strict = dicts
    anyone["trap"], anyone["plain"] = Trap(trap.path, size), [1]
    reads = [
        lambda: strict["trap"],
        lambda: strict.get("trap"),
        lambda: strict.setdefault("trap", 1),
        lambda: strict.increment("trap"),
        lambda: strict.compare_exchange("trap", 1, 2),
        lambda: strict.wait_for("trap"),
        strict.copy,
        strict.values,
        strict.items,
        lambda: dict(strict),
    ]
    for read in reads:
        with pytest.raises(pickle.UnpicklingError, match="was not unpickled"):
            read()
    assert strict.keys() == ["trap", "plain"] and strict["plain"] == [1]
    del strict["trap"]
    assert strict.items() == [("plain", [1])]


def test_keys_of_others_are_not_unpickled(dicts, trap):
    anyone, strict = dicts
    anyone["plain"] = 1
    anyone[trap] = 2
    for read in (strict.keys, strict.items, strict.copy, lambda: list(strict), strict.popitem):
        with pytest.raises(pickle.UnpicklingError, match="was not unpickled"):
            read()
    # By bytes nobody can tell to what it is equal: who has plain keys only finds his.
    anyone[trap] = 2
    assert strict.get("missing") is None and strict.get(2.0) is None
    strict.update({2.0: 3, "new": 4})
    strict[2.0] += 1
    assert (strict["plain"], strict[2], strict.pop("new"), len(strict)) == (1, 4, 4, 3)
    strict.clear()
    assert not strict.keys()


def test_a_list_unpickles_nothing(lists, trap):
    anyone, strict = lists
    anyone.extend([1, trap, 3])
    reads = [
        lambda: strict[1],
        lambda: strict[1:],
        lambda: strict[::-1],
        lambda: list(strict),
        lambda: strict.index(3),
        lambda: strict.count(3),
        lambda: 3 in strict,
        lambda: strict.remove(3),
        lambda: strict + [],
        strict.copy,
        strict.sort,
    ]
    for read in reads:
        with pytest.raises(pickle.UnpicklingError, match="was not unpickled"):
            read()
    assert (strict[0], strict[2], len(strict)) == (1, 3, 3)
    del strict[1]
    assert strict[:] == [1, 3]


def get_from(queue, answers):
    try:
        answers.put((queue._plain_only, queue.get()))
    except pickle.UnpicklingError as error:
        answers.put((queue._plain_only, str(error)))


@each_method
def test_a_child_keeps_to_it(method, queues, trap):
    anyone, strict = queues
    context = mp.get_context(method)
    answers = context.Queue()
    anyone.put(trap)
    child = context.Process(target=get_from, args=(strict, answers))
    child.start()
    ended(child)
    plain_only, text = answers.get()
    assert plain_only and "was not unpickled" in text


def test_the_text_never_runs_code_of_the_object():
    class Sly:
        __class__ = property(lambda self: pytest.fail("it was asked for its class"))

        def __repr__(self):
            pytest.fail("it was asked for its repr")

    assert ".Sly:" in _plain.refusal([Sly()])
