"""A scene for chaos: a server that keeps what it confirmed, and hosts whose cables can be cut."""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from network_support import Network, NotAllowedError
from proxy_support import Proxy
from remote_support import Server

import procession

WORKER = Path(__file__).parent / "chaos_worker.py"
PATIENCE = 100


class Cable:
    """In the place of a host where there are no namespaces: a proxy before the server, for one worker or more."""

    command = ()

    def __init__(self, server):
        self._delay = 0.0
        self._proxy = Proxy(("127.0.0.1", server.port), lambda _words: self._delay or "pass")
        self.address, self.port = "127.0.0.1", self._proxy.port
        self.end = self._proxy.end

    def cut(self):
        self._proxy.stall()

    def join(self):
        # As after a real cut that has lasted: some connections never come back.
        self._proxy.cut()
        self._proxy.flow()

    def slow(self, delay=0.0, loss=0.0):
        self._delay = delay + loss / 10


class Worker:
    def __init__(self, scene, place, role, *rest):
        scene.count += 1
        host = scene.hosts[place]
        self.role, self.place, self.killed = role, (place, role, *rest), False
        self.log = scene.folder / f"{role}-{scene.count}"
        self.log.touch()
        url = scene.server.url(
            scene.prefix, host=scene.address, port=getattr(host, "port", None), **scene.query
        )
        arguments = [*host.command, sys.executable, "-W", "error"]
        if role == "worker":
            arguments += ["-m", "procession", "worker", url, *rest]
        else:
            arguments += [str(WORKER), role, url, str(self.log), *rest]
        said = self.log.open("w") if role == "worker" else None
        self.process = subprocess.Popen(
            list(map(str, arguments)),
            stdin=subprocess.PIPE,
            stderr=said,
            env={**os.environ, "PYTHONPATH": str(WORKER.parent)},
        )
        if said:
            said.close()

    def kill(self):
        self.killed = True
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()

    def lines(self):
        return [line.split() for line in self.log.read_text().splitlines()]

    def ask(self):
        """Asks it to end when there is nothing left to do."""
        self.process.stdin.write(b"end\n")
        self.process.stdin.flush()

    def end(self):
        """Waits until it ends in good order."""
        assert self.process.wait(PATIENCE) == 0
        self.process.stdin.close()


class Scene:
    """`hosts` beside the server's own. `query` is the rest of the workers' address."""

    def __init__(self, hosts=2, **query):
        self.prefix, self.query, self.count = "chaos", query, 0
        self.folder = Path(tempfile.mkdtemp(prefix="chaos-"))
        self.workers, self._network = [], None
        self.seed = int(os.environ.get("PROCESSION_TEST_SEED") or random.randrange(1 << 30))
        self.random = random.Random(self.seed)
        print(f"PROCESSION_TEST_SEED={self.seed}")
        try:
            self._network = Network(hosts + 1)
            place, *self.hosts = self._network.hosts
            options = ["--protected-mode", "no"]
            self.server = Server(
                durable=True, command=place.command, host=place.address, options=options
            )
            self.address = place.address
        except NotAllowedError as e:
            print(f"proxies in the place of cables: {e}")
            self.server = Server(durable=True)
            self.hosts = [Cable(self.server) for _ in range(hosts)]
            self.address = "127.0.0.1"
        self.family = procession.Family(
            f"unix://{self.server.door}?prefix={self.prefix}&timeout=60"
        )

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for worker in self.workers:
            worker.kill()
        self.server.end()
        if self._network:
            self._network.end()
        else:
            for host in self.hosts:
                host.end()
        shutil.rmtree(self.folder)

    def url(self):
        """For the test run itself, which is on none of the hosts."""
        return f"unix://{self.server.door}?prefix={self.prefix}&timeout=60"

    def start(self, host, role, *rest):
        self.workers.append(Worker(self, host, role, *rest))
        return self.workers[-1]

    def until(self, condition, what):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come; seed {self.seed}"
            for worker in self.workers:
                assert worker.killed or not worker.process.poll(), worker.place
            time.sleep(0.01)

    def cut(self, host, seconds):
        """Cuts a host off for so long."""
        self.hosts[host].cut()
        time.sleep(seconds)
        self.hosts[host].join()

    def befall(self, evil, workers):
        """Kills one of the workers, for which another one is started ("kill"), kills the server and starts it again
        ("server"), or cuts a host off for so many seconds."""
        if evil == "kill":
            victim = workers.pop(self.random.randrange(len(workers)))
            victim.kill()
            workers.append(self.start(*victim.place))
        elif evil == "server":
            self.server.restart()
        else:
            self.cut(self.random.randrange(len(self.hosts)), evil)

    def left(self):
        """The keys that are on the server and will stay: those of killed clients go with their leases."""
        keys = self.server.keys(self.prefix)
        return sorted(key for key in keys if self.server.call("PTTL", key) == -1)

    def bytes_of(self, role):
        """How much workers of that role have written down."""
        return sum(path.stat().st_size for path in self.folder.glob(f"{role}-*"))

    def lines(self, role):
        """What they have written down, word by word."""
        logs = self.folder.glob(f"{role}-*")
        return [line.split() for log in logs for line in log.read_text().splitlines()]
