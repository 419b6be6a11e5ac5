"""The back end for joblib."""

import os
import signal
import sys
import time
import warnings

import pytest

joblib = pytest.importorskip("joblib")

from joblib import Parallel, delayed, parallel_config  # noqa: E402

import procession as mp  # noqa: E402
from procession import WorkerLostError  # noqa: E402

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def registered():
    mp.register_joblib()


def parallel(**options):
    return Parallel(n_jobs=2, backend="procession", **options)


def square(x):
    return x * x


def fail_at_three(x):
    if x == 3:
        raise ValueError("three")
    return x


def die_at_three(x):
    if x == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def where(_):
    return os.getpid(), mp.current_process().name


def test_results_in_their_order():
    assert parallel()(delayed(square)(i) for i in range(50)) == [i * i for i in range(50)]


def test_it_runs_in_a_pool():
    places = parallel()(delayed(where)(i) for i in range(10))
    assert os.getpid() not in {pid for pid, _ in places}
    assert all("PoolWorker" in name for _, name in places)


def test_lambdas():
    assert parallel()(delayed(lambda x: x + 1)(i) for i in range(3)) == [1, 2, 3]


def test_many_short_calls_go_in_batches():
    assert sum(parallel()(delayed(square)(1) for _ in range(20_000))) == 20_000


def test_an_exception():
    with pytest.raises(ValueError, match="three") as caught:
        parallel()(delayed(fail_at_three)(i) for i in range(10))
    assert "in fail_at_three" in str(caught.value.__cause__)


def test_what_is_no_exception():
    with pytest.raises(SystemExit) as caught:
        parallel()(delayed(sys.exit)(3) for _ in range(4))
    assert caught.value.code == 3


def test_a_killed_worker():
    with pytest.raises(WorkerLostError, match="die_at_three.*SIGKILL"):
        parallel()(delayed(die_at_three)(i) for i in range(10))


def kill_once(marker):
    try:
        os.mkdir(marker)
    except FileExistsError:
        return "again"
    os.kill(os.getpid(), signal.SIGKILL)


def test_options_of_the_pool(tmp_path):
    with parallel_config(backend="procession", n_jobs=2, retries=1):
        assert Parallel()([delayed(kill_once)(tmp_path / "marker")]) == ["again"]


def test_a_time_limit():
    gate = mp.Event()
    with pytest.raises(mp.TimeoutError):
        parallel(timeout=0.2)(delayed(gate.wait)(60) for _ in range(4))


def nested(n, **options):
    return Parallel(n_jobs=2, **options)(delayed(square)(i) for i in range(n))


def test_nested_calls_run_in_threads():
    found = parallel()(delayed(nested)(n) for n in range(4))
    assert found == [[i * i for i in range(n)] for n in range(4)]


def nested_here(n):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = nested(n, backend="procession")
    return found, [str(each.message) for each in caught]


def test_a_worker_has_no_workers():
    ((found, told),) = set_aside(parallel()([delayed(nested_here)(3)] * 2))
    assert found == [0, 1, 4]
    assert any("cannot have workers" in text for text in told)


def set_aside(results):
    """Each of several equal results once."""
    return [each for at, each in enumerate(results) if each not in results[:at]]


def test_workers_that_may():
    with parallel_config(backend="procession", n_jobs=2, daemon=False):
        found = Parallel()([delayed(nested_here)(3)] * 2)
    assert found == [([0, 1, 4], [])] * 2


def test_one_job_needs_no_pool():
    assert Parallel(n_jobs=1, backend="procession")([delayed(os.getpid)()]) == [os.getpid()]


def test_impossible_numbers_of_jobs():
    with pytest.raises(ValueError, match="n_jobs == 0"):
        Parallel(n_jobs=0, backend="procession")([delayed(os.getpid)()])


def test_large_arrays():
    numpy = pytest.importorskip("numpy")
    arrays = [numpy.full(1 << 18, i) for i in range(6)]
    assert parallel()(delayed(numpy.sum)(a) for a in arrays) == [i << 18 for i in range(6)]
    back = parallel()(delayed(numpy.add)(a, 1) for a in arrays)
    assert [int(a[-1]) for a in back] == [1, 2, 3, 4, 5, 6]
    assert all(a.flags.writeable for a in back)


@pytest.mark.parametrize("form", ["generator", "generator_unordered"])
def test_results_one_by_one(form):
    results = parallel(return_as=form)(delayed(square)(i) for i in range(30))
    assert sorted(results) == [i * i for i in range(30)]


def test_a_generator_that_is_left_ends_the_pool():
    gate = mp.Event()
    calls = [delayed(square)(3), *(delayed(gate.wait)(60) for _ in range(5))]
    results = parallel(return_as="generator", batch_size=1)(calls)
    assert next(results) == 9
    began = time.monotonic()
    with pytest.warns(UserWarning, match="cancelled"):
        results.close()
    assert time.monotonic() - began < 30 and not mp.active_children()


def test_one_pool_for_several_calls():
    with parallel() as pool:
        first = {pid for pid, _ in pool(delayed(where)(i) for i in range(10))}
        again = {pid for pid, _ in pool(delayed(where)(i) for i in range(10))}
        assert len(first | again) <= 2
        with pytest.raises(ValueError, match="three"):
            pool(delayed(fail_at_three)(3) for _ in range(2))
        # What joblib itself had left over of the failed call may come first.
        assert pool(delayed(square)(i) for i in range(3))[-3:] == [0, 1, 4]
