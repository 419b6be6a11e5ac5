"""`ProcessPoolExecutor`: calls, futures and maps. What `each_executor` demands is what theirs does.

How an executor ends is in test_executor_end.py.
"""

import asyncio
import concurrent.futures
import functools
import gc
import itertools
import os
import pickle
import signal
import sys
import threading
import time
import weakref
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, as_completed, wait
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.process import BrokenProcessPool

import backends
import pytest
from support import PATIENCE, each_method, until

import procession as mp
from procession import ProcessPoolExecutor, TaskTimeoutError, WorkerLostError

pytestmark = [pytest.mark.both_backends(workers=1), pytest.mark.timeout(60)]
# Under a start method that makes no forks beside threads.
spawned = functools.partial(
    concurrent.futures.ProcessPoolExecutor, mp_context=mp.get_context("spawn")
)


def ours(*arguments, **options):
    return backends.current.executor(*arguments, **options)


of_theirs = pytest.mark.of_the_arena("what theirs do, which is demanded of ours")
each_executor = pytest.mark.parametrize(
    "kind",
    [pytest.param(spawned, id="stdlib", marks=of_theirs), pytest.param(ours, id="procession")],
)


def square(x):
    return x * x


def die(x):
    os.kill(os.getpid(), signal.SIGKILL)


def fail(error):
    raise error


def fail_at(x, bad, error):
    if x == bad:
        raise error
    return x


class NoPickle:
    def __reduce__(self):
        raise RuntimeError("no pickle of this")


def unpicklable(x):
    return NoPickle()


@each_method
def test_submit_and_map(method):
    with ProcessPoolExecutor(2, mp.get_context(method)) as executor:
        futures = [executor.submit(square, i) for i in range(50)]
        assert sorted(f.result() for f in as_completed(futures)) == [i * i for i in range(50)]
        assert list(executor.map(pow, range(10), range(10))) == [i**i for i in range(10)]
        assert list(executor.map(square, range(100), chunksize=9)) == [i * i for i in range(100)]
        assert isinstance(executor.submit(divmod, 1, 0).exception(), ZeroDivisionError)


def test_lambdas():
    with ProcessPoolExecutor(1) as executor:
        assert executor.submit(lambda x: x + 1, 3).result(PATIENCE) == 4
        assert list(executor.map(lambda x: x + 1, range(3))) == [1, 2, 3]


def test_it_is_one_of_theirs():
    with ProcessPoolExecutor(1) as executor:
        assert isinstance(executor, concurrent.futures.Executor)
        assert isinstance(executor, concurrent.futures.ProcessPoolExecutor)


def report(value, *, key):
    return value, key, mp.current_process().daemon


def test_arguments_by_keyword():
    with ProcessPoolExecutor(1) as executor:
        # Not daemons: they may have children, as theirs may.
        assert executor.submit(report, 1, key=2).result(PATIENCE) == (1, 2, False)


def have_a_child():
    child = mp.Process(target=square, args=(2,))
    child.start()
    child.join(PATIENCE)
    return child.exitcode


@each_executor
def test_workers_may_have_children(kind):
    with kind(1) as executor:
        assert executor.submit(have_a_child).result(PATIENCE) == 0


WORLD = []


def world():
    return list(WORLD)


@pytest.mark.of_the_arena("its forks")
def test_workers_start_with_the_first_call(monkeypatch):
    executor = ProcessPoolExecutor(1, mp.get_context("fork"))
    assert executor._processes == {} and not mp.active_children()
    monkeypatch.setattr(sys.modules[__name__], "WORLD", ["since"])
    with executor:
        assert executor.submit(world).result(PATIENCE) == ["since"]


# ---------------------------------------------------------------- what is raised


@each_executor
@pytest.mark.parametrize(
    "error",
    [ValueError(1), SystemExit(4), GeneratorExit("now"), asyncio.CancelledError("why")],
    ids=lambda error: type(error).__name__,
)
def test_whatever_is_raised_is_on_the_future(kind, error):
    with kind(1) as executor:
        pid = executor.submit(os.getpid).result(PATIENCE)
        found = executor.submit(fail, error).exception(PATIENCE)
        assert type(found) is type(error) and found.args == error.args
        assert type(found.__cause__) is concurrent.futures.process._RemoteTraceback
        text = str(found.__cause__)
        assert text.startswith('\n"""\nTraceback') and text.endswith('\n"""') and "in fail" in text
        with pytest.raises(type(error)):
            list(executor.map(fail, [error]))
        assert executor.submit(os.getpid).result(PATIENCE) == pid


def test_ctrl_c_in_a_worker_ends_it():
    with ProcessPoolExecutor(1) as executor:
        with pytest.raises(WorkerLostError):
            executor.submit(fail, KeyboardInterrupt()).result(PATIENCE)
        assert executor.submit(square, 4).result(PATIENCE) == 16


