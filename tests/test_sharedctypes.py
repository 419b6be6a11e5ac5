"""Value, Array and their raw forms: meanings, travel, memory."""

import ctypes
import pickle
import threading

import pytest
from support import PATIENCE, each_method, ended

import procession as mp
from procession import _core, heap, sharedctypes


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_double), ("y", ctypes.c_double)]


def double(number, text, floats, point, raw):
    number.value *= 2
    text.value = text.value * 2
    for i in range(len(floats)):
        floats[i] *= 2
    point.x *= 2
    raw.value *= 2


@each_method
def test_processes_see_the_same_bytes(method):
    context = mp.get_context(method)
    number, text = context.Value("i", 7), context.Array("c", 20)
    floats, point = context.Array("d", range(5000)), context.Value(Point, 1.5, 2)
    raw = context.RawValue("q", 2**40)
    text.value = b"hello"
    child = context.Process(target=double, args=(number, text, floats, point, raw))
    child.start()
    ended(child)
    assert number.value == 14 and text.value == b"hellohello"
    assert floats[:] == [2.0 * i for i in range(5000)]
    assert (point.x, point.y, raw.value) == (3.0, 2.0, 2**41)


@each_method
def test_values_travel_in_messages(method):
    context = mp.get_context(method)
    box, done = context.Queue(), context.Event()
    child = context.Process(target=change_from_queue, args=(box, done))
    child.start()
    number, array = context.Value("i", 1), context.RawArray("i", 3)
    box.put((number, array))
    assert done.wait(PATIENCE)
    ended(child)
    assert number.value == 2 and list(array) == [1, 2, 3]


def change_from_queue(box, done):
    number, array = box.get()
    with number:
        number.value += 1
    array[:] = [1, 2, 3]
    done.set()


def test_a_message_keeps_the_memory_alive():
    box = mp.Queue()
    box.put(mp.RawArray("i", [1, 2, 3]))
    assert list(box.get()) == [1, 2, 3]
    handle = pickle.dumps(heap.BufferWrapper(10))
    with pytest.raises(RuntimeError, match="gone"):
        pickle.loads(handle)


def test_any_pickler_shares_a_value():
    number = mp.Value("i", 1)
    other = pickle.loads(pickle.dumps(number))
    other.value = 5
    assert number.value == 5


def test_a_ctypes_object_that_is_not_shared_goes_by_value():
    mp.RawValue("i")
    box = mp.Queue()
    own = ctypes.c_int(7)
    box.put(own)
    got = box.get()
    assert got.value == 7 and ctypes.addressof(got) != ctypes.addressof(own)


def test_locks():
    lock = mp.Lock()
    number = mp.Value("i", lock=lock)
    assert number.get_lock() is lock
    assert mp.Value("i").get_lock().__class__ is mp.RLock().__class__
    assert isinstance(mp.Value("i", lock=False), ctypes.c_int)
    with pytest.raises(AttributeError, match="has no method 'acquire'"):
        mp.Array("i", 3, lock="no lock")
    assert number.get_obj().value == 0
    with number:
        assert not lock.acquire(False)
    assert number.acquire() and number.release() is None
    assert repr(number) == "<Synchronized wrapper for c_int(0)>"


def test_an_access_waits_for_the_lock():
    number = mp.Value("i", lock=mp.Lock())
    number.acquire()
    thread = threading.Thread(target=setattr, args=(number, "value", 3))
    thread.start()
    assert number.get_obj().value == 0
    number.release()
    thread.join(PATIENCE)
    assert number.value == 3


@pytest.mark.parametrize("size", [0, 1, 240, 241, 4096, 100_000, 70 << 20])
def test_memory_of_every_size(size):
    wrapper = heap.BufferWrapper(size)
    view = wrapper.create_memoryview()
    assert view.nbytes == size and not view.readonly
    assert not any(view[:10_000]) and not any(view[-10_000:])
    view[-1:] = b"x"[: len(view[-1:])]
    other = pickle.loads(pickle.dumps(wrapper))
    assert bytes(other.create_memoryview()[-1:]) == b"x"[:size]


def test_memory_is_zero_when_it_is_used_again():
    for _ in range(3):
        for size in (100, 10_000):
            view = heap.BufferWrapper(size).create_memoryview()
            assert not any(view)
            view[:] = b"\xff" * size
            view.release()


def test_memory_is_given_back():
    _core.check()
    before = _core.stats()["arena_bytes"] - _core.stats()["idle_bytes"]
    arrays = [mp.RawArray("b", 1 << 20) for _ in range(10)]
    used = _core.stats()["arena_bytes"] - _core.stats()["idle_bytes"]
    assert used - before >= 10 << 20
    del arrays
    after = _core.stats()["arena_bytes"] - _core.stats()["idle_bytes"]
    assert after - before < 1 << 20


@pytest.mark.parametrize(("size", "error"), [(-1, ValueError), (2**63 - 1, OverflowError)])
def test_impossible_sizes(size, error):
    with pytest.raises(error):
        heap.BufferWrapper(size)


def test_too_much_is_a_memory_error():
    with pytest.raises(MemoryError):
        mp.RawArray("b", 1 << 50)


def test_a_forged_handle_is_refused():
    class Fake(heap.BufferWrapper):
        def __init__(self):
            pass

    with pytest.raises(RuntimeError):
        Fake()._attach(mp.Queue()._handle())


def test_copy_and_synchronized():
    point = sharedctypes.copy(Point(1, 2))
    assert (point.x, point.y) == (1, 2)
    wrapped = sharedctypes.synchronized(point)
    wrapped.x = 5
    assert (wrapped.x, type(wrapped).__name__) == (5, "SynchronizedPoint")
    with pytest.raises(AssertionError, match="object already synchronized"):
        sharedctypes.synchronized(wrapped)
    text = mp.Array("c", b"hello")
    assert (text.value, text.raw, len(text), text[1:3]) == (b"hello", b"hello", 5, b"el")
