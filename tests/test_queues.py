"""Each method, argument and exception of the three queues, as the standard library has them."""

import gc
import multiprocessing.queues
import pickle
import queue
import threading
import time
import types
import weakref

import pytest
from support import PATIENCE, ended, run, until_waiting

import procession as mp
from procession import queues

pytestmark = pytest.mark.both_backends


@pytest.fixture(params=["Queue", "JoinableQueue", "SimpleQueue"])
def kind(request):
    return getattr(mp, request.param)


@pytest.fixture(params=["Queue", "JoinableQueue"])
def bounded(request):
    return getattr(mp, request.param)


def test_first_in_first_out(kind):
    q = kind()
    assert q.empty()
    for i in range(1000):
        q.put(i)
    assert not q.empty()
    assert [q.get() for _ in range(1000)] == list(range(1000))
    assert q.empty()


def test_qsize_empty_and_full_are_exact(bounded):
    q = bounded(3)
    for size in range(3):
        assert (q.qsize(), q.empty(), q.full()) == (size, size == 0, False)
        q.put("x")
    assert (q.qsize(), q.empty(), q.full()) == (3, False, True)
    q.get()
    assert (q.qsize(), q.empty(), q.full()) == (2, False, False)


@pytest.mark.parametrize(
    "arguments", [(False,), (False, 5), (True, 0), (True, -1), (True, -0.5), (1, 0.0), ([], None)]
)
def test_not_waiting(bounded, arguments):
    q = bounded(1)
    start = time.monotonic()
    with pytest.raises(queue.Empty):
        q.get(*arguments)
    q.put(1, *arguments)
    with pytest.raises(queue.Full):
        q.put(2, *arguments)
    assert q.get(*arguments) == 1
    assert time.monotonic() - start < 1


def test_nowait(bounded):
    q = bounded(1)
    with pytest.raises(queue.Empty):
        q.get_nowait()
    q.put_nowait(1)
    with pytest.raises(queue.Full):
        q.put_nowait(2)
    assert q.get_nowait() == 1


@pytest.mark.parametrize("timeout", [0.2, "keyword"])
def test_waiting_in_vain(bounded, timeout):
    q = bounded(maxsize=1)
    arguments = {"timeout": 0.2} if timeout == "keyword" else {"block": True, "timeout": timeout}
    start = time.monotonic()
    with pytest.raises(queue.Empty):
        q.get(**arguments)
    assert 0.2 <= time.monotonic() - start < 2
    q.put(obj=1)
    start = time.monotonic()
    with pytest.raises(queue.Full):
        q.put(obj=2, **arguments)
    assert 0.2 <= time.monotonic() - start < 2
    assert q.get() == 1


def test_a_timeout_that_is_no_number(bounded):
    q = bounded(1)
    with pytest.raises(TypeError):
        q.get(True, "soon")
    q.put(1)
    with pytest.raises(TypeError):
        q.put(2, True, "soon")
    assert q.get() == 1


def test_waiting_with_success(bounded):
    q = bounded(1)
    took = []
    getter = threading.Thread(target=lambda: took.append(q.get(timeout=PATIENCE)))
    getter.start()
    until_waiting_here()
    q.put("late")
    getter.join(PATIENCE)
    assert took == ["late"]

    q.put("first")
    putter = threading.Thread(target=q.put, args=("second", True, PATIENCE))
    putter.start()
    until_waiting_here()
    assert q.get() == "first"
    putter.join(PATIENCE)
    assert q.get() == "second"


def until_waiting_here():
    import os

    until_waiting(os.getpid())


@pytest.mark.parametrize("maxsize", ["3", 1.5, None, [], 1j])
def test_a_maxsize_that_is_no_integer(bounded, maxsize):
    with pytest.raises(TypeError):
        bounded(maxsize)


@pytest.mark.parametrize("maxsize", [0, -1, -(10**30), False])
def test_no_bound(bounded, maxsize):
    q = bounded(maxsize)
    for i in range(5000):
        q.put(i, block=False)
    assert not q.full()
    assert q.qsize() == 5000
    assert q._maxsize == 0


def test_maxsize_is_an_index(bounded):
    class Two:
        def __index__(self):
            return 2

    q = bounded(Two())
    assert q._maxsize == 2
    q.put(1)
    q.put(2)
    assert q.full()


