"""The command line, as a newcomer meets it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

import procession


def run(*arguments, **options):
    command = [sys.executable, "-W", "error", "-m", "procession", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, **options)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "one.txt").write_text("to be or not to be")
    (tmp_path / "two.txt").write_text("To have")
    return tmp_path


def test_version():
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"procession {procession.__version__}\n")


@pytest.mark.parametrize("arguments", [["--help"], []])
def test_help_names_the_commands(arguments):
    done = run(*arguments)
    assert done.returncode == 0
    for command in ("demo", "run", "doctor"):
        assert command in done.stdout


def test_help_of_the_demo():
    done = run("demo", "--help")
    assert done.returncode == 0
    for word in ("FOLDER", "--workers", "--json", "--start-method"):
        assert word in done.stdout


def test_the_console_script_is_the_same():
    script = shutil.which("procession", path=os.path.dirname(sys.executable))
    assert script, "the package is not installed in this environment"
    done = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=50)
    assert done.stdout == f"procession {procession.__version__}\n"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_demo_as_json(method, folder):
    done = run("demo", str(folder), "--workers", "2", "--json", "--start-method", method)
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["top"] == [["to", 3], ["be", 2], ["have", 1], ["not", 1], ["or", 1]]
    assert report["equal"] is True
    assert (report["files"], report["workers"], report["unreadable"]) == (2, 2, [])
    assert report["bytes"] == 25
    assert report["procession"]["messages"] == report["multiprocessing"]["messages"] == 4
    assert report["ratio"] > 0


def test_demo_for_people(folder):
    done = run("demo", str(folder))
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^ +to +3$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["demo", "no/such/folder"], "does not exist"),
        (["demo", "--workers", "0"], "positive"),
        (["demo", "--workers", "many"], "positive"),
        (["demo", "--start-method", "thread"], "invalid choice"),
        (["dance"], "invalid choice"),
    ],
)
def test_wrong_use_is_exit_status_2(arguments, says):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_ctrl_c_ends_the_demo(method):
    """Once the bar on the terminal grows, so that the children are at work."""
    terminal, other_end = os.openpty()
    demo = subprocess.Popen(
        [sys.executable, "-m", "procession", "demo", "--start-method", method],
        stdout=subprocess.DEVNULL,
        stderr=other_end,
        start_new_session=True,
    )
    os.close(other_end)
    try:
        seen = b""
        while "█".encode() not in seen:
            seen += os.read(terminal, 4096)
        assert b"procession: counting" in seen
        os.killpg(demo.pid, signal.SIGINT)
        assert demo.wait(20) == 130
        try:
            while more := os.read(terminal, 4096):
                seen += more
        except OSError:
            pass  # so ends a terminal whose other side is closed everywhere: no child is left
        assert b"interrupted" in seen
        assert b"Traceback" not in seen
    finally:
        demo.kill()
        demo.wait()
        os.close(terminal)
