"""`ProcessPoolExecutor`, `progress=` and `stats()`."""

import asyncio
import io
import os
import signal
import threading
import time
from concurrent.futures import CancelledError, as_completed
from concurrent.futures import TimeoutError as FutureTimeoutError

import pytest
from support import PATIENCE, each_method, until

import procession as mp
from procession import ProcessPoolExecutor, TaskTimeoutError, WorkerLostError


def square(x):
    return x * x


def die(x):
    os.kill(os.getpid(), signal.SIGKILL)


@each_method
def test_submit_and_map(method):
    with ProcessPoolExecutor(2, mp.get_context(method)) as executor:
        futures = [executor.submit(square, i) for i in range(50)]
        assert sorted(f.result() for f in as_completed(futures)) == [i * i for i in range(50)]
        assert list(executor.map(pow, range(10), range(10))) == [i**i for i in range(10)]
        assert list(executor.map(square, range(100), chunksize=9)) == [i * i for i in range(100)]
        assert isinstance(executor.submit(divmod, 1, 0).exception(), ZeroDivisionError)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(square, 1)


def test_a_lost_worker_takes_one_call_with_it():
    with ProcessPoolExecutor(2) as executor:
        good, bad = executor.submit(square, 3), executor.submit(die, 3)
        assert good.result(PATIENCE) == 9
        with pytest.raises(WorkerLostError, match="SIGKILL"):
            bad.result(PATIENCE)
        assert executor.submit(square, 4).result(PATIENCE) == 16


def test_time_limits():
    with ProcessPoolExecutor(1, timeout=0.2) as executor:
        with pytest.raises(TaskTimeoutError):
            executor.submit(time.sleep, 60).result(PATIENCE)
    with ProcessPoolExecutor(1) as executor:
        results = executor.map(time.sleep, [0, 0.5], timeout=0.2)
        assert next(results) is None
        with pytest.raises(FutureTimeoutError):
            next(results)


def test_what_has_not_begun_can_be_cancelled():
    gate = mp.Event()
    with ProcessPoolExecutor(1) as executor:
        futures = [executor.submit(gate.wait, PATIENCE) for _ in range(10)]
        assert futures[-1].cancel() and not futures[0].cancel()
        stopper = threading.Thread(target=executor.shutdown, kwargs={"cancel_futures": True})
        stopper.start()
        until(futures[5].cancelled, "the cancellation")
        gate.set()
        stopper.join(PATIENCE)
    assert futures[0].result() is True
    with pytest.raises(CancelledError):
        futures[6].result()


def test_lazy_map():
    taken = []

    def items():
        for i in range(1000):
            taken.append(i)
            yield i

    with ProcessPoolExecutor(2) as executor:
        results = executor.map(square, items(), buffersize=5)
        assert next(results) == 0
        assert len(taken) <= 8
        assert list(results) == [i * i for i in range(1, 1000)]


def test_asyncio():
    async def run(executor):
        loop = asyncio.get_running_loop()
        calls = [loop.run_in_executor(executor, square, i) for i in range(20)]
        return await asyncio.gather(*calls)

    with ProcessPoolExecutor(2) as executor:
        assert asyncio.run(run(executor)) == [i * i for i in range(20)]


class Bar:
    total = None

    def __init__(self):
        self.n, self.closed = 0, False

    def update(self, count):
        self.n += count

    def close(self):
        self.closed = True


def test_progress(monkeypatch):
    with mp.Pool(2) as pool:
        for call in (pool.map, pool.imap, pool.imap_unordered):
            bar = Bar()
            assert sorted(call(square, range(100), progress=bar)) == [i * i for i in range(100)]
            assert (bar.n, bar.total, bar.closed) == (100, 100, True)
        monkeypatch.setitem(__import__("sys").modules, "tqdm.auto", None)
        text = io.StringIO()
        monkeypatch.setattr("sys.stderr", text)
        pool.map(square, range(10), progress=True)
        assert text.getvalue().endswith("10/10\n")
    pool.join()


def test_stats():
    gate = mp.Event()
    with mp.Pool(2) as pool:
        pool.map(square, range(10))
        result = pool.apply_async(gate.wait, (PATIENCE,))
        until(lambda: any(w.task for w in pool.stats().workers), "the task")
        stats = pool.stats()
        assert (stats.calls, stats.tasks, stats.items) == (1, 1, 10)
        (worker,) = [w for w in stats.workers if w.task]
        assert worker.task.endswith("wait") and worker.memory > 1 << 20
        assert {w.pid for w in stats.workers} <= {w.pid for w in pool._pool} | {0}
        assert str(worker.pid) in str(stats) and "2 workers" in str(stats)
        gate.set()
        assert result.get(PATIENCE)
    pool.join()
