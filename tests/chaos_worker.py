"""What runs on the hosts of a chaos test: produces, consumes, holds locks, and writes down what it knows.

A program of its own, started with a role. Each line of its log is written in one go, so that a kill loses
none. It ends when its standard input does; a line there asks it to come to an end by itself.
"""

import contextlib
import os
import sys
import threading
import time
import warnings

import procession
from procession import LeaseLost, OutcomeUnknownError, ServerUnreachableError
from procession.queues import Empty


class Log:
    def __init__(self, path):
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def __call__(self, *words):
        os.write(self._fd, (" ".join(map(str, words)) + "\n").encode())


asked = threading.Event()


def task(number):
    """What a pool does with each number."""
    time.sleep(0.002)
    return number, number * number


def listen():
    for _line in sys.stdin:
        asked.set()
    os._exit(9)


def produce(family, log, redeliver, count, batch, number):
    """Messages (number, i). P: these are there; U: these may be there."""
    q = family.queue("q", redeliver=redeliver)
    for first in range(0, count, batch):
        n = min(batch, count - first)
        log("T", number, first, n)
        try:
            q.put_many([(number, i) for i in range(first, first + n)])
        except ServerUnreachableError:
            log("U", number, first, n)
        else:
            log("P", number, first, n)


def consume(family, log, batch):
    """G: these were got."""
    q = family.queue("q")
    while True:
        try:
            found = q.get_many(batch, timeout=0.5)
        except Empty:
            if asked.is_set():
                return
        except ServerUnreachableError:
            pass  # whatever it took goes back
        else:
            log("G", *(f"{number},{i}" for number, i in found))


def deliver(family, log):
    """T: taken, for the how-manieth time; D: done; L: lost to others; U: perhaps done."""
    q = family.queue("q", redeliver=True)
    while True:
        try:
            delivery = q.get_delivery(timeout=0.5)
        except Empty:
            if asked.is_set():
                return
            continue
        except ServerUnreachableError:  # also where the outcome is unknown
            continue  # whatever it took comes back
        name = ",".join(map(str, delivery.item))
        log("T", name, delivery.count)
        try:
            delivery.done()
        except LeaseLost:
            log("L", name)
        except ServerUnreachableError:
            log("U", name)
        else:
            log("D", name)


def hold(family, log):
    """Takes a lock again and again. R: it was held under this token from then to then; L: it was lost."""
    # Whoever was killed with it is no news here.
    warnings.simplefilter("ignore", procession.AbandonedLockWarning)
    lock = family.lock("lock")
    while not asked.is_set():
        try:
            lock.acquire()
        except (LeaseLost, OutcomeUnknownError):
            continue
        token, begin = lock.token, time.monotonic_ns()
        if token is None:
            # It was lost before this thread came to know of it, and is not given back for somebody else.
            with contextlib.suppress(LeaseLost, OutcomeUnknownError):
                lock.release()
                log("!")
            continue
        log("A", token)
        time.sleep(0.0005)
        end = time.monotonic_ns()
        try:
            lock.release()
        except (LeaseLost, OutcomeUnknownError):
            log("L", token)
        else:
            log("R", token, begin, end)


if __name__ == "__main__":
    role, url, path, *rest = sys.argv[1:]
    threading.Thread(target=listen, daemon=True).start()
    with procession.Family(url) as family:
        globals()[role](family, Log(path), *map(int, rest))