@each_executor
@pytest.mark.parametrize("call", ["submit", "map"])
def test_pickling_errors_are_on_the_future(kind, call):
    with kind(1) as executor:
        for function, argument in [(square, NoPickle()), (unpicklable, 1)]:
            with pytest.raises(RuntimeError, match="no pickle of this"):
                if call == "submit":
                    executor.submit(function, argument).result(PATIENCE)
                else:
                    list(executor.map(function, [argument]))
        assert executor.submit(square, 4).result(PATIENCE) == 16


@each_executor
@pytest.mark.parametrize("chunksize", [1, 2])
def test_stop_iteration_does_not_end_a_map(kind, chunksize):
    function = functools.partial(fail_at, bad=2, error=StopIteration(7))
    with kind(1) as executor:
        with pytest.raises(RuntimeError, match="generator raised StopIteration"):
            list(executor.map(function, range(5), chunksize=chunksize))


@each_executor
def test_a_functions_own_time_out_is_not_the_maps(kind):
    for error in TimeoutError("mine"), mp.TimeoutError("mine"):
        with kind(1) as executor:
            results = executor.map(functools.partial(fail_at, bad=1, error=error), range(3))
            assert next(results) == 0
            with pytest.raises(type(error), match="mine"):
                next(results)


def test_a_lost_worker_takes_one_call_with_it():
    with ProcessPoolExecutor(2) as executor:
        good, bad = executor.submit(square, 3), executor.submit(die, 3)
        assert good.result(PATIENCE) == 9
        with pytest.raises(WorkerLostError, match="SIGKILL") as caught:
            bad.result(PATIENCE)
        error = caught.value
        assert isinstance(error, BrokenProcessPool) and error.signal == signal.SIGKILL
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error) and vars(again) == vars(error)
        assert (again.task, again.index, again.exitcode) == ("die", 0, -signal.SIGKILL)
        with pytest.raises(WorkerLostError):
            list(executor.map(die, [1]))
        assert executor.submit(square, 4).result(PATIENCE) == 16
        assert executor._broken is False


def test_a_pools_errors_are_its_own():
    with mp.Pool(1) as pool:
        with pytest.raises(WorkerLostError) as caught:
            pool.apply(die, (1,))
    assert not isinstance(caught.value, BrokenProcessPool)
    pool.join()


def test_time_limits():
    with ProcessPoolExecutor(1, timeout=0.2) as executor:
        with pytest.raises(TaskTimeoutError, match="0.2 s") as caught:
            executor.submit(time.sleep, 60).result(PATIENCE)
    error = caught.value
    assert isinstance(error, WorkerLostError) and isinstance(error, BrokenProcessPool)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


# ---------------------------------------------------------------- cancelling and waiting


@each_executor
def test_states(kind):
    gate = mp.Manager() if kind is spawned else None
    event = gate.Event() if gate else mp.Event()
    try:
        with kind(1) as executor:
            futures = [executor.submit(event.wait, PATIENCE) for _ in range(8)]
            until(futures[0].running, "the first call")
            # The one that runs and the next are beyond recall.
            until(futures[1].running, "the second call")
            assert not futures[0].cancel() and not futures[1].cancel()
            assert [f.running() for f in futures[2:]] == [False] * 6
            assert [f.cancel() for f in futures[2:7]] == [True] * 5
            told = []
            futures[7].add_done_callback(told.append)
            assert wait(futures, 0, FIRST_COMPLETED).done <= set(futures[2:7])
            event.set()
            assert wait(futures, PATIENCE, ALL_COMPLETED).not_done == set()
            assert [f.cancelled() for f in futures] == [False] * 2 + [True] * 5 + [False]
            until(lambda: told == [futures[7]], "the callback")
            assert set(as_completed(futures, PATIENCE)) == set(futures)
            assert futures[0].result() is True
    finally:
        if gate:
            gate.shutdown()


def test_the_calls_under_way_can_be_counted():
    gate = mp.Event()
    with ProcessPoolExecutor(1) as executor:
        futures = [executor.submit(gate.wait, PATIENCE) for _ in range(10)]
        assert len(executor._pending_work_items) == 10
        gate.set()
        wait(futures, PATIENCE)
        until(lambda: not executor._pending_work_items, "the last call")


def test_asyncio():
    async def run(executor):
        loop = asyncio.get_running_loop()
        calls = [loop.run_in_executor(executor, square, i) for i in range(20)]
        return await asyncio.gather(*calls)

    with ProcessPoolExecutor(2) as executor:
        assert asyncio.run(run(executor)) == [i * i for i in range(20)]


def test_asyncio_cancels_what_has_not_begun():
    gate = mp.Event()

    async def run(executor):
        loop = asyncio.get_running_loop()
        calls = [loop.run_in_executor(executor, gate.wait, PATIENCE) for _ in range(10)]
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(calls[0], 0.01)
        assert all(call.cancel() for call in calls[1:])
        found = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(each, asyncio.CancelledError) for each in found)
        until(lambda: len(executor._pending_work_items) == 10, "the calls")
        gate.set()
        return await loop.run_in_executor(executor, square, 3)

    with ProcessPoolExecutor(1) as executor:
        assert asyncio.run(run(executor)) == 9


