"""ThreadPool: what CPython's suite does not look at. Intake, time limits, callbacks, ends."""

import functools
import gc
import itertools
import multiprocessing.pool
import threading
import time
import warnings
import weakref

import pytest
from support import PATIENCE, run, until

import procession as mp
from procession import _threadcrew, dummy
from procession.pool import BrokenPoolError, Pool, TaskTimeoutError, ThreadPool

pytestmark = pytest.mark.timeout(40)


def square(x):
    return x * x


def fail_at(wrong, x):
    if x in wrong:
        raise ValueError(x)
    return x


@pytest.fixture
def pool():
    with ThreadPool(2) as pool:
        yield pool
    pool.join()


@pytest.fixture
def gate():
    """What blocks tasks; opened at the end, so that no thread stays."""
    gate = threading.Event()
    yield gate
    gate.set()


def ended(threads):
    until(lambda: not any(thread.is_alive() for thread in threads), "the threads' end")


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


# ---------------------------------------------------------------- time limits


@pytest.mark.parametrize("how", ["apply", "map", "imap"])
def test_an_item_that_takes_too_long(pool, gate, how):
    def wait_at(x):
        return gate.wait() if x == 3 else x

    threads = set(pool._pool)
    limit = {"timeout": 0.1}
    with pytest.raises(TaskTimeoutError) as caught:
        if how == "apply":
            pool.apply(wait_at, (3,), **limit)
        elif how == "map":
            pool.map(wait_at, range(10), 5, **limit)
        else:
            results, got = pool.imap(wait_at, range(10), 5, **limit), []
            for _ in range(3):
                got.append(next(results))
            next(results)
    if how == "imap":
        assert got + list(results) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    error = caught.value
    (left,) = threads - set(pool._pool)
    assert isinstance(error, TimeoutError) and error.pid is error.exitcode is None
    assert "wait_at" in error.task and error.index == (0 if how == "apply" else 3)
    assert left.name in str(error) and "it is still running" in str(error)
    assert left.is_alive() and left.daemon and len(pool._pool) == 2
    assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]
    pool.close()
    pool.join()  # nobody waits for the one that was left behind
    assert left.is_alive()
    gate.set()
    ended([left])


def test_a_limit_is_for_each_item_and_the_pool_may_have_one(gate):
    with ThreadPool(1, timeout=0.3) as pool:
        assert pool.map(time.sleep, [0.05] * 10) == [None] * 10
        with pytest.raises(TaskTimeoutError):
            pool.apply(gate.wait)
        assert pool.apply(gate.wait, (0.4,), timeout=PATIENCE) is False
        result = pool.map_async(gate.wait, [None] * 3, 1)
        with pytest.raises(TaskTimeoutError, match="0.3 s"):
            result.get(PATIENCE)
        assert pool.apply(square, (2,)) == 4


def test_only_the_late_one_fails_among_many(gate):
    with ThreadPool(3) as pool:
        long = pool.apply_async(gate.wait, timeout=PATIENCE)
        results = [pool.apply_async(square, (x,), timeout=PATIENCE) for x in range(100)]
        late = pool.apply_async(gate.wait, timeout=0.05)
        with pytest.raises(TaskTimeoutError):
            late.get(PATIENCE)
        assert [result.get(PATIENCE) for result in results] == [x * x for x in range(100)]
        gate.set()
        assert long.get(PATIENCE) is True


# ---------------------------------------------------------------- initializers


def test_each_thread_calls_the_initializer():
    local = threading.local()

    def prepare(value):
        local.value = value

    with ThreadPool(3, prepare, [5]) as pool:
        assert pool.map(lambda _: local.value, range(30), 1) == [5] * 30
    with pytest.raises(TypeError, match="callable"):
        ThreadPool(1, 5)
    for processes in 0, -1:
        with pytest.raises(ValueError, match="at least 1"):
            ThreadPool(processes)


