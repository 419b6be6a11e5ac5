"""What several test modules use."""

import multiprocessing
import os
import subprocess
import sys
import time

import backends
import pytest

import procession as mp

METHODS = mp.get_all_start_methods()
each_method = pytest.mark.parametrize("method", METHODS)
# The standard library's pipes as well: so what a test demands is what theirs do.
each_pipe = pytest.mark.parametrize(
    "pipe", [multiprocessing.Pipe, mp.Pipe], ids=["stdlib", "procession"]
)
LONG = os.environ.get("PROCESSION_LONG") == "1"
PATIENCE = 20


def ended(*processes, code=0):
    """Waits for processes to end, and looks at their exit codes."""
    for process in processes:
        process.join(PATIENCE)
        assert process.exitcode == code, process
        process.close()


def until(condition, what="the condition"):
    """Waits until something that other processes bring about holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.001)


def until_waiting(*pids):
    """Waits until processes are blocked in a queue, at a lock and the like."""
    until(lambda: backends.current.waiting().issuperset(pids), f"{pids} waiting")


def run(*arguments, stdin=None, env=None, code=0):
    """Runs Python with warnings as errors; returns what it wrote."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *map(str, arguments)],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=45,
        env={**os.environ, **(env or {})},
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def descriptors():
    """How many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))


def stop_sharing():
    """Ends the standard library's thread that hands out descriptors."""
    from multiprocessing import resource_sharer

    resource_sharer.stop(timeout=PATIENCE)


def is_broken(writer):
    """Sends something into the blue: whether nobody can receive it."""
    try:
        writer.send("into the blue")
    except BrokenPipeError:
        return True
    return False


def script(folder, text, name="script.py"):
    """Writes a program into a file, and returns its path."""
    path = folder / name
    path.write_text(text)
    return path
