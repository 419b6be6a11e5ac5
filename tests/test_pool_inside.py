"""What programs read of a pool that has no public name, as far as there is such a thing here."""

import multiprocessing.pool
import sys
import threading

import backends
import pytest
from support import PATIENCE, until

import procession as mp
from procession.pool import mapstar, starmapstar

pytestmark = [pytest.mark.both_backends(workers=2), pytest.mark.timeout(60)]


def ours(*arguments):
    return backends.current.context.Pool(*arguments)


of_theirs = pytest.mark.of_the_arena("what theirs do, which is demanded of ours")
theirs = pytest.param(multiprocessing.Pool, id="stdlib", marks=of_theirs)
each_pool = pytest.mark.parametrize("make", [theirs, pytest.param(ours, id="procession")])


def square(x):
    return x * x


def fail(x):
    raise ValueError(x)


def twice_each(args):
    function, items = args
    return [result for item in items for result in (function(item), function(item))]


@pytest.fixture
def pool():
    with mp.Pool(2) as pool:
        yield pool
    pool.join()


@each_pool
def test_cache_has_the_calls_under_way(make):
    if make is multiprocessing.Pool and sys.version_info >= (3, 12):
        pytest.skip("a fork beside threads is a warning")
    with make(1) as pool:
        assert len(pool._cache) == 0 and not pool._cache
        results = [pool.apply_async(fail, (n,)) for n in range(3)]
        for result in results:
            result.wait(PATIENCE)
        until(lambda: not pool._cache, "the end of the calls")
    pool.join()


def test_a_call_under_way(pool):
    gate = mp.Event()
    cache = pool._cache
    result = pool.map_async(gate.wait, [PATIENCE] * 5, chunksize=1)
    other = pool.imap(gate.wait, [PATIENCE] * 3)
    assert len(cache) == len(pool._cache) == 2
    assert set(cache) == {result._job, other._job} and result._job in cache
    call = cache[result._job]
    assert (call._job, call._number_left, call.ready()) == (result._job, 5, False)
    assert result._number_left * result._chunksize == 5
    gate.set()
    assert result.get(PATIENCE) == [True] * 5
    assert (result._number_left, call._number_left, call.ready()) == (0, 0, True)
    assert list(other) == [True] * 3
    until(lambda: len(cache) == 0, "the end of the calls")
    with pytest.raises(KeyError):
        cache[result._job]
    assert pool.apply_async(square, (3,))._job > other._job


def test_nothing_is_left_of_a_call_that_failed(pool):
    result = pool.map_async(fail, range(100))
    result.wait(PATIENCE)
    assert result._number_left == 0
    gate = mp.Event()
    result = pool.map_async(gate.wait, [PATIENCE] * 5, chunksize=1)
    pool.terminate()
    result.wait(PATIENCE)
    assert result._number_left == 0 and len(pool._cache) == 0


def test_the_task_queue_counts_calls_that_wait(pool):
    assert pool._taskqueue.qsize() == 0 and pool._taskqueue.empty()
    gate = mp.Event()
    result = pool.map_async(gate.wait, [PATIENCE] * 50, chunksize=1)
    assert pool._taskqueue.qsize() == 1 and not pool._taskqueue.empty()
    gate.set()
    result.get(PATIENCE)
    until(pool._taskqueue.empty, "the end of the call")


def test_a_patch_that_puts_into_the_task_queue_is_told(pool):
    with pytest.raises(RuntimeError, match="istarmap"):
        pool._taskqueue.put((iter(()), None))


def test_threads(pool):
    assert pool.apply_async(square, (3,)).get(PATIENCE) == 9
    for name in ("_worker_handler", "_result_handler", "_task_handler"):
        handler = getattr(pool, name)
        assert isinstance(handler, threading.Thread) and handler.is_alive() and handler.daemon
    assert pool._processes == 2 and pool._state == "RUN"
    here = backends.current.name == backends.ARENA
    assert len(pool._pool) == (2 if here else 0)


@pytest.mark.of_the_arena("this process's threads")
def test_threads_calls_under_way():
    gate, told = threading.Event(), []
    with mp.pool.ThreadPool(1) as pool:
        result = pool.map_async(gate.wait, [PATIENCE] * 5, chunksize=1)
        assert list(pool._cache) == [result._job] and result._number_left == 5
        assert pool._cache[result._job]._number_left == 5
        other = pool._map_async(square, range(4), twice_each, 3, told.append)
        assert len(pool._cache) == 2 and other._job != result._job
        gate.set()
        twice = [i * i for i in range(4) for _ in range(2)]
        assert result.get(PATIENCE) == [True] * 5 and other.get(PATIENCE) == twice
        until(lambda: told == [twice], "the callback")
        assert (result._number_left, len(pool._cache)) == (0, 0)
        assert not hasattr(pool, "_taskqueue")
    pool.join()


@pytest.mark.of_the_arena("a static method")
@pytest.mark.parametrize("size", [1, 2, 5, 9])
def test_tasks(size):
    theirs = multiprocessing.pool.Pool._get_tasks(square, iter(range(5)), size)
    ours = mp.pool.Pool._get_tasks(square, iter(range(5)), size)
    assert list(ours) == list(theirs)


@each_pool
@pytest.mark.parametrize("chunksize", [None, 1, 3])
def test_map_async_with_a_mapper(make, chunksize):
    if make is multiprocessing.Pool and sys.version_info >= (3, 12):
        pytest.skip("a fork beside threads is a warning")
    with make(2) as pool:
        told = []
        squares = [i * i for i in range(10)]
        result = pool._map_async(square, range(10), mapstar, chunksize, told.append)
        assert result.get(PATIENCE) == squares
        powers = pool._map_async(pow, [(i, 2) for i in range(10)], starmapstar, chunksize)
        assert powers.get(PATIENCE) == squares
        twice = pool._map_async(square, range(10), twice_each, chunksize, told.append)
        assert twice.wait(PATIENCE) is None and twice.successful()
        if make is ours:  # a list of another length is an error of some kind in the other
            assert twice.get() == [i * i for i in range(10) for _ in range(2)] == told[1]
        errors = []
        failing = pool._map_async(fail, range(3), twice_each, 1, None, errors.append)
        with pytest.raises(ValueError):
            failing.get(PATIENCE)
        until(lambda: errors, "the callback")
        assert told[0] == squares and type(errors[0]) is ValueError
    pool.join()
