"""install() and `procession run`: Procession for a whole program, its libraries and its children."""

import signal
import subprocess
import sys
import zipfile

import pytest
from support import METHODS, run, script

import procession as mp
from procession import _fallback

each_method = pytest.mark.parametrize("method", METHODS)


# ---------------------------------------------------------------- install()


def test_every_import_gives_procession():
    program = """
import procession, sys
assert procession.install() is None
procession.install()
import multiprocessing
import multiprocessing.queues, multiprocessing.pool as pool
from multiprocessing import Process, connection
from multiprocessing.context import SpawnContext
import importlib
assert multiprocessing is procession and Process is procession.Process
assert multiprocessing.queues is procession.queues is sys.modules["multiprocessing.queues"]
assert connection is procession.connection and SpawnContext is procession.context.SpawnContext
assert pool is procession.pool is importlib.import_module("multiprocessing.pool")
for name in sorted(procession._MODULES):
    module = importlib.import_module("multiprocessing." + name)
    assert module is getattr(procession, name) is importlib.import_module("procession." + name)
    assert module is sys.modules["multiprocessing." + name]
import multiprocessing.dummy.connection
try:
    import multiprocessing.nonsense
except ModuleNotFoundError as error:
    assert "nonsense" in str(error), error
else:
    raise AssertionError
"""
    assert run("-c", program) == ""


def test_there_is_one_of_each_real_module():
    """Whatever is imported before or after, and under whichever name."""
    program = """
import sys
import multiprocessing.util, multiprocessing.process, multiprocessing.pool
util, process = multiprocessing.util, multiprocessing.process
real = [util, process, multiprocessing.pool]  # a global variable would get Procession's pool
import procession
procession.install()
from procession import _std
import procession._std.managers
from multiprocessing import managers
assert managers is procession.managers
their = _std.managers
assert their is sys.modules["procession._std.managers"]
assert [their.util, their.process, their.pool] == real
assert _std.util is util is sys.modules["multiprocessing.util"] is sys.modules["procession.util"]
assert procession.current_process() is process.current_process()
assert their.__name__ == "multiprocessing.managers"
assert their.SyncManager.__module__ == "procession._std.managers"
# What goes to servers and clients that know nothing of Procession is called as it is there.
assert their.Token.__module__ == "multiprocessing.managers" and managers.Token is their.Token
assert their.RebuildProxy.__module__ == "multiprocessing.managers"
assert managers.RebuildProxy is their.RebuildProxy
import multiprocessing.synchronize, procession._std.synchronize, procession._std.queues
names = [name for name in sys.modules if name.startswith(("procession._std.", "multiprocessing."))]
files = {}
for name in names:
    module = sys.modules[name]
    assert files.setdefault(module.__file__, module) is module, name
"""
    assert run("-c", program) == ""


def test_modules_that_were_imported_before_get_it_too(tmp_path):
    script(
        tmp_path,
        """
import multiprocessing, multiprocessing.queues as q
import multiprocessing as mp
from multiprocessing import Queue, Process, current_process, TimeoutError
from multiprocessing.connection import wait
class Derived(Process): pass
""",
        "library.py",
    )
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import concurrent.futures.process, library
theirs = [library.Process]  # (as a global of its own it would be replaced)
queue = library.Queue()
import procession
procession.install()
assert concurrent.futures.process.mp is procession
assert library.mp is library.multiprocessing is procession and library.q is procession.queues
assert library.Queue == procession.Queue and library.Process is procession.Process
assert library.wait is procession.connection.wait
assert library.current_process is procession.current_process
# What was made and derived before stays what it was, and works.
assert library.Derived.__bases__ == (*theirs,) and type(queue).__name__ == "Queue"
child = library.Derived(target=queue.put, args=(1,))
child.start()
assert queue.get(timeout=20) == 1
child.join()
queue.close()
queue.join_thread()
"""
    assert run("-c", program) == ""


def test_thread_queues_are_replaced_too(tmp_path):
    script(
        tmp_path,
        """
