"""How a `ProcessPoolExecutor` begins and ends. What `each_executor` demands is what theirs does."""

import concurrent.futures
import functools
import gc
import os
import sys
import threading
import time
import warnings
from concurrent.futures import CancelledError, wait
from concurrent.futures.process import BrokenProcessPool

import backends
import pytest
from support import PATIENCE, each_method, run, script, until
from test_executor import each_executor, of_theirs, ours, square

import procession as mp
from procession import BrokenPoolError, ProcessPoolExecutor

pytestmark = [pytest.mark.both_backends(workers=1), pytest.mark.timeout(60)]


def workers_of(executor):
    """Its one worker, if that is a child of this process."""
    workers = list(executor._processes.values())
    assert len(workers) == (backends.current.name == backends.ARENA)
    return workers


def text_of(error, call):
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


# ---------------------------------------------------------------- the beginning


@each_executor
def test_what_programs_look_at(kind):
    with kind(2, initializer=square, initargs=(3,)) as executor:
        assert (executor._max_workers, executor._initializer) == (2, square)
        assert executor._initargs == (3,)
        assert executor._mp_context.get_start_method() in mp.get_all_start_methods()
        assert (executor._broken, executor._shutdown_thread) == (False, False)
        assert len(executor._pending_work_items) == len(executor._processes) == 0
        assert executor._executor_manager_thread is None
        assert executor.submit(square, 3).result(PATIENCE) == 9
        assert executor._executor_manager_thread.is_alive()
        for pid, process in executor._processes.items():
            assert process.pid == pid and process.is_alive()
    assert executor._shutdown_thread is True


@each_executor
def test_impossible_arguments(kind):
    assert text_of(ValueError, lambda: kind(0)) == "max_workers must be greater than 0"
    assert text_of(TypeError, lambda: kind(1, initializer=3)) == "initializer must be a callable"


def with_tasks(kind, number, method="spawn"):
    if kind is concurrent.futures.ProcessPoolExecutor and sys.version_info < (3, 11):
        pytest.skip("max_tasks_per_child is new in 3.11")
    return kind(1, mp.get_context(method), max_tasks_per_child=number)


theirs = pytest.param(concurrent.futures.ProcessPoolExecutor, id="stdlib", marks=of_theirs)
each_plain_executor = pytest.mark.parametrize("kind", [theirs, pytest.param(ours, id="ours")])


@each_plain_executor
def test_impossible_numbers_of_tasks(kind):
    text = "max_tasks_per_child must be an integer"
    assert text_of(TypeError, lambda: with_tasks(kind, "2")) == text
    text = "max_tasks_per_child must be >= 1"
    assert text_of(ValueError, lambda: with_tasks(kind, 0)) == text


@pytest.mark.of_the_arena("its start methods")
@each_plain_executor
def test_no_number_of_tasks_for_forks(kind):
    text = (
        "max_tasks_per_child is incompatible with the 'fork' multiprocessing start method;"
        " supply a different mp_context."
    )
    assert text_of(ValueError, lambda: with_tasks(kind, 1, "fork")) == text


def test_a_worker_for_each_task():
    with ProcessPoolExecutor(1, max_tasks_per_child=1) as executor:
        assert executor._mp_context.get_start_method() == "spawn"
        assert len({executor.submit(os.getpid).result(PATIENCE) for _ in range(3)}) == 3


# ---------------------------------------------------------------- shutdown


@each_executor
def test_nothing_after_shutdown(kind):
    executor = kind(1)
    executor.shutdown()
    text = "cannot schedule new futures after shutdown"
    assert text_of(RuntimeError, lambda: executor.submit(square, 1)) == text
    assert text_of(RuntimeError, lambda: executor.map(square, [1])) == text
    assert list(executor.map(square, [])) == []
    executor.shutdown()


@each_executor
def test_leaving_waits_for_what_is_under_way(kind):
    with kind(1) as executor:
        futures = [executor.submit(time.sleep, 0.02) for _ in range(8)]
        results = executor.map(square, range(50))
        workers = list(executor._processes.values())
    assert all(future.done() for future in futures)
    assert list(results) == [i * i for i in range(50)]
    assert [worker.exitcode for worker in workers] == [0] * len(workers)


def test_shutdown_without_waiting_and_then_with():
    gate = mp.Event()
    executor = ProcessPoolExecutor(1)
    futures = [executor.submit(gate.wait, PATIENCE) for _ in range(5)]
    executor.shutdown(wait=False)
    assert not futures[0].done()
    threading.Timer(0.05, gate.set).start()
    executor.shutdown()
    assert all(future.result(0) is True for future in futures) and not mp.active_children()


