"""What the tests of `ThreadPool` share."""

import threading

import pytest
from support import until

from procession.pool import ThreadPool


def square(x):
    return x * x


def fail_at(wrong, x):
    if x in wrong:
        raise ValueError(x)
    return x


@pytest.fixture
def pool():
    with ThreadPool(2) as pool:
        yield pool
    pool.join()


@pytest.fixture
def gate():
    """What blocks tasks; opened at the end, so that no thread stays."""
    gate = threading.Event()
    yield gate
    gate.set()


def ended(threads):
    until(lambda: not any(thread.is_alive() for thread in threads), "the threads' end")
