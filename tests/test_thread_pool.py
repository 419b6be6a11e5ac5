"""ThreadPool: what CPython's suite does not look at. Calls and intake; its
limits and ends are in files of their own."""

import functools
import gc
import itertools
import multiprocessing.pool
import threading
import time
import weakref

import pytest
from support import PATIENCE, until
from thread_pools import ended, fail_at, gate, pool, square  # noqa: F401

import procession as mp
from procession import dummy
from procession.pool import Pool, ThreadPool

# Fixtures are imported, and asked for by their names.
# ruff: noqa: F811

pytestmark = pytest.mark.timeout(40)


# ---------------------------------------------------------------- calls


def test_it_is_a_pool(pool):
    assert issubclass(ThreadPool, Pool) and ThreadPool.__module__ == "procession.pool"
    assert repr(pool) == "<procession.pool.ThreadPool state=RUN pool_size=2>"
    assert pool._processes == 2 and all(thread.daemon for thread in pool._pool)
    assert isinstance(pool.apply_async(square, (1,)), mp.pool.AsyncResult)
    assert isinstance(pool.map_async(square, [1]), mp.pool.MapResult)
    assert isinstance(pool.imap(square, [1]), mp.pool.IMapIterator)
    assert isinstance(pool.imap_unordered(square, [1]), mp.pool.IMapUnorderedIterator)
    with pytest.raises(NotImplementedError):
        pool.__reduce__()


def test_dummy_gives_it():
    with dummy.Pool(1) as pool:
        assert type(pool) is ThreadPool
    with dummy.Manager().Pool(1) as pool:
        assert type(pool) is ThreadPool
    assert dummy.Manager().dict is dict and dummy.Process is multiprocessing.dummy.Process


@pytest.mark.parametrize("items", [range(500), list(range(500))], ids=["range", "list"])
@pytest.mark.parametrize("chunksize", [1, 7, 1000])
def test_every_kind_of_call(pool, items, chunksize):
    squares = [x * x for x in range(500)]
    pairs = [(x, 2) for x in items]
    assert pool.apply(square, (3,)) == 9
    assert pool.apply(dict, ((),), {"a": 1}) == {"a": 1}
    assert pool.map(square, items) == pool.map(square, items, chunksize) == squares
    assert pool.map(square, iter(items), chunksize) == squares
    assert pool.starmap(pow, pairs) == pool.starmap(pow, iter(pairs), chunksize) == squares
    assert pool.starmap_async(pow, pairs, chunksize).get(PATIENCE) == squares
    for intake in items, iter(items), tuple(items):
        assert list(pool.imap(square, intake, chunksize)) == squares
    for buffersize in 1, 3, 50:
        for intake in items, iter(items):
            results = pool.imap(square, intake, chunksize, buffersize=buffersize)
            assert list(results) == squares
            results = pool.imap_unordered(square, items, chunksize, buffersize=buffersize)
            assert sorted(results) == squares
    assert pool.map(square, items, chunksize, timeout=PATIENCE, retries=2) == squares
    assert list(pool.imap(square, items, chunksize, timeout=PATIENCE)) == squares


def test_nothing_to_do(pool):
    told = []
    assert pool.map(square, []) == []
    # Zero items at a time are nothing, as the standard library has it.
    assert pool.map(square, [1], chunksize=0) == [None] == pool.map(square, [1], chunksize=-1)
    assert list(pool.imap(square, [])) == [] == list(pool.imap_unordered(square, iter([]), 3))
    assert pool.map_async(square, [], callback=told.append).get(PATIENCE) == []
    assert told == []
    for chunksize in 0, -1:
        with pytest.raises(ValueError, match="Chunksize must be 1"):
            pool.imap(square, [1], chunksize)
    with pytest.raises(ValueError, match="buffersize"):
        pool.imap(square, [1], buffersize=0)


def test_objects_are_handed_over_themselves(pool):
    lock = threading.Lock()  # which cannot be pickled
    assert pool.apply(lambda x: x, (lock,)) is lock
    assert pool.map(lambda x: x, [lock])[0] is lock
    (result,) = pool.imap(lambda x: x, iter([lock]))
    assert result is lock
    error = RuntimeError(lock)

    def fail():
        raise error

    with pytest.raises(RuntimeError) as caught:
        pool.apply(fail)
    assert caught.value is error and error.__cause__ is None