import queue, queue as q
from queue import Empty, Full, LifoQueue, Queue, SimpleQueue
class Derived(LifoQueue): pass
""",
        "library.py",
    )
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import _queue, library, logging.handlers, concurrent.futures.thread
held = [library.queue, _queue.SimpleQueue]  # (as globals they would be replaced)
made = library.Queue()
import procession
procession.install()
theirs, simple = held
import queue
from queue import PriorityQueue, deque
assert queue is procession.queue is sys.modules["queue"] is not theirs
assert library.queue is library.q is queue and library.SimpleQueue is queue.SimpleQueue
assert library.Queue is queue.Queue and PriorityQueue is queue.PriorityQueue
assert library.Empty is queue.Empty is _queue.Empty and library.Full is theirs.Full
assert logging.handlers.queue is concurrent.futures.thread.queue is queue
# The C module is as it was; so is what was made and derived before.
assert _queue.SimpleQueue is simple is not queue.SimpleQueue and theirs.SimpleQueue is simple
assert type(made) is theirs.Queue and library.Derived.__bases__ == (theirs.LifoQueue,)
made.put(1)
assert made.get() == 1
try:
    queue.nonsense
except AttributeError as error:
    assert "nonsense" in str(error)
else:
    raise AssertionError
"""
    assert run("-c", program) == ""


THREADED = """
import asyncio, concurrent.futures, logging, logging.handlers, queue, sys, threading, urllib.request
import multiprocessing, multiprocessing.pool

class Pool(queue.LifoQueue):
    "What urllib3 has for its connections."
    def _init(self, _): self.queue = __import__("collections").deque()
    def _qsize(self, len=len): return len(self.queue)
    def _put(self, item): self.queue.append(item)
    def _get(self): return self.queue.pop()

def square(x):
    assert queue.__name__ == "procession.queue"
    return x * x

class Kept(logging.Handler):
    def __init__(self):
        super().__init__()
        self.seen = []
    def emit(self, record):
        self.seen.append(record.getMessage())

async def main():
    there = asyncio.Queue()
    await there.put(1)
    q = queue.Queue()
    await asyncio.to_thread(q.put, 2)
    return await there.get(), await q.aget()

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    assert queue.__name__ == "procession.queue"
    with concurrent.futures.ThreadPoolExecutor(3) as executor:
        assert type(executor._work_queue) is queue.SimpleQueue
        assert list(executor.map(square, range(50))) == [x * x for x in range(50)]
        slow = [executor.submit(threading.Event().wait, 0.01) for _ in range(20)]
        executor.shutdown(cancel_futures=True)
        assert all(future.done() for future in slow)
    with concurrent.futures.ProcessPoolExecutor(2) as executor:
        assert list(executor.map(square, range(10))) == [x * x for x in range(10)]
    kept, records = Kept(), queue.Queue(-1)
    listener = logging.handlers.QueueListener(records, kept)
    listener.start()
    logger = logging.getLogger("x")
    logger.addHandler(logging.handlers.QueueHandler(records))
    for number in range(100):
        logger.warning("number %d", number)
    listener.stop()
    assert kept.seen == [f"number {number}" for number in range(100)]
    pool = Pool(2)
    pool.put(None)
    pool.put("connection", block=False)
    assert pool.full() and pool.get(timeout=1) == "connection"
    assert asyncio.run(main()) == (1, 2)
    with multiprocessing.pool.ThreadPool(2) as threads:
        assert threads.map(square, range(10)) == [x * x for x in range(10)]
    with multiprocessing.Pool(2) as workers:
        assert workers.map(square, range(10)) == [x * x for x in range(10)]
    with multiprocessing.Manager() as manager:
        shared = manager.Queue()
        shared.put(1)
        assert shared.get() == 1
    print("well")
"""


@each_method
def test_what_is_built_on_thread_queues(method, tmp_path):
    path = script(tmp_path, THREADED)
    assert run("-m", "procession", "run", path, method) == "well\n"


