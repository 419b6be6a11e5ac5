"""NumPy arrays and other buffers: one copy in, none out; private to whoever got them."""

import gc
import os
import pickle

import numpy as np
import pytest
from support import PATIENCE, each_method, ended, run

import procession as mp
from procession import _core

BIG = 1 << 20


def passed(obj):
    queue = mp.Queue()
    queue.put(obj)
    return queue.get()


def same(one, two):
    assert type(one) is type(two)
    assert one.dtype == two.dtype and one.shape == two.shape
    assert one.flags.c_contiguous == two.flags.c_contiguous
    assert one.flags.f_contiguous == two.flags.f_contiguous
    assert np.array_equal(one, two, equal_nan=one.dtype.kind in "fc")


ARRAYS = {
    "empty": np.zeros(0),
    "empty 3d": np.zeros((3, 0, 5), "i2"),
    "scalar": np.array(5.5),
    "small": np.arange(10),
    "page": np.arange(4096, dtype="u1"),
    "big": np.arange(BIG, dtype="i4"),
    "fortran": np.asfortranarray(np.arange(600_000.0).reshape(600, 1000)),
    "strided": np.arange(400_000)[::3],
    "reversed": np.arange(100_000)[::-1],
    "transposed": np.arange(600_000.0).reshape(600, 1000).T,
    "big-endian": np.arange(50_000, dtype=">i4"),
    "complex": np.full(50_000, 1 + 2j),
    "nan": np.array([np.nan, -0.0, np.inf] * 20_000),
    "bool": np.arange(100_000) % 3 == 0,
    "half": np.arange(100_000, dtype="f2"),
    "time": np.arange(50_000).astype("M8[s]"),
    "text": np.array(["a", "bcd", "ü" * 50] * 500),
    "bytes": np.array([b"a", b"bcd"] * 5_000),
    "structured": np.zeros(5_000, dtype=[("x", "f8"), ("y", "i4", 3), ("z", "S5")]),
    "objects": np.array([1, "two", None, [3]] * 10, dtype=object),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrive_as_they_were(name):
    array = ARRAYS[name]
    got = passed(array)
    same(got, pickle.loads(pickle.dumps(array, 5)))
    assert got.flags.writeable
    if got.size:
        got.flat[0] = got.flat[-1]
    assert passed(got).dtype == array.dtype


def test_several_in_one_message():
    message = [np.arange(n) for n in (0, 1, 10, 1000, 100_000)]
    message.append({"again": message[-1], "view": message[3][5:], "number": 1})
    got = passed(message)
    for one, two in zip(got[:-1], message[:-1], strict=True):
        same(one, two)
    assert got[-1]["again"] is got[4]
    same(got[-1]["view"], message[3][5:])
    got[0:4] = []
    gc.collect()
    same(got[0], message[4])


def test_other_buffers():
    data = bytearray(os.urandom(BIG))
    got = passed([data, pickle.PickleBuffer(bytes(data)), bytes(data)])
    assert type(got[0]) is bytearray and got[0] == data
    assert bytes(got[1]) == data == got[2]


def test_a_received_array_is_private():
    queue = mp.Queue()
    array = np.zeros(BIG, "u1")
    queue.put(array)
    queue.put(array)
    array[:] = 9
    one, two = queue.get(), queue.get()
    one[:] = 1
    assert not two.any()
    two[:] = 2
    assert one[0] == one[-1] == 1


def produce_arrays(queue):
    for number in range(5):
        queue.put(np.full(100_000, number))


@each_method
def test_outlive_their_queue_and_their_producer(method):
    context = mp.get_context(method)
    queue = context.Queue()
    process = context.Process(target=produce_arrays, args=(queue,))
    process.start()
    ended(process)
    arrays = [queue.get(timeout=PATIENCE) for _ in range(5)]
    del queue
    gc.collect()
    churn = mp.Queue()
    for _ in range(20):
        churn.put(np.full(100_000, -1))
        churn.get()
    for number, array in enumerate(arrays):
        assert (array == number).all()


def test_are_freed_when_collected():
    queue = mp.Queue()
    array = np.zeros(8 * BIG, "u1")
    held = []
    for _ in range(4):
        queue.put(array)
        held.append(queue.get())
    used = _core.stats()["arena_bytes"] - _core.stats()["idle_bytes"]
    assert used >= 4 * array.nbytes
    held.clear()
    now = _core.stats()["arena_bytes"] - _core.stats()["idle_bytes"]
    assert now <= used - 4 * array.nbytes
    arena = _core.stats()["arena_bytes"]
    for _ in range(200):  # 1.6 GB through memory that is used again and again
        queue.put(array)
        view = queue.get()[10:20]
        assert view.base is not None
    del view
    assert _core.stats()["arena_bytes"] < arena + 4 * array.nbytes


def test_a_view_keeps_the_memory():
    view = passed(np.arange(BIG))[1000:1010]
    churn = mp.Queue()
    for _ in range(10):
        churn.put(np.zeros(BIG, "i8"))
        churn.get()
    assert view.tolist() == list(range(1000, 1010))


@pytest.mark.parametrize("how", ["os.fork", "Process"])
def test_parent_and_child_do_not_see_each_others_writes(how):
    """An array that was received before a fork is ordinary private memory on both sides."""
    array = passed(np.zeros(BIG, "u1"))
    array[:10] = 7
    told, go = mp.Queue(), mp.Queue()

    def child():
        assert array[:10].tolist() == [7] * 10
        array[:] = 1
        told.put("written")
        assert go.get(timeout=PATIENCE) == "look"
        # What the parent wrote, and whatever went through its memory since, is not to be seen.
        told.put(bool((array == 1).all()))

    if how == "os.fork":
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                child()
                code = 0
            finally:
                os._exit(code)
    else:
        process = mp.get_context("fork").Process(target=child)
        process.start()
    assert told.get(timeout=PATIENCE) == "written"
    assert array[:10].tolist() == [7] * 10 and not array[10:].any()
    array[:] = 2
    array = None
    churn = mp.Queue()
    for _ in range(10):
        churn.put(np.full(BIG, 3, "u1"))
        assert churn.get()[-1] == 3
    go.put("look")
    assert told.get(timeout=PATIENCE) is True
    if how == "os.fork":
        assert os.waitpid(pid, 0) == (pid, 0)
    else:
        ended(process)


def test_the_child_lets_go_first():
    array = passed(np.full(BIG, 5, "u1"))
    done = mp.Queue()

    def child():
        nonlocal array
        array[:] = 6
        array = None
        churn = mp.Queue()
        for _ in range(10):
            churn.put(np.full(BIG, 9, "u1"))
            assert churn.get()[0] == 9
        done.put("done")

    process = mp.get_context("fork").Process(target=child)
    process.start()
    assert done.get(timeout=PATIENCE) == "done"
    ended(process)
    assert (array == 5).all()


def test_forks_of_forks():
    array = passed(np.zeros(BIG, "u1"))
    told = mp.Queue()

    def child(depth):
        array[depth] = depth
        if depth < 3:
            process = mp.get_context("fork").Process(target=child, args=(depth + 1,))
            process.start()
            process.join()
        told.put((depth, array[:5].tolist()))

    child(1)
    seen = dict(told.get(timeout=PATIENCE) for _ in range(3))
    assert seen == {1: [0, 1, 0, 0, 0], 2: [0, 1, 2, 0, 0], 3: [0, 1, 2, 3, 0]}


def test_without_numpy():
    """Arrays are no business of the package's: it works where NumPy is not installed."""
    program = """
import sys
sys.modules["numpy"] = None
import procession as mp
q = mp.Queue()
q.put(bytearray(10**6))
assert q.get() == bytearray(10**6)
"""
    assert run("-c", program) == ""