def test_a_result_says_how_far_it_is(pool, gate):
    result = pool.apply_async(gate.wait)
    assert not result.ready()
    with pytest.raises(ValueError, match="ApplyResult .* not ready"):
        result.successful()
    with pytest.raises(mp.TimeoutError):
        result.get(0.01)
    with pytest.raises(mp.TimeoutError):
        result.get(-1)
    result.wait(0.01)
    gate.set()
    result.wait(PATIENCE)
    assert result.get(0) is True and result.ready() and result.successful()
    result = pool.apply_async(fail_at, ([1], 1))
    result.wait()
    assert not result.successful()
    for _ in range(2):
        with pytest.raises(ValueError, match="1"):
            result.get()


def test_many_wait_for_one_result(pool, gate):
    result = pool.apply_async(gate.wait)
    got = []
    threads = [threading.Thread(target=lambda: got.append(result.get())) for _ in range(8)]
    for thread in threads:
        thread.start()
    gate.set()
    ended(threads)
    assert got == [True] * 8


@pytest.mark.parametrize("wrong", [[7, 3], [0], [9]])
@pytest.mark.parametrize("chunksize", [1, 4])
def test_the_first_error_counts_and_all_else_runs(pool, wrong, chunksize):
    ran = []

    def note(x):
        ran.append(x)
        return fail_at(wrong, x)

    with pytest.raises(ValueError, match=str(min(wrong))):
        pool.map(note, range(10), chunksize)
    # What comes behind a failure in its chunk is skipped.
    reached = [x for x in range(10) if not any(behind(w, x, chunksize) for w in wrong)]
    assert sorted(ran) == reached


def behind(wrong, x, chunksize):
    return wrong < x and wrong // chunksize == x // chunksize


def test_chunks_are_as_large_as_the_standard_librarys(pool):
    """33 items for two threads: chunks of five."""
    ran = []

    def note(x):
        ran.append(x)
        return fail_at(range(0, 33, 5), x)

    with pytest.raises(ValueError, match="0"):
        pool.map(note, range(33))
    assert sorted(ran) == list(range(0, 33, 5))


@pytest.mark.parametrize("chunksize", [1, 4])
@pytest.mark.parametrize("feed", [list, iter])
def test_imap_goes_on_after_an_error(pool, chunksize, feed):
    results = pool.imap(functools.partial(fail_at, [2, 9]), feed(range(10)), chunksize)
    got = []
    for _ in range(10):
        try:
            got.append(next(results))
        except ValueError as error:
            got.append(error.args)
    assert got == [0, 1, (2,), 3, 4, 5, 6, 7, 8, (9,)]
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(results)


def test_results_in_their_order_and_as_they_come(pool, gate):
    def wait(x):
        return x if x else gate.wait() and x

    ordered = pool.imap(wait, range(3))
    with pytest.raises(mp.TimeoutError):
        ordered.next(0.01)
    with pytest.raises(mp.TimeoutError):
        ordered.next(timeout=-1)
    unordered = pool.imap_unordered(square, range(1, 4))
    assert sorted(unordered) == [1, 4, 9]
    gate.set()
    assert list(ordered) == [0, 1, 2]
    gate.clear()
    unordered = pool.imap_unordered(wait, range(3))
    assert [next(unordered), next(unordered)] == [1, 2]
    gate.set()
    assert list(unordered) == [0]


def exit_(x):
    raise SystemExit(x)


def stop(x):
    raise StopIteration(x)


@pytest.mark.parametrize("function, kind", [(exit_, SystemExit), (stop, StopIteration)])
def test_exceptions_that_mean_something_to_the_interpreter(pool, function, kind):
    """No thread is lost to them, and no result."""
    for _ in range(3):
        with pytest.raises(kind):
            pool.apply(function, (1,))
        for chunksize in 1, 3:
            with pytest.raises(kind):
                pool.map(function, range(6), chunksize)
            with pytest.raises(kind):
                pool.imap(function, range(6), chunksize).next(PATIENCE)
    assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]


def test_nothing_is_kept_alive(pool):
    class Thing:
        pass

    def fail(thing):
        raise ValueError

    def outcome(call):
        try:
            return call()
        except ValueError:
            return None

    calls = [
        lambda things: pool.map(id, things),
        lambda things: pool.map(id, things, 1),
        lambda things: list(pool.imap(id, iter(things))),
        lambda things: pool.apply(id, (things[0],)),
        lambda things: pool.map(id, things, timeout=PATIENCE),
        lambda things: pool.map(fail, things),
        lambda things: next(pool.imap(fail, iter(things))),
        lambda things: pool.apply(fail, (things[0],)),
    ]
    gc.disable()
    try:
        for number, call in enumerate(calls):
            things = [Thing() for _ in range(10)]
            living = weakref.WeakSet(things)
            outcome(functools.partial(call, things))
            del things
            if number > 4:
                gc.collect()  # exceptions make cycles, as in the standard library
            until(lambda living=living: not living, "the end of the items")
    finally:
        gc.enable()