def test_closed(bounded):
    q = bounded()
    q.put(1)
    assert q._closed is False
    with pytest.raises(AssertionError) as caught:
        q.join_thread()
    assert str(caught.value) == f"Queue {q!r} not closed"
    q.cancel_join_thread()
    q.close()
    q.close()
    assert q._closed is True
    for use in (lambda: q.put(2), q.get, lambda: q.put_nowait(2), q.get_nowait):
        with pytest.raises(ValueError) as caught:
            use()
        assert str(caught.value) == f"Queue {q!r} is closed"
    q.join_thread()
    q.cancel_join_thread()
    with pytest.raises(OSError, match="is closed"):
        q.empty()
    assert q.qsize() == 1
    unused = bounded()
    unused.close()
    assert unused.empty()


def test_closing_ends_a_wait_of_another_thread(bounded):
    q = bounded()
    errors = []

    def get():
        try:
            q.get()
        except ValueError as error:
            errors.append(error)

    getter = threading.Thread(target=get)
    getter.start()
    until_waiting_here()
    q.close()
    getter.join(PATIENCE)
    assert len(errors) == 1


def test_closing_is_this_processs_business(bounded):
    q, done = bounded(), mp.Queue()

    def child():
        q.close()
        done.put("closed")

    process = mp.get_context("fork").Process(target=child)
    process.start()
    assert done.get(timeout=PATIENCE) == "closed"
    ended(process)
    q.put(1)
    assert q.get() == 1


def test_simple_queue_closed():
    q = mp.SimpleQueue()
    q.put(1)
    q.close()
    q.close()
    for use in (q.get, q.empty, lambda: q.put(1)):
        with pytest.raises(OSError, match="^handle is closed$"):
            use()


def test_the_ends_of_a_simple_queue_are_closed():
    q = mp.SimpleQueue()
    q.close()
    assert q._reader.closed and q._writer.closed
    for use in (q._reader.fileno, q._reader.recv, q._reader.poll):
        with pytest.raises(OSError, match="^handle is closed$"):
            use()


def test_task_done_and_join():
    q = mp.JoinableQueue()
    with pytest.raises(ValueError, match=r"^task_done\(\) called too many times$"):
        q.task_done()
    q.join()
    q.put(1)
    q.put(2)
    joined = threading.Thread(target=q.join)
    joined.start()
    q.get()
    q.task_done()
    q.get()
    until_waiting_here()  # what was got is not done yet
    q.task_done()
    joined.join(PATIENCE)
    assert not joined.is_alive()
    with pytest.raises(ValueError, match="too many times"):
        q.task_done()


def work_off(q):
    while (item := q.get()) is not None:
        assert item >= 0
        q.task_done()
    q.task_done()


