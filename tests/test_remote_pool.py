"""Pools over a server: the face, exceptions, limits, initializers, what a program sees."""

import gc
import os
import pickle
import subprocess
import sys
import threading
import time

import pytest
from pool_workers import PATIENCE, until, working

import procession
from procession import BrokenPoolError, ProcessPoolExecutor, TaskTimeoutError, WorkerLostError
from procession.remote.pool import named

pytestmark = pytest.mark.timeout(60)


def square(x):
    return x * x


def add(a, b=0):
    return a + b


def five(x):
    if x == 5:
        raise KeyError("five", x)
    return x


def pid_of(_):
    return os.getpid()


def kill_at_three(x):
    if x == 3:
        os.kill(os.getpid(), 9)
    return x


def sleep(seconds):
    time.sleep(seconds)
    return seconds


started = []


def start(value):
    started.append(value)


def has_started(_):
    return os.getpid(), list(started)


def fail_to_start():
    raise ValueError("no start")


def generator(_):
    return (x for x in ())


def marks(path):
    """Kills its process the first time that it is called with this."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return "again"
    os.kill(os.getpid(), 9)


class Own:
    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return type(other) is Own and other.x == self.x


@pytest.fixture
def url(remote_server):
    return remote_server.url(lease=2)


@pytest.fixture
def pool(url):
    with working(url), procession.Pool(backend=url) as pool:
        yield pool
    pool.join()
    del pool
    gc.collect()


def test_the_face_is_the_pools(pool):
    assert pool.apply(add, (1,), {"b": 2}) == 3
    assert pool.map(square, range(100)) == [x * x for x in range(100)]
    assert pool.map(square, [], 3) == []
    assert pool.starmap(add, [(1, 2), (3, 4)]) == [3, 7]
    assert list(pool.imap(square, range(50))) == [x * x for x in range(50)]
    assert list(pool.imap(square, iter(range(50)), chunksize=7)) == [x * x for x in range(50)]
    assert sorted(pool.imap_unordered(square, range(50), 4)) == [x * x for x in range(50)]
    assert pool.map_async(square, range(9)).get(PATIENCE) == [x * x for x in range(9)]
    assert pool.starmap_async(add, [(1, 2)]).get(PATIENCE) == [3]


def test_callbacks_are_told(pool):
    told, failed = [], []
    done = pool.apply_async(square, (3,), callback=told.append)
    gone = pool.map_async(five, range(9), error_callback=failed.append)
    assert done.get(PATIENCE) == 9
    gone.wait(PATIENCE)
    assert told == [9]
    assert [type(error) for error in failed] == [KeyError]


def test_an_exception_comes_with_its_traceback(pool):
    with pytest.raises(KeyError) as caught:
        pool.map(five, range(10))
    assert caught.value.args == ("five", 5)
    assert "in five" in str(caught.value.__cause__)


def test_items_around_one_that_fails_are_done(pool):
    found, results = [], pool.imap(five, range(8), chunksize=4)
    for _ in range(8):
        try:
            found.append(next(results))
        except KeyError:
            found.append(None)
    assert found == [0, 1, 2, 3, 4, None, 6, 7]


def test_objects_go_both_ways(pool):
    assert pool.map(Own, [1, 2]) == [Own(1), Own(2)]
    large = bytes(range(256)) * 5000
    assert pool.map(bytes.upper, [large, large]) == [large.upper()] * 2
    assert pool.apply(lambda: [large, len(large)]) == [large, len(large)]


def test_what_cannot_be_sent_says_so(pool):
    with pytest.raises(TypeError):
        pool.apply_async(square, (threading.Lock(),))
    with pytest.raises(procession.pool.MaybeEncodingError):
        pool.apply(generator, (1,))
    results = pool.imap(Own, [1, threading.Lock(), 3], chunksize=3)
    assert next(results) == Own(1)
    with pytest.raises(TypeError):
        next(results)
    assert next(results) == Own(3)


def test_an_arena_object_is_refused(pool):
    with pytest.raises(Exception, match="procession.get_context|shared memory|inheritance"):
        pool.apply(square, (procession.Queue(),))
    assert pool.apply(square, (2,)) == 4


def test_a_worker_that_dies_takes_its_item_only(pool):
    found, results = [], pool.imap(kill_at_three, range(6), chunksize=6)
    for _ in range(6):
        try:
            found.append(next(results))
        except WorkerLostError as error:
            found.append(error)
    lost = found[3]
    assert [*found[:3], *found[4:]] == [0, 1, 2, 4, 5]
    assert (lost.task, lost.index, lost.exitcode) == ("kill_at_three", 3, -9)
    assert "killed by SIGKILL" in str(lost)
    assert f"{lost.pid} on {os.uname().nodename}" in str(lost)


def test_a_lost_item_is_tried_again(pool, tmp_path):
    paths = [str(tmp_path / str(n)) for n in range(3)]
    assert pool.map(marks, paths, retries=1) == ["again"] * 3


def test_who_takes_too_long_is_ended(pool):
    with pytest.raises(TaskTimeoutError, match=r"sleep: no result after 0\.2 s"):
        pool.apply(sleep, (60,), timeout=0.2)
    assert pool.apply(square, (3,)) == 9


def test_the_initializer_runs_once_in_each_process(url):
    with working(url), procession.Pool(None, start, ("x",), backend=url) as pool:
        found = dict(pool.map(has_started, range(20), chunksize=1))
        assert set(map(tuple, found.values())) == {("x",)}


def test_a_pool_whose_initializer_fails_is_broken(url):
    with working(url), procession.Pool(None, fail_to_start, backend=url) as pool:
        with pytest.raises(BrokenPoolError, match="fail_to_start"):
            pool.apply(square, (1,))
        with pytest.raises(BrokenPoolError):
            pool.apply(square, (1,))


def test_another_pool_goes_on_beside_a_broken_one(url):
    with working(url), procession.Pool(backend=url) as sound:
        with procession.Pool(None, fail_to_start, backend=url) as broken:
            failed = broken.apply_async(square, (1,))
            assert sound.map(square, range(10)) == [x * x for x in range(10)]
            with pytest.raises(BrokenPoolError):
                failed.get(PATIENCE)
        assert sound.apply(square, (4,)) == 16


def test_processes_are_replaced_after_their_tasks(url):
    with working(url, processes=1), procession.Pool(maxtasksperchild=2, backend=url) as pool:
        pids = pool.map(pid_of, range(6), chunksize=1)
    assert len(set(pids)) == 3


def test_without_workers_calls_wait(url):
    with procession.Pool(backend=url) as pool:
        call = pool.map_async(square, range(5))
        assert pool.stats().workers == ()
        call.wait(0.2)
        assert not call.ready()
        with working(url):
            assert call.get(PATIENCE) == [0, 1, 4, 9, 16]


def test_stats_say_what_workers_do(pool):
    call = pool.apply_async(sleep, (2,))
    shown = until(lambda: [worker for worker in pool.stats().workers if worker.task == "sleep"])
    assert len(pool.stats().workers) == 2
    assert str(shown[0].pid).startswith(f"{os.uname().nodename}:")
    assert "sleep" in str(pool.stats())
    assert call.get(PATIENCE) == 2
    assert pool.stats().items == 1


def test_a_bar_counts_items(pool):
    class Bar:
        total, n = None, 0

        def update(self, count):
            self.n += count

        def close(self):
            pass

    bar = Bar()
    assert len(pool.map(square, range(40), progress=bar)) == 40
    assert (bar.total, bar.n) == (40, 40)


def test_close_does_what_there_is(url):
    with working(url):
        pool = procession.Pool(backend=url)
        call = pool.map_async(square, range(200), chunksize=1)
        pool.close()
        with pytest.raises(ValueError, match="not running"):
            pool.apply(square, (1,))
        pool.join()
        assert call.get(0) == [x * x for x in range(200)]


def test_terminate_ends_what_is_under_way(url, remote_server):
    with working(url) as worker:
        pool = procession.Pool(backend=url)
        call = pool.apply_async(sleep, (60,))
        until(lambda: [w for w in pool.stats().workers if w.task == "sleep"])
        pool.terminate()
        pool.join()
        with pytest.raises(BrokenPoolError):
            call.get(0)
        # The worker ends what it has for a pool that is no more.
        with procession.Pool(backend=url) as other:
            assert other.map(square, range(4), chunksize=1) == [0, 1, 4, 9]
            until(lambda: not [key for key in remote_server.keys() if b"held" in key.encode()])
        assert worker.end() == 0


def test_no_more_than_asked_for_are_at_work(url):
    with working(url, processes=3), procession.Pool(1, backend=url) as pool:
        began = time.monotonic()
        pool.map(sleep, [0.1] * 4, chunksize=1)
        assert time.monotonic() - began >= 0.4


def test_pools_take_turns(url):
    with working(url, processes=1):
        with procession.Pool(backend=url) as one, procession.Pool(backend=url) as two:
            assert [one.apply(square, (2,)), two.apply(square, (3,))] == [4, 9]
            long = one.map_async(sleep, [0.02] * 200, chunksize=1)
            assert two.apply(square, (4,)) == 16
            assert not long.ready()


def test_a_queue_has_its_own_workers(url):
    with working(url, "--queue", "other"), procession.Pool(backend=url) as pool:
        call = pool.apply_async(square, (3,))
        with procession.Pool(backend=url, queue="other") as other:
            assert other.apply(square, (2,)) == 4
        assert not call.ready()


def test_without_pickles_named_functions_and_plain_data_go(url):
    with working(url, "--no-pickle"):
        with procession.Pool(backend=url, allow_pickle=False) as pool:
            assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]
            with pytest.raises(KeyError, match="five") as caught:
                pool.map(five, range(10))
            assert "in five" in str(caught.value.__cause__)
            with pytest.raises(pickle.PicklingError):
                pool.apply(lambda: 1)
            with pytest.raises(pickle.PicklingError):
                pool.apply(square, (Own(1),))
        with procession.Pool(backend=url) as pool:
            with pytest.raises(pickle.UnpicklingError, match="no-pickle"):
                pool.apply(lambda: 1)
            with pytest.raises(pickle.UnpicklingError, match="no-pickle"):
                pool.apply(square, (Own(1),))


def test_nobody_serves_that_name(url):
    with procession.Pool(backend=url) as pool:
        with working(url):
            call = pool.apply_async(named("resize"), (1,))
            assert pool.apply(square, (3,)) == 9
            assert not call.ready()  # it waits for the one who can


def test_the_context_has_a_pool(url):
    context = procession.get_context(url)
    with working(url), context.Pool() as pool:
        assert pool.map(square, range(3)) == [0, 1, 4]


def test_remote_objects_are_arguments(own_server):
    url = own_server().url("arguments", lease=2)
    context = procession.get_context(url, allow_pickle=True)
    queue = context.Queue()
    with working(url), context.Pool() as pool:
        pool.apply(queue.put, (7,))
        assert queue.get(timeout=PATIENCE) == 7
    del queue, context


def test_the_executor(url):
    with working(url), ProcessPoolExecutor(backend=url) as executor:
        assert executor.submit(add, 1, b=2).result(PATIENCE) == 3
        assert list(executor.map(square, range(20), chunksize=3)) == [x * x for x in range(20)]
        assert list(executor.map(square, iter(range(9)), buffersize=2)) == [x * x for x in range(9)]
        assert isinstance(executor.submit(five, 5).exception(PATIENCE), KeyError)
        lost = executor.submit(kill_at_three, 3).exception(PATIENCE)
        assert isinstance(lost, WorkerLostError)
        assert type(lost).__module__.endswith("_executor")
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(square, 1)


def test_an_executor_is_cancelled(url):
    with working(url, processes=1):
        executor = ProcessPoolExecutor(1, backend=url)
        futures = [executor.submit(sleep, 0.2) for _ in range(10)]
        until(futures[0].running)
        executor.shutdown(cancel_futures=True)
        assert futures[0].result(0) == 0.2
        assert futures[-1].cancelled()


MAIN = """
import sys
import procession

class Point:
    def __init__(self, x):
        self.x = x

def double(point):
    return Point(2 * point.x)

if __name__ == "__main__":
    with procession.Pool(backend=sys.argv[1]) as pool:
        points = pool.map(double, [Point(1), Point(2)])
        print([type(point) is Point and point.x for point in points])
"""


def test_a_programs_own_functions_go_by_value(url, tmp_path):
    (tmp_path / "main.py").write_text(MAIN)
    with working(url):
        command = [sys.executable, str(tmp_path / "main.py"), url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.stdout, done.stderr) == ("[2, 4]\n", "")


def test_a_worker_says_why_it_cannot_serve():
    command = [sys.executable, "-m", "procession", "worker"]
    for address, why in (
        ("redis://127.0.0.1:1/?timeout=0.1", "can't be reached"),
        ("http://x", "redis"),
    ):
        done = subprocess.run([*command, address], capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 2
        assert why in done.stderr
