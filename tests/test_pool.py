"""The pool: what CPython's suite does not look at. Loss, time limits, intake, ends."""

import functools
import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from support import PATIENCE, each_method, until

import procession as mp
from procession.pool import BrokenPoolError, TaskTimeoutError, WorkerLostError

pytestmark = pytest.mark.both_backends(workers=2)


def square(x):
    return x * x


def identity(x):
    return x


def pid_of(_=None):
    return os.getpid()


def kill_self_at(n, x):
    if x == n:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def once(path, x):
    """Dies at its first try."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return x
    os.kill(os.getpid(), signal.SIGKILL)


def note(path, x):
    with open(path, "a") as file:
        file.write(f"{x}\n")
    if x == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def sleep_at(n, x):
    if x == n:
        time.sleep(60)
    return x


def die_in_initializer():
    os._exit(3)


@pytest.fixture
def pool():
    with mp.Pool(2) as pool:
        yield pool
    pool.join()


@each_method
def test_everything_under_each_method(method):
    with mp.get_context(method).Pool(2) as pool:
        assert pool.apply(square, (3,)) == 9
        assert pool.apply(dict, (), {"a": 1}) == {"a": 1}
        assert pool.map(square, range(1000)) == [x * x for x in range(1000)]
        assert pool.starmap(pow, [(2, 3), (3, 2)]) == [8, 9]
        assert list(pool.imap(square, iter(range(1000)))) == [x * x for x in range(1000)]
        assert sorted(pool.imap_unordered(square, range(100), 7)) == [x * x for x in range(100)]
        assert pool.map(lambda x: x + 1, range(3)) == [1, 2, 3]
    pool.join()


@pytest.mark.parametrize("chunksize", [1, 5, 40, None])
def test_exactly_the_task_of_a_killed_worker_is_lost(pool, chunksize):
    function = functools.partial(kill_self_at, 17)
    limits = {} if chunksize is None else {"chunksize": chunksize}
    results = pool.imap(function, range(40), **limits)
    got = []
    for index in range(40):
        try:
            got.append(next(results))
        except WorkerLostError as error:
            assert (index, error.index, error.signal) == (17, 17, signal.SIGKILL)
            assert "kill_self_at" in str(error) or "partial" in str(error)
            assert error.pid not in [worker.pid for worker in pool._pool]
    assert got == [x for x in range(40) if x != 17]
    with pytest.raises(StopIteration):
        next(results)


def test_nothing_runs_twice_unasked(pool, tmp_path):
    path = tmp_path / "ran"
    results = pool.map_async(functools.partial(note, path), range(60), chunksize=20)
    with pytest.raises(WorkerLostError):
        results.get(PATIENCE)
    ran = [int(line) for line in path.read_text().split()]
    assert sorted(ran) == list(range(60))


def test_retries(pool, tmp_path):
    assert pool.apply(once, (tmp_path / "a", 5), retries=1) == 5
    with pytest.raises(WorkerLostError):
        pool.apply(once, (tmp_path / "b", 5))
    with pytest.raises(WorkerLostError):
        pool.apply(kill_self_at, (1, 1), retries=2)
    assert pool.map(functools.partial(once, tmp_path / "c"), range(9), retries=1) == list(range(9))


@pytest.mark.of_the_arena(
    "its workers are at hand; test_remote_pool_chaos.py kills those of a server"
)
def test_many_random_kills():
    """Every result is right, whoever is killed when."""
    kills = 1000 if os.environ.get("PROCESSION_LONG") == "1" else 50
    killed = 0
    with mp.Pool(4, retries=1_000_000) as pool:

        def hunt():
            nonlocal killed
            while killed < kills:
                time.sleep(0.004)  # whenever it comes
                victim = random.choice(list(pool._pool) or [None])
                if victim is not None and victim.is_alive():
                    victim.kill()  # no error if it has just ended
                    killed += 1

        hunter = threading.Thread(target=hunt)
        hunter.start()
        while hunter.is_alive():
            assert pool.map(square, range(100_000), chunksize=7) == [x * x for x in range(100_000)]
            assert sorted(pool.imap_unordered(identity, range(5000))) == list(range(5000))
        hunter.join()
    pool.join()
    assert killed == kills


def warm_up(pool):
    """Has the processes import this module: a time limit counts that, too."""
    pool.map(pid_of, range(40), chunksize=1)


def test_a_task_that_takes_too_long_is_ended(pool):
    warm_up(pool)
    before = time.monotonic()
    with pytest.raises(TaskTimeoutError) as caught:
        pool.apply(sleep_at, (1, 1), timeout=0.2)
    assert time.monotonic() - before < 5
    assert isinstance(caught.value, TimeoutError) and caught.value.task == "sleep_at"
    results = pool.imap(functools.partial(sleep_at, 3), range(10), 5, timeout=0.3)
    got = []
    for _ in range(10):
        try:
            got.append(next(results))
        except TaskTimeoutError as error:
            assert error.index == 3
    assert got == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]


def test_default_time_limit():
    with mp.Pool(1, timeout=1) as pool:  # in which a worker may have to import this module
        with pytest.raises(TaskTimeoutError):
            pool.apply(time.sleep, (60,))
        assert pool.apply(square, (2,)) == 4
    pool.join()


@each_method
def test_a_pool_whose_workers_cannot_start_ends(method):
    pool = mp.get_context(method).Pool(2, die_in_initializer)
    with pytest.raises(BrokenPoolError, match="in its initializer die_in_initializer.*code 3"):
        pool.map(square, range(5))
    with pytest.raises(BrokenPoolError):
        pool.apply(square, (1,))
    pool.terminate()
    pool.join()


def test_intake_is_lazy(pool):
    taken = itertools.count()
    seen = 0

    def endless():
        nonlocal seen
        while True:
            seen = next(taken)
            yield seen

    results = pool.imap(identity, endless(), buffersize=10)
    for expected in range(100):
        assert next(results) == expected
        assert seen <= expected + 11
    results = pool.imap_unordered(identity, endless())
    assert len(set(itertools.islice(results, 5000))) == 5000
    pool.terminate()


def test_an_iterable_that_waits_for_results(pool):
    """What was taken is not held back until a chunk is full."""
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


def test_results_may_be_taken_after_join():
    pool = mp.Pool(2)
    results = pool.imap(square, iter(range(5000)))
    forgotten = pool.imap_unordered(square, iter(range(5000)))
    del forgotten
    pool.close()
    pool.join()
    assert list(results) == [x * x for x in range(5000)]


def test_what_is_under_way_fails_at_terminate():
    pool = mp.Pool(2)
    result = pool.map_async(time.sleep, [60] * 10)
    pool.terminate()
    pool.join()
    with pytest.raises(BrokenPoolError, match="terminated"):
        result.get(PATIENCE)
    with pytest.raises(ValueError, match="not running"):
        pool.apply(square, (1,))


def test_callbacks_come_before_the_result_and_may_fail(pool, monkeypatch):
    told = []
    # Of the core's own thread, and of one of Python's, which pools over a server have.
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    monkeypatch.setattr(threading, "excepthook", told.append)
    assert pool.apply_async(square, (3,), callback=lambda value: 1 / 0).get(PATIENCE) == 9
    assert [each.exc_type for each in told] == [ZeroDivisionError]
    seen = []
    pool.map_async(square, range(3), callback=seen.append).wait(PATIENCE)
    assert seen == [[0, 1, 4]]
    # One that uses the pool itself.
    later = []
    pool.apply_async(square, (3,), callback=lambda v: later.append(pool.apply(square, (v,))))
    until(lambda: later, "the callback")
    assert later == [81]


class Unpicklable(Exception):
    def __reduce__(self):
        raise RuntimeError("no pickle of this")


class Unloadable(Exception):
    def __init__(self, one, two):
        super().__init__(one)


def raise_(kind, *args):
    raise kind(*args)


def test_a_lambda_is_no_result(pool):
    with pytest.raises(mp.pool.MaybeEncodingError, match="lambda"):
        pool.apply(eval, ("lambda: 1",))


def test_errors_of_pickling_are_told(pool):
    with pytest.raises(RuntimeError, match="no pickle of this"):
        pool.apply(identity, (Unpicklable(),))
    with pytest.raises(mp.pool.MaybeEncodingError, match="no pickle of this"):
        pool.apply(raise_, (Unpicklable,))
    with pytest.raises(TypeError, match="two"):
        pool.apply(raise_, (Unloadable, 1, 2))
    good = [1, Unpicklable(), 3]
    results = pool.imap(identity, good, chunksize=3)
    assert next(results) == 1
    with pytest.raises(RuntimeError):
        next(results)
    assert next(results) == 3


class Bomb:
    """Ends whoever unpickles it."""

    def __reduce__(self):
        return os._exit, (7,)


def test_a_task_that_kills_its_worker_while_it_is_unpacked(pool):
    results = pool.imap(type, [1, 2, Bomb(), 4], chunksize=4)
    assert [next(results), next(results)] == [int, int]
    with pytest.raises(WorkerLostError, match="code 7"):
        next(results)
    assert next(results) is int


def test_large_functions_and_arrays(pool):
    numpy = pytest.importorskip("numpy")
    table = bytes(range(256)) * 1000
    assert pool.map(lambda i: table[i], range(0, 300)) == [i % 256 for i in range(300)]
    arrays = [numpy.full(200_000, i) for i in range(20)]
    for i, array in enumerate(pool.map(identity, arrays)):
        assert (array == i).all() and array.flags.writeable


def test_bound_methods_come_fresh_to_each_task(pool):
    class Counter:
        def __init__(self):
            self.count = 0

        def next(self, _):
            self.count += 1
            return self.count

    assert pool.map(Counter().next, range(8), chunksize=2) == [1, 2] * 4


def test_workers_are_replaced_after_so_many_tasks():
    with mp.Pool(1, maxtasksperchild=2) as pool:
        pids = [pool.apply(pid_of) for _ in range(6)]
        assert len(set(pids)) == 3 and pids[0] == pids[1]
        assert len(set(pool.imap(pid_of, range(6)))) == 3
    pool.join()


def nested(x):
    with mp.Pool(2) as pool:
        return pool.map(square, range(x))


def test_nested_pools():
    with mp.Pool(2, daemon=False) as pool:
        assert pool.map(nested, [2, 3]) == [[0, 1], [0, 1, 4]]
    pool.join()
    with mp.Pool(1) as pool, pytest.raises(AssertionError, match="daemonic"):
        pool.apply(nested, (2,))
    pool.join()


def test_queues_and_locks_in_arguments_and_results(pool):
    queue = mp.Queue()
    lock = mp.Lock()
    assert pool.map(functools.partial(use, queue), [lock] * 5) == [True] * 5
    assert sorted(queue.get(timeout=PATIENCE) for _ in range(5)) == [1] * 5
    other = pool.apply(mp.Queue)
    other.put(5)
    assert other.get() == 5


def use(queue, lock):
    with lock:
        queue.put(1)
    return True


CTRL_C = """
import procession as mp, time, sys
def slow(x):
    time.sleep(60)
