"""Messages beyond plain data: large bodies, buffers, arrays, handles, and Python code that runs meanwhile."""

import gc
import pickle
import random
import sys

import pytest
from codec_support import Queue, attached, check, round_trip, through_queue


@pytest.mark.parametrize("size", [0, 1, 32767, 32768, 32769, 65536, 300_000, 3_000_000])
def test_large_bodies(size):
    check(b"b" * size)
    check("a" * size)
    check("é" * size)
    check("中" * (size // 3))
    check([b"b" * size, 1])
    check(bytearray(b"b" * size))
    check([bytearray(size), 1j])
    check(list(range(size // 8)))


@pytest.mark.parametrize("shift", range(20))
def test_large_parts_among_small_ones(shift):
    """Wherever the pieces in which a block is read begin and end."""
    check(
        [
            "p" * (shift * 7),
            list(range(-5000, 20000)),
            {f"key{i}": (i / 3, str(i)) for i in range(2000)},
            (b"a" * 4096, "b" * 4097, "é" * 3000, b"c" * 16384, "d" * 20000),
            ("e" * 40000, [b"f" * 40000, ({b"g" * 33000, "h" * 32768},)], "中" * 40000),
            {"i" * 50000: {1: b"j" * 100_000}},
            None,
        ]
    )


def test_large_parts_are_not_kept():
    parts = [b"x" * 100_000, "y" * 100_000]
    before = [sys.getrefcount(part) for part in parts]
    through_queue([*parts, 1])
    round_trip({1: tuple(parts)})
    with pytest.raises(RecursionError):
        through_queue([*parts, Unpicklable(RecursionError)])
    assert [sys.getrefcount(part) for part in parts] == before


class Buffer:
    """Pickles as out-of-band buffers."""

    def __init__(self, *parts):
        self.parts = parts

    def __reduce_ex__(self, protocol):
        return Buffer, tuple(pickle.PickleBuffer(part) for part in self.parts)


@pytest.mark.parametrize(
    "sizes", [(0,), (1,), (10, 0, 10), (40_000,), (1 << 20, 5, 1 << 20), (300,) * 500, (1,) * 5000]
)
def test_buffers(sizes):
    rng = random.Random(5)
    parts = [bytearray(rng.randbytes(size)) for size in sizes]
    for trip in (round_trip, through_queue):
        got = trip(Buffer(*parts)).parts
        assert [bytes(part) for part in got] == [bytes(part) for part in parts]
        for part in got:
            view = memoryview(part)
            assert not view.readonly
            if len(view):
                view[0] ^= 1
        assert [bytes(part)[1:] for part in got] == [bytes(part)[1:] for part in parts]


@pytest.mark.parametrize("size", [100, 100_000])
def test_read_only_buffers_stay_so(size):
    for trip in (round_trip, through_queue):
        got = trip(Buffer(b"b" * size, bytearray(size))).parts
        assert [memoryview(part).readonly for part in got] == [True, False]


def test_arrays():
    numpy = pytest.importorskip("numpy")
    square = numpy.arange(90_000, dtype="f8").reshape(300, 300)
    small = numpy.arange(12, dtype="i4").reshape(3, 4)
    for array in (
        small,
        square,
        square.T,
        square[::2, ::3],
        numpy.asfortranarray(square),
        numpy.zeros((0, 3)),
    ):
        for got in (
            through_queue(array),
            through_queue({"array": array})["array"],
            round_trip(array),
        ):
            assert (got.dtype, got.shape) == (array.dtype, array.shape)
            assert (got == array).all()
            assert got.flags.writeable
            got[...] = 7
    square.flags.writeable = False
    wanted = pickle.loads(pickle.dumps(square, 5)).flags.writeable
    assert through_queue(square).flags.writeable == wanted
    twice = through_queue([square, square])
    assert twice[0] is twice[1]


def test_the_parts_of_a_block_are_apart():
    """A part stays what it is when its neighbour is written to, or is gone."""
    first, second = through_queue(Buffer(bytearray(b"1" * 50_000), bytearray(b"2" * 50_000))).parts
    memoryview(first)[:] = b"x" * 50_000
    assert bytes(second) == b"2" * 50_000
    view = memoryview(second)
    del first, second
    gc.collect()
    assert bytes(view) == b"2" * 50_000


class PutsWhilePickled:
    def __init__(self, queue, depth):
        self.queue, self.depth = queue, depth

    def __reduce__(self):
        self.queue.put([self.depth, "inner"])
        if self.depth:
            self.queue.put(PutsWhilePickled(self.queue, self.depth - 1))
        return str, (self.depth,)


def test_pickling_may_put():
    queue = Queue()
    queue.put(PutsWhilePickled(queue, 3))
    got = [queue.get() for _ in range(8)]
    assert got == [[3, "inner"], [2, "inner"], [1, "inner"], [0, "inner"], "0", "1", "2", "3"]


class GetsWhileLoaded:
    def __init__(self, handle):
        self.handle = handle

    def __reduce__(self):
        return _take, (self.handle,)


def _take(handle):
    return ["outer", attached(handle).get()]


def test_loading_may_get():
    queue, other = Queue(), Queue()
    other.put("inner")
    queue.put(GetsWhileLoaded(other._handle()))
    queue.put({"after": 1})
    assert queue.get() == ["outer", "inner"]
    assert queue.get() == {"after": 1}


@pytest.mark.parametrize(
    "padding", [None, "x" * 100_000, bytearray(100_000), Buffer(bytearray(100_000))]
)
def test_a_message_keeps_the_queues_in_it_alive(padding):
    queue, inner = Queue(), Queue()
    inner.put("kept")
    queue.put((inner, padding))
    inner._drop()
    got, _ = queue.get()
    assert got.get() == "kept"


class Unpicklable:
    def __init__(self, error=ZeroDivisionError):
        self.error = error

    def __reduce__(self):
        raise self.error


def test_an_object_that_cannot_be_sent_leaves_the_queue_as_it_was():
    queue = Queue()
    queue.put(1)
    with pytest.raises(ZeroDivisionError):
        queue.put([2, "x" * 100_000, Unpicklable()])
    queue.put(3)
    assert [queue.get(), queue.get(), queue.qsize()] == [1, 3, 0]


class Unloadable:
    def __reduce__(self):
        return _fail, ()


def _fail():
    raise ZeroDivisionError


def test_many_that_end_with_an_error():
    queue = Queue()
    queue.put_many([1, 2, Unloadable(), 4])
    with pytest.raises(ZeroDivisionError) as caught:
        queue.get_many()
    assert caught.value.received == [1, 2]
    assert queue.get_many() == [4]
