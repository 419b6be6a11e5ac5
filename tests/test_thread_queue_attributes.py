"""What a program may give a thread queue: bounds of any type, attributes of its own mind, wrong arguments."""

import inspect
import re
import threading
from decimal import Decimal
from fractions import Fraction

import pytest
from thread_queues import drained, each_module, each_with_shutdown, opened

from procession import queue


class Two:
    """A bound that is no number; only comparing tells."""

    def __gt__(self, number):
        return number < 2

    def __ge__(self, number):
        return number <= 2

    def __lt__(self, number):
        return number > 2

    def __le__(self, number):
        return number >= 2


@each_module
@pytest.mark.parametrize("late", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize(
    "bound",
    [Fraction(3, 2), Decimal(2), Decimal("1.01"), Fraction(2 * 10**30 - 1, 10**30), Two()],
    ids=repr,
)
def test_a_bound_of_any_type(module, bound, late):
    q = module.Queue(0 if late else bound)
    q.maxsize = bound
    assert q.maxsize is bound
    q.put_nowait(1)
    assert not q.full()
    q.put_nowait(2)
    assert q.full()
    with pytest.raises(module.Full):
        q.put_nowait(3)
    assert drained(q) == [1, 2]


def test_a_bound_of_numpys():
    numpy = pytest.importorskip("numpy")
    for bound in numpy.float32(2), numpy.int8(2), numpy.float64(1.5):
        q = queue.Queue(bound)
        q.put_many([1, 2])
        assert q.full()


def test_a_bound_that_is_none():
    """The standard library's raises at the first put."""
    with pytest.raises(TypeError):
        queue.Queue(None)
    q = queue.Queue()
    with pytest.raises(TypeError):
        q.maxsize = None
    q.put(1)


@each_with_shutdown
@pytest.mark.parametrize("inside", [False, True], ids=["native", "opened"])
def test_a_negative_timeout_after_the_end(module, inside):
    q = module.Queue()
    if inside:
        q.mutex  # noqa: B018
    q.put(1)
    q.shutdown()
    with pytest.raises(ValueError, match="non-negative"):
        q.get(timeout=-1)
    q.get()
    with pytest.raises(module.ShutDown):
        q.get(timeout=-1)


@each_with_shutdown
def test_is_shutdown_may_be_set_to_anything(module):
    q, odd = module.Queue(), threading.Event()
    q.is_shutdown = odd
    assert q.is_shutdown is odd
    with pytest.raises(module.ShutDown):
        q.put(1)
    q.is_shutdown = nothing = []
    q.put(1)
    assert q.is_shutdown is nothing
    q.shutdown()
    assert q.is_shutdown is True


@pytest.mark.parametrize("count", [-1, None, 1.5])
def test_a_count_that_is_none(count):
    q = queue.Queue()
    q.put(1)
    with pytest.raises((TypeError, OverflowError)):
        q.unfinished_tasks = count
    assert q.unfinished_tasks == 1


def test_a_property_maxsize():
    class Own(queue.Queue):
        maxsize = property(lambda self: 1)

    q = Own()
    q.put_many([1, 2])
    opened(q)
    with pytest.raises(queue.Full):
        q.put_nowait(3)
    assert q.full()


def test_the_texts_of_type_errors():
    for call, text in {
        lambda: queue.Queue(foo=1): "Queue.__init__() got an unexpected keyword argument 'foo'",
        lambda: queue.Queue().put(1, 2, 3, 4): "put() takes from 2 to 4 positional arguments but 5",
        lambda: queue.Queue().get(1, 2, 3): "get() takes from 1 to 3 positional arguments but 4",
        lambda: queue.Queue().put_nowait(1, 2): "put_nowait() takes 2 positional arguments but 3",
    }.items():
        with pytest.raises(TypeError, match=re.escape(text)):
            call()
    assert str(inspect.signature(queue.SimpleQueue)) == "()"
