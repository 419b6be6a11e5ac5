"""ThreadPool: initializers, callbacks, ends."""

import gc
import itertools
import threading
import time
import warnings

import pytest
from support import PATIENCE, run, until
from thread_pools import ended, fail_at, gate, pool, square  # noqa: F401

import procession as mp
from procession import _threadcrew
from procession.pool import BrokenPoolError, ThreadPool

# Fixtures are imported, and asked for by their names.
# ruff: noqa: F811

pytestmark = pytest.mark.timeout(40)


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