@each_executor
def test_shutdown_in_a_callback(kind):
    executor, done = kind(1), threading.Event()

    def end(future):
        try:
            executor.shutdown()
        except RuntimeError as error:
            assert "cannot join current thread" in str(error)  # theirs
        finally:
            done.set()

    future = executor.submit(time.sleep, 0.1)
    future.add_done_callback(end)
    assert done.wait(PATIENCE)
    executor.shutdown()
    until(lambda: not executor._processes, "the end of the workers")


def test_leaving_in_a_callback():
    executor, told = ProcessPoolExecutor(1), []

    def end(future):
        with executor:
            told.append(executor.submit(square, 4))

    executor.submit(time.sleep, 0.1).add_done_callback(end)
    until(lambda: told, "the callback")
    assert told[0].result(PATIENCE) == 16
    executor.shutdown()
    assert not mp.active_children()


def test_cancelling_what_has_not_begun():
    gate = mp.Event()
    with ProcessPoolExecutor(1) as executor:
        futures = [executor.submit(gate.wait, PATIENCE) for _ in range(10)]
        assert futures[-1].cancel() and not futures[0].cancel()
        executor.shutdown(wait=False, cancel_futures=True)
        assert all(future.cancelled() for future in futures[2:])
        assert wait(futures[2:], 0).not_done == set()
        gate.set()
    assert futures[0].result(0) is True
    with pytest.raises(CancelledError):
        futures[6].result(0)


@each_executor
def test_cancelling_a_map(kind):
    with kind(2) as executor:
        results = executor.map(slowly, range(1000))
        assert next(results) == 0
        executor.shutdown(cancel_futures=True)
    found = [0]
    with pytest.raises(CancelledError):
        for result in results:
            found.append(result)
    assert found == list(range(len(found))) and len(found) < 100


def slowly(n):
    time.sleep(0.005 if n else 0)
    return n


def test_many_maps_are_cancelled_at_once():
    names, gate = mp.Queue(), mp.Event()
    call = functools.partial(note_and_wait, names, gate)
    with ProcessPoolExecutor(1) as executor:
        assert executor.submit(square, 3).result(PATIENCE) == 9  # so that many are handed out
        maps = [executor.map(call, [n] * 50, chunksize=9) for n in range(9)]
        assert names.get(timeout=PATIENCE) == 0
        executor.shutdown(wait=False, cancel_futures=True)
        gate.set()
    assert names.empty()
    assert next(maps[0]) == 0
    for results in maps:
        with pytest.raises(CancelledError):
            next(results)


def note_and_wait(names, gate, n):
    names.put(n)
    gate.wait(PATIENCE)
    return n


@each_executor
def test_a_map_that_is_through_is_not_cancelled(kind):
    with kind(1) as executor:
        results = executor.map(square, range(10))
        assert executor.submit(square, 3).result(PATIENCE) == 9  # which comes after them
        executor.shutdown(cancel_futures=True)
    assert list(results) == [i * i for i in range(10)]


def test_a_lazy_map_at_shutdown():
    executor = ProcessPoolExecutor(1)
    endless = iter(int, 1)
    results = executor.map(square, endless, buffersize=3)
    executor.shutdown()
    assert text_of(RuntimeError, lambda: (next(results), next(results))).endswith("after shutdown")


def test_many_threads_submit_while_one_ends_it():
    executor, futures, refused = ProcessPoolExecutor(2), [], []

    def submit():
        mine = []
        while not refused:
            wait(mine[-20:-19], PATIENCE)  # so many are ahead
            try:
                mine.append(executor.submit(square, 3))
                futures.append(mine[-1])
            except RuntimeError as error:
                refused.append(str(error))

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: len(futures) > 100, "the calls")
    executor.shutdown()
    for thread in threads:
        thread.join(PATIENCE)
    assert {future.result(0) for future in futures} == {9}
    assert set(refused) == {"cannot schedule new futures after shutdown"}


# ---------------------------------------------------------------- without shutdown


