"""The main module's file: which of the spawned children compiles it."""

import fcntl
import os

import pytest
from support import run

from procession import popen_spawn_posix

# Counts the scripts that a process compiles.
SITE = """
import sys
sys.compiled = []

def hook(event, arguments):
    if event == "compile":
        sys.compiled.append(arguments[1])

sys.addaudithook(hook)
"""

MAIN = """
import os, sys
VERSION = 1

def look(word):
    assert VERSION is not None
    by_child = sys.compiled.count(__file__)
    print(word, "compiled" * by_child or "got", VERSION, sys.flags.optimize, flush=True)

if __name__ == "__main__":
    import pathlib
    import procession as mp
    from procession import spawn

    def start(word, code=0):
        child = mp.get_context("spawn").Process(target=look, args=(word,))
        child.start()
        child.join()
        assert child.exitcode == code, child.exitcode

    def edit(version):
        main.write_text(text.replace("VERSION = 1", f"VERSION = {version}", 1))

    main = pathlib.Path(__file__)
    text = main.read_text()
    for word in "first", "second", "third":
        start(word)
    edit(2)
    start("edited")
    sent = spawn.code_for(__file__)
    edit(3)
    right, spawn.code_for = spawn.code_for, lambda path: sent
    start("stale")
    spawn.code_for = right
    os.environ["PYTHONOPTIMIZE"] = "1"
    start("optimized")
    del os.environ["PYTHONOPTIMIZE"]
    edit("1 +")
    start("broken", code=1)
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(SITE)
    return tmp_path


def test_it_is_compiled_once_and_only_what_is_there_counts(folder):
    path = folder / "script.py"
    path.write_text(MAIN)
    out = run(path, env={"PYTHONPATH": str(folder)})
    told, _, error = out.partition("optimized compiled 3 1\n")
    assert told.splitlines() == [
        "first compiled 1 0",
        "second got 1 0",
        "third got 1 0",
        "edited got 2 0",
        "stale compiled 3 0",
    ]
    assert "SyntaxError" in error and "VERSION = 1 +" in error


def test_a_message_fits_into_its_pipe():
    """So that one child is started while another has not read its own yet."""
    reader, writer = os.pipe()
    try:
        os.set_blocking(writer, False)
        size = 300_000
        assert os.write(writer, bytes(size)) < size
        os.read(reader, size)
        popen_spawn_posix._make_room(writer, size)
        assert os.write(writer, bytes(size)) == size
        popen_spawn_posix._make_room(writer, 1 << 40)  # more than any system allows: no error
        assert fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ) >= size
    finally:
        os.close(reader)
        os.close(writer)
