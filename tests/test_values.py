"""`Value` as programs use it, in the arena and over a server: its lock, its types, its travels."""

import ctypes
import pickle
import threading

import pytest
from support import PATIENCE, each_method, ended

import procession as mp

pytestmark = [pytest.mark.both_backends, pytest.mark.timeout(60)]


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_double), ("y", ctypes.c_double)]


def count(number, times):
    for _ in range(times):
        with number.get_lock():
            number.value += 1


@each_method
def test_a_counter_of_processes(method):
    """The idiom of multiprocessing's documentation."""
    context = mp.get_context(method)
    number = context.Value("i", 0)
    children = [context.Process(target=count, args=(number, 50)) for _ in range(2)]
    for child in children:
        child.start()
    count(number, 50)
    for child in children:
        ended(child)
    assert number.value == 150


def test_its_lock():
    lock = mp.Lock()
    number = mp.Value("i", lock=lock)
    assert number.get_lock() is lock and number.get_obj().value == 0
    assert mp.Value("i").get_lock().__class__ is mp.RLock().__class__
    assert mp.Value("i", lock=None).get_lock().__class__ is mp.RLock().__class__
    with pytest.raises(AttributeError, match="'no lock' has no method 'acquire'"):
        mp.Value("i", 3, lock="no lock")
    with number:
        assert not lock.acquire(False)
    assert number.acquire() and number.release() is None
    assert not hasattr(mp.Value("i", lock=False), "get_lock")
    assert repr(number) == str(number) == "<Synchronized wrapper for c_int(0)>"


def test_an_access_waits_for_the_lock():
    number = mp.Value("i", lock=mp.Lock())
    number.acquire()
    thread = threading.Thread(target=setattr, args=(number, "value", 3))
    thread.start()
    assert number.get_obj().value == 0
    number.release()
    thread.join(PATIENCE)
    assert number.value == 3


def test_a_value_that_is_refused_leaves_the_lock_free():
    lock = mp.Lock()
    number = mp.Value("i", 1, lock=lock)
    with pytest.raises(TypeError):
        number.value = "x"
    assert lock.acquire(False)
    lock.release()
    assert number.value == 1


def test_two_may_have_one_lock():
    lock = mp.RLock()
    one, other = mp.Value("i", 1, lock=lock), mp.Value("h", 2, lock=lock)
    with lock:
        one.value, other.value = other.value, one.value
    assert (one.value, other.value) == (2, 1)


@pytest.mark.parametrize("lock", [True, False])
@pytest.mark.parametrize("kind", [*"cubBhHiIlLqQfd", ctypes.c_bool, ctypes.c_uint16])
def test_as_ctypes_has_it(kind, lock):
    """Whatever is put in, what comes out or is refused is what an object of ctypes does."""
    plain = mp.sharedctypes._type(kind)
    for arguments in [(), (1,), (b"x",), ("y",), (2.5,), (-1,), (1, 2), (None,), ([],), (1 << 70,)]:
        shared = outcome(lambda them: mp.Value(kind, *them, lock=lock).value, arguments)
        assert shared == outcome(lambda them: plain(*them).value, arguments)
    number, own = mp.Value(kind, lock=lock), plain()
    for value in (1, b"x", "y", 0.1, -1, 300, 1 << 40, None, [], float("inf"), b"xx", True):
        assert outcome(setattr, number, "value", value) == outcome(setattr, own, "value", value)
        assert repr(number.value) == repr(own.value)
    with pytest.raises((AttributeError, TypeError)):
        del number.value


def outcome(call, *arguments):
    try:
        return repr(call(*arguments))
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize("kind", ["zz", "", "O", 1, int, None, []])
def test_what_is_no_type_is_refused(kind):
    own = outcome(lambda: ctypes.sizeof(mp.sharedctypes.typecode_to_type.get(kind, kind)))
    assert own[0] is TypeError
    assert outcome(lambda: mp.Value(kind, 0)) == own


def test_it_travels_by_any_pickler():
    number = mp.Value("i", 1)
    other = pickle.loads(pickle.dumps(number))
    with other.get_lock():
        other.value += 4
        thread = threading.Thread(target=count, args=(number, 1))
        thread.start()
        other.value += 1
    thread.join(PATIENCE)
    assert number.value == 7
    raw = mp.Value("d", 1, lock=False)
    box = mp.Queue()
    box.put((number, raw))
    other, bare = box.get()
    other.value, bare.value = 8, 9
    assert (number.value, raw.value) == (8, 9.0)


def test_a_structure_has_its_fields():
    point = mp.Value(Point, 1.5, 2)
    point.x += 1
    assert (point.x, point.y) == (2.5, 2.0)


def test_without_a_lock_it_is_the_ctypes_object():
    assert isinstance(mp.Value("i", lock=False), ctypes.c_int)
