"""`progress=` and `stats()`: what a pool shows."""

import io
import sys
import types

import pytest
from support import PATIENCE, until

import procession as mp

pytestmark = [pytest.mark.both_backends(workers=2), pytest.mark.timeout(60)]


def square(x):
    return x * x


def fail_at_three(x):
    if x == 3:
        raise ValueError("three")
    return x


def starmap(pool, function, items, **options):
    return pool.starmap(function, [(item,) for item in items], **options)


CALLS = {
    "map": mp.pool.Pool.map,
    "starmap": starmap,
    "imap": mp.pool.Pool.imap,
    "imap_unordered": mp.pool.Pool.imap_unordered,
}
each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@pytest.fixture(scope="module", params=["Pool", "ThreadPool"])
def pool(request, backend):
    make = mp.Pool if request.param == "Pool" else mp.pool.ThreadPool
    with make(2) as pool:
        yield pool
    pool.join()


class Bar:
    total = None

    def __init__(self, total=None):
        self.n, self.closed, self.total = 0, False, total

    def update(self, count):
        assert not self.closed
        self.n += count

    def close(self):
        self.closed = True


@each_call
def test_a_bar_of_ones_own(pool, call):
    bar = Bar()
    assert sorted(call(pool, square, range(100), progress=bar)) == [i * i for i in range(100)]
    assert (bar.n, bar.total, bar.closed) == (100, 100, True)


@each_call
def test_without_tqdm_a_line(pool, call, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    assert len(list(call(pool, square, range(30), progress=True))) == 30
    shown = capsys.readouterr().err
    assert shown.startswith("\r") and shown.endswith("30/30\n")


@each_call
def test_with_tqdm(pool, call, capsys):
    pytest.importorskip("tqdm")
    assert len(list(call(pool, square, range(30), progress=True))) == 30
    shown = capsys.readouterr().err
    assert "30/30" in shown and shown.endswith("\n")


@each_call
def test_a_tqdm_of_ones_own(pool, call):
    tqdm, shown = pytest.importorskip("tqdm").tqdm, io.StringIO()
    bar = tqdm(desc="squares", file=shown, mininterval=0)
    assert len(list(call(pool, square, range(30), progress=bar))) == 30
    assert (bar.n, bar.total) == (30, 30)
    assert "squares: 100%" in shown.getvalue() and "30/30" in shown.getvalue()


@each_call
def test_the_bar_that_tqdm_chooses(pool, call, monkeypatch):
    """In a notebook that is another class."""
    made = []

    class NotebookBar(Bar):
        def __init__(self, total=None):
            super().__init__(total)
            made.append(self)

    chooser = types.ModuleType("tqdm.auto")
    chooser.tqdm = NotebookBar
    monkeypatch.setitem(sys.modules, "tqdm.auto", chooser)
    assert len(list(call(pool, square, range(30), progress=True))) == 30
    assert [(bar.n, bar.total, bar.closed) for bar in made] == [(30, 30, True)]


@pytest.mark.parametrize("progress", [None, False])
def test_no_bar(pool, progress, capsys):
    assert pool.map(square, range(3), progress=progress) == [0, 1, 4]
    assert list(pool.imap(square, range(3), progress=progress)) == [0, 1, 4]
    assert capsys.readouterr().err == ""


def test_an_iterator_has_no_length(pool):
    bar = Bar()
    assert len(list(pool.imap(square, iter(range(30)), progress=bar))) == 30
    assert (bar.n, bar.total, bar.closed) == (30, None, True)


@pytest.mark.parametrize("call", [mp.pool.Pool.map, starmap], ids=["map", "starmap"])
def test_a_call_that_fails_closes_its_bar(pool, call):
    bar = Bar()
    with pytest.raises(ValueError, match="three"):
        call(pool, fail_at_three, range(10), progress=bar)
    assert bar.closed


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
def test_an_iterator_goes_on_after_an_error(pool, name):
    bar, good = Bar(), []
    results = getattr(pool, name)(fail_at_three, range(6), progress=bar)
    assert iter(results) is results
    while True:
        try:
            good.append(next(results))
        except ValueError:
            continue
        except StopIteration:
            break
    assert sorted(good) == [0, 1, 2, 4, 5] and (bar.n, bar.closed) == (6, True)


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
def test_next_with_a_time_limit(pool, name):
    gate, bar = mp.Event(), Bar()
    results = getattr(pool, name)(gate.wait, [PATIENCE], progress=bar)
    with pytest.raises(mp.TimeoutError):
        results.next(timeout=0.01)
    assert (bar.n, bar.closed) == (0, False)
    gate.set()
    assert results.next(PATIENCE) is True
    with pytest.raises(StopIteration):
        results.next(PATIENCE)
    assert (bar.n, bar.closed) == (1, True)


def test_an_iterator_that_is_left_closes_its_bar(pool):
    bar = Bar()
    results = pool.imap(square, range(10), progress=bar)
    assert next(results) == 0
    del results
    assert (bar.n, bar.closed) == (1, True)
    bar = Bar()
    results = pool.imap(square, range(3), progress=bar)
    results.close()
    assert bar.closed and list(results) == [0, 1, 4]


def test_an_executors_results_go_through_tqdm():
    tqdm, shown = pytest.importorskip("tqdm").tqdm, io.StringIO()
    with mp.ProcessPoolExecutor(2) as executor:
        results = tqdm(executor.map(square, range(30)), total=30, file=shown)
        assert list(results) == [i * i for i in range(30)]
    assert "30/30" in shown.getvalue()


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


def test_stats_of_an_executor():
    with mp.ProcessPoolExecutor(2) as executor:
        assert executor.stats().workers == () and "0 workers" in str(executor.stats())
        assert list(executor.map(square, range(10))) == [i * i for i in range(10)]
        assert (len(executor.stats().workers), executor.stats().items) == (2, 10)
