"""The hosts that the tests of the network make out of namespaces: cables cut and slow, and the end of all."""

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from network_support import Network, NotAllowedError
from support import until

ECHO = """
import socket, sys
listener = socket.create_server(("0.0.0.0", 7))
print("ready", flush=True)
connection, _ = listener.accept()
while data := connection.recv(100):
    connection.sendall(data)
"""
ASK = """
import socket, sys
connection = socket.create_connection((sys.argv[1], 7))
for line in sys.stdin:
    connection.sendall(line.encode())
    print(connection.recv(100).decode().strip(), flush=True)
"""


@pytest.fixture
def network():
    try:
        network = Network(2)
    except NotAllowedError as e:
        pytest.skip(str(e))
    with network:
        yield network


class Program:
    def __init__(self, host, text, *arguments):
        self.process = subprocess.Popen(
            [*host.command, sys.executable, "-c", text, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self):
        return self.process.stdout.readline().strip()

    def is_silent(self, seconds):
        return not select.select([self.process.stdout], [], [], seconds)[0]

    def end(self):
        self.process.kill()
        self.process.communicate()


def test_a_cable_is_cut_joined_slowed_and_lossy(network):
    here, there = network.hosts
    server = Program(there, ECHO)
    assert server.hear() == "ready"
    client = Program(here, ASK, there.address)
    client.say("one")
    assert client.hear() == "one"
    here.cut()
    client.say("two")
    assert client.is_silent(0.3)
    here.join()
    assert client.hear() == "two"
    there.slow(delay=0.1)
    start = time.monotonic()
    client.say("three")
    assert client.hear() == "three"
    assert time.monotonic() - start >= 0.2
    there.slow(loss=0.2)
    for n in range(10):
        client.say(str(n))
        assert client.hear() == str(n)
    client.end()
    server.end()


def test_hosts_have_no_other_network(network):
    reach = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), 1)"
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        subprocess.run([sys.executable, "-c", reach, port], check=True)
        done = subprocess.run(
            [*network.hosts[0].command, sys.executable, "-c", reach, port], capture_output=True
        )
    assert b"ConnectionRefusedError" in done.stderr


def test_all_ends_with_the_process_that_made_it(network):
    text = """
import subprocess, sys
from network_support import Network
network = Network(2)
inside = [subprocess.Popen([*host.command, "sleep", "1000"]) for host in network.hosts]
print(network._switch.pid, *(p.pid for p in inside), *(h._pid for h in network.hosts), flush=True)
input()
"""
    starter = subprocess.Popen(
        [sys.executable, "-c", text],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )
    with starter:
        pids = starter.stdout.readline().split()
        assert len(pids) == 5
        starter.kill()

    def over(pid):
        try:
            return b") Z " in Path(f"/proc/{pid.decode()}/stat").read_bytes()
        except OSError:
            return True

    until(lambda: all(map(over, pids)), "the end of all")


def test_where_it_is_not_allowed_the_run_says_so(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(NotAllowedError, match="not allowed here: "):
        Network(2)
