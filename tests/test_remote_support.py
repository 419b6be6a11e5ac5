"""The servers and the proxy that the tests of the network use: that they do what those tests rely on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from proxy_support import CUT_AFTER, CUT_BEFORE, GARBAGE, HANG, Once, Proxy
from remote_support import Failure, Plot, Server, Wire, find
from support import until

each_kind = pytest.mark.parametrize("kind", list(find()))
ADD = ("EVAL", "return redis.call('INCR', KEYS[1])", "1", "p:n")


@each_kind
@pytest.mark.parametrize(
    "options",
    [{}, {"unix": True}, {"durable": True}, {"password": "p@ss/w"}, {"tls": True}],
    ids=lambda options: next(iter(options), "plain"),
)
def test_a_server_serves_dies_and_comes_back(kind, options, own_server):
    server = own_server(kind, **options)
    where = server.url("p")
    server.call("SET", "p:key", b"\0\r\n")
    assert server.call("GET", "p:key") == b"\0\r\n"
    assert server.keys("p") == {"p:key"} and server.keys("q") == set()
    server.restart()
    assert server.keys("p") == ({"p:key"} if "durable" in options else set())
    assert server.url("p") == where
    server.freeze()
    server.thaw()
    wire = server.wire()
    assert wire.call("PING") == b"PONG"
    wire.close()


def test_a_password_is_asked_for(own_server):
    server = own_server(password="right", users=())
    wire = server.wire()
    with pytest.raises(Failure, match="WRONGPASS"):
        wire.call("AUTH", "wrong")
    wire.close()


def test_a_server_ends_with_the_process_that_started_it():
    text = "from remote_support import Server; s = Server(); print(s.pid, s.folder, flush=True); input()"
    starter = subprocess.Popen(
        [sys.executable, "-c", text],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )
    with starter:
        pid, folder = starter.stdout.readline().split()
        assert Path(folder, "log").exists()
        starter.kill()
    # Orphans fall to the test run, which reaps the server when the fixture looks.
    stat = Path("/proc", pid, "stat")
    until(lambda: not stat.exists() or ") Z " in stat.read_text(), "the server's end")
    subprocess.run(["rm", "-r", folder], check=True)


def test_a_port_that_is_taken_is_told(own_server):
    server = own_server()
    other = own_server()
    other.kill()
    other.port = server.port
    with pytest.raises(RuntimeError, match="in use"):
        other.start()


def test_what_is_left_is_found(shared_server):
    plot = Plot(shared_server)
    assert plot.left() == []
    wire = shared_server.wire()
    wire.call("SET", f"{plot.prefix}:key", "1")
    assert [line.split()[0] for line in plot.left()] == ["key", "connection"]
    wire.call("DEL", f"{plot.prefix}:key")
    wire.close()
    until(lambda: plot.left() == [], "the connection's end")


def wire_through(proxy):
    import socket

    connection = socket.create_connection(("127.0.0.1", proxy.port))
    connection.settimeout(0.2 if proxy.judge and proxy.judge.action == HANG else 20)
    return Wire(connection)


@pytest.mark.parametrize(
    ("action", "raised", "count"),
    [
        (CUT_BEFORE, OSError, b"1"),
        (CUT_AFTER, OSError, b"2"),
        (HANG, TimeoutError, b"2"),
        (GARBAGE, ConnectionError, b"2"),
    ],
)
def test_the_proxy_spoils_one_call(action, raised, count, own_server):
    server = own_server()
    with Proxy(("127.0.0.1", server.port), Once(2, action)) as proxy:
        wire = wire_through(proxy)
        assert wire.call("PING") == b"PONG"
        assert wire.call(*ADD) == 1
        with pytest.raises(raised):
            wire.call(*ADD)
        until(lambda: server.call("GET", "p:n") == count, "what the call did")
        wire.close()
        wire = wire_through(proxy)
        assert wire.call(*ADD) == int(count) + 1
        wire.close()


def test_the_proxy_cuts_refuses_and_stalls(own_server):
    server = own_server()
    with Proxy(("127.0.0.1", server.port)) as proxy:
        wires = [wire_through(proxy) for _ in range(5)]
        assert {wire.call("PING") for wire in wires} == {b"PONG"}
        assert proxy.cut() == 5
        for wire in wires:
            with pytest.raises(OSError):
                wire.call("PING")
            wire.close()
        proxy.refuse()
        wire = wire_through(proxy)
        with pytest.raises(OSError):
            wire.call("PING")
        wire.close()
        proxy.accept()
        wire = wire_through(proxy)
        assert wire.call("SET", "big", b"x" * 1_000_000) == b"OK"
        assert wire.call("GET", "big") == b"x" * 1_000_000
        proxy.stall()
        wire.send("PING")
        wire._socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            wire._socket.recv(1)
        wire._socket.settimeout(20)
        proxy.flow()
        assert wire._socket.recv(100) == b"+PONG\r\n"
        wire.close()


def test_signals_of_a_server_are_undone_at_its_end():
    server = Server()
    server.freeze()
    os.kill(server.pid, signal.SIGSTOP)
    server.end()
    assert not server.folder.exists()
