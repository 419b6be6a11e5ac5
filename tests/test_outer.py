"""`Pool(executor=…)`: the same face over executors, Dask and Ray."""

import concurrent.futures
import copyreg
import functools
import itertools
import os
import signal
import sys
import threading
import time

import cloudpickle
import pytest
from support import PATIENCE, until

import procession as mp
from procession.pool import Pool, ThreadPool

pytestmark = [
    pytest.mark.timeout(120),
    # What these libraries do at their end is not ours to mend.
    pytest.mark.filterwarnings("default"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

# A cluster's workers do not have this file.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(autouse=True)
def nothing_left():
    """In the place of the one for all tests: a cluster starts and ends processes as it likes."""


@pytest.fixture(scope="module")
def dask():
    # It has exceptions pickled in its own way from then on, which loses the status of a SystemExit:
    # the other tests are about what Python does.
    ways = copyreg.dispatch_table.copy()
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(host="127.0.0.1", **options) as cluster:
        with distributed.Client(cluster) as client:
            yield client
    copyreg.dispatch_table.clear()
    copyreg.dispatch_table.update(ways)


@pytest.fixture(scope="module")
def ray():
    ray = pytest.importorskip("ray", reason="ray is not installed")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield ray
    ray.shutdown()


@pytest.fixture
def threads():
    with concurrent.futures.ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture
def processes():
    with concurrent.futures.ProcessPoolExecutor(2) as executor:
        yield executor


ALL = ["threads", "processes", "dask", "ray"]
APART = ALL[1:]
CLUSTERS = ALL[2:]


@pytest.fixture(params=ALL)
def executor(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(params=APART)
def apart(request):
    """One whose workers are not in this process."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=CLUSTERS)
def cluster(request):
    """One that goes on when a worker dies."""
    return request.getfixturevalue(request.param)


def square(x):
    return x * x


def note(folder, x):
    """Leaves a file for each time that it runs."""
    name = f"{x}-{os.getpid()}-{time.monotonic_ns()}"
    open(os.path.join(folder, name), "x").close()
    return len([name for name in os.listdir(folder) if name.startswith(f"{x}-")])


def die_at(folder, wrong, times, x):
    if note(folder, x) <= times and x == wrong:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def wait_for(path):
    deadline = time.monotonic() + PATIENCE
    while not os.path.exists(path):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return "came"


def runs(folder, x):
    return sum(name.startswith(f"{x}-") for name in os.listdir(folder))


# ---------------------------------------------------------------- calls


def test_every_kind_of_call(executor):
    squares = [x * x for x in range(50)]
    with mp.Pool(executor=executor) as pool:
        assert isinstance(pool, Pool) and not isinstance(pool, ThreadPool)
        assert pool._processes == 2 and "pool_size=2" in repr(pool)
        assert pool.apply(square, (3,)) == 9
        assert pool.apply(dict, ((),), {"a": 1}) == {"a": 1}
        assert pool.map(square, range(50)) == pool.map(square, range(50), 7) == squares
        assert pool.map(square, []) == [] == list(pool.imap(square, []))
        assert pool.starmap(pow, [(x, 2) for x in range(50)]) == squares
        assert pool.starmap_async(pow, [(2, 3)]).get(PATIENCE) == [8]
        assert list(pool.imap(square, iter(range(50)))) == squares
        assert list(pool.imap(square, range(50), 7)) == squares
        assert sorted(pool.imap_unordered(square, range(50), 7)) == squares
        assert pool.map(square, range(50), timeout=PATIENCE, retries=2) == squares


def test_functions_travel_by_value(executor):
    with mp.Pool(executor=executor) as pool:
        assert pool.map(lambda x: x + len(ALL), [1, 2]) == [5, 6]


def test_callbacks(executor):
    told, failed = [], []
    with mp.Pool(executor=executor) as pool:
        assert pool.apply_async(square, (4,), callback=told.append).get(PATIENCE) == 16
        result = pool.map_async(square, [None], error_callback=failed.append)
        with pytest.raises(TypeError):
            result.get(PATIENCE)
    assert told == [16] and type(failed[0]) is TypeError


def test_progress_and_stats(executor):
    class Bar:
        total, n, closed = None, 0, False

        def update(self, count):
            self.n += count

        def close(self):
            self.closed = True

    with mp.Pool(executor=executor) as pool:
        bar = Bar()
        pool.map(square, range(20), progress=bar)
        assert (bar.total, bar.n, bar.closed) == (20, 20, True)
        bar = Bar()
        assert len(list(pool.imap(square, range(20), progress=bar))) == bar.n == 20
        stats = pool.stats()
        assert stats.items == 40 == sum(worker.items for worker in stats.workers)
        assert stats.calls == stats.tasks == 0 and stats.busy > 0
        assert all(str(worker.pid) in str(stats) for worker in stats.workers)


def test_close_and_join(executor):
    pool = mp.Pool(executor=executor)
    result = pool.map_async(square, range(100), 1)
    pool.close()
    pool.join()
    assert result.ready() and result.get() == [x * x for x in range(100)]
    with pytest.raises(ValueError, match="not running"):
        pool.apply(square, (1,))
    with mp.Pool(executor=executor) as another:  # the executor is there as before
        assert another.apply(square, (2,)) == 4


def test_terminate(executor, tmp_path):
    pool = mp.Pool(executor=executor)
    result = pool.map_async(wait_for, [str(tmp_path / "gate")] * 8, 1)
    pool.terminate()
    with pytest.raises(mp.BrokenPoolError, match="terminated"):
        result.get(PATIENCE)
    (tmp_path / "gate").touch()
    pool.join()


def test_no_more_are_under_way_than_asked_for(threads):
    most, now, lock = 0, 0, threading.Lock()

    def count(x):
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.005)
        with lock:
            now -= 1

    with mp.Pool(1, executor=threads) as pool:
        pool.map(count, range(20), 1)
    assert most == 1


def test_intake_is_lazy(executor):
    taken = itertools.count()
    with mp.Pool(executor=executor) as pool:
        results = pool.imap(square, (next(taken) for _ in range(1000)), buffersize=5)
        assert next(results) == 0
        assert next(taken) <= 8
        del results


# ---------------------------------------------------------------- failures


class Unpicklable(Exception):
    def __reduce__(self):
        raise TypeError("not to be pickled")


class Unloadable(Exception):
    def __init__(self, one, two):
        super().__init__(one)


def fail(x):
    raise {1: ValueError, 2: Unpicklable}.get(x, functools.partial(Unloadable, "two"))("one")


def test_exceptions_come_with_their_traceback(apart):
    with mp.Pool(executor=apart) as pool:
        with pytest.raises(ValueError, match="one") as caught:
            pool.apply(fail, (1,))
        assert "in fail" in str(caught.value.__cause__)
        # Where these libraries are, the second may be loaded after all: they teach pickle more.
        for x, what in (2, ()), (3, (Unloadable,)):
            with pytest.raises((mp.pool.MaybeEncodingError, *what)):
                pool.apply(fail, (x,))
        with pytest.raises(mp.pool.MaybeEncodingError):
            pool.apply(threading.Lock)
        assert pool.apply(square, (5,)) == 25


def test_what_cannot_be_sent_is_said_at_once(apart):
    with mp.Pool(executor=apart) as pool:
        with pytest.raises(TypeError, match="pickle"):
            pool.apply_async(square, (threading.Lock(),))
        told = []
        result = pool.apply_async(square, (threading.Lock(),), error_callback=told.append)
        result.wait(PATIENCE)
        assert type(told[0]) is TypeError
        results = pool.imap(str, [1, threading.Lock(), 3])
        assert next(results) == "1"
        with pytest.raises(TypeError):
            next(results)
        assert next(results) == "3"


def test_exactly_the_item_of_a_killed_worker_is_lost(cluster, tmp_path):
    """And nothing runs twice, whatever the cluster would do of itself."""
    with mp.Pool(1, executor=cluster) as pool:
        results = pool.imap(functools.partial(die_at, str(tmp_path), 3, 9), range(6))
        assert [next(results) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(mp.WorkerLostError, match="item 3: its worker was lost") as caught:
            next(results)
        assert caught.value.index == 3
        assert list(results) == [4, 5]
    assert [runs(tmp_path, x) for x in range(6)] == [1] * 6


def test_retries(cluster, tmp_path):
    die = functools.partial(die_at, str(tmp_path), 2, 2)
    with mp.Pool(1, executor=cluster, retries=2) as pool:
        assert pool.map(die, range(5), 1) == list(range(5))
        assert runs(tmp_path, 2) == 3
        with pytest.raises(mp.WorkerLostError):
            pool.apply(functools.partial(die_at, str(tmp_path), 7, 9), (7,), retries=1)
        assert runs(tmp_path, 7) == 2


def test_an_executor_that_breaks_breaks_its_pool(processes, tmp_path):
    with mp.Pool(1, executor=processes) as pool:
        with pytest.raises(mp.WorkerLostError):
            pool.apply(die_at, (str(tmp_path), 1, 9, 1))
        with pytest.raises(mp.BrokenPoolError, match="takes no more tasks"):
            pool.apply(square, (1,))


def test_an_executor_that_was_shut_down(threads):
    with mp.Pool(executor=threads) as pool:
        threads.shutdown()
        with pytest.raises(mp.BrokenPoolError, match="takes no more tasks"):
            pool.apply(square, (1,))


def leave(x):
    raise SystemExit(x)


def test_a_task_that_would_end_its_worker(executor):
    with mp.Pool(executor=executor) as pool:
        with pytest.raises(mp.WorkerLostError, match="SystemExit"):
            pool.apply(leave, (3,))


def test_a_task_that_takes_too_long(executor, tmp_path):
    gate = str(tmp_path / "gate")
    with mp.Pool(executor=executor) as pool:
        paths = [str(tmp_path), gate, str(tmp_path)]
        results = pool.imap(wait_for, paths, 3, timeout=0.3)
        assert next(results) == "came"
        with pytest.raises(mp.TaskTimeoutError, match="item 1: no result after 0.3 s") as caught:
            next(results)
        assert (caught.value.task, caught.value.index) == ("wait_for", 1)
        assert list(results) == ["came"]
        assert isinstance(caught.value, TimeoutError)
        open(gate, "x").close()  # the threads that were left behind end


def late_once(folder, gate, x):
    return wait_for(gate) if x == 1 and note(folder, x) == 1 else x


def test_what_took_too_long_is_tried_again_if_asked(executor, tmp_path):
    gate, folder = tmp_path / "gate", tmp_path / "runs"
    folder.mkdir()
    late = functools.partial(late_once, str(folder), str(gate))
    with mp.Pool(executor=executor, timeout=0.3, retries=1) as pool:
        assert list(pool.imap(late, range(4), 4)) == [0, 1, 2, 3]
    assert runs(folder, 1) == 2
    gate.touch()


# ---------------------------------------------------------------- initializers


def initialize(folder):
    note(folder, os.getpid())


def pid(_):
    return os.getpid()


def test_the_initializer_runs_once_in_each_process(executor, tmp_path):
    with mp.Pool(initializer=initialize, initargs=(str(tmp_path),), executor=executor) as pool:
        pids = set(pool.map(pid, range(40), 1))
        assert {runs(tmp_path, pid) for pid in pids} == {1}


def test_an_initializer_that_fails_ends_the_pool(executor):
    with mp.Pool(initializer=fail, initargs=(1,), executor=executor) as pool:
        with pytest.raises(mp.BrokenPoolError, match="initializer fail failed with ValueError"):
            pool.apply(square, (1,))


# ---------------------------------------------------------------- wrong use


@pytest.mark.parametrize("wrong", [object(), 7, "spark", square])
def test_what_is_no_executor(wrong):
    with pytest.raises(TypeError, match="executor is a concurrent.futures.Executor"):
        mp.Pool(executor=wrong)


def test_wrong_use(threads):
    with pytest.raises(ValueError, match="maxtasksperchild"):
        mp.Pool(maxtasksperchild=1, executor=threads)
    with pytest.raises(ValueError, match="either"):
        mp.Pool(executor=threads, backend="redis://localhost")
    with pytest.raises(ValueError):
        mp.Pool(0, executor=threads)
    with pytest.raises(TypeError, match="callable"):
        mp.Pool(1, "no function", executor=threads)

    class Own(Pool):
        pass

    with pytest.raises(TypeError, match="Own"):
        Own(executor=threads)


def test_a_pool_that_nobody_refers_to_ends(threads):
    pool = mp.Pool(executor=threads)
    sender = pool._crew._sender
    assert pool.apply(square, (2,)) == 4
    del pool
    until(lambda: not sender.is_alive(), "the sender's end")
