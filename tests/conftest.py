"""What holds after every test: nothing is left of it, neither processes nor shared memory."""

import ctypes
import gc
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import pytest

pytest_plugins = ["backends"]
# Started once by the standard library or by Procession, and kept until this process ends.
SERVICES = ("resource_tracker", "forkserver")
GRACE_SECONDS = 5
PR_SET_CHILD_SUBREAPER = 36


def pytest_configure():
    """Orphans become children of the test run, so that it sees them. Families meet in a folder of its
    own, for all processes: a fork server keeps the environment that it was started with."""
    os.environ["PROCESSION_FAMILY_DIR"] = tempfile.mkdtemp(prefix="families-")
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def pytest_unconfigure():
    shutil.rmtree(os.environ.pop("PROCESSION_FAMILY_DIR"), ignore_errors=True)


def states() -> dict[int, tuple[int, str]]:
    """Each process's parent and state letter."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue  # it has just ended
            found[int(entry.name)] = int(parent), state
    return found


def command_line(pid: int) -> str:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return line.replace(b"\0", b" ").decode("utf8", "replace")


def is_service(pid: int) -> bool:
    return any(name in command_line(pid) for name in SERVICES)


def descendants() -> set[int]:
    """All processes below this one, but for the services themselves.

    A forkserver's children have its command line, but another parent.
    """
    children: dict[int, list[int]] = {}
    for pid, (parent, _state) in states().items():
        children.setdefault(parent, []).append(pid)
    direct = children.get(os.getpid(), [])
    todo = [pid for pid in direct if not is_service(pid)]
    services = set(direct) - set(todo)
    # What serves a module's pools puts others in the place of those that a test kills.
    todo = [pid for pid in todo if pid not in sys.modules["backends"].workers]
    for service in services:
        todo += children.get(service, [])
    found = set()
    while todo:
        pid = todo.pop()
        found.add(pid)
        todo += children.get(pid, [])
    return found


def shared_names() -> set[str] | None:
    """What is in /dev/shm; None, if others on this machine use it too just now."""
    own = descendants() | {os.getpid()}
    for pid, (parent, state) in states().items():
        if pid not in own and parent != os.getpid() and state != "Z" and is_service(pid):
            return None
    return set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()


def memfds() -> int:
    """How many memory files this process has open; the arena is one, from its first use on."""
    count = 0
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{descriptor}").startswith("/memfd:")
        except OSError:
            continue
    return count


def reap(before: set[int]) -> None:
    """Collects what has ended: children in the usual way, then orphans that fell to this process."""
    gc.collect()
    multiprocessing.active_children()
    for pid, (parent, state) in states().items():
        if parent == os.getpid() and state == "Z" and pid not in before:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass


def leftovers(processes: set[int], names: set[str] | None, files: int) -> list[str]:
    left = [f"process {pid}: {command_line(pid)}" for pid in descendants() - processes]
    now = shared_names()
    if names is not None and now is not None:
        left += [f"/dev/shm/{name}" for name in now - names]
    if memfds() > max(files, 1):
        left.append(f"{memfds()} memory files, {files} before")
    return left


@pytest.fixture(autouse=True)
def nothing_left():
    """Fails a test that leaves a process, a name in /dev/shm or a memory file behind."""
    if sys.platform != "linux":
        yield
        return
    processes, names, files = descendants(), shared_names(), memfds()
    yield
    deadline = time.monotonic() + GRACE_SECONDS
    while left := leftovers(processes, names, files):
        if time.monotonic() > deadline:
            pytest.fail(f"left behind: {'; '.join(left)}")
        reap(processes)
        time.sleep(0.02)


@pytest.fixture(scope="session")
def family_folder():
    return Path(os.environ["PROCESSION_FAMILY_DIR"])


@pytest.fixture(scope="session")
def own_family(family_folder):
    """A process leaves its families when it ends: so this one is in one family, and always the same."""
    import procession as mp

    mp._core.family_fd()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROCESSION_FAMILY_DIR", str(family_folder))
        family = mp.Family("f")
        yield family
    assert family._check() == []


@pytest.fixture
def family(backend, own_family, family_folder, monkeypatch):
    """One of the tests' back end. This process's own is there before what a test has is counted."""
    if backend.url is None:
        family = own_family
        monkeypatch.setenv("PROCESSION_FAMILY_DIR", str(family_folder))
    else:
        family = backend.family()
    yield family
    clear(family)


def clear(family):
    """Removes what has a name; not the board at which a worker sits that serves the module's pools."""
    for name, kind in family.names().items():
        if kind != "pools":
            family.remove(name)


@pytest.fixture
def program(request, backend):
    """Starts programs; if the test is in a family itself, in that one."""
    from family_support import Program

    inside = "family" in request.fixturenames
    place = request.getfixturevalue("family_folder" if inside else "tmp_path")
    programs = []

    def start(text, **options):
        programs.append(Program(place, text, **options))
        return programs[-1]

    yield start
    for each in programs:
        each.kill()
    if backend.url is not None:
        # What has a name stays.
        with backend.family() as family:
            clear(family)


@pytest.fixture(scope="session")
def shared_server():
    """The one server of the whole run; a test asks for `remote_server`."""
    from remote_support import Server

    with Server() as server:
        yield server


@pytest.fixture
def remote_server(shared_server):
    """A prefix of the test's own on a server that answers; no key and no connection may stay there."""
    from remote_support import Plot

    plot = Plot(shared_server)
    yield plot
    # pytest still has what the test had.
    sys.modules["procession"]._core.leave_servers(GRACE_SECONDS)
    deadline = time.monotonic() + GRACE_SECONDS
    while left := plot.left():
        if time.monotonic() > deadline:
            pytest.fail(f"left on the server: {'; '.join(left)}")
        gc.collect()
        time.sleep(0.02)


@pytest.fixture
def own_server():
    """Starts servers that the test may kill, stop and misuse: `own_server(durable=True)`."""
    from remote_support import Server

    servers = []

    def start(kind=None, **options):
        servers.append(Server(kind, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.end()
