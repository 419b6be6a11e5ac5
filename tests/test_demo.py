"""The main job: what it counts, and how it ends when something goes wrong."""

import json
import multiprocessing
import os
import signal
import sys
import threading

import pytest

import procession
from procession import _pipeline, demo
from procession._pipeline import PipelineError, run_pipeline, run_single

METHODS = ["fork", "spawn", "forkserver"]
MODULES = [procession, multiprocessing]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "one.txt").write_text("The cat, the hat. THE END")
    (tmp_path / "two.txt").write_bytes(b"x1y_z\xc3\xa4end\x00cat")
    (tmp_path / "empty").write_text("")
    below = tmp_path / "below"
    below.mkdir()
    (below / "three").write_text("cat " * 1000)
    (tmp_path / ".hidden").write_text("hidden")
    return tmp_path


COUNTS = {"the": 3, "cat": 1002, "hat": 1, "end": 2, "x": 1, "y": 1, "z": 1}


def fails(document):
    raise ValueError("no such word")


def kills_itself(document):
    os.kill(os.getpid(), signal.SIGKILL)


def exits_badly(document):
    sys.exit(3)


def exits_early(document):
    os._exit(0)


def test_words_are_maximal_runs_of_ascii_letters():
    text = "Don't stop2stop ÄbÖ \f\n stop".encode()
    assert _pipeline.count_words(text) == {"don": 1, "t": 1, "stop": 3, "b": 1}


def test_every_byte_that_is_no_letter_separates():
    for byte in range(256):
        letter = chr(byte).isascii() and chr(byte).isalpha()
        counts = _pipeline.count_words(b"a" + bytes([byte]) + b"b")
        assert counts == ({f"a{chr(byte).lower()}b": 1} if letter else {"a": 1, "b": 1})


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("mp", MODULES, ids=lambda mp: mp.__name__)
def test_the_pipeline_counts_what_a_single_process_does(mp, method, folder):
    paths = demo.find_files(str(folder))
    assert run_single(paths).counts == COUNTS
    steps = []
    out = run_pipeline(mp.get_context(method), paths, 2, step=steps.append)
    assert out.counts == COUNTS
    assert (out.documents, out.messages, out.unreadable) == (4, 8, [])
    assert max(steps) == 4
    assert out.seconds > 0


def test_a_module_will_do_in_place_of_a_context(folder):
    assert run_pipeline(procession, demo.find_files(str(folder)), 1).counts == COUNTS


def test_it_runs_outside_the_main_thread(folder):
    results = []
    paths = demo.find_files(str(folder))
    context = procession.get_context("spawn")
    thread = threading.Thread(target=lambda: results.append(run_pipeline(context, paths, 2)))
    thread.start()
    thread.join()
    assert results[0].counts == COUNTS


def test_passing_on_counts_documents_and_bytes(folder):
    paths = demo.find_files(str(folder))
    out = run_pipeline(procession.get_context("fork"), paths, 3, _pipeline.pass_on)
    assert out.counts == {"documents": 4, "bytes": sum(map(os.path.getsize, paths))}


def test_what_cannot_be_read_is_counted(folder):
    (folder / "dangling").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")  # opening it would block for ever
    paths = demo.find_files(str(folder))
    for out in (run_single(paths), run_pipeline(procession, paths, 2)):
        assert out.counts == COUNTS
        assert len(out.unreadable) == 1
        assert "dangling" in out.unreadable[0]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("mp", MODULES, ids=lambda mp: mp.__name__)
@pytest.mark.parametrize(
    ("work", "message"),
    [
        (fails, "no such word"),
        (kills_itself, "killed by signal 9"),
        (exits_badly, "exit status 3"),
        (exits_early, "ended before its work"),
    ],
)
def test_a_stage_that_fails_ends_the_job(mp, method, work, message, folder):
    with pytest.raises(PipelineError, match=message):
        run_pipeline(mp.get_context(method), demo.find_files(str(folder)), 2, work)


def test_the_default_folder_is_the_standard_library():
    paths = demo.find_files(None)
    assert len(paths) > 500
    assert all(path.endswith(".py") and "-packages" not in path for path in paths)
    assert any(path.endswith("multiprocessing/queues.py") for path in paths)


@pytest.mark.parametrize("make", ["nothing", "file", "empty folder"])
def test_a_useless_folder_is_an_error_of_one_line(make, tmp_path, capsys):
    path = tmp_path / "there"
    if make == "file":
        path.write_text("x")
    elif make == "empty folder":
        path.mkdir()
    assert demo.main(str(path), 2, False, None) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1 and str(path) in err


def test_the_report(folder, capsys):
    assert demo.main(str(folder), 2, False, "fork") == 0
    out, err = capsys.readouterr()
    assert out.index("cat") < out.index("the ") < out.index("end")
    assert "1,002" in out
    assert "The counts equal those of a single process." in out
    assert "messages per second" in out
    assert err == ""  # no bar, for it is not a terminal


def test_equal_counts_stand_in_the_order_of_the_alphabet():
    counts = _pipeline.Counter(dict.fromkeys("kjihgfedcba", 1) | {"z": 2})
    assert [word for word, _ in demo.top_words(counts)] == list("zabcdefghi")


@pytest.mark.parametrize("as_json", [False, True])
def test_other_counts_than_a_single_process_has_are_an_error(as_json, folder, capsys, monkeypatch):
    def wrong(paths):
        out = run_single(paths)
        out.counts["cat"] += 1
        return out

    monkeypatch.setattr(demo, "run_single", wrong)
    assert demo.main(str(folder), 2, as_json, "fork") == 1
    out, err = capsys.readouterr()
    assert "differ" in err
    assert (json.loads(out)["equal"] is False) if as_json else out == ""
