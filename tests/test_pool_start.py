"""How a pool begins: what its workers import, and which threads its owner has."""

import ast
import gc
import os
import signal
import sys
import threading
import time
import weakref

import backends
import pytest
from support import METHODS, PATIENCE, each_method, run, until
from test_start import LATE, script

import procession as mp
from procession import _crew
from procession.pool import _SOON

pytestmark = [pytest.mark.both_backends(workers=1), pytest.mark.timeout(60)]


def square(x):
    return x * x


def threads(before):
    return len(set(threading.enumerate()) - before)


LOOK = """
import sys

def look(*names):
    return [name for name in names if name in sys.modules]

if __name__ == "__main__":
    import procession as mp
    with mp.get_context("spawn").Pool(1) as pool:
        print(pool.apply(look, sys.argv[1:]))
"""


@pytest.mark.of_the_arena("what a worker of its own imports")
def test_a_spawned_worker_imports_only_what_it_needs(tmp_path):
    names = [*LATE, "multiprocessing.pool", "procession.pool", "procession._crew"]
    names.remove("select")  # for the lifeline
    site = run("-c", f"import sys; print([n for n in {names} if n in sys.modules])")
    found = ast.literal_eval(run(script(tmp_path, LOOK), *names))
    assert set(found) <= set(ast.literal_eval(site))


BLIND = """
import os, sys, threading

def blind():
    assert "multiprocessing.pool" not in sys.modules
    sys.path.clear()
    sys.meta_path.clear()

def fail():
    blind()
    raise LookupError("this")

def unsendable():
    blind()
    return threading.Lock()

def outcome(context, function):
    with context.Pool(1) as pool:
        try:
            return pool.apply(function)
        except Exception as error:
            return f"{type(error).__name__}: {error}"

if __name__ == "__main__":
    import procession as mp
    context = mp.get_context(os.environ["METHOD"])
    print(outcome(context, fail))
    print(outcome(context, unsendable))
"""


@pytest.mark.of_the_arena("what a worker of its own imports")
@pytest.mark.parametrize("method", [method for method in METHODS if method != "fork"])
def test_failures_are_told_by_a_worker_that_can_import_nothing(method, tmp_path):
    out = run(script(tmp_path, BLIND), env={"METHOD": method})
    assert out == "LookupError: this\nTypeError: cannot pickle '_thread.lock' object\n"


@pytest.mark.of_the_arena("what a worker of its own imports")
@each_method
def test_an_initializer_may_take_away_what_is_needed_to_import(method, tmp_path):
    """What failures need is there before it is called."""
    text = BLIND[: BLIND.index("if __name__")].replace("    assert", "    #")
    text += """
def fail():
    raise LookupError("that")

if __name__ == "__main__":
    import procession as mp
    with mp.get_context(os.environ["METHOD"]).Pool(1, blind) as pool:
        try:
            pool.apply(fail)
        except LookupError as error:
            print(error, type(error.__cause__).__name__)
"""
    causes = ["RemoteTraceback"]
    if sys.version_info >= (3, 13):
        causes.append("NoneType")  # there the text of a traceback needs yet another import
    out = run(script(tmp_path, text), env={"METHOD": method})
    assert out in [f"that {cause}\n" for cause in causes]


@pytest.mark.of_the_arena("its threads")
def test_the_threads_begin_with_the_calls_that_need_them():
    before = set(threading.enumerate())
    with mp.get_context("fork").Pool(2) as pool:
        assert threads(before) == 0
        assert pool.apply(square, (3,)) == 9
        assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]
        assert threads(before) <= 1  # none, if these were quick
        pool.apply(time.sleep, (2 * _SOON,))
        assert threads(before) == 1
        assert pool.apply_async(square, (4,)).get() == 16
        assert threads(before) == 2
    until(lambda: threads(before) == 0, "the end of the threads")


@pytest.mark.parametrize("how", ["close", "terminate"])
def test_a_pool_that_was_never_used_ends(how):
    before = set(threading.enumerate())
    pool = mp.get_context("fork").Pool(2)
    workers = list(pool._pool)
    getattr(pool, how)()
    pool.join()
    here = backends.current.name == backends.ARENA
    assert [worker.exitcode is not None for worker in workers] == [True, True] * here
    assert threads(before) == 0


@pytest.mark.of_the_arena("its workers are at hand")
def test_a_worker_that_died_before_the_first_call_is_replaced():
    with mp.get_context("fork").Pool(1) as pool:
        (worker,) = pool._pool
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
        assert pool.apply(square, (5,)) == 25


@pytest.mark.of_the_arena("its reports")
def test_what_an_interrupted_call_leaves_behind_is_taken_in(tmp_path):
    """Otherwise the pool would never be at rest, and `join` would wait for ever."""
    go = tmp_path / "go"
    with mp.get_context("fork").Pool(1) as pool:
        main = threading.main_thread().ident
        timer = threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            pool.apply(wait_for, (str(go),))
        timer.join()
        go.touch()
        until(pool._core._is_idle, "the result")


def wait_for(path):
    until(lambda: os.path.exists(path), path)


def close_all(path):
    os.closerange(3, 1 << 16)
    wait_for(path)


@pytest.mark.of_the_arena("its workers are at hand")
def test_a_worker_whose_end_is_only_near_is_looked_at_now_and_then(tmp_path, monkeypatch):
    """Its descriptors are closed, but it lives."""
    looks, wait = [], _crew.wait

    def look(*arguments):
        looks.append(time.monotonic())
        return wait(*arguments)

    monkeypatch.setattr(_crew, "wait", look)
    go = tmp_path / "go"
    with mp.get_context("fork").Pool(1) as pool:
        result = pool.apply_async(close_all, (str(go),))
        until(lambda: len(looks) > 1000, "the closing")
        go.touch()
        result.get(PATIENCE)
    # The first few are about the start.
    assert looks[1000] - looks[10] > 990 * _crew._MOMENT


def fail():
    raise LookupError("this")


@pytest.mark.parametrize("call", ["apply", "map"])
def test_a_failed_call_does_not_keep_its_pool(call):
    """The exception has a traceback with frames of the pool's, and the job has the exception."""
    with mp.get_context("fork").Pool(1) as pool:
        kept = weakref.ref(pool._crew)
        with pytest.raises((LookupError, TypeError)) as caught:
            getattr(pool, call)(*((fail,) if call == "apply" else (len, [3])))
    pool.join()
    del caught, pool
    # A thread may just be ending.
    until(lambda: gc.collect() >= 0 and kept() is None, "the end of what it was")


def masked(_=None):
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def put_masked(queue):
    queue.put(masked())


@pytest.mark.of_the_arena("its start methods")
@each_method
@pytest.mark.parametrize("before", [False, True])
def test_a_child_takes_sigint_as_its_parent_does(method, before):
    """It is blocked for the start only, unless it was before."""
    if before and method == "forkserver":
        pytest.skip("a fork server's children take it in any case")
    context = mp.get_context(method)
    queue = context.Queue()
    if before:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        child = context.Process(target=put_masked, args=(queue,))
        child.start()
        with context.Pool(1) as pool:
            found = pool.apply(masked)
        pool.join()
        assert (queue.get(timeout=PATIENCE), found) == (before, before)
        child.join()
        assert masked() == before
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
