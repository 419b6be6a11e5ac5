"""SharedMemory: the standard library's names and behaviour, without its tracker's false warnings."""

import doctest
import errno
import multiprocessing.shared_memory
import os
import pickle
import subprocess
import sys

import pytest
from support import PATIENCE, each_method, ended

import procession as mp
from procession import shared_memory
from procession.shared_memory import ShareableList, SharedMemory


def exists(name):
    return os.path.exists(f"/dev/shm/{name}")


@pytest.fixture
def name(request):
    """A name of the test's own, which nothing is left of."""
    name = f"procession-test-{os.getpid()}"
    yield name
    try:
        os.unlink(f"/dev/shm/{name}")
    except FileNotFoundError:
        pass


def program(text, *arguments, code=0, module="procession.shared_memory"):
    """Another program, unrelated to this one; returns what it and its tracker wrote."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import os, signal, sys\nfrom {module} import *\n{text}",
            *arguments,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,  # read to the end: the tracker has it, too
        text=True,
        timeout=45,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


# ---------------------------------------------------------------- as in the standard library

each_implementation = pytest.mark.parametrize(
    "module", [multiprocessing.shared_memory, shared_memory], ids=["stdlib", "procession"]
)


@each_implementation
def test_what_a_block_is(module, name):
    block = module.SharedMemory(name, create=True, size=100)
    assert block.name == name and exists(name)
    assert block.size >= 100 and len(block.buf) == block.size and not any(block.buf)
    assert repr(block) == f"SharedMemory({name!r}, size={block.size})"
    with pytest.raises(FileExistsError):
        module.SharedMemory(name, create=True, size=100)
    assert exists(name)
    block.buf[:5] = b"hello"
    copy = pickle.loads(pickle.dumps(block))
    assert type(copy) is type(block) and bytes(copy.buf[:5]) == b"hello"
    copy.close()
    copy.close()
    assert copy.buf is None and exists(name)
    block.close()
    block.unlink()
    assert not exists(name)
    with pytest.raises(FileNotFoundError):
        block.unlink()


@each_implementation
def test_wrong_arguments(module, name):
    with pytest.raises(ValueError, match="^'size' must be a positive integer$"):
        module.SharedMemory(create=True, size=-1)
    with pytest.raises(ValueError, match="^'size' must be a positive number different from zero$"):
        module.SharedMemory(create=True)
    with pytest.raises(ValueError, match="^'name' can only be None if create=True$"):
        module.SharedMemory()
    with pytest.raises(FileNotFoundError):
        module.SharedMemory(name)
    open(f"/dev/shm/{name}", "w").close()
    with pytest.raises(ValueError, match="empty"):
        module.SharedMemory(name)
    assert exists(name)


@each_implementation
def test_lists(module):
    items = [1, -2.5, "three", b"four", None, True]
    made = module.ShareableList(items)
    found = module.ShareableList(name=made.shm.name)
    assert list(found) == items == list(pickle.loads(pickle.dumps(made)))
    found[2] = "3"
    assert made[2] == "3" and made.count("3") == 1 and made.index(None) == 4
    with pytest.raises(ValueError):
        found[2] = "much too long for its place"
    found.shm.close()
    made.shm.close()
    made.shm.unlink()


def test_classes():
    assert issubclass(SharedMemory, multiprocessing.shared_memory.SharedMemory)
    made = ShareableList([1])
    assert type(made.shm) is SharedMemory
    made.shm.close()
    made.shm.unlink()
    assert doctest.testmod(shared_memory) == (0, 16)


def test_both_implementations_share_names(name):
    block = SharedMemory(name, create=True, size=10)
    block.buf[0] = 7
    text = "b = SharedMemory(sys.argv[1]); print(b.buf[0]); b.buf[0] = 8; b.unlink(); b.close()"
    assert program(text, name, module="multiprocessing.shared_memory") == "7\n"
    assert block.buf[0] == 8 and not exists(name)
    block.close()


def test_when_the_memory_cannot_be_had(name, monkeypatch):
    """A segment that could not be made is not left."""

    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "ftruncate", refuse)
    before = set(os.listdir("/dev/shm"))
    for arguments in ({"name": name}, {}):
        with pytest.raises(OSError, match="No space left"):
            SharedMemory(create=True, size=10, **arguments)
    assert set(os.listdir("/dev/shm")) <= before


# ---------------------------------------------------------------- who answers for a segment

CREATE = "b = SharedMemory(sys.argv[1], create=True, size=10)\n"
ATTACH = "b = SharedMemory(sys.argv[1])\n"
KILL = "os.kill(os.getpid(), signal.SIGKILL)\n"


@pytest.mark.parametrize("end", ["", "b.close()", KILL, "os._exit(0)"])
def test_a_stranger_looks_on(name, end):
    """It neither deletes nor warns, however it ends."""
    block = SharedMemory(name, create=True, size=10)
    assert program(ATTACH + end, name, code=-9 if end is KILL else 0) == ""
    assert exists(name)
    block.close()
    block.unlink()


@pytest.mark.parametrize("end", ["", "b.close()", KILL, "os._exit(0)"])
def test_a_creator_that_does_not_unlink(name, end):
    """Nothing is left, and the one warning is true."""
    said = program(CREATE + end, name, code=-9 if end is KILL else 0)
    assert "1 leaked shared_memory objects" in said and "KeyError" not in said
    assert not exists(name)


def test_a_creator_that_is_killed_in_a_tree(name):
    """The segment lives as long as the tree, and may be used and removed there."""
    text = (
        "import procession\n"
        "def create(): SharedMemory(sys.argv[1], create=True, size=10); " + KILL + "\n"
        "from multiprocessing import resource_tracker\n"
        "resource_tracker.ensure_running()\n"
        "p = procession.get_context('fork').Process(target=create); p.start(); p.join()\n"
        "assert p.exitcode == -9\n" + ATTACH + "b.close(); b.unlink()"
    )
    assert program(text, name) == ""
    assert not exists(name)


@pytest.mark.parametrize("again", ["", "SharedMemory(sys.argv[1], create=True, size=10)\n"])
def test_a_stranger_unlinks(name, again):
    """The creator's end is silent; what the stranger made anew under the name is not touched."""
    text = CREATE + "print(flush=True); sys.stdin.read(); b.close()"
    command = [sys.executable, "-c", f"import sys\nfrom procession.shared_memory import *\n{text}"]
    creator = subprocess.Popen(
        [*command, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    with creator:
        assert creator.stdout.readline() == b"\n"
        SharedMemory(name).unlink()
        anew = SharedMemory(name, create=True, size=10) if again else None
        said, _ = creator.communicate(timeout=PATIENCE)
    assert (said, creator.returncode) == (b"", 0)
    assert exists(name) == bool(again)
    if again:
        anew.close()
        anew.unlink()


def attach(name, unlink):
    block = SharedMemory(name)
    block.buf[0] += 1
    block.close()
    if unlink:
        block.unlink()


@each_method
@pytest.mark.parametrize("unlink", [False, True])
def test_a_child(method, unlink, tmp_path, name):
    """It attaches by the name, and may unlink: nobody complains, at no end."""
    script = tmp_path / "script.py"
    script.write_text(f"""
import sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
import procession as mp
from procession.shared_memory import SharedMemory
from test_shared_memory import attach
if __name__ == "__main__":
    block = SharedMemory({name!r}, create=True, size=10)
    child = mp.get_context({method!r}).Process(target=attach, args=(block.name, {unlink}))
    child.start()
    child.join()
    assert child.exitcode == 0 and block.buf[0] == 1
    block.close()
    if not {unlink}:
        block.unlink()
""")
    done = subprocess.run(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=45
    )
    assert (done.stdout, done.returncode) == (b"", 0)
    assert not exists(name)


def create(name, queue):
    block = SharedMemory(name, create=True, size=10)
    block.buf[0] = 9
    block.close()
    queue.put("there")


@each_method
def test_a_child_creates(method, name):
    """Its end removes nothing as long as its tree lives."""
    context = mp.get_context(method)
    multiprocessing.resource_tracker.ensure_running()
    queue = context.Queue()
    child = context.Process(target=create, args=(name, queue))
    child.start()
    assert queue.get(timeout=PATIENCE) == "there"
    ended(child)
    block = SharedMemory(name)
    assert block.buf[0] == 9
    block.close()
    block.unlink()


@each_method
def test_as_an_argument(method):
    block = SharedMemory(create=True, size=10)
    child = mp.get_context(method).Process(target=fill, args=(block,))
    child.start()
    ended(child)
    assert bytes(block.buf[:2]) == b"hi"
    block.close()
    block.unlink()


def fill(block):
    block.buf[:2] = b"hi"


@pytest.mark.skipif(sys.version_info < (3, 13), reason="track= is new in 3.13")
def test_track(name):
    """Nobody answers for it: it stays, and nobody complains when it is removed."""
    for end, code in [("", 0), (KILL, -9)]:
        text = "SharedMemory(sys.argv[1], create=True, size=10, track=False)\n" + end
        assert program(text, name, code=code) == ""
        assert exists(name)
        assert program(ATTACH + "b.unlink()", name) == ""
        assert not exists(name)
    text = CREATE + "SharedMemory(sys.argv[1], track=False).unlink()"
    assert program(text, name) == ""


def test_names_that_the_tracker_cannot_be_told(name):
    """Its protocol has a colon between its words."""
    for odd in (f"{name}:colon", f"{name}-ö"):
        text = "b = SharedMemory(sys.argv[1], create=True, size=1); b.close(); b.unlink()"
        assert program(text, odd) == ""
        assert not exists(odd)


def test_the_manager_of_the_standard_library():
    from procession.managers import SharedMemoryManager

    with SharedMemoryManager() as manager:
        block = manager.SharedMemory(10)
        mine = SharedMemory(block.name)
        mine.buf[0] = 1
        assert block.buf[0] == 1
        mine.close()
        block.close()
    assert not exists(block.name)
