"""What the tests of named families use: programs that have nothing to do with one another."""

import os
import subprocess
import sys

import backends
from support import PATIENCE

JOIN = 'family = mp.Family(os.environ["FAMILY"], allow_pickle=True)'
START = f"""
import os, signal, sys, time
import procession as mp
{JOIN}
def say(*what):
    print(*what, flush=True)
def ask():
    return sys.stdin.readline()
"""


def files(folder):
    return sorted(os.listdir(folder))


class Program:
    """A process of its own, which speaks in lines."""

    def __init__(self, folder, text, start=START):
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", start + text],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={
                **os.environ,
                "PROCESSION_FAMILY_DIR": str(folder),
                "FAMILY": backends.current.url or "f",
            },
            start_new_session=True,
        )
        self.pid = self.process.pid

    def line(self):
        """The next line that it says."""
        return self.process.stdout.readline().rstrip("\n")

    def tell(self, text=""):
        """Answers its `ask()`."""
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def rest(self, code=0):
        """What it says until it ends, with this exit code."""
        self.process.stdin.close()
        said = self.process.stdout.read()
        assert self.process.wait(PATIENCE) == code, said
        return said

    def kill(self):
        """Ends it at once, if it has not ended."""
        self.process.kill()
        self.process.wait(PATIENCE)
        self.process.stdin.close()
        self.process.stdout.close()
