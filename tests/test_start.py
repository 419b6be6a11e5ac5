"""What a child imports at its start, and what its main module is, under spawn and forkserver."""

import ast
import os
import subprocess
import sys
import zipfile

import pytest
from support import run

from procession import _lean

LOOK = """
import sys

def look(*names):
    import gc
    found = [name for name in names if name in sys.modules]
    print((found, gc.isenabled(), gc.get_freeze_count() > 0), flush=True)

if __name__ == "__main__":
    import procession as mp
    child = mp.get_context("spawn").Process(target=look, args=sys.argv[1:])
    child.start()
    child.join()
    assert child.exitcode == 0
"""

LATE = [
    *(
        "argparse",
        "asyncio",
        "ast",
        "cloudpickle",
        "contextlib",
        "ctypes",
        "hashlib",
        "importlib.util",
    ),
    *("inspect", "json", "locale", "logging", "multiprocessing.connection", "multiprocessing.heap"),
    *("multiprocessing.synchronize", "numpy", "pickle", "pkgutil", "procession.connection"),
    *("procession.queues", "queue", "random", "re", "runpy", "secrets", "select", "selectors"),
    *("shutil", "socket", "struct", "subprocess", "tempfile", "traceback", "typing"),
]


def script(folder, text, name="script.py"):
    path = folder / name
    path.write_text(text)
    return path


def test_a_spawned_child_imports_only_what_it_needs(tmp_path):
    there = run("-S", "-c", f"import sys; print([n for n in {LATE} if n in sys.modules])")
    site = run("-c", f"import sys; print([n for n in {LATE} if n in sys.modules])")
    found, collects, frozen = ast.literal_eval(run(script(tmp_path, LOOK), *LATE))
    assert set(found) <= set(ast.literal_eval(site)) | set(ast.literal_eval(there))
    assert collects and frozen


STAND_INS = """
import sys

def use(pipe):
    from multiprocessing import reduction, spawn, util
    # Whoever holds a stand-in has the whole module.
    assert reduction.pickle.HIGHEST_PROTOCOL >= 5 and spawn.runpy.run_path
    assert reduction.socket.AF_UNIX and "-Werror" in util._args_from_interpreter_flags()
    import pickle, runpy, socket, subprocess
    for module in pickle, runpy, socket, subprocess:
        assert module is sys.modules[module.__name__] and module.__spec__.loader.get_source
        assert type(module) is type(sys), module
    assert reduction.ForkingPickler.__mro__[1] is pickle.Pickler
    assert "_SocketWatch" not in str(sys.meta_path)
    # The reducers are those for the real classes.
    here, there = socket.socketpair()
    with here, there, pickle.loads(reduction.ForkingPickler.dumps(here)) as copy:
        assert type(copy) is socket.socket
        pipe.send(there)
        pipe.recv()

def use_first(pipe):
    import importlib.util
    assert importlib.util.find_spec("socket").origin
    from socket import socketpair
    here, there = socketpair()
    with here, there:
        pipe.send(there)
        pipe.recv()

if __name__ == "__main__":
    import procession as mp, socket
    for target in use, use_first:
        here, there = mp.Pipe()
        child = mp.get_context("spawn").Process(target=target, args=(there,))
        child.start()
        there.close()
        with here.recv() as received:
            assert type(received) is socket.socket
        here.send("thanks")
        child.join()
        assert child.exitcode == 0
        here.close()
"""


def test_stand_ins_lead_to_the_modules(tmp_path):
    assert run(script(tmp_path, STAND_INS)) == ""


def test_only_a_child_gets_them():
    program = "import sys, procession; print('procession._lean' in sys.modules)"
    assert run("-c", program) == "False\n"
    assert run("-c", program, "--multiprocessing-fork") == "True\n"
    program = f"import procession; assert not procession._lean._stand_ins # {_lean.BOOT}"
    assert run("-c", program, "--multiprocessing-fork") == ""


