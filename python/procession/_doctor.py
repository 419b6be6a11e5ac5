"""`python -m procession doctor`: what this machine offers, and what stands in the way.

A finding is `ok`, a `note` (something is less than it could be), or a `problem`: Procession, or the
part that it names, does not work here. Whatever can be tried is tried, in this process or in a
child, rather than concluded from versions; nothing is left behind.
"""

from __future__ import annotations

import json
import mmap
import os
import platform
import queue
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MIB = 1 << 20
FEW_DESCRIPTORS, MANY_DESCRIPTORS = 64, 1024
LEAST_MEMORY = 64 * MIB
LEAST_FILE_SIZE = 128 * MIB  # the core makes no smaller arena
LEAST_ADDRESS_SPACE = 1024 * MIB
LITTLE_SHM = 64 * MIB  # a container's default
PATIENCE = 20.0


@dataclass
class Finding:
    name: str
    status: str  # "ok", "note" or "problem"
    found: str
    advice: str = ""


def ok(name: str, found: str) -> Finding:
    return Finding(name, "ok", found)


def note(name: str, found: str, advice: str) -> Finding:
    return Finding(name, "note", found, advice)


def problem(name: str, found: str, advice: str) -> Finding:
    return Finding(name, "problem", found, advice)


def size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.0f} TiB"


# ---------------------------------------------------------------- versions


def versions() -> Iterator[Finding]:
    import procession

    python = f"{platform.python_implementation()} {platform.python_version()}"
    yield ok("python", f"{python}, {sys.executable}")
    if not procession.native:
        yield problem(
            "procession",
            f"{procession.__version__}, without its core: the standard library does the work",
            "unset PROCESSION_FALLBACK" if sys.platform == "linux" else "run it on Linux",
        )
        return
    from procession import _core

    built = "debug build" if _core.debug_build else "release build"
    found = f"{procession.__version__}, core {_core.__version__}, {built}"
    if _core.__version__ != procession.__version__:
        yield problem("procession", found, "install the package anew: its parts do not match")
    elif _core.debug_build or _core.fault_build:
        yield note("procession", found, "build it in release mode, without test features")
    else:
        yield ok("procession", found)
    try:
        import cloudpickle  # type: ignore[import-untyped]
    except ImportError:
        yield note("cloudpickle", "missing", "pip install cloudpickle: to send lambdas by value")
    else:
        yield ok("cloudpickle", cloudpickle.__version__)


# ---------------------------------------------------------------- the kernel


def kernel() -> Iterator[Finding]:
    system = os.uname()
    yield ok("kernel", f"{system.sysname} {system.release}, {system.machine}")
    yield _tried("memfd_create", _try_memfd, "allow memfd_create in the sandbox (seccomp)")
    yield _tried("pidfd_open", _try_pidfd, "Linux 5.3 or newer, or allow it in the sandbox")
    yield _tried("/proc/PID/fd", _try_proc, "mount /proc, and let processes see their children's")


def _tried(name: str, what: Callable[[], Any], advice: str) -> Finding:
    try:
        what()
    except OSError as error:
        return problem(name, f"fails: {error}", advice)
    return ok(name, "works")


def _try_memfd() -> None:
    fd = os.memfd_create("procession-doctor")
    try:
        os.ftruncate(fd, mmap.PAGESIZE)
        with mmap.mmap(fd, mmap.PAGESIZE) as memory:
            memory[0] = 1
            if os.pread(fd, 1, 0) != b"\1":
                raise OSError("what is written into the mapping is not in the file")
    finally:
        os.close(fd)


def _try_pidfd() -> None:
    os.close(os.pidfd_open(os.getpid()))


def _try_proc() -> None:
    """A child's descriptor can be opened by way of its folder in /proc."""
    child_r, parent_w = os.pipe()
    fd = os.memfd_create("procession-doctor")
    pid = os.fork()
    if pid == 0:
        os.close(parent_w)
        os.read(child_r, 1)  # returns when the parent closes its end, or dies
        os._exit(0)
    try:
        os.close(os.open(f"/proc/{pid}/fd/{fd}", os.O_RDWR))
    finally:
        for each in (child_r, parent_w, fd):
            os.close(each)
        os.waitpid(pid, 0)


