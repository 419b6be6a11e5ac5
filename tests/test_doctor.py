"""`procession doctor`: what it finds, and that it sees what is in the way."""

import json
import os
import resource
import subprocess
import sys

import pytest
from support import METHODS

import procession as mp
from procession import _doctor

NAMES = {
    "python",
    "procession",
    "cloudpickle",
    "kernel",
    "memfd_create",
    "pidfd_open",
    "/proc/PID/fd",
    "cores",
    "memory",
    "/dev/shm",
    "descriptors",
    "address space",
    "file size",
    "processes",
    "core dumps",
    "shared memory",
    "waiting (futex)",
}


def doctor(*arguments, code=0, **options):
    command = [sys.executable, "-W", "error", "-m", "procession", "doctor", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, **options)
    assert (done.returncode, done.stderr) == (code, ""), done
    return done.stdout


def findings(**options):
    report = json.loads(doctor("--json", **options))
    assert report["well"] == (options.get("code", 0) == 0)
    return {finding["name"]: finding for finding in report["findings"]}


def limited(which, value):
    """Run in the child before it becomes Python."""
    return lambda: resource.setrlimit(which, (value, resource.getrlimit(which)[1]))


def test_all_is_well_here():
    found = findings()
    methods = {name for name in found if name.startswith("start method ")}
    assert {name.split()[2] for name in methods} == set(METHODS)
    assert f"start method {mp.get_start_method()} (default)" in methods
    assert set(found) - methods == NAMES
    for finding in found.values():
        assert finding["status"] in ("ok", "note")
        assert bool(finding["advice"]) == (finding["status"] == "note"), finding
    assert mp.__version__ in found["procession"]["found"]
    assert sys.executable in found["python"]["found"]
    assert os.uname().release in found["kernel"]["found"]
    assert str(len(os.sched_getaffinity(0))) in found["cores"]["found"]


def test_for_people():
    text = doctor()
    assert text.endswith("\n\nNothing stands in the way.\n")
    for name in NAMES:
        assert name in text


@pytest.mark.parametrize(
    "which, value, name",
    [
        (resource.RLIMIT_NOFILE, 40, "descriptors"),
        (resource.RLIMIT_FSIZE, 1 << 20, "file size"),
        (resource.RLIMIT_AS, 700 << 20, "address space"),
    ],
)
def test_limits_that_are_too_low(which, value, name):
    found = findings(code=1, preexec_fn=limited(which, value))
    assert found[name]["status"] == "problem" and "ulimit" in found[name]["advice"]
    text = doctor(code=1, preexec_fn=limited(which, value))
    assert name in text.splitlines()[-1]


def test_a_limit_that_could_be_higher():
    found = findings(preexec_fn=limited(resource.RLIMIT_NOFILE, 500))
    assert found["descriptors"]["status"] == "note"


def test_one_core():
    core = min(os.sched_getaffinity(0))
    found = findings(preexec_fn=lambda: os.sched_setaffinity(0, {core}))
    assert found["cores"]["found"].startswith("1 of ")


def test_without_the_core():
    environment = {**os.environ, "PROCESSION_FALLBACK": "1"}
    command = [sys.executable, "-m", "procession", "doctor"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=50)
    assert done.returncode == 1
    assert "unset PROCESSION_FALLBACK" in done.stdout
    assert "In the way: procession." in done.stdout


def test_what_fails_is_told_with_its_reason():
    def refused():
        raise PermissionError(1, "Operation not permitted")

    finding = _doctor._tried("memfd_create", refused, "allow it")
    assert (finding.status, finding.advice) == ("problem", "allow it")
    assert "Operation not permitted" in finding.found


def test_cgroups(monkeypatch, tmp_path):
    """The tightest of the limits on the way up counts."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "memory.max").write_text("max\n")
    (tmp_path / "a" / "memory.max").write_text("1048576\n")
    (tmp_path / "a" / "memory.current").write_text("1024\n")
    (tmp_path / "a" / "cpu.max").write_text("150000 100000\n")
    folders = [(inner, ""), (inner.parent, ""), (tmp_path, "")]
    monkeypatch.setattr(_doctor, "_cgroups", lambda: iter(folders))
    assert _doctor._cgroup_limit() == (1 << 20, 1024)
    assert _doctor._cpu_quota() == 1.5
    finding = _doctor._memory()
    assert finding.status == "problem" and "the cgroup allows 1 MiB" in finding.found


@pytest.mark.parametrize(
    "count, text", [(0, "0 bytes"), (1023, "1023 bytes"), (1 << 20, "1 MiB"), (1 << 50, "1024 TiB")]
)
def test_sizes(count, text):
    assert _doctor.size(count) == text
