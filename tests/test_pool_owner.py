"""The owner's side of a pool: its threads, its forks, its memory, and workers that do not come up."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import warnings

import backends
import pytest
from support import PATIENCE, until

import procession as mp
from procession import _crew
from procession.pool import BrokenPoolError, WorkerLostError

pytestmark = [pytest.mark.both_backends(workers=2), pytest.mark.timeout(60)]


def square(x):
    return x * x


def sleep(seconds):
    time.sleep(seconds)
    return seconds


def zeros(n):
    return bytes(n)


@pytest.fixture
def pool():
    with mp.Pool(2) as pool:
        yield pool
    pool.join()


def test_results_of_a_terminated_pool(pool):
    results = pool.imap(square, range(5000))
    assert next(results) == 0
    pool.terminate()
    with pytest.raises(BrokenPoolError, match="terminated"):
        list(results)


def test_a_feeder_ends_with_its_pool(pool):
    go_on = threading.Event()

    def items():
        yield from range(15)
        go_on.wait(PATIENCE)
        yield from range(100)

    threads = threading.active_count()
    results = pool.imap(square, items(), chunksize=10)
    assert next(results) == 0
    pool.terminate()
    go_on.set()
    until(lambda: threading.active_count() <= threads)
    with pytest.raises(BrokenPoolError):
        list(results)


@pytest.mark.parametrize("source", [range, lambda n: iter(range(n))], ids=["range", "iterator"])
def test_chunks_are_no_longer_than_the_buffer(pool, source):
    seen = pool.imap(square, source(100), chunksize=10, buffersize=5)
    assert list(seen) == [x * x for x in range(100)]


@pytest.mark.parametrize("source", ["list", "iterator"])
@pytest.mark.parametrize("chunksize", [1, 3])
def test_no_more_is_taken_than_the_buffer_allows(pool, source, chunksize):
    done = mp.Queue()

    def items():
        for x in range(100):
            taken.append(x)
            yield done

    taken = []
    many = [done] * 100 if source == "list" else items()
    results = pool.imap(count, many, chunksize=chunksize, buffersize=6)
    for taken_out in range(1, 20):
        next(results)
        assert len(taken) <= taken_out + 6 + 1  # one may be in the feeder's hand
        assert done.qsize() <= taken_out + 6


def count(done):
    done.put(None)


def test_results_that_nobody_takes_do_not_pile_up(pool):
    """An iterator over results that was left: its items are done, as in the standard library, and its
    results are dropped."""
    reached, ahead = threading.Event(), []
    many = 200_001 if backends.current.name == backends.ARENA else 2_001  # a task is a round trip

    def items():
        for x in range(many):
            if x % (many // 200) == 0:
                ahead.append(x - pool.stats().items)
            yield x
        reached.set()

    for _ in pool.imap(square, items(), buffersize=4):
        break
    del _
    assert reached.wait(PATIENCE)
    until(lambda: pool.stats().calls == 0)
    assert pool.stats().items == many
    # Items that wait for their dispatch, and those that workers have: bounded, and not by all there are.
    assert max(ahead) < many / 10


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


@pytest.mark.of_the_arena("the list of its tasks")
def test_what_passes_a_long_task_leaves_nothing_behind(pool):
    pool.apply_async(sleep, (600,))
    before = []
    for _ in range(3):
        assert sum(1 for _ in pool.imap_unordered(square, range(100_000), chunksize=2)) == 100_000
        before.append(resident())
    assert before[2] - before[0] < 2 << 20  # 50,000 tasks a round: 20 bytes each


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it is not closed
def test_a_result_keeps_its_pool():
    results = mp.Pool(2).map_async(square, range(10))
    assert results.get(PATIENCE) == [x * x for x in range(10)]
    assert list(mp.Pool(2).imap(square, range(10))) == [x * x for x in range(10)]


def test_nothing_is_called_with_a_chunksize_of_zero(pool):
    assert pool.map(square, [1, 2, 3], 0) == [None] * 3
    assert pool.map(square, [1, 2, 3], -1) == [None] * 3


@pytest.mark.of_the_arena("the slices of its waits")
def test_who_comes_to_wait_is_not_overlooked(pool):
    """The thread for results waits already, and one report wakes one of the two."""
    begun = time.monotonic()
    for _ in range(8):
        later = pool.apply_async(sleep, (0.05,))
        time.sleep(0.02)  # for that thread to wait; if it does not, nothing is shown
        later.get(PATIENCE)
    assert time.monotonic() - begun < 8 * 0.2  # a wait that nobody ends lasts 0.25 s


def test_a_fork_is_told_that_the_pool_is_not_its_own(pool):
    assert pool.apply(square, (2,)) == 4
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            try:
                pool.apply(square, (3,))
            except RuntimeError as error:
                os.write(write, str(error).encode())
        os._exit(0)
    os.close(write)
    for n in range(50):
        assert pool.apply_async(square, (n,)).get(PATIENCE) == n * n
    assert os.waitpid(pid, 0)[1] == 0
    with open(read) as pipe:
        assert "belongs to the process that made it" in pipe.read()


class Slow:
    """Its unpickling in the owner takes until `event` is set."""

    event = threading.Event()

    def __init__(self, owner):
        self.owner = owner

    def __reduce__(self):
        return unpack_slowly, (self.owner, bytes(100_000))  # so it is reported at once


def unpack_slowly(owner, _):
    if os.getpid() == owner:
        Slow.event.wait(PATIENCE)
        return "slow"
    return Slow(owner)


def slow_or_killed(owner, path, item):
    with open(path, "a") as file:
        file.write(f"{item}\n")
    if item == 0:
        return Slow(owner)
    if item == 1 and os.path.getsize(path) == 4:
        # Not before the first result is on its way.
        return os.kill(os.getpid(), signal.SIGKILL)
    return item


@pytest.mark.of_the_arena("the reports of its workers")
def test_a_result_in_the_making_counts(tmp_path):
    """A worker is killed while a result of the same task is being unpickled, for long."""
    path = tmp_path / "ran"
    with mp.Pool(1) as pool:
        items = [(os.getpid(), path, item) for item in range(3)]
        Slow.event.clear()
        first = pool._pool[0].pid
        results = pool.starmap_async(slow_or_killed, items, chunksize=3)
        try:
            until(lambda: [worker for worker in pool._pool if worker.pid not in (first, None)])
        finally:
            Slow.event.set()
        with pytest.raises(WorkerLostError) as lost:
            results.get(PATIENCE)
        assert lost.value.index == 1
    assert path.read_text().split() == ["0", "1", "2"]


@pytest.mark.of_the_arena("it starts its workers")
def test_a_start_that_fails_is_tried_again(monkeypatch):
    monkeypatch.setattr(_crew, "_LAST_PAUSE", 0.05)

    class Failing(mp.pool.Pool):
        failures = 0

        @classmethod
        def Process(cls, ctx, *args, **kwds):
            if cls.failures > 0:
                cls.failures -= 1
                raise BlockingIOError("no process for you")
            return ctx.Process(*args, **kwds)

    with Failing(1, context=mp.get_context()) as pool:
        Failing.failures = 3
        pool._pool[0].kill()
        assert pool.apply_async(square, (3,)).get(PATIENCE) == 9
    pool.join()
    pool = Failing(1, context=mp.get_context())
    Failing.failures = 1_000_000
    pool._pool[0].kill()
    with pytest.raises(BrokenPoolError, match=r"could be started.*no process for you"):
        pool.apply_async(square, (3,)).get(PATIENCE)
    with pytest.raises(BrokenPoolError):
        pool.apply(square, (3,))
    pool.terminate()
    pool.join()


def only_the_first(path):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL))


@pytest.mark.of_the_arena("its workers are at hand")
def test_some_workers_do_not_come_up(tmp_path):
    with (
        warnings.catch_warnings(record=True),
        mp.Pool(2, only_the_first, (tmp_path / "x",)) as pool,
    ):
        pool.apply_async(square, (1,)).get(PATIENCE)  # with that its threads begin
        until(lambda: pool._crew._warned)
        assert pool.map(square, range(100)) == [x * x for x in range(100)]
        assert pool._crew._not_before > 0  # the next is tried after a pause


@pytest.mark.of_the_arena("the memory for reports")
def test_a_report_for_which_there_is_no_memory():
    """It stays where it is until there is, and nothing else is hurt."""
    program = """
