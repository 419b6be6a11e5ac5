"""`procession worker` for tests: processes of their own that serve a server's pools."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PATIENCE = 20


class Worker:
    """A running `procession worker`, which has come to its board."""

    def __init__(self, url, *options, processes=2):
        self.url = url
        command = [sys.executable, "-m", "procession", "worker", url]
        command += ["--processes", str(processes), *options]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self.pid = self.process.pid
        self.said = []
        self.listen("processes for pools")

    def listen(self, text):
        """Waits until it says that."""
        for line in self.process.stderr:
            self.said.append(line)
            if text in line:
                return
        raise AssertionError(f"the worker did not say {text!r}: {''.join(self.said)}")

    def send(self, number):
        self.process.send_signal(number)

    def kill(self):
        """Kills it, as a machine dies: with its processes, which are told by its end."""
        self.send(signal.SIGKILL)
        self.process.wait(PATIENCE)

    def end(self, number=signal.SIGTERM):
        """Ends it and returns its exit status."""
        if self.process.poll() is None:
            self.send(number)
        status = self.process.wait(PATIENCE)
        if not self.process.stderr.closed:
            self.said += self.process.stderr
            self.process.stderr.close()
        return status


@contextlib.contextmanager
def working(url, *options, processes=2):
    worker = Worker(url, *options, processes=processes)
    try:
        yield worker
    finally:
        with contextlib.suppress(ProcessLookupError):
            worker.send(signal.SIGCONT)
        worker.end()


def until(condition, patience=PATIENCE):
    """Looks until there is something, and returns it."""
    deadline = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return found
