"""The programs in examples/classics: what each prints, under each start method, and that it ends.

Each runs as a script of its own, with warnings as errors, in an empty folder where it may leave
nothing. Those that do not rely on what only Procession gives run with multiprocessing as well.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import METHODS, each_method

CLASSICS = Path(__file__).resolve().parent.parent / "examples" / "classics"
SECONDS = 45

SQUARES = [f"{n} -> {n * n}" for n in range(10)] + ["left in the queue: 0"]
# What each program prints, if the order of its lines is fixed.
PRINTED = {
    "fork_queue.py": [
        "a child of os.fork answers [2, 4, 6]",
        "a Process answers [2, 4, 6]",
    ],
    "full_and_empty.py": [
        "the producers stopped at 100 messages; full: True",
        "the consumers took 100 messages; empty: True",
    ],
    "odd_even.py": [f"even {list(range(0, 20, 2))}", f"odd {list(range(1, 20, 2))}"],
    "pipe_one_way.py": ["received one", "received two", "received three", "the end"],
    "pipe_two_way.py": [
        "parent: one -> ONE",
        "parent: two -> TWO",
        "parent: three -> THREE",
        "child: nobody can ask any more",
    ],
    "pool_manager.py": SQUARES,
    "pool_queue.py": SQUARES,
    "run_and_start.py": [
        "run(): in the parent, under the name MainProcess",
        "start(): in a process of its own, under the name Child",
        "a subclass, run(): in the parent, under the name MainProcess",
        "a subclass, start(): in a process of its own, under the name Reporter",
    ],
}
ELSEWHERE = {
    "client_server.py",
    "pairs_under_lock.py",
    "put_timeouts.py",
    "writer_reader.py",
}
# Marked with a star in the README: multiprocessing hangs now and then, mostly hangs, mixes the pairs
# up, refuses the queue.
OURS_ALONE = {"fork_queue.py", "writer_reader.py", "pairs_under_lock.py", "pool_queue.py"}


@contextlib.contextmanager
def script(path, method, *arguments, folder, strict=True, **options):
    """A program that runs in an empty folder; it and its children are killed if they do not end."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # if a shell had it ignored
    try:
        process = subprocess.Popen(
            [sys.executable, *["-W", "error"][: 2 * strict], path, *arguments, "--method", method],
            cwd=folder,
            # With buffers a line is one write, also when two processes print at once.
            env={**os.environ, "PYTHONUNBUFFERED": "", "PYTHONIOENCODING": "utf-8"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,
            **options,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        try:
            yield process
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise


def lines_of(path, method, folder, *arguments, stdin="", code=0, strict=True):
    """Runs a program; returns the lines that it printed."""
    with script(
        path, method, *arguments, folder=folder, strict=strict, stdin=subprocess.PIPE
    ) as process:
        out, _ = process.communicate(stdin, timeout=SECONDS)
    assert process.returncode == code, out
    assert not list(folder.iterdir())
    return out.splitlines()


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "empty"
    path.mkdir()
    return path


def check_pairs(lines):
    assert lines.pop() == "10 of 10 pairs are together"
    assert sorted(lines) == [f"{n} left - {n} right" for n in range(10)]


def check_timeouts(lines):
    pattern = re.compile(r"(.*): (returned|raised) (\S+) after (\d+\.\d) s")
    seen = [pattern.fullmatch(line).groups() for line in lines]
    assert [(what, result) for what, _, result, _ in seen] == [
        ("put", "None"),
        ("put", "None"),
        ("put", "None"),
        ("put, time-out 0.2", "Full"),
        ("put, block=False", "Full"),
        ("put_nowait", "Full"),
        ("put, time-out 60, and a child takes one", "None"),
        ("get", "'two'"),
        ("get", "'three'"),
        ("get", "'four'"),
        ("get, time-out 0.2", "Empty"),
        ("get, block=False", "Empty"),
        ("get_nowait", "Empty"),
        ("put after close", "ValueError"),
    ]
    waited = [float(seconds) for what, _, _, seconds in seen if "time-out 0.2" in what]
    assert min(waited) >= 0.2


def check_writer_reader(lines):
    words = ["one", "two", "three"]
    assert lines[-2:] == ["the reader was ended by signal 15", "the parent read four"]
    assert [line for line in lines if line.startswith("write")] == [f"write {w}" for w in words]
    assert [line for line in lines if line.startswith("read")] == [f"read {w}" for w in words]
    for word in words:
        assert lines.index(f"write {word}") < lines.index(f"read {word}")
    assert len(lines) == 8


CHECKS = {
    "pairs_under_lock.py": check_pairs,
    "put_timeouts.py": check_timeouts,
    "writer_reader.py": check_writer_reader,
}


def check(name, lines):
    if name in PRINTED:
        assert lines == PRINTED[name]
    else:
        CHECKS[name](lines)


@each_method
@pytest.mark.parametrize("name", sorted(PRINTED.keys() | CHECKS.keys()))
def test_it_prints_what_it_should(name, method, folder):
    check(name, lines_of(CLASSICS / name, method, folder))


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("name", sorted((PRINTED.keys() | CHECKS.keys()) - OURS_ALONE))
def test_it_prints_the_same_with_multiprocessing(name, method, folder, tmp_path):
    path = standard(name, tmp_path)
    # Not strict: where a queue has a thread, newer Pythons warn of the next fork.
    check(name, lines_of(path, method, folder, strict=False))


def standard(name, folder):
    """The program with that one import changed, which is what the README promises."""
    text = (CLASSICS / name).read_text()
    assert text.count("import procession as mp") == text.count("procession") == 1
    path = folder / name
    path.write_text(text.replace("import procession as mp", "import multiprocessing as mp"))
    return path


@each_method
@pytest.mark.parametrize("module", ["procession", "multiprocessing"])
def test_the_server_stores_and_echoes_each_line(module, method, folder, tmp_path):
    name = "client_server.py"
    path = CLASSICS / name if module == "procession" else standard(name, tmp_path)
    store = tmp_path / "store"
    store.write_text("from an earlier run\n")
    out = lines_of(path, method, folder, store, stdin="one\n\nzwölf", strict=module == "procession")
    assert out == ["stored: one", "stored: ", "stored: zwölf"]
    assert store.read_text(encoding="utf-8") == "from an earlier run\none\n\nzwölf\n"


@each_method
def test_the_server_echoes_at_once_and_ends_with_ctrl_c(method, folder, tmp_path):
    store = tmp_path / "store"
    with script(
        CLASSICS / "client_server.py", method, store, folder=folder, stdin=subprocess.PIPE
    ) as process:
        for word in ("one", "two"):
            print(word, file=process.stdin, flush=True)
            assert process.stdout.readline() == f"stored: {word}\n"
            assert store.read_text().endswith(f"{word}\n")
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
        out, _ = process.communicate(timeout=SECONDS)
    assert (process.returncode, out) == (0, "")
    assert store.read_text() == "one\ntwo\n"


@each_method
def test_a_server_that_cannot_store_ends_the_program(method, folder, tmp_path):
    store = tmp_path / "missing" / "store"
    out = lines_of(
        CLASSICS / "client_server.py", method, folder, store, stdin="one\n" * 1000, code=1
    )
    assert "FileNotFoundError" in out[-1]


@pytest.mark.parametrize("name", sorted(PRINTED.keys() | ELSEWHERE))
def test_an_unknown_start_method_is_refused(name, folder):
    store = ["store"] * (name == "client_server.py")
    out = lines_of(CLASSICS / name, "thread", folder, *store, code=2)
    assert "invalid choice: 'thread'" in out[-1]
    assert all(method in out[-1] for method in METHODS)


def test_each_program_is_tested_and_has_its_line_in_the_readme():
    programs = {path.name for path in CLASSICS.glob("*.py")}
    assert programs == PRINTED.keys() | ELSEWHERE
    assert ELSEWHERE == CHECKS.keys() | {"client_server.py"}
    readme = (CLASSICS / "README.md").read_text()
    rows = re.findall(r"^\| \[(\w+\.\w+)\]\((.*?)\)( \*)? \| .+ \|$", readme, re.MULTILINE)
    assert sorted(name for name, _, _ in rows if name.endswith(".py")) == sorted(programs)
    assert {name for name, _, star in rows if star} == OURS_ALONE
    for name, link, _ in rows:
        assert Path(link).name == name
        assert (CLASSICS / link).is_file()