def test_a_pool_whose_threads_cannot_start_ends(gate):
    def broken():
        gate.wait()
        raise OSError("no such thing")

    pool, told = ThreadPool(2, broken), []
    result = pool.map_async(square, range(5), error_callback=told.append)
    results = pool.imap(square, itertools.count())
    gate.set()
    for wait in (lambda: result.get(PATIENCE), lambda: results.next(PATIENCE)):
        with pytest.raises(BrokenPoolError, match="in its initializer .*broken.*no such thing"):
            wait()
    with pytest.raises(BrokenPoolError) as caught:
        pool.apply(square, (1,))
    assert isinstance(caught.value.__cause__, OSError)
    pool.terminate()
    pool.join()
    assert told == [caught.value]


def test_an_initializer_that_fails_now_and_then():
    tries = itertools.count()

    def flaky():
        if next(tries) < 2:
            raise OSError

    with ThreadPool(1, flaky) as pool:
        assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]


def test_those_that_are_ready_do_without_the_others(monkeypatch):
    told, tries, first = [], itertools.count(), threading.Event()
    monkeypatch.setattr(threading, "excepthook", told.append)

    def greedy():
        if next(tries):
            assert first.wait(PATIENCE)
            raise OSError("there was only one")

    with ThreadPool(2, greedy) as pool:
        assert pool.apply(square, (2,)) == 4
        first.set()
        until(lambda: told, "the last try")
        assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]
        assert [each.exc_type for each in told] == [OSError] and len(pool._pool) == 1


# ---------------------------------------------------------------- callbacks


def test_callbacks_come_before_the_result(pool):
    seen = []

    def note(value):
        seen.append((value, result.ready() if result else False))

    for call, value in [
        (lambda **calls: pool.apply_async(square, (3,), **calls), 9),
        (lambda **calls: pool.map_async(square, range(3), **calls), [0, 1, 4]),
        (lambda **calls: pool.starmap_async(pow, [(2, 3)], **calls), [8]),
    ]:
        result = None
        result = call(callback=note, error_callback=seen.append)
        result.wait(PATIENCE)
        assert seen.pop() == (value, False) and not seen
    result = pool.map_async(fail_at, [1], error_callback=seen.append)
    result.wait(PATIENCE)
    assert [type(error) for error in seen] == [TypeError]


def test_callbacks_run_one_after_the_other():
    at_once, most, threads = 0, 0, set()

    def note(_):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        time.sleep(0.001)
        threads.add(threading.current_thread())
        at_once -= 1

    with ThreadPool(4) as pool:
        results = [pool.apply_async(square, (x,), callback=note) for x in range(40)]
        for result in results:
            result.get(PATIENCE)
        assert most == 1 and len(threads) == 1 and not threads & set(pool._pool)


def test_callbacks_that_raise(pool, monkeypatch):
    told = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    for error in ZeroDivisionError, SystemExit, KeyboardInterrupt:

        def fail(_, error=error):
            raise error

        assert pool.apply_async(square, (3,), callback=fail).get(PATIENCE) == 9
        assert pool.map_async(square, [3], callback=fail).get(PATIENCE) == [9]
        assert [each.exc_type for each in told] == [error] * 2
        told.clear()


@pytest.mark.parametrize("threads", [1, 2])
def test_callbacks_that_use_the_pool(threads):
    seen = []

    def again(value):
        seen.append(pool.apply(square, (value,)))
        seen.append(list(pool.imap(square, iter([value]))))
        # One that has a callback itself, which the same thread has to run.
        inner = pool.map_async(square, [value], callback=seen.append)
        seen.append(inner.get(PATIENCE))
        with pytest.raises(mp.TimeoutError):
            pool.apply_async(gate.wait, callback=seen.append).get(0.01)
        gate.set()

    gate = threading.Event()
    with ThreadPool(threads) as pool:
        assert pool.apply_async(square, (3,), callback=again).get(PATIENCE) == 9
        until(lambda: len(seen) == 5, "the last callback")
    assert seen == [81, [81], [81], [81], True]


def test_callbacks_that_end_the_pool():
    seen = []

    def end(_):
        pool.close()
        try:
            pool.join()
        except RuntimeError as error:
            seen.append(str(error))
        pool.terminate()
        pool.join()
        seen.append("ended")

    pool = ThreadPool(2)
    pool.apply_async(square, (3,), callback=end)
    until(lambda: len(seen) == 2, "the end")
    assert "own thread" in seen[0]
    pool.join()


