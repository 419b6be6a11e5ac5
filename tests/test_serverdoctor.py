"""`procession doctor redis://…`: against real servers with settings that lose data, and without."""

import contextlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from remote_support import Failure, find, free_port
from support import until

from procession import _core, _serverdoctor, _serverlook, _serverrights

pytestmark = [
    pytest.mark.timeout(40),
    pytest.mark.skipif(not find(), reason="neither redis-server nor valkey-server is there"),
]

SAFE = ["--appendonly", "yes", "--appendfsync", "always"]


@pytest.fixture(params=sorted(find()))
def serve(request, own_server):
    """Starts servers of one kind, on a socket if nothing else is said; they end with the test."""

    def serve(*options, **more):
        return own_server(request.param, options=options, **{"unix": True, **more})

    return serve


def complaint(server):
    """The first word of what it says to a PING, if that is no answer."""
    try:
        server.call("PING")
    except Failure as failure:
        return str(failure).split(" ", 1)[0]


def look(url):
    return {finding.name: finding for finding in _serverdoctor.examine(url)}


def statuses(found, status):
    return {name for name, finding in found.items() if finding.status == status}


def doctor(*arguments):
    command = [sys.executable, "-W", "error", "-m", "procession", "doctor", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def test_all_is_well(serve):
    server = serve(*SAFE)
    found = look(server.url("some*thing%"))
    assert statuses(found, "ok") == set(found)
    assert server.call("DBSIZE") == 0  # nothing is left
    assert found["persistence"].found == "append-only file, appendfsync always"
    assert found["persistence"].loses == ""
    assert re.fullmatch(r"(redis|valkey) \d+\.\d+\.\d+", found["version"].found)
    for finding in found.values():
        assert finding.advice == ""


def test_over_tcp(serve):
    port = serve(*SAFE, unix=False).port
    found = look(f"redis://127.0.0.1:{port}")
    assert statuses(found, "ok") == set(found)
    assert found["reachable"].found.startswith(
        f"redis://127.0.0.1:{port}/0?prefix=procession answers"
    )


def test_what_is_below_the_prefix_is_counted(serve):
    server = serve()
    for key in "a:1", "a:1:items", "a:2", "client:x", "n:jobs":
        server.call("SET", f"my:{key}", "x")
        server.call("SET", f"your:{key}", "x")
    server.call("ZADD", "my:names", "1", "jobs", "2", "more")
    found = look(server.url("my"))["prefix"]
    assert found.found == "my: 2 named and 2 other objects, 1 clients alive"


@pytest.mark.parametrize(
    "options, status, said, lost, mends",
    [
        (["--save", ""], "warning", "none", "each restart", "appendonly yes"),
        (["--save", "3600 1"], "warning", "snapshots only", "since the last", "appendonly yes"),
        (["--appendonly", "yes"], "ok", "everysec", "two seconds", ""),
        (
            ["--appendonly", "yes", "--appendfsync", "no"],
            "warning",
            "appendfsync no",
            "half a minute",
            "everysec",
        ),
    ],
)
def test_persistence(serve, options, status, said, lost, mends):
    finding = look(serve(*options).url())["persistence"]
    assert finding.status == status
    assert said in finding.found and lost in finding.loses and mends in finding.advice


@pytest.mark.parametrize(
    "most, policy, status, lost",
    [
        ("64mb", "allkeys-lru", "problem", "any key"),
        ("64mb", "volatile-ttl", "problem", "time to live"),
        ("0", "allkeys-random", "warning", "as long as maxmemory is 0"),
        ("64mb", "noeviction", "ok", ""),
    ],
)
def test_eviction(serve, most, policy, status, lost):
    server = serve("--maxmemory", most, "--maxmemory-policy", policy)
    finding = look(server.url())["eviction"]
    assert finding.status == status and lost in finding.loses
    assert bool(finding.advice) == (status != "ok")


def test_memory_that_is_nearly_full(serve):
    server = serve("--maxmemory-policy", "noeviction")
    used = int(re.search(r"used_memory:(\d+)", server.call("INFO", "memory").decode())[1])
    server.call("CONFIG", "SET", "maxmemory", str(used + used // 10))
    assert look(server.url())["memory"].status == "warning"
    server.call("CONFIG", "SET", "maxmemory", str(used // 2))
    found = look(server.url())
    assert found["scripts"].status == "problem" and "OOM" in found["scripts"].found
    assert "maxmemory" in found["scripts"].advice


def test_a_snapshot_that_failed(serve):
    server = serve("--save", "3600 1000")
    server.call("SET", "key", "value")
    assert "snapshot" not in look(server.url())
    (server.folder / "dump.rdb").mkdir()  # in the way, for root too
    server.call("BGSAVE")
    until(lambda: b"last_bgsave_status:err" in server.call("INFO", "persistence"), "the failure")
    found = look(server.url())
    assert {"snapshot", "scripts"} <= statuses(found, "problem")
    assert "disk" in found["scripts"].advice
    assert "MISCONF" in found["scripts"].found and "refuses to write" in found["snapshot"].found
    server.call("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
    found = look(server.url())
    assert statuses(found, "problem") == {"snapshot"}
    assert "refuses" not in found["snapshot"].found


def test_replicas(serve):
    primary, replica = serve(*SAFE, unix=False), serve(unix=False)
    replica.call("REPLICAOF", "127.0.0.1", str(primary.port))
    until(lambda: b"connected_slaves:1" in primary.call("INFO", "replication"), "the replica")
    finding = look(primary.url())["replication"]
    assert (finding.status, finding.found) == ("warning", "1 replicas, min-replicas-to-write 0")
    assert "failover" in finding.loses
    primary.call("CONFIG", "SET", "min-replicas-to-write", "1")
    finding = look(primary.url())["replication"]
    assert finding.status == "ok" and "failover" in finding.loses
    until(lambda: b"link_status:up" in replica.call("INFO", "replication"), "their agreement")
    found = look(replica.url())
    assert {"replication", "scripts"} <= statuses(found, "problem")
    assert f"127.0.0.1:{primary.port}" in found["replication"].advice
    replica.call("CONFIG", "SET", "replica-read-only", "no")
    assert "synchronisation" in look(replica.url())["replication"].loses


def test_cluster_mode_is_not_supported(serve):
    found = look(serve("--cluster-enabled", "yes").url())
    assert found["mode"].status == "problem" and found["mode"].found == "cluster"


def test_a_user_who_may_not_do_it_all(serve):
    server = serve(unix=False)
    server.call("ACL", "SETUSER", "ann", "on", ">secret word", "~p:*", "&p:*", "+@all", "-publish")
    url = f"redis://ann:secret%20word@127.0.0.1:{server.port}?prefix=p"
    found = look(url)
    assert found["user"].found == "ann"
    assert found["scripts"].found == "these commands are refused: PUBLISH"
    assert "ACL SETUSER" in found["scripts"].advice
    server.call("ACL", "SETUSER", "ann", "+@all", "-subscribe", "-hset")
    found = look(url)
    assert statuses(found, "problem") == {"scripts", "subscribe"}
    assert found["scripts"].found == "these commands are refused: HSET"
    server.call("ACL", "SETUSER", "ann", "+@all", "-eval", "-evalsha")
    assert "refused: NOPERM" in look(url)["scripts"].found
    server.call("ACL", "SETUSER", "ann", "+@all")
    assert not statuses(look(url), "problem")
    # Of another prefix nothing may be touched.
    assert statuses(look(url.replace("=p", "=q")), "problem") == {"scripts", "subscribe"}


def test_the_rights_that_it_advises_are_enough(serve):
    server = serve(unix=False)
    url = f"redis://bob:secret@127.0.0.1:{server.port}?prefix=p"
    advised = _serverlook.rights(_serverlook.Server(server.url("p")))
    words = advised.replace("NAME", "bob").replace("PASSWORD", "secret").split()
    server.call(*words)
    found = look(url)
    assert not statuses(found, "problem"), found


def test_what_a_managed_server_does_not_show_is_unknown(serve):
    server = serve("--appendonly", "yes", unix=False)
    server.call("ACL", "SETUSER", "default", "-config")
    found = look(f"redis://127.0.0.1:{server.port}")
    assert found["persistence"].status == "warning"
    assert "appendfsync unknown: CONFIG GET is forbidden" in found["persistence"].found
    assert found["eviction"].status == "ok"  # INFO shows it


def test_who_is_not_let_in(serve):
    server = serve(unix=False, password="sesame")
    for who in "", "ann:guess@", ":guess@":
        found = look(f"redis://{who}127.0.0.1:{server.port}")
        (name,) = statuses(found, "problem")
        assert "password" in found[name].advice and "guess" not in str(found)
    found = look(f"redis://:sesame@127.0.0.1:{server.port}")
    assert not statuses(found, "problem") and "sesame" not in str(found)


def test_what_crosses_a_network_in_the_clear(serve, monkeypatch):
    server = serve(unix=False)
    port = server.port
    monkeypatch.setattr(_serverlook.Server, "local", False)
    found = look(f"redis://127.0.0.1:{port}")
    assert {"connection", "user"} <= statuses(found, "warning")
    assert "no password" in found["user"].found
    server.call("CONFIG", "SET", "requirepass", "sesame")
    found = look(f"redis://:sesame@127.0.0.1:{port}")
    assert found["user"].status == "ok"
    assert (
        found["connection"].found == "the password and all messages cross the network in the clear"
    )


@pytest.mark.parametrize(
    "url, local",
    [
        ("unix:///run/x.sock", True),
        ("redis://localhost", True),
        ("redis://127.9.9.9:1", True),
        ("redis://[::1]:1", True),
        ("redis://10.0.0.1", False),
        ("redis://localhost.example", False),
    ],
)
def test_what_is_local(url, local, monkeypatch):
    class Probe:
        prefix, lease = "procession", 10.0

    monkeypatch.setattr(_core, "Probe", lambda url, timeout: Probe)
    assert _serverlook.Server(url).local is local


def test_a_server_that_is_busy(serve):
    server = serve("--lua-time-limit", "10")
    with contextlib.closing(server.wire()) as other:
        other.send("EVAL", "while true do end", "0")
        until(lambda: complaint(server) == "BUSY", "the script")
        found = look(server.url())
        assert any("SCRIPT KILL" in found[name].advice for name in statuses(found, "problem"))
        server.call("SCRIPT", "KILL")
        until(lambda: complaint(server) is None, "the script's end")
    assert not statuses(look(server.url()), "problem")


def test_many_connections(serve):
    server = serve("--maxclients", "10")
    others = [server.wire() for _ in range(8)]
    assert look(server.url())["connections"].status == "warning"
    for other in others:
        other.close()


@pytest.mark.parametrize(
    "limits, name, said",
    [
        ("normal 1mb 1mb 1", "answers' size", "1 MiB or 1 MiB for 1 s"),
        ("normal 0 2mb 60", "answers' size", "2 MiB for 60 s"),
        ("normal 0 0 0", "answers' size", None),
        ("pubsub 1kb 1kb 1", "wake-ups", "1 KiB"),
        ("pubsub 32mb 8mb 60", "wake-ups", None),
    ],
)
def test_answers_that_are_cut(serve, limits, name, said):
    found = look(serve("--client-output-buffer-limit", *limits.split()).url()).get(name)
    if said is None:
        assert found is None
    else:
        assert found.status == "warning" and said in found.found
        assert "client-output-buffer-limit" in found.advice


def test_a_server_that_hangs(serve, monkeypatch):
    server = serve()

    def ask(connection):
        server.freeze()
        yield connection.ask("PING")

    monkeypatch.setattr(_serverlook, "TIMEOUT", 0.5)
    monkeypatch.setattr(_serverdoctor, "identity", ask)
    found = look(server.url())["answers"]
    server.thaw()
    assert found.status == "problem" and "no answer within 0.5 s" in found.found


def test_the_command_line(serve):
    server = serve("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru", "--save", "")
    done = doctor(server.url())
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.endswith("\n\nIn the way: eviction.\n")
    assert "may be lost: everything" in done.stdout and "→ appendonly yes" in done.stdout
    done = doctor("--json", server.url())
    report = json.loads(done.stdout)
    assert (done.returncode, report["well"]) == (1, False)
    found = {finding["name"]: finding for finding in report["findings"]}
    assert found["eviction"]["status"] == "problem" and found["eviction"]["loses"]
    server.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert doctor(server.url()).returncode == 0


def test_nobody_there():
    port = free_port()
    done = doctor(f"redis://ann:secret@127.0.0.1:{port}?timeout=1", "--json")
    assert (done.returncode, done.stderr) == (1, "") and "secret" not in done.stdout
    (finding,) = json.loads(done.stdout)["findings"]
    assert finding["name"] == "reachable" and "refused" in finding["found"]


def test_what_is_no_address():
    done = doctor("http://ann:secret@127.0.0.1")
    assert (done.returncode, done.stdout) == (2, "")
    assert "http://127.0.0.1" in done.stderr and "secret" not in done.stderr


def test_every_command_of_the_scripts_is_tried():
    scripts = Path(__file__).parents[1] / "crates/procession/src/remote/lua"
    if not scripts.is_dir():
        pytest.skip("without the sources")
    called = set()
    for script in scripts.glob("*.lua"):
        called |= set(re.findall(r"""call\(\s*['"](\w+)['"]""", script.read_text()))
    assert called <= set(_serverrights.COMMANDS), called - set(_serverrights.COMMANDS)


@pytest.mark.parametrize(
    "address",
    [
        "redis://:xyz/heim@host/0",
        "redis://:xyz?heim@host",
        "redis://:xyz#heim@host",
        "redis:/:xyzheim@h",
    ],
)
def test_what_is_no_address_is_shown_without_its_password(address):
    done = doctor(address)
    assert done.returncode == 2
    assert "heim" not in done.stderr and "xyz" not in done.stderr