# ---------------------------------------------------------------- map


def test_a_map_with_a_time_limit():
    gate = mp.Event()
    with ProcessPoolExecutor(1) as executor:
        assert executor.submit(square, 3).result(PATIENCE) == 9  # its worker is there
        results = executor.map(gate.wait, [0, PATIENCE, PATIENCE], timeout=2)
        assert next(results) is False
        with pytest.raises(FutureTimeoutError):
            next(results)
        gate.set()


def note_and_wait(names, gate, n):
    names.put(n)
    gate.wait(PATIENCE)
    return n


@pytest.mark.parametrize("end", ["close", "drop", "error", "time limit"])
def test_a_map_that_is_left_drops_what_has_not_begun(end):
    names, gate = mp.Queue(), mp.Event()
    call = functools.partial(note_and_wait, names, gate)
    first = functools.partial(fail_at, bad=0, error=ValueError("first"))
    with ProcessPoolExecutor(1) as executor:
        assert executor.submit(square, 3).result(PATIENCE) == 9  # its worker is there
        timeout = 2 if end == "time limit" else None
        calls = [first if end == "error" else square, *[call] * 1000]
        results = executor.map(apply, calls, range(1001), timeout=timeout)
        if end == "error":
            with pytest.raises(ValueError, match="first"):
                next(results)
        else:
            assert next(results) == 0
        if end == "close":
            results.close()
        elif end == "drop":
            del results
        elif end == "time limit":
            with pytest.raises(FutureTimeoutError):
                next(results)
        gate.set()
    # The one that had begun; that calls were short so far, and many handed out, does not matter.
    assert names.qsize() <= 1


def apply(function, x):
    return function(x)


def test_a_maps_results_are_not_kept():
    with ProcessPoolExecutor(1) as executor:
        results = executor.map(apply, [list_of] * 3, range(3))
        kept = weakref.ref(next(results))
        gc.collect()
        assert kept() is None
        assert len(list(results)) == 2


class Listing(list):
    pass


def list_of(x):
    return Listing([x])


def test_results_before_a_failure():
    with ProcessPoolExecutor(1) as executor:
        function = functools.partial(fail_at, bad=2, error=ValueError("two"))
        results = executor.map(function, range(4), chunksize=4)
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(ValueError, match="two"):
            next(results)
        assert list(results) == []


@each_executor
def test_impossible_arguments_of_map(kind):
    with kind(1) as executor:
        with pytest.raises(ValueError, match=r"^chunksize must be >= 1\.$"):
            executor.map(square, [1], chunksize=0)
        if kind is spawned and sys.version_info < (3, 14):
            return
        with pytest.raises(TypeError, match="^buffersize must be an integer or None$"):
            executor.map(square, [1], buffersize="1")
        with pytest.raises(ValueError, match="^buffersize must be None or > 0$"):
            executor.map(square, [1], buffersize=0)


@pytest.mark.parametrize("chunksize", [1, 3])
def test_a_lazy_map(chunksize):
    taken, here = [], set()

    def items():
        for i in range(100):
            taken.append(i)
            here.add(threading.get_ident())
            yield i

    with ProcessPoolExecutor(2) as executor:
        results = executor.map(square, items(), buffersize=5, chunksize=chunksize)
        assert len(taken) == 5 * chunksize
        for n in range(20):
            assert next(results) == n * n
            assert len(taken) == n + 5 * chunksize
        assert list(results) == [i * i for i in range(20, 100)]
    # An iterator is at home in the thread that made it.
    assert here == {threading.get_ident()}


def test_a_lazy_map_of_endless_items():
    with ProcessPoolExecutor(2) as executor:
        results = executor.map(square, itertools.count(), buffersize=4)
        assert list(itertools.islice(results, 50)) == [i * i for i in range(50)]
        results.close()


def test_a_lazy_map_raises_what_its_items_raise():
    def items(n):
        yield from range(n)
        raise LookupError("no more")

    with ProcessPoolExecutor(2) as executor:
        with pytest.raises(LookupError):
            executor.map(square, items(2), buffersize=5)
        results, found = executor.map(square, items(8), buffersize=5), []
        with pytest.raises(LookupError):
            for each in results:
                found.append(each)
        assert found == [i * i for i in range(4)]


def test_a_lazy_map_keeps_its_executor():
    results = ProcessPoolExecutor(1).map(square, range(50), buffersize=2)
    gc.collect()
    assert list(results) == [i * i for i in range(50)]
    del results
    gc.collect()
    until(lambda: not mp.active_children(), "the end of the workers")


@each_executor
def test_a_map_of_nothing(kind):
    with kind(1) as executor:
        assert list(executor.map(square, [])) == []
        assert not executor._processes