FLAGS = """
import sys

def deeper(depth):
    assert sys.warnoptions == ["error"] and sys.flags.optimize == 1
    if depth:
        import procession as mp
        child = mp.get_context("spawn").Process(target=deeper, args=(depth - 1,))
        child.start()
        child.join()
        assert child.exitcode == 0

if __name__ == "__main__":
    deeper(2)
"""


def test_flags_reach_the_grandchildren(tmp_path):
    assert run("-O", script(tmp_path, FLAGS)) == ""


MAIN = """
import os, sys
count = 0
NAMES = __name__, os.path.basename(__file__), __package__, __spec__ is None, sys.argv[0] == __file__

def increase():
    global count
    count += 1

def look():
    main = sys.modules["__main__"]
    increase()
    assert main is sys.modules["__mp_main__"] and main.count == count == 1
    assert sys.argv[1:] == ["x"]
    print(NAMES, flush=True)

if __name__ == "__main__":
    import procession as mp
    child = mp.get_context(os.environ["METHOD"]).Process(target=look)
    child.start()
    child.join()
    assert child.exitcode == 0
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@pytest.mark.parametrize("name", ["script.py", "script", "script.pyw"])
def test_the_main_module(method, name, tmp_path):
    out = run(script(tmp_path, MAIN, name), "x", env={"METHOD": method})
    assert out == f"('__mp_main__', {name!r}, '', True, True)\n"


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_zip_application(method, tmp_path):
    """Its children do not import it again, so what it sends goes by value."""
    path = tmp_path / "application.pyz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__main__.py", MAIN.replace("def look():", "def look():\n    return"))
    assert run(path, "x", env={"METHOD": method}) == ""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_main_module_that_fails(method, tmp_path):
    text = MAIN.replace("count = 0", "count = 1 / (__name__ == '__main__')")
    out = run(script(tmp_path, text), "x", env={"METHOD": method}, code=1)
    assert "ZeroDivisionError" in out and 'script.py", line 3, in <module>' in out


PRELOADED = """
import os
WHERE = os.getpid()

def look():
    assert WHERE == (os.getpid() if METHOD == "spawn" else os.getppid()), (WHERE, os.getppid())

METHOD = os.environ["METHOD"]
if __name__ == "__main__":
    import procession as mp
    for _ in range(2):
        child = mp.get_context(METHOD).Process(target=look)
        child.start()
        child.join()
        assert child.exitcode == 0
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@pytest.mark.parametrize("as_module", [False, True])
def test_the_forkserver_preloads_the_main_module(method, as_module, tmp_path):
    """Run by its file or by its name: the children find it there."""
    path = script(tmp_path, PRELOADED)
    command = ["-m", "script"] if as_module else [path]
    done = subprocess.run(
        [sys.executable, "-W", "error", *command],
        cwd=tmp_path,
        env={**os.environ, "METHOD": method},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=45,
    )
    assert (done.returncode, done.stdout) == (0, b"")


WARM = """
import os, sys, time
MODULES = "procession._worker", "procession.queues", "procession.sharedctypes"

def look(pipe):
    import gc
    there = [name for name in MODULES if name in sys.modules]
    pipe.send((there, gc.isenabled(), gc.get_freeze_count() > 0))

def start(context):
    import procession as mp
    here, there = mp.Pipe()
    child = context.Process(target=look, args=(there,))
    child.start()
    found = here.recv()
    child.join()
    assert child.exitcode == 0 and found[1], found
    return found

if __name__ == "__main__":
    import procession as mp
    context = mp.get_context("forkserver")
    found, _, _ = start(context)
    assert "procession._worker" in found
    deadline = time.monotonic() + 20
    while start(context)[0::2] != (list(MODULES), True):
        assert time.monotonic() < deadline
        time.sleep(0.05)  # while it has children to fork it imports nothing
"""


def test_an_idle_forkserver_imports_what_children_may_need(tmp_path):
    assert run(script(tmp_path, WARM)) == ""