# ---------------------------------------------------------------- ends


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr(_threadcrew, "_PATIENCE", 0.05)


@pytest.mark.parametrize("how", ["terminate", "with"])
def test_nobody_waits_for_a_blocked_thread(hasty, gate, how):
    pool = ThreadPool(2)
    began = threading.Barrier(3)

    def block(_):
        began.wait(PATIENCE)
        gate.wait()

    def blocked():
        yield 1
        gate.wait()

    result = pool.map_async(block, range(100), 1)
    unfed = pool.imap(square, blocked())
    began.wait(PATIENCE)
    threads = list(pool._pool)
    before = time.monotonic()
    if how == "terminate":
        pool.terminate()
    else:
        with pool:
            pass
    pool.terminate()
    pool.join()
    assert time.monotonic() - before < 5
    for wait in (result.get, unfed.next):
        with pytest.raises(BrokenPoolError, match="terminated"):
            wait(PATIENCE)
    for call in pool.apply, pool.map, pool.imap, pool.apply_async:
        with pytest.raises(ValueError, match="not running"):
            call(square, (1,))
    assert all(thread.is_alive() for thread in threads)
    gate.set()
    ended(threads)


def test_terminate_lets_short_work_end():
    began, ran = threading.Event(), []

    def short(x):
        began.set()
        time.sleep(0.1)
        ran.append(x)

    with ThreadPool(1) as pool:
        pool.map_async(short, range(100), 1)
        assert began.wait(PATIENCE)
    pool.join()
    assert ran == [0] and not pool._pool[0].is_alive()


def test_join_waits_for_all_that_was_begun(gate):
    pool, told = ThreadPool(2), []
    with pytest.raises(ValueError, match="still running"):
        pool.join()
    slow = pool.apply_async(gate.wait)
    result = pool.map_async(square, range(100), callback=told.append)
    taken_later = pool.imap(square, iter(range(5000)))
    bounded = pool.imap(square, range(50), buffersize=3)
    forgotten = []
    pool.imap_unordered(forgotten.append, iter(range(5000)))
    pool.close()
    pool.close()
    with pytest.raises(ValueError, match="not running"):
        pool.apply(square, (1,))
    joiner = threading.Thread(target=pool.join)
    joiner.start()
    assert joiner.is_alive()
    gate.set()
    ended([joiner, *pool._pool])
    pool.join()
    assert slow.ready() and told == [result.get(0)]
    assert list(taken_later) == [x * x for x in range(5000)]
    assert list(bounded) == [x * x for x in range(50)]
    assert sorted(forgotten) == list(range(5000))


def test_terminate_ends_a_join(hasty, gate):
    pool = ThreadPool(1)
    pool.apply_async(gate.wait)
    pool.close()
    joiner = threading.Thread(target=pool.join)
    joiner.start()
    pool.terminate()
    ended([joiner])


def test_a_task_that_ends_its_pool():
    pool = ThreadPool(2)
    result = pool.apply_async(lambda: (pool.terminate(), pool.join()))
    with pytest.raises(BrokenPoolError):
        result.get(PATIENCE)
    pool.join()


def test_a_pool_nobody_refers_to_ends():
    pool = ThreadPool(2)
    assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]
    threads = list(pool._pool)
    with pytest.warns(ResourceWarning, match="unclosed running multiprocessing pool"):
        del pool
        gc.collect()
    ended(threads)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_call_keeps_its_pool(gate):
    result = ThreadPool(2).map_async(gate.wait, [None])
    results = ThreadPool(2).imap(square, iter(range(3000)))
    noted = threading.Event()
    ThreadPool(1).apply_async(noted.set)
    gc.collect()
    gate.set()
    assert result.get(PATIENCE) == [True]
    assert list(results) == [x * x for x in range(3000)]
    assert noted.wait(PATIENCE)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_results_that_are_forgotten_keep_no_pool():
    pool = ThreadPool(2)
    threads, seen = list(pool._pool), itertools.count()
    results = pool.imap(square, seen, buffersize=10)
    assert next(results) == 0
    feeding = [t for t in threading.enumerate() if "feed" in t.name]
    del pool, results
    gc.collect()
    ended(threads + feeding)


