"""The failure table: what goes wrong, where, in which kind of call; each with its exact outcome.

None may hang: each case has ten seconds, in a pool of its own.
"""

import ctypes
import functools
import gc
import os
import pickle
import signal
import sys
from concurrent.futures.process import BrokenProcessPool

import pytest
from support import METHODS

import procession as mp
from procession import BrokenPoolError, ProcessPoolExecutor, WorkerLostError

pytestmark = [pytest.mark.both_backends(workers=2), pytest.mark.timeout(10)]


class Unpicklable(Exception):
    def __reduce__(self):
        raise RuntimeError("no pickle of this")


def segfault():
    ctypes.string_at(0)


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def leave():
    os._exit(3)


def no_memory():
    raise MemoryError("none left")


def unpicklable():
    raise Unpicklable


def system_exit():
    sys.exit(4)


def interrupt():
    raise KeyboardInterrupt


# What goes wrong: the exit code of a process to which it happens, None if it lives.
WRONGS = {
    segfault: -signal.SIGSEGV,
    kill: -signal.SIGKILL,
    leave: 3,
    no_memory: None,
    unpicklable: None,
    system_exit: 4,
    interrupt: 254,
}


def identity(x):
    return x


def run(wrong, x):
    if x == 1:
        wrong()
    return x


class Carrier:
    """Goes wrong when it is pickled or unpickled, in a worker or in the owner."""

    def __init__(self, wrong, when, owner):
        self.wrong, self.when, self.owner = wrong, when, owner

    def __reduce__(self):
        if self.when == "pickled" and os.getpid() != self.owner:
            self.wrong()
        return rebuild, (self.wrong, self.when, self.owner)


def rebuild(wrong, when, owner):
    is_here = os.getpid() == owner
    if when == ("unpickled in the owner" if is_here else "unpickled"):
        wrong()
    return Carrier(wrong, when, owner)


def carry(carrier, x):
    return carrier if x == 1 else x


class Collected:
    def __init__(self, wrong):
        self.wrong, self.cycle = wrong, self

    def __del__(self):
        self.wrong()


def collect(wrong, x):
    if x == 1:
        Collected(wrong)
        gc.collect()
    return x


def outcomes(how, executor, function, items, **options):
    """Of each item, or the one that all have: a value or an exception."""
    pool = executor._pool

    def of(get):
        try:
            return get()
        except Exception as error:
            return error
        except BaseException as error:  # raised in the worker, or in unpickling
            return error

    if how == "apply":
        return [of(lambda item=item: pool.apply(function, (item,))) for item in items]
    if how == "submit":
        futures = [of(lambda item=item: executor.submit(function, item)) for item in items]
        return [f if isinstance(f, Exception) else of(lambda f=f: f.result(10)) for f in futures]
    if how == "map":
        whole = of(lambda: pool.map(function, items, chunksize=1))
        return whole if isinstance(whole, list) else [whole]
    results = of(lambda: getattr(pool, how)(function, items))
    if isinstance(results, Exception):
        return [results]
    return [of(lambda: results.next(10)) for _ in items]


HOWS = ["apply", "map", "imap", "imap_unordered", "submit"]
each_how = pytest.mark.parametrize("how", HOWS)
each_wrong = pytest.mark.parametrize("wrong", WRONGS, ids=lambda wrong: wrong.__name__)


# All start methods take three minutes.
STARTS = METHODS if os.environ.get("PROCESSION_LONG") == "1" else [None]


@pytest.fixture(params=STARTS)
def context(request):
    return mp.get_context(request.param)


@pytest.fixture
def executor(context):
    with ProcessPoolExecutor(2, context) as executor:
        yield executor


def expect_lost(error, code):
    assert isinstance(error, WorkerLostError), error
    assert error.exitcode == code
    assert isinstance(error, BrokenProcessPool)  # the pool is an executor's
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and vars(again) == vars(error) and str(again) == str(error)


def expect_exit(error):
    """What is no Exception is on the future, where it ends no worker."""
    assert type(error) is SystemExit and error.code == 4
    assert "system_exit" in str(error.__cause__)


def only(how, got, good):
    """The one that went wrong; the others are what they should be."""
    if how == "map":
        assert len(got) == 1
        return got[0]
    bad = [each for each in got if isinstance(each, BaseException)]
    assert sorted(each for each in got if not isinstance(each, BaseException)) == good
    assert len(bad) == 1, got
    return bad[0]


@each_how
@each_wrong
def test_running(executor, how, wrong):
    got = outcomes(how, executor, functools.partial(run, wrong), range(4))
    error = only(how, got, [0, 2, 3])
    if wrong is no_memory:
        assert type(error) is MemoryError and "none left" in str(error)
    elif wrong is unpicklable:
        # A future has what pickle said, as in concurrent.futures.
        assert type(error) is (RuntimeError if how == "submit" else mp.pool.MaybeEncodingError)
        assert "no pickle of this" in str(error)
    elif how == "submit" and wrong is system_exit:
        expect_exit(error)
    else:
        expect_lost(error, WRONGS[wrong])
    assert executor._pool.apply(identity, (5,)) == 5