def test_which_modules_are_processions_own():
    """Those that are named so are, and the others are the standard library's."""
    import importlib

    for name in sorted(mp._MODULES):
        ours = importlib.import_module(f"procession.{name}")
        theirs = importlib.import_module(f"multiprocessing.{name}")
        assert (ours is not theirs) == (name in _fallback.OWN), name


def test_private_names_of_the_real_modules_are_found():
    program = """
import procession
procession.install()
from multiprocessing.queues import _sentinel
from multiprocessing.spawn import _fixup_main_from_path
from multiprocessing.context import _force_start_method
from multiprocessing.connection import SocketListener, answer_challenge
import multiprocessing.queues
try:
    multiprocessing.queues.nonsense
except AttributeError:
    pass
else:
    raise AssertionError
assert not hasattr(multiprocessing.queues, "__path__")
"""
    assert run("-c", program) == ""


def test_fallback_is_left_alone():
    program = """
import warnings
warnings.simplefilter("ignore")
import procession, multiprocessing
procession.install()
import queue
assert __import__("multiprocessing") is multiprocessing is not procession
assert queue.__name__ == "queue" and queue is not procession.queue
"""
    assert run("-c", program, env={"PROCESSION_FALLBACK": "1"}) == ""


CHILDREN = """
import sys
import multiprocessing
IN_MAIN = multiprocessing.__name__

def look(queue, depth):
    import multiprocessing, multiprocessing.pool, procession
    from multiprocessing.queues import Queue
    queue.put((IN_MAIN, multiprocessing is procession, type(queue) is Queue,
               multiprocessing.get_start_method()))
    if depth:
        child = multiprocessing.Process(target=look, args=(queue, depth - 1))
        child.start()
        child.join()

def square(x):
    import procession, multiprocessing
    assert multiprocessing is procession
    return x * x

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    queue = multiprocessing.Queue()
    child = multiprocessing.Process(target=look, args=(queue, 1))
    child.start()
    expected = ("procession", True, True, sys.argv[1])
    for _ in range(2):
        assert (found := queue.get(timeout=20)) == expected, found
    child.join()
    assert child.exitcode == 0
    with multiprocessing.Pool(2) as pool:
        assert pool.map(square, range(4)) == [0, 1, 4, 9]
    with multiprocessing.Manager() as manager:
        shared = manager.list([1])
        shared.append(2)
        assert list(shared) == [1, 2]
    lock = multiprocessing.Lock()
    with lock:
        pass
    print("well")
"""


@each_method
def test_children(method, tmp_path):
    path = script(tmp_path, CHILDREN)
    assert run("-m", "procession", "run", path, method) == "well\n"


def test_a_forkserver_that_ran_before(tmp_path):
    program = """
import procession as mp

def look(queue):
    import multiprocessing
    queue.put(multiprocessing.__name__)

if __name__ == "__main__":
    context = mp.get_context("forkserver")
    queue = context.Queue()
    for expected in "multiprocessing", "procession":
        child = context.Process(target=look, args=(queue,))
        child.start()
        assert queue.get(timeout=20) == expected
        child.join()
        mp.install()
"""
    assert run(script(tmp_path, program)) == ""


def test_processes_of_an_older_context(tmp_path):
    """The standard library's own, held from before: its children can read what we pickle."""
    program = """
import multiprocessing
contexts = [multiprocessing.get_context(method) for method in ("fork", "spawn", "forkserver")]
import procession

def look(queue, pipe):
    queue.put(pipe.recv())

if __name__ == "__main__":
    procession.install()
    for context in contexts:
        queue = procession.Queue()
        here, there = procession.Pipe()
        child = context.Process(target=look, args=(queue, there))
        child.start()
        here.send(1)
        assert queue.get(timeout=20) == 1
        child.join()
        assert child.exitcode == 0
"""
    assert run(script(tmp_path, program)) == ""