def test_many_calls_from_many_threads():
    def call(number):
        for i in range(60):
            assert pool.apply(square, (i,)) == i * i
            assert pool.map(square, range(i)) == [x * x for x in range(i)]
            assert list(pool.imap(square, iter(range(i)), buffersize=3)) == [
                x * x for x in range(i)
            ]
        passed.append(number)

    passed = []
    with ThreadPool(3) as pool:
        threads = [threading.Thread(target=call, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        ended(threads)
        assert sorted(passed) == list(range(6))
        # One iterator, taken from by all.
        results, taken = pool.imap(square, iter(range(3000)), buffersize=10), []
        threads = [threading.Thread(target=lambda: taken.extend(results)) for _ in range(4)]
        for thread in threads:
            thread.start()
        ended(threads)
        assert sorted(taken) == [x * x for x in range(3000)]
    pool.join()


# ---------------------------------------------------------------- intake


@pytest.mark.parametrize("buffersize", [1, 10])
def test_intake_is_lazy(pool, buffersize):
    seen = 0

    def endless():
        nonlocal seen
        while True:
            yield seen
            seen += 1

    results = pool.imap(lambda x: x, endless(), buffersize=buffersize)
    for expected in range(200):
        assert next(results) == expected
        assert seen <= expected + buffersize
    results = pool.imap_unordered(lambda x: x, endless())
    assert len(set(itertools.islice(results, 5000))) == 5000
    pool.terminate()


def test_a_list_is_taken_in_lazily_too(pool):
    ran = []
    results = pool.imap(ran.append, range(100), buffersize=5)
    for done in range(1, 101):
        next(results)
        assert len(ran) <= done + 5
    assert sorted(ran) == list(range(100))


@pytest.mark.parametrize("feed", [list, iter])
def test_what_nobody_takes_is_done_nevertheless(pool, feed):
    ran = []
    pool.imap(ran.append, feed(range(5000)), buffersize=10)
    until(lambda: len(ran) == 5000, "all items")


def test_an_endless_intake_that_is_forgotten_is_bounded(pool):
    seen = -1
    hold, held = threading.Event(), threading.Event()

    def wait(x):
        held.set()
        assert hold.wait(PATIENCE)

    def endless():
        nonlocal seen
        while True:
            seen += 1
            yield seen

    pool.imap(wait, endless(), buffersize=10)
    assert held.wait(PATIENCE)
    until(lambda: seen >= 9, "the intake")
    time.sleep(0.1)  # if it goes on, it goes far
    assert seen <= 30
    hold.set()
    until(lambda: seen > 1000, "more items")
    pool.terminate()


def test_an_iterable_that_waits_for_results(pool):
    answers = []
    asked = threading.Semaphore(1)

    def conversation():
        for number in range(20):
            assert asked.acquire(timeout=PATIENCE)
            yield number

    for answer in pool.imap(square, conversation()):
        answers.append(answer)
        asked.release()
    assert answers == [x * x for x in range(20)]


def test_an_iterable_that_uses_the_pool(pool):
    def numbers():
        for x in range(20):
            yield pool.apply(square, (x,))

    assert list(pool.imap(square, numbers())) == [x**4 for x in range(20)]


@pytest.mark.parametrize("chunksize, results", [(1, 5), (2, 4), (10, 0)])
def test_an_iterable_that_fails(pool, chunksize, results):
    def numbers():
        yield from range(5)
        raise KeyError("no more")

    got = pool.imap(square, numbers(), chunksize)
    assert [got.next(PATIENCE) for _ in range(results)] == [x * x for x in range(results)]
    with pytest.raises(KeyError):
        got.next(PATIENCE)
    with pytest.raises(StopIteration):
        got.next(PATIENCE)
    with pytest.raises(KeyError):
        pool.map_async(square, numbers(), chunksize)
    with pytest.raises(TypeError, match="not iterable"):
        pool.imap(square, 5).next(PATIENCE)


def test_who_waits_in_line_is_served_beside_an_endless_intake(pool):
    results = pool.imap(square, itertools.count())
    over = threading.Event()

    def consume():
        while not over.is_set():
            next(results)

    consumer = threading.Thread(target=consume)
    consumer.start()
    assert [pool.apply(square, (x,)) for x in range(100)] == [x * x for x in range(100)]
    over.set()
    ended([consumer])
    pool.terminate()
