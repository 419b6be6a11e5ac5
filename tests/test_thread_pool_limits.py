"""ThreadPool: time limits, and how it is seen."""

import time

import pytest
from support import PATIENCE, until
from thread_pools import ended, gate, pool, square  # noqa: F401

from procession.pool import TaskTimeoutError, ThreadPool

# Fixtures are imported, and asked for by their names.
# ruff: noqa: F811

pytestmark = pytest.mark.timeout(40)


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