def test_fork_leaves_the_child_sane(pool, gate):
    results = pool.imap(square, itertools.count())
    assert next(results) == 0
    result = pool.map_async(gate.wait, [None] * 4, 1)
    child = mp.get_context("fork").Process(target=in_child, args=(pool, result, results))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of forking with threads
        child.start()
    child.join(PATIENCE)
    assert child.exitcode == 0
    gate.set()
    assert result.get(PATIENCE) == [True] * 4
    assert pool.apply(square, (3,)) == 9


def in_child(pool, result, results):
    for wait in (
        lambda: result.get(PATIENCE),
        lambda: [results.next(PATIENCE) for _ in range(5000)],
        lambda: pool.apply(square, (3,)),
    ):
        with pytest.raises(BrokenPoolError, match="was forked"):
            wait()
    pool.terminate()
    pool.join()
    with ThreadPool(2) as own:
        assert own.map(square, range(5)) == [0, 1, 4, 9, 16]
    own.join()


EXIT = """
import sys, threading, time
from procession.pool import ThreadPool
forever = threading.Event()
began = threading.Semaphore(0)
def block(_):
    began.release()
    forever.wait()
def endless():
    while True:
        yield 1
pool = ThreadPool(2)
other = ThreadPool(2)
pending = pool.map_async(block, range(1000), 1, callback=len)
fed = other.imap(abs, endless())
began.acquire(); began.acquire(); next(fed)
{}
print("over")
"""


@pytest.mark.parametrize(
    "last", ["", "pool.close()", "pool.terminate()", "forever.set()", "del pool, other, fed"]
)
def test_the_interpreter_ends_with_work_pending(tmp_path, last):
    program = tmp_path / "program.py"
    program.write_text(EXIT.format(last))
    before = time.monotonic()
    said = run("-W", "ignore::ResourceWarning", program)
    assert "over\n" in said and "Traceback" not in said
    assert time.monotonic() - before < 20


def test_ctrl_c_ends_a_wait(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        """
import os, signal, threading, time
from procession.pool import ThreadPool
forever = threading.Event()
for wait in (
    lambda pool: pool.apply(forever.wait),
    lambda pool: pool.map(forever.wait, [None] * 3),
    lambda pool: next(pool.imap(forever.wait, [None])),
):
    with ThreadPool(1) as pool:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            wait(pool)
        except KeyboardInterrupt:
            print("interrupted")
"""
    )
    assert run(program) == "interrupted\n" * 3


# ---------------------------------------------------------------- how it is seen


def test_stats(pool, gate):
    pool.map(square, range(10), 1)
    result = pool.apply_async(gate.wait)
    until(lambda: any(w.task for w in pool.stats().workers), "a thread at its task")
    stats = pool.stats()
    (busy,) = [worker for worker in stats.workers if worker.task]
    assert busy.task == "Event.wait" and busy.item == 0 and busy.state == "ready"
    assert busy.name in [thread.name for thread in pool._pool]
    assert 0 <= busy.age <= busy.busy < PATIENCE
    assert (stats.calls, stats.tasks, stats.items, len(stats.workers)) == (1, 1, 10, 2)
    assert "Event.wait[0] for" in str(stats) and "idle" in str(stats)
    gate.set()
    result.get(PATIENCE)
    gate.clear()
    with pytest.raises(TaskTimeoutError):
        pool.apply(gate.wait, timeout=0.05)
    stats = pool.stats()
    assert [worker.state for worker in stats.workers].count("left behind") == 1
    assert stats.items == 11 and len(stats.workers) == 3
    gate.set()
    until(lambda: len(pool.stats().workers) == 2, "the end of the one left behind")


class Bar:
    total = None

    def __init__(self):
        self.n, self.closed = 0, False

    def update(self, count):
        self.n += count

    def close(self):
        self.closed = True


@pytest.mark.parametrize("how", ["map", "starmap", "imap", "imap_unordered"])
def test_progress(pool, how):
    bar = Bar()
    items = [(x,) for x in range(100)] if how == "starmap" else range(100)
    results = getattr(pool, how)(square, items, progress=bar)
    assert sorted(results) == [x * x for x in range(100)]
    assert (bar.n, bar.total, bar.closed) == (100, 100, True)