@each_how
@each_wrong
def test_unpickling_the_task(executor, how, wrong):
    items = [0, Carrier(wrong, "unpickled", os.getpid()), 2, 3]
    error = only(how, outcomes(how, executor, identity, items), [0, 2, 3])
    if wrong is no_memory:
        assert type(error) is MemoryError
    elif wrong is unpicklable:
        assert type(error) is (RuntimeError if how == "submit" else mp.pool.MaybeEncodingError)
    else:
        expect_lost(error, WRONGS[wrong])
    assert executor._pool.apply(identity, (5,)) == 5


@each_how
@each_wrong
def test_pickling_the_result(executor, how, wrong):
    function = functools.partial(carry, Carrier(wrong, "pickled", os.getpid()))
    error = only(how, outcomes(how, executor, function, range(4)), [0, 2, 3])
    if how == "submit" and wrong is system_exit:
        expect_exit(error)
    elif how == "submit" and wrong is no_memory:
        assert type(error) is MemoryError and "none left" in str(error)
    elif WRONGS[wrong] is None:
        assert type(error) is mp.pool.MaybeEncodingError
        assert ("none left" if wrong is no_memory else "Unpicklable") in str(error)
    else:
        expect_lost(error, WRONGS[wrong])
    assert executor._pool.apply(identity, (5,)) == 5


# What ends the process ends it here as well, and that is the owner.
UNPICKLING = {
    no_memory: MemoryError,
    unpicklable: Unpicklable,
    system_exit: SystemExit,
    interrupt: KeyboardInterrupt,
}


@each_how
@pytest.mark.parametrize("wrong", UNPICKLING, ids=lambda wrong: wrong.__name__)
def test_unpickling_the_result(executor, how, wrong):
    function = functools.partial(carry, Carrier(wrong, "unpickled in the owner", os.getpid()))
    if wrong is interrupt and how.startswith("imap"):
        # In the main thread that is Ctrl-C: it is raised at once, wherever that thread is; and it is
        # what became of the item.
        results = getattr(executor._pool, how)(function, range(4))
        got, interrupts = [], 0
        while len(got) < 3 or interrupts == 0:
            try:
                got.append(next(results))
            except KeyboardInterrupt:
                interrupts += 1
        assert sorted(got) == [0, 2, 3]
    else:
        error = only(how, outcomes(how, executor, function, range(4)), [0, 2, 3])
        assert type(error) is UNPICKLING[wrong]
    assert executor._pool.apply(identity, (5,)) == 5


@pytest.mark.parametrize(
    "wrong", [no_memory, unpicklable, system_exit, interrupt], ids=lambda wrong: wrong.__name__
)
@pytest.mark.parametrize("how", ["apply_async", "map_async", "submit"])
def test_callback(executor, how, wrong, monkeypatch, caplog):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    pool = executor._pool
    if how == "submit":
        if wrong in (system_exit, interrupt):
            pytest.skip("concurrent.futures has its own rule: they end the thread")
        future = executor.submit(identity, 1)
        future.add_done_callback(lambda _: wrong())
        assert future.result(10) == 1
    elif how == "apply_async":
        assert pool.apply_async(identity, (1,), callback=lambda _: wrong()).get(10) == 1
    else:
        assert pool.map_async(identity, [1], callback=lambda _: wrong()).get(10) == [1]
    assert len(told) == (how != "submit")
    assert pool.apply(identity, (5,)) == 5


@each_how
@each_wrong
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_garbage_collection(executor, how, wrong):
    got = outcomes(how, executor, functools.partial(collect, wrong), range(4))
    if wrong in (segfault, kill, leave):
        expect_lost(only(how, got, [0, 2, 3]), WRONGS[wrong])
    else:
        # Python says what a finalizer raised, and goes on.
        assert sorted(got) == [0, 1, 2, 3]
    assert executor._pool.apply(identity, (5,)) == 5


@each_how
@each_wrong
def test_initializer(context, how, wrong):
    code = WRONGS[wrong]
    executor = ProcessPoolExecutor(2, context, initializer=wrong)
    got = outcomes(how, executor, identity, range(4))
    for error in got:
        # After the first, an iterator has no more.
        assert isinstance(error, BrokenPoolError | StopIteration), error
    assert isinstance(got[0], BrokenPoolError)
    how_it_ended = (
        "killed by" if code is not None and code < 0 else f"code {1 if code is None else code}"
    )
    assert how_it_ended in str(got[0]) and wrong.__name__ in str(got[0])
    executor.shutdown()