def test_after_fork_it_is_the_childs_too():
    program = """
import os, procession
procession.install()
pid = os.fork()
if pid == 0:
    import multiprocessing
    os._exit(0 if multiprocessing is procession else 1)
assert os.waitpid(pid, 0) == (pid, 0)
"""
    assert run("-c", program) == ""


# ---------------------------------------------------------------- run

MAIN = """
import sys, os
import multiprocessing
if __name__ == "__main__":
    main = sys.modules["__main__"]
    print(multiprocessing.__name__, sys.argv[1:], vars(main) is globals(), __doc__)
    print(os.path.basename(__file__), os.path.basename(sys.path[0]), __package__)
"""


def test_a_script(tmp_path):
    path = script(tmp_path, MAIN)
    out = run("-m", "procession", "run", path, "-m", "--json", "x")
    expected = f"procession ['-m', '--json', 'x'] True None\nscript.py {tmp_path.name} None\n"
    assert out == expected
    assert out == run(path, "-m", "--json", "x").replace("multiprocessing", "procession")


def test_a_module(tmp_path):
    (tmp_path / "package").mkdir()
    script(tmp_path, "", "package/__init__.py")
    script(tmp_path, MAIN, "package/tool.py")
    script(tmp_path, MAIN, "package/__main__.py")
    for name, file in [("package.tool", "tool.py"), ("package", "__main__.py")]:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "procession", "run", "-m", name, "a", "-b"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=45,
        )
        assert done.stdout == (
            f"procession ['a', '-b'] True None\n{file} {tmp_path.name} package\n"
        ), done.stderr


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_a_folder_and_a_zip_file(kind, tmp_path):
    if kind == "folder":
        program = tmp_path / "folder"
        program.mkdir()
        script(program, MAIN, "__main__.py")
    else:
        program = tmp_path / "zipped"
        with zipfile.ZipFile(program, "w") as archive:
            archive.writestr("__main__.py", MAIN)
    out = run("-m", "procession", "run", program, "x")
    assert out == f"procession ['x'] True None\n__main__.py {program.name} \n"
    assert out == run(program, "x").replace("multiprocessing", "procession")


@pytest.mark.parametrize(
    "text, code, says",
    [
        ("import sys; sys.exit(7)", 7, ""),
        ("import sys; sys.exit('sorry')", 1, "sorry\n"),
        ("raise ValueError(1)", 1, "ValueError: 1\n"),
        ("x = ", 1, "SyntaxError: invalid syntax\n"),
        ("import os; os._exit(3)", 3, ""),
    ],
)
def test_exit_status(text, code, says, tmp_path):
    path = script(tmp_path, text)
    out = run("-m", "procession", "run", path, code=code)
    assert out == run(path, code=code)
    assert out.endswith(says)


def test_ctrl_c_ends_it_as_it_ends_python(tmp_path):
    path = script(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGINT)")
    for command in ([], ["-m", "procession", "run"]):
        done = subprocess.run(
            [sys.executable, *command, path], capture_output=True, text=True, timeout=45
        )
        assert done.returncode == -signal.SIGINT
        assert done.stderr.endswith("KeyboardInterrupt\n")


def test_no_such_program(tmp_path):
    out = run("-m", "procession", "run", tmp_path / "nothing.py", code=2)
    assert "cannot open" in out and "Traceback" not in out
    out = run("-m", "procession", "run", "-m", "no_such_module", code=1)
    assert "No module named no_such_module" in out and "Traceback" not in out
    assert "usage:" in run("-m", "procession", "run", code=2)


LATE = """
import atexit, sys, threading
import multiprocessing

def put(queue):
    queue.put(1)

def start():
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    child = context.Process(target=put, args=(queue,))
    child.start()
    assert queue.get(timeout=20) == 1
    child.join()
    print("late")

def later():
    threading.main_thread().join()
    start()

if __name__ == "__main__":
    threading.Thread(target=later).start()
"""


def test_a_thread_outlives_the_programs_end(tmp_path):
    """The children that it starts still find the program as their main module."""
    assert run("-m", "procession", "run", script(tmp_path, LATE)) == "late\n"