if __name__ == "__main__":
    with mp.get_context(sys.argv[1]).Pool(3) as pool:
        print(*[w.pid for w in pool._pool], flush=True)
        pool.map(slow, range(10))
"""


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@each_method
@pytest.mark.parametrize("how", ["ctrl-c", "interrupt", "kill"])
@pytest.mark.parametrize("delay", [0, 0.02, 0.3])
def test_ctrl_c_and_death_of_the_owner(method, how, delay, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(CTRL_C)
    with subprocess.Popen(
        [sys.executable, program, method],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        pids = [int(pid) for pid in process.stdout.readline().split()]
        time.sleep(delay)  # they start, or are at their tasks; what comes out must not depend on it
        sent = time.monotonic()
        if how == "ctrl-c":
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.SIGINT if how == "interrupt" else signal.SIGKILL)
        _, complaint = process.communicate(timeout=PATIENCE)
    assert time.monotonic() - sent < 5
    if how != "kill":
        assert complaint.count("Traceback") == 1 and "KeyboardInterrupt" in complaint, complaint
    until(lambda: not any(alive(pid) for pid in pids), "the workers' end")


def test_pool_is_told_apart_by_its_names(pool):
    assert pool._processes == 2 and len(pool._pool) == 2
    assert pool._state == mp.pool.RUN and pool._ctx.get_start_method()
    with pytest.raises(NotImplementedError):
        pool.apply(identity, (pool,))
