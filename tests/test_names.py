"""The package as a stand-in for multiprocessing: its names, its signatures, what an import costs."""

import doctest
import inspect
import multiprocessing
import multiprocessing.queues
import pydoc
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import PATIENCE, run
from test import support as cpython

import procession as mp
from procession import _core, _docs, connection, queues
from procession.remote import _lockdocs


def test_all_is_multiprocessings():
    assert sorted(mp.__all__) == sorted(multiprocessing.__all__)
    # CPython's own check of its package: nothing public stands outside __all__.
    cpython.check__all__(
        _as_test_case(), mp, extra=mp.__all__, not_exported=["SUBDEBUG", "SUBWARNING"]
    )
    for name in multiprocessing.__all__:
        assert hasattr(mp, name)
    assert (mp.SUBDEBUG, mp.SUBWARNING) == (5, 25)


def _as_test_case():
    import unittest

    return unittest.TestCase()


@pytest.mark.parametrize("name", multiprocessing.__all__)
def test_signatures_of_the_package(name):
    ours, theirs = getattr(mp, name), getattr(multiprocessing, name)
    if isinstance(theirs, type) and issubclass(theirs, Exception):
        assert ours is theirs
    elif callable(theirs):
        signature = inspect.signature(ours)
        if name in ("Pool", "Queue", "JoinableQueue", "SimpleQueue", "get_context"):
            # They take more, by keyword.
            by_name = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
            kept = [p for p in signature.parameters.values() if p.kind not in by_name]
            signature = signature.replace(parameters=kept)
        assert signature == inspect.signature(theirs)


@pytest.mark.parametrize("name", ["Queue", "JoinableQueue", "SimpleQueue"])
def test_methods_of_queues(name):
    ours, theirs = getattr(queues, name), getattr(multiprocessing.queues, name)
    given = inspect.signature(ours).parameters.values()
    wanted = inspect.signature(theirs).parameters
    assert [one.name for one in given if one.name in wanted] == [*wanted]
    # What is new has to be named.
    assert all(one.kind is one.KEYWORD_ONLY for one in given if one.name not in wanted)
    for method, function in inspect.getmembers(theirs, callable):
        if method.startswith("_"):
            continue
        mine = getattr(ours, method)
        wanted = list(inspect.signature(function).parameters.items())[1:]
        parameters = list(inspect.signature(mine).parameters.items())[1:]
        # A SimpleQueue's methods are the core's, and take more.
        assert parameters[: len(wanted)] == wanted
        assert mine.__doc__ or method not in ("put", "get")


@pytest.mark.parametrize("name", sorted(mp._MODULES))
def test_modules(name):
    assert inspect.ismodule(getattr(mp, name))
    theirs = __import__(f"multiprocessing.{name}", fromlist=["x"])
    for exported in getattr(theirs, "__all__", ()):
        assert hasattr(getattr(mp, name), exported), exported


def test_no_other_attribute():
    with pytest.raises(AttributeError, match="module 'procession' has no attribute 'nonsense'"):
        mp.nonsense  # noqa: B018


def test_version():
    project = Path(__file__).parent.parent / "pyproject.toml"
    version = re.search(r'^version = "(.*)"', project.read_text(), re.MULTILINE)[1]
    assert mp.__version__ == version == _core.__version__
    assert mp.native is True


def test_help_shows_signature_contract_and_example():
    text = pydoc.plain(pydoc.render_doc(mp.Queue))
    assert "class Queue(" in text and "Queue(maxsize=0, *, maxbytes=0" in text
    for part in ("queue.Full", "ValueError", "killed", ">>> q = mp.Queue()", "docs.python.org"):
        assert part in text
    assert queues.Queue.__doc__ == mp.Queue.__doc__
    text = pydoc.plain(pydoc.render_doc(mp.Pipe))
    assert re.search(r"Pipe\(duplex=True\) method", text)
    for part in (
        "EOFError",
        "BrokenPipeError",
        "BufferTooShort",
        ">>> here, there",
        "docs.python.org",
    ):
        assert part in text
    assert connection.Pipe.__doc__ == mp.Pipe.__doc__