import resource, threading, sys
import procession as mp
from test_pool_owner import square, zeros
with mp.Pool(2) as pool:
    pool.map(square, range(9))
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + (100 << 20), resource.RLIM_INFINITY))
    big = pool.apply_async(zeros, (300 << 20,))
    try:
        big.get(60)
    except MemoryError as error:
        print(type(error).__name__)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
    called = threading.Event()
    pool.apply_async(square, (3,), callback=lambda value: called.set())
    assert called.wait(60)
    assert len(big.get(60)) == 300 << 20
"""
    assert resource.getrlimit(resource.RLIMIT_AS)[1] == resource.RLIM_INFINITY
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([os.path.dirname(__file__)])}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    )
    assert (done.stdout.split(), done.returncode) == (["MemoryError"], 0), done.stderr


class SlowToPickle:
    def __reduce__(self):
        time.sleep(0.002)
        return int, (1,)


@pytest.mark.of_the_arena("who calls pickles; over a server it is a thread")
@pytest.mark.parametrize("chunksize", [1, 20, None])
def test_ctrl_c_while_items_are_pickled(pool, chunksize):
    """It ends the call, whichever item is at it, and the pool goes on."""
    main = threading.get_ident()
    items = [SlowToPickle() for _ in range(500)]
    begun = threading.Event()

    def interrupt():
        begun.wait(PATIENCE)
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        begun.set()
        pool.map(square, items, chunksize)
    thread.join()
    assert pool.apply(square, (3,)) == 9
