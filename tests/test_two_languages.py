"""A Rust and a Python process on the same queues, dict and lock of a named family."""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest
from support import PATIENCE

import procession as mp

ROOT = Path(__file__).resolve().parent.parent
MESSAGES = 100_000
# The limit is each test's: the program may have to be compiled first.
pytestmark = pytest.mark.timeout(60, func_only=True)


@pytest.fixture(scope="module")
def two_languages():
    """The Rust program, compiled from crates/procession/examples/two_languages.rs."""
    if shutil.which("cargo") is None:
        pytest.skip("no cargo here")
    command = ["cargo", "build", "--quiet", "-p", "procession", "--example", "two_languages"]
    subprocess.run(command, cwd=ROOT, check=True, timeout=600)
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    return Path(target, "debug/examples/two_languages")


@pytest.fixture(scope="module")
def languages(family_folder):
    """A process stays in a family until it ends, so all tests are in this one."""
    mp._core.family_fd()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROCESSION_FAMILY_DIR", str(family_folder))
        yield mp.Family("languages", allow_pickle=False)


@pytest.fixture
def family(languages, family_folder, monkeypatch):
    monkeypatch.setenv("PROCESSION_FAMILY_DIR", str(family_folder))
    yield languages
    for name in languages.names():
        languages.remove(name)


@contextlib.contextmanager
def rust(program, *arguments):
    """The program at work; it must end well, unless it is killed."""
    command = [program, "languages", *map(str, arguments)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        try:
            yield process
            process.stdin.close()
            assert process.wait(PATIENCE) in (0, -9)
        finally:
            process.kill()


def message(n):
    """The message with this number, as the Rust program makes it."""
    kind = n % 12
    if kind < 4:
        return [n, -n * n, 2**64 - 1 - n, n / 8][kind]
    if kind == 4:
        return f"number {n}: ½ 🦀"
    if kind == 5:
        return bytes((i + n) % 256 for i in range(n % 300))
    if kind == 6:
        return [n + i for i in range(n % 5)]
    if kind == 7:
        return (n, None, n % 2 == 0)
    if kind == 8:
        return {"n": n, n: [message(n // 2)], ("a", 1): {}}
    if kind == 9:
        return frozenset([n])
    if kind == 10:
        return bytes([n % 256]) * 100_000 if n % 100 == 10 else "x" * (n % 1000)
    return {"one"}


def same(a, b):
    return type(a) is type(b) and a == b


def test_many_messages_each_way(two_languages, family):
    to_rust, to_python = family.queue("to rust", 1000), family.queue("to python", 1000)
    with rust(two_languages, "talk", MESSAGES) as process:
        failed = []

        def speak():
            try:
                for n in range(MESSAGES):
                    to_rust.put(message(n), timeout=PATIENCE)
            except BaseException as error:
                failed.append(error)

        speaker = threading.Thread(target=speak)
        speaker.start()
        for n in range(MESSAGES):
            got = to_python.get(timeout=PATIENCE)
            assert same(got, message(n)), (n, got)
        speaker.join(PATIENCE)
        assert process.stdout.readline() == "ok\n" and not failed


def test_what_is_killed_is_missed_by_nobody(two_languages, family):
    """The Rust process is killed in the midst of its messages; what it had put is there, whole."""
    to_python = family.queue("to python", 1000)
    for _ in range(5):
        with rust(two_languages, "flood") as process:
            for n in range(2000):
                assert same(to_python.get(timeout=PATIENCE), message(n))
            process.kill()
            process.wait()
        n = 2000
        while not to_python.empty():
            assert same(to_python.get(timeout=PATIENCE), message(n))
            n += 1
    to_rust = family.queue("to rust", 1000)
    with rust(two_languages, "echo"):
        for value in ["still there", None]:
            to_rust.put(value)
            assert to_python.get(timeout=PATIENCE) == value


FLOOD = """
import procession as mp
with mp.Family("languages", allow_pickle=False) as family:
    queue = family.queue("to rust", 1000)
    n = 0
    while True:
        queue.put(n)
        n += 1
"""


def test_rust_goes_on_when_python_is_killed(two_languages, family):
    to_python, to_rust = family.queue("to python", 1000), family.queue("to rust", 1000)
    with rust(two_languages, "echo"):
        with subprocess.Popen([sys.executable, "-c", FLOOD]) as flooder:
            for n in range(2000):
                assert to_python.get(timeout=PATIENCE) == n
            flooder.kill()
            flooder.wait()
        to_rust.put("end")
        while (got := to_python.get(timeout=PATIENCE)) != "end":
            assert got == (n := n + 1)
        to_rust.put(None)
        assert to_python.get(timeout=PATIENCE) is None


def test_both_count_under_one_lock(two_languages, family):
    numbers, lock = family.dict("numbers"), family.lock("guard")
    with rust(two_languages, "count", 5000) as process:
        for _ in range(5000):
            with lock:
                numbers["both"] = numbers.get("both", 0) + 1
        assert process.stdout.readline() == "ok\n"
    assert numbers["both"] == 10_000


def test_a_lock_that_rust_died_with(two_languages, family):
    lock = family.lock("guard")
    with rust(two_languages, "hold") as process:
        assert process.stdout.readline() == "held\n"
        assert not lock.acquire(timeout=0.05)
        process.kill()
        process.wait()
    with pytest.warns(mp.AbandonedLockWarning, match=str(process.pid)):
        assert lock.acquire(timeout=PATIENCE)
    lock.release()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with lock:
            pass


def test_a_reader_waits_for_the_other_language(two_languages, family):
    """Nothing is polled: whoever sleeps is woken by the other."""
    to_rust, to_python = family.queue("to rust", 1000), family.queue("to python", 1000)
    with rust(two_languages, "echo"):
        began = time.monotonic()
        for n in range(200):
            to_rust.put(n)
            assert to_python.get(timeout=PATIENCE) == n
        assert time.monotonic() - began < PATIENCE
        to_rust.put(None)
        assert to_python.get(timeout=PATIENCE) is None