DOCUMENTED = [name for name in dir(_docs) if name.isupper() and not name.startswith("_")]
ON_A_SERVER = [name for name in DOCUMENTED if name.startswith("REMOTE_")]
HERE = [name for name in DOCUMENTED if name not in ON_A_SERVER and name != "CONNECTION"]


def check_examples(text, name):
    examples = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
    assert examples.examples
    assert not doctest.DocTestRunner().run(examples).failed


@pytest.mark.parametrize("name", HERE)
def test_documented_examples(name):
    check_examples(getattr(_docs, name), name)


@pytest.mark.parametrize("name", [*ON_A_SERVER, "LOCK"])
def test_documented_examples_on_a_server(name, remote_server):
    text = getattr(_docs, name) if name in ON_A_SERVER else getattr(_lockdocs, name)
    url = remote_server.url(lease=2)
    worker = None
    if name == "REMOTE_POOL":
        command = [sys.executable, "-m", "procession", "worker", url, "--processes", "1"]
        worker = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        check_examples(text.replace("redis://localhost", url), name)
    finally:
        if worker:
            worker.terminate()
            worker.wait(PATIENCE)


@pytest.mark.parametrize("module", ["heap", "sharedctypes"])
def test_examples_of_modules(module):
    result = doctest.testmod(getattr(mp, module))
    assert result.attempted and not result.failed


def test_import_costs_little_and_starts_nothing():
    program = """
import os, sys, time
import multiprocessing
before = set(os.listdir("/proc/self/fd")), os.listdir("/dev/shm")
start = time.perf_counter()
import procession
cost = time.perf_counter() - start
assert (set(os.listdir("/proc/self/fd")), os.listdir("/dev/shm")) == before
assert len(os.listdir("/proc/self/task")) == 1
try:
    os.waitpid(-1, os.WNOHANG)
    raise AssertionError("there is a child")
except ChildProcessError:
    pass
assert procession._core.family_id() is None
for module in "numpy", "cloudpickle", "asyncio", "procession.queues", "procession.connection", "ast":
    assert module not in sys.modules, module
print(cost)
"""
    assert min(float(run("-c", program)) for _ in range(5)) < 0.030


def test_names_make_no_family():
    """That of a warning, for a filter, and those of processes that share nothing."""
    program = """
import warnings, procession
from procession import _core
warnings.simplefilter("ignore", procession.AbandonedLockWarning)
child = procession.get_context("fork").Process(target=lambda: print(_core.family_id(), flush=True))
child.start()
child.join()
print(_core.family_id())
"""
    assert run("-c", program) == "None\nNone\n"


def test_fork_after_import_warns_of_nothing():
    program = """
import os, procession
q = procession.Queue()
pid = os.fork()
if pid == 0:
    q.put(1)
    os._exit(0)
assert q.get() == 1 and os.waitpid(pid, 0) == (pid, 0)
"""
    assert run("-c", program) == ""


def test_a_missing_core_is_an_import_error_of_one_sentence():
    program = """
import sys
sys.modules["procession._core"] = None
try:
    import procession
except ImportError as e:
    print(e)
"""
    text = run("-c", program)
    assert text.count("\n") == 1 and "procession's extension module does not load" in text


FALLBACK = """
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import procession as mp
    import procession.queues, procession.connection, procession.pool
    import multiprocessing, multiprocessing.connection, multiprocessing.queues
assert [w.category for w in caught] == [UserWarning], caught
assert "standard library" in str(caught[0].message)
assert mp.native is False and sorted(mp.__all__) == sorted(multiprocessing.__all__)
assert procession.queues.Queue is multiprocessing.queues.Queue
assert procession.connection is multiprocessing.connection
if __name__ == "__main__":
    for method in mp.get_all_start_methods():
        context = mp.get_context(method)
        assert context is multiprocessing.get_context(method)
        q = context.Queue()
        p = context.Process(target=q.put, args=(1,))
        p.start()
        assert q.get() == 1
        p.join()
        q.close()
        q.join_thread()
"""


def test_fallback(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(FALLBACK)
    assert run(script, env={"PROCESSION_FALLBACK": "1"}) == ""