def test_join_across_processes():
    q = mp.JoinableQueue(5)
    workers = [mp.get_context("fork").Process(target=work_off, args=(q,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for i in range(500):
        q.put(i)
    q.join()
    assert q.empty()
    for _ in workers:
        q.put(None)
    q.join()
    ended(*workers)


def test_not_initialised():
    q = queues.Queue.__new__(queues.Queue)
    for use in (lambda: q.put(1), q.get, q.qsize, lambda: pickle.dumps(q)):
        with pytest.raises(RuntimeError, match=r"^Queue\.__init__\(\) was not called$"):
            use()


def test_object_protocol(kind):
    q = kind()
    name = type(q).__name__
    assert name in repr(q)
    assert isinstance(type(q)[int], types.GenericAlias)
    ref = weakref.ref(q)
    del q
    gc.collect()
    assert ref() is None


def test_a_queue_is_gone_with_its_last_reference(kind):
    """Without the help of the garbage collector, although it has had a reader."""
    q = kind()
    if hasattr(q, "_reader"):
        q._reader.fileno()
        q._writer.send(1)
    q.put(1)
    gc.disable()
    try:
        ref = weakref.ref(q)
        del q
        assert ref() is None
    finally:
        gc.enable()


class Unpicklable:
    def __reduce__(self):
        raise ZeroDivisionError("no")


def test_what_cannot_be_pickled_is_refused_at_the_call(kind):
    q = kind()
    q.put("before")
    for obj in (Unpicklable(), [1, Unpicklable()], threading.Lock(), (x for x in ())):
        with pytest.raises((TypeError, ZeroDivisionError)):
            q.put(obj)
    q.put("after")
    assert [q.get(), q.get()] == ["before", "after"]
    assert q.empty()


def test_a_refused_object_takes_no_place():
    q = mp.JoinableQueue(1)
    with pytest.raises(ZeroDivisionError):
        q.put(Unpicklable())
    assert (q.qsize(), q.full()) == (0, False)
    q.join()  # nothing to be done


def fail(*_):
    raise ZeroDivisionError("no")


class Unloadable:
    def __reduce__(self):
        return fail, (1,)


def test_what_cannot_be_loaded_is_an_error_at_get(kind):
    q = kind()
    q.put(Unloadable())
    q.put("after")
    with pytest.raises(ZeroDivisionError):
        q.get()
    assert q.get() == "after"


def test_a_subclass_hears_of_errors():
    class Telling(queues.Queue):
        def __init__(self, maxsize=0, *, ctx, heard):
            super().__init__(maxsize, ctx=ctx)
            self.heard = heard

        def _on_queue_feeder_error(self, e, obj):
            self.heard.append((e, obj))

    heard = []
    q = Telling(1, ctx=mp.get_context(), heard=heard)
    bad = Unpicklable()
    assert q.put(bad) is None
    assert [(type(e), obj) for e, obj in heard] == [(ZeroDivisionError, bad)]
    assert heard[0][0].__traceback__ is not None
    q.put("good", block=False)
    assert q.get() == "good"


def test_a_subclass_with_a_static_hook():
    heard = []

    class Static(queues.Queue):
        @staticmethod
        def _on_queue_feeder_error(e, obj):
            heard.append(obj)

    q = Static(ctx=mp.get_context())
    q.put(bad := Unpicklable())
    assert heard == [bad]


def test_the_hook_itself_prints(capsys):
    try:
        fail()
    except ZeroDivisionError as error:
        queues.Queue._on_queue_feeder_error(error, None)
    assert "ZeroDivisionError: no" in capsys.readouterr().err


def test_many_at_once():
    q = mp.Queue()
    q.put_many(range(10))
    assert q.get_many(3) == [0, 1, 2]
    assert q.get_many() == [3, 4, 5, 6, 7, 8, 9]
    with pytest.raises(queue.Empty):
        q.get_many(block=False)
    with pytest.raises(queue.Empty):
        q.get_many(timeout=0.01)
    q = mp.Queue(2)
    with pytest.raises(queue.Full, match="2 objects were put"):
        q.put_many("abc", timeout=0.01)
    assert q.get_many() == ["a", "b"]


def test_names_of_the_module():
    assert queues.Empty is queue.Empty
    assert queues.Full is queue.Full


NAMES = ("Queue", "JoinableQueue", "SimpleQueue", "LifoQueue", "PriorityQueue")


def test_a_context_need_not_be_given():
    for name in NAMES:
        q = getattr(queues, name)()
        q.put(1)
        assert q.get() == 1


def test_a_context_may_be_given_but_by_name_only():
    context = mp.get_context("spawn")
    for name in NAMES:
        factory = getattr(queues, name)
        q = factory(ctx=context)
        q.put(1)
        assert q.get() == 1
        with pytest.raises(TypeError):
            factory(1, context)
        with pytest.raises(TypeError):
            getattr(context, name)(ctx=context)


@pytest.mark.of_the_arena("the package's own classes")
def test_the_packages_queues_are_classes():
    """For annotations, isinstance and subclasses."""
    for name in ("Queue", "JoinableQueue", "SimpleQueue", "LifoQueue", "PriorityQueue"):
        kind = getattr(mp, name)
        assert kind is getattr(queues, name)
        assert kind[int].__origin__ is kind and kind[int].__args__ == (int,)
        for q in (kind(), getattr(mp.get_context("spawn"), name)(), kind[int]()):
            assert type(q) is kind
    assert isinstance(mp.LifoQueue(), mp.Queue) and not isinstance(mp.SimpleQueue(), mp.Queue)
    assert not isinstance(mp.Queue(), multiprocessing.queues.Queue)


LIMIT = """
import numpy, procession as mp
from procession import _core
q, other = mp.Queue(), mp.Queue()
limit = _core.stats()["arena_bytes"] + 48 * 2**20
_core.set_memory_limit(limit)
assert _core.memory_limit() == limit
block = numpy.full(2**20, 7, "u1")
for round in range(3):
    put = 0
    try:
        while True:
            q.put(block)
            put += 1
    except MemoryError as error:
        assert str(error), repr(error)
    assert 20 <= put <= 48, put
    assert q.qsize() == put
    try:
        other.put(block)
        raise AssertionError
    except MemoryError:
        pass
    q.get()
    q.put(block)
    for i in range(put):
        assert (q.get() == 7).all()
    assert q.empty()
    q.put("small")
    assert q.get() == "small"
del block
assert _core.check() == [], _core.check()
"""


@pytest.mark.of_the_arena("the arena's limit")
def test_a_full_arena_is_a_memory_error_and_the_queue_goes_on():
    assert run("-c", LIMIT) == ""