# ---------------------------------------------------------------- what there is of everything


def machine() -> Iterator[Finding]:
    allowed, present = len(os.sched_getaffinity(0)), os.cpu_count() or 1
    quota = _cpu_quota()
    found = f"{allowed} of {present} may be used"
    if quota is not None and quota < allowed:
        advice = f"more processes than {max(1, round(quota))} only take turns"
        yield note("cores", f"{found}, but the cgroup gives the time of {quota:g}", advice)
    else:
        yield ok("cores", found)
    yield _memory()
    yield _shm()


def _memory() -> Finding:
    fields = {}
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError as error:
        return problem("memory", f"unknown: {error}", "mount /proc")
    for line in lines:
        name, _, value = line.partition(":")
        fields[name] = int(value.split()[0]) * 1024
    free, found = fields["MemAvailable"], f"{size(fields['MemTotal'])}"
    limit = _cgroup_limit()
    if limit is not None:
        most, used = limit
        free = min(free, most - used)
        found += f", the cgroup allows {size(most)}"
    found += f"; {size(free)} available"
    if free < LEAST_MEMORY:
        return problem("memory", found, "free memory, or raise the cgroup's limit")
    return ok("memory", found)


def _cgroups() -> Iterator[tuple[Path, str]]:
    """The folders of this process's cgroup and of those above it, each with its controller."""
    root = Path("/sys/fs/cgroup")
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            place = Path(path)
            for part in (place, *place.parents):
                yield root / controller / str(part).lstrip("/"), controller


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # "max"
        return None


def _cgroup_limit() -> tuple[int, int] | None:
    """The tightest limit on memory and what is used of it, if there is a limit."""
    found = []
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for folder, controller in _cgroups():
        names = {"": ("memory.max", "memory.current")}
        names["memory"] = ("memory.limit_in_bytes", "memory.usage_in_bytes")
        if controller in names:
            most, used = (_number(folder / name) for name in names[controller])
            if most is not None and most < total:
                found.append((most, used or 0))
    return min(found, key=lambda pair: pair[0] - pair[1], default=None)


def _cpu_quota() -> float | None:
    """How many cores' time the cgroup gives, if there is a limit."""
    found = []
    for folder, controller in _cgroups():
        try:
            if controller == "":
                quota, period = (folder / "cpu.max").read_text().split()
                found.append(int(quota) / int(period))
            elif controller == "cpu":
                micros = _number(folder / "cpu.cfs_quota_us") or -1
                if micros > 0:
                    found.append(micros / (_number(folder / "cpu.cfs_period_us") or 100_000))
        except (OSError, ValueError):
            continue
    return min(found, default=None)


def _shm() -> Finding:
    name = "/dev/shm"
    use = "SharedMemory, Pool and Manager need it"
    if not os.access(name, os.W_OK | os.X_OK):
        return problem(name, f"missing, or not writable: {use}", "mount a tmpfs there")
    stat = os.statvfs(name)
    total, free = stat.f_frsize * stat.f_blocks, stat.f_frsize * stat.f_bavail
    found = f"{size(total)}, {size(free)} free"
    if free < MIB:
        return problem(name, f"{found}: {use}", "remove what is left there, or make it larger")
    if total <= LITTLE_SHM:
        advice = "SharedMemory has no more than this (queues and pipes do not use it);"
        return note(name, found, f"{advice} docker run --shm-size makes it larger")
    return ok(name, found)


def limits() -> Iterator[Finding]:
    yield _limit("descriptors", "NOFILE", FEW_DESCRIPTORS, MANY_DESCRIPTORS, "ulimit -n", str)
    least = LEAST_ADDRESS_SPACE
    yield _limit("address space", "AS", least, 16 * least, "ulimit -v", size)
    yield _limit("file size", "FSIZE", LEAST_FILE_SIZE, 1 << 40, "ulimit -f", size)
    processes = os.cpu_count() or 1
    yield _limit("processes", "NPROC", processes + 8, 256, "ulimit -u", str)
    core = resource.getrlimit(resource.RLIMIT_CORE)[0]
    found = "unlimited" if core == resource.RLIM_INFINITY else size(core)
    yield ok("core dumps", f"{found}; they hold the arena's contents")