@each_executor
def test_a_dropped_executor(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        executor = kind(1)
        futures = [executor.submit(time.sleep, 0.02) for _ in range(8)]
        workers = workers_of(executor)
        executor.itself = executor  # so that it is the collector that finds it
        del executor
        gc.collect()
        assert wait(futures, PATIENCE).not_done == set()
        for worker in workers:
            until(lambda worker=worker: worker.exitcode is not None, "the end of the worker")
            assert worker.exitcode == 0
        gc.collect()


def test_a_dropped_executor_that_was_never_used():
    ProcessPoolExecutor(2)
    gc.collect()
    assert not mp.active_children()


def test_threads_of_dropped_executors_end():
    before = threading.active_count()
    for _ in range(5):
        assert ProcessPoolExecutor(1).submit(square, 3).result(PATIENCE) == 9
    until(lambda: threading.active_count() <= before, "the end of the threads")
    until(lambda: not mp.active_children(), "the end of the workers")


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forks_copy_is_not_the_owners():
    executor = ProcessPoolExecutor(1)
    future = executor.submit(time.sleep, 0.05)
    pid = os.fork()
    if pid == 0:
        del executor, future
        gc.collect()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert future.result(PATIENCE) is None
    assert executor.submit(square, 3).result(PATIENCE) == 9
    executor.shutdown()


def environment():
    """What a program is told of its back end."""
    return {"BACKEND": backends.current.url or ""}


AT_EXIT = """
import os, sys, time
import procession as mp
from procession import ProcessPoolExecutor

def late(n):
    time.sleep(0.02)
    return n

def work(drop):
    executor = ProcessPoolExecutor(1, backend=os.environ["BACKEND"] or None)
    for n in range(10):
        executor.submit(late, n).add_done_callback(lambda f: print(f.result(), flush=True))
    executor.map(late, range(3))
    if not drop:
        globals()["kept"] = executor

if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    if "child" in sys.argv:
        child = mp.Process(target=work, args=(False,))
        child.start()
        child.join()
        assert child.exitcode == 0
    else:
        work("drop" in sys.argv)
"""


@each_method
@pytest.mark.parametrize("how", ["keep", "drop", "child"])
def test_the_end_of_the_program_waits(method, how, tmp_path):
    out = run(script(tmp_path, AT_EXIT), method, how, env=environment())
    assert out == "".join(f"{n}\n" for n in range(10))


TOO_LATE = """
import os, threading
from procession import ProcessPoolExecutor, _desk, get_context

backend = os.environ["BACKEND"] or None
gate, told = get_context(backend).Event(), threading.Event()

def again(future):
    try:
        executor.submit(abs, 1)
    except RuntimeError as error:
        print(error, flush=True)
    told.set()

def close(desk, cancel=False, close=_desk.Desk.close):
    gate.set()
    told.wait(20)
    close(desk, cancel)

_desk.Desk.close = close  # which is called when no more calls are taken
executor = ProcessPoolExecutor(1, backend=backend)
executor.submit(gate.wait, 20).add_done_callback(again)
"""


def test_nothing_at_the_end_of_the_program(tmp_path):
    out = run(script(tmp_path, TOO_LATE), env=environment())
    assert out == "cannot schedule new futures after interpreter shutdown\n"


# ---------------------------------------------------------------- a broken one


def leave():
    os._exit(7)


@each_executor
def test_a_broken_executor(kind):
    executor = kind(1, initializer=leave)
    futures = [executor.submit(square, n) for n in range(1)]
    with pytest.raises(BrokenProcessPool):
        futures[0].result(PATIENCE)
    abruptly = "A child process terminated abruptly, the process pool is not usable anymore"
    until(lambda: executor._broken, "the end")
    assert executor._broken.startswith(abruptly) and executor._shutdown_thread is True
    assert text_of(BrokenProcessPool, lambda: executor.submit(square, 1)).startswith(abruptly)
    assert text_of(BrokenProcessPool, lambda: executor.map(square, [1])).startswith(abruptly)
    executor.shutdown()


def test_all_that_waits_fails_with_a_broken_executor():
    gate = mp.Event()

    executor = ProcessPoolExecutor(1, initializer=functools.partial(wait_and_leave, gate))
    futures = [executor.submit(square, n) for n in range(20)]
    results = executor.map(square, range(20))
    gate.set()
    for future in futures:
        error = future.exception(PATIENCE)
        assert isinstance(error, BrokenPoolError) and isinstance(error, BrokenProcessPool)
        assert "exited with code 7" in str(error)
    with pytest.raises(BrokenPoolError, match="code 7"):
        list(results)
    executor.shutdown()


def wait_and_leave(gate):
    gate.wait(PATIENCE)
    os._exit(7)


@pytest.mark.parametrize(
    ("name", "code"), [("terminate_workers", -15), ("kill_workers", -9)], ids=["term", "kill"]
)
def test_ending_the_workers(name, code):
    gate, begun = mp.Event(), mp.Event()
    with ProcessPoolExecutor(1) as executor:
        futures = [executor.submit(begin_and_wait, begun, gate) for _ in range(5)]
        assert begun.wait(PATIENCE)
        workers = workers_of(executor)
        getattr(executor, name)()
        for future in futures[:2]:
            assert isinstance(future.exception(PATIENCE), BrokenProcessPool)
        assert all(future.cancelled() for future in futures[2:])
    assert [worker.exitcode for worker in workers] == [code] * len(workers)
    assert text_of(BrokenProcessPool, lambda: executor.submit(square, 1)).endswith("were ended")
    getattr(ProcessPoolExecutor(1), name)()


def begin_and_wait(begun, gate):
    begun.set()
    gate.wait(PATIENCE)
