"""The codec: what comes out of a queue is what pickle would have given."""

import math
import struct
import sys
from collections import OrderedDict, namedtuple

import pytest
from codec_support import LONG, Maker, check, round_trip, through_queue

from procession import _core

PLAIN, PICKLE = 1, 2


class Int(int):
    pass


class Text(str):
    pass


class Items(list):
    pass


class Mapping(dict):
    pass


Point = namedtuple("Point", "x y")


SCALARS = [
    None,
    True,
    False,
    *(
        sign * (1 << bits) + near
        for bits in (0, 5, 7, 8, 15, 16, 31, 32, 63, 64, 65, 200)
        for near in (-1, 0, 1)
        for sign in (1, -1)
    ),
    0.0,
    -0.0,
    1.5,
    -1e300,
    5e-324,
    math.inf,
    -math.inf,
    "",
    "a",
    "\x00",
    "é",
    "ÿ" * 31,
    "Ā",
    "中文" * 20,
    "😀",
    "a\u0100\U00010000",
    "x" * 31,
    "x" * 32,
    "x" * 255,
    "x" * 256,
    "x" * 65535,
    "x" * 65536,
    "é" * 40000,
    "中" * 40000,
    "\ud800",
    "a\udfff",
    b"",
    b"\x00",
    b"x" * 31,
    b"x" * 255,
    b"x" * 256,
    b"x" * 65535,
    b"x" * 65536,
    bytes(range(256)),
]


@pytest.mark.parametrize("obj", SCALARS, ids=lambda obj: repr(obj)[:20])
def test_scalars(obj):
    check(obj)
    check([obj, {"k": obj}, (obj,)])


def test_nan_keeps_its_bits():
    for bits in (0x7FF8000000000000, 0xFFF8000000000001):
        nan = struct.unpack("d", struct.pack("Q", bits))[0]
        assert struct.pack("d", round_trip(nan)) == struct.pack("d", nan)


@pytest.mark.parametrize(
    "obj",
    [
        [],
        (),
        {},
        set(),
        frozenset(),
        [[]],
        ((),),
        [(), ()],
        {(): ()},
        list(range(15)),
        list(range(16)),
        list(range(65536)),
        tuple(range(16)),
        tuple(range(70000)),
        {i: str(i) for i in range(15)},
        {str(i): i for i in range(16)},
        dict.fromkeys(range(65536)),
        {1, 2.5, "x", b"y", None, (1, 2)},
        frozenset("abcdefghij"),
        {frozenset({1}), frozenset()},
        {"b": 1, "a": 2, 3: [4, {"c": (5, {6})}]},
        {"": 0, "é": 1, "k" * 23: 2, "k" * 24: 3, "k" * 31: 4, "k" * 32: 5},
        set(range(1000)),
        {True: 1, 2.0: "two", None: 3},
    ],
    ids=lambda obj: repr(obj)[:20],
)
def test_containers(obj):
    assert _core.encode(obj)[0] == PLAIN
    check(obj)


def test_a_set_out_of_which_much_was_taken():
    numbers = set(range(100))
    for number in range(0, 100, 3):
        numbers.discard(number)
    check(numbers)


def test_messagepack():
    """The bytes that other languages read."""
    cases = [
        (None, "c0"),
        (True, "c3"),
        (False, "c2"),
        (1, "01"),
        (127, "7f"),
        (128, "cc80"),
        (256, "cd0100"),
        (-1, "ff"),
        (-32, "e0"),
        (-33, "d0df"),
        (-129, "d1ff7f"),
        (1 << 32, "cf0000000100000000"),
        ((1 << 64) - 1, "cfffffffffffffffff"),
        (-(1 << 63), "d38000000000000000"),
        (1.5, "cb3ff8000000000000"),
        ("a", "a161"),
        (b"a", "c40161"),
        ([1, {"a": None}], "920181a161c0"),
        ({1}, "c900000002029101"),
        ((1, "é"), "c900000005019201a2c3a9"),
        (frozenset({1}), "c900000002039101"),
    ]
    for obj, wanted in cases:
        assert _core.encode(obj) == bytes([PLAIN]) + bytes.fromhex(wanted)


def test_messagepack_forms_that_are_only_read():
    for written, wanted in {
        "ca3fc00000": 1.5,
        "cc01": 1,
        "cd0001": 1,
        "ce00000001": 1,
        "d0ff": -1,
        "d1ffff": -1,
        "d2ffffffff": -1,
        "d90161": "a",
        "da000161": "a",
        "db0000000161": "a",
        "c500016a": b"j",
        "dc000101": [1],
        "dd0000000101": [1],
        "de00010102": {1: 2},
        "df000000010102": {1: 2},
        "c702019101": (1,),
        "c80002029101": {1},
        "d5019101": (1,),
        "d40190": (),
        "c9000000040191cc01": None,
    }.items():
        message = bytes([PLAIN]) + bytes.fromhex(written)
        if wanted is None:
            with pytest.raises(ValueError):
                _core.decode(message)
        else:
            decoded = _core.decode(message)
            assert (type(decoded), decoded) == (type(wanted), wanted)


def nested(depth, wrap):
    obj = 1
    for _ in range(depth):
        obj = wrap(obj)
    return obj


@pytest.mark.parametrize(
    "wrap", [lambda x: [x], lambda x: (x,), lambda x: {0: x}], ids=["list", "tuple", "dict"]
)
def test_depth(wrap):
    assert _core.encode(nested(64, wrap))[0] == PLAIN
    assert _core.encode(nested(65, wrap))[0] == PICKLE
    for depth in (63, 64, 65, 200):
        check(nested(depth, wrap))


def test_what_is_not_plain():
    shared, text = [1], "s" * LONG
    cycle = []
    cycle.append(cycle)
    for obj in [
        1 << 64,
        -(1 << 63) - 1,
        "\ud800",
        Int(1),
        Text("x"),
        Items([1]),
        Mapping(),
        Point(1, 2),
        OrderedDict(a=1),
        [shared, shared],
        {"a": shared, "b": [shared]},
        (shared, {1: shared}),
        [text, text],
        {text: text},
        [b"b" * LONG] * 2,
        cycle,
        range(3),
        1j,
        bytearray(b"x"),
        object,
        len,
    ]:
        assert _core.encode(obj)[0] == PICKLE
        check(obj)


def test_an_object_that_others_hold_too_stays_plain():
    held = [[i] for i in range(100)]
    text = "t" * 100
    assert _core.encode([held[0], held[1], text])[0] == PLAIN
    assert _core.encode(held)[0] == PLAIN
    assert _core.encode([*held, held[99]])[0] == PICKLE
    check([*held, held[50]])


def test_cycles():
    a, b = [1], {"x": 2}
    a.append(b)
    b["a"] = a
    loop = [(a, [b])]
    loop.append(loop)
    for obj in (a, b, loop):
        check(obj)


@pytest.mark.parametrize("seed", range(8))
def test_random_objects(seed):
    kinds = set()
    for number in range(250):
        obj = Maker(seed * 1000 + number).object()
        kinds.add(_core.encode(obj)[0])
        check(obj)
    assert kinds == {PLAIN, PICKLE}


def test_encoding_changes_no_reference_count():
    obj = [12345, "text", ("a", 1.5), {"key": b"bytes"}, {3, 4}, "é" * 5, [[]]]
    parts = [obj, *obj]
    before = [sys.getrefcount(part) for part in parts]
    for _ in range(1000):
        round_trip(obj)
        through_queue(obj)
    assert [sys.getrefcount(part) for part in parts] == before