def _limit(
    name: str, limit: str, least: int, enough: int, command: str, show: Callable[[int], str]
) -> Finding:
    soft, hard = resource.getrlimit(getattr(resource, f"RLIMIT_{limit}"))
    if soft == resource.RLIM_INFINITY:
        return ok(name, "unlimited")
    above = "unlimited" if hard == resource.RLIM_INFINITY else show(hard)
    found = f"{show(soft)} (may be raised to {above})"
    advice = f"{command} raises it"
    if soft < least:
        return problem(name, found, f"{advice}: less than {show(least)} is too little")
    return ok(name, found) if soft >= enough else note(name, found, advice)


# ---------------------------------------------------------------- trials


def trials() -> Iterator[Finding]:
    import procession

    default = procession.get_start_method()
    try:
        messages: Any = procession.Queue()
        limit = size(_limit_of_the_arena()) if procession.native else "the standard library's"
        yield ok("shared memory", f"a queue was made; limit of all messages: {limit}")
    except OSError as error:
        # The message says which limit is in the way.
        yield problem("shared memory", f"no queue can be made: {error}", "see above")
        return
    yield _waiting(messages)
    for method in procession.get_all_start_methods():
        name = f"start method {method}" + (" (default)" if method == default else "")
        yield _start(name, procession.get_context(method))
    messages.close()


def _limit_of_the_arena() -> int:
    from procession import _core

    return _core.memory_limit()


def _waiting(messages: Any) -> Finding:
    start = time.monotonic()
    try:
        messages.get(timeout=0.02)
    except queue.Empty:
        pass
    except OSError as error:
        return problem("waiting (futex)", f"fails: {error}", "allow futex in the sandbox")
    took = time.monotonic() - start
    found = f"20 ms took {took * 1000:.0f} ms"
    if not 0.015 < took < 1:
        return note("waiting (futex)", found, "is the machine overloaded, or its clock uneven?")
    return ok("waiting (futex)", found)


def _start(name: str, context: Any) -> Finding:
    start = time.monotonic()
    messages = context.Queue()
    child = context.Process(target=messages.put, args=("here",), daemon=True)
    try:
        child.start()
        messages.get(timeout=PATIENCE)
        child.join(PATIENCE)
    except (OSError, RuntimeError, queue.Empty) as error:
        if child.pid is not None:
            child.kill()
            child.join()
        why = str(error) or f"no message within {PATIENCE:.0f} s"
        return problem(name, f"fails: {why}", "see above, or use another start method")
    messages.close()
    return ok(name, f"a message came back after {(time.monotonic() - start) * 1000:.0f} ms")


# ---------------------------------------------------------------- the report


def examine() -> list[Finding]:
    """All findings, in the order in which they are shown."""
    parts = [versions, trials]
    if sys.platform == "linux":
        parts = [versions, kernel, machine, limits, trials]
    return [finding for part in parts for finding in part()]


def main(as_json: bool) -> int:
    """Prints the findings. Returns the exit status: 1 if something stands in the way."""
    return report(examine(), as_json)


def report(findings: list[Finding], as_json: bool) -> int:
    """The same for findings that are there."""
    wrong = [finding.name for finding in findings if finding.status == "problem"]
    if as_json:
        shown = {"well": not wrong, "findings": [asdict(finding) for finding in findings]}
        print(json.dumps(shown, indent=2))
        return 1 if wrong else 0
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        print(f"{finding.status:<8} {finding.name:<{width}}  {finding.found}")
        if loses := getattr(finding, "loses", ""):  # a server's
            print(f"{'':<8} {'':<{width}}  may be lost: {loses}")
        if finding.advice:
            print(f"{'':<8} {'':<{width}}  → {finding.advice}")
    print()
    print(f"In the way: {', '.join(wrong)}." if wrong else "Nothing stands in the way.")
    return 1 if wrong else 0
