"""The standard library's ``multiprocessing.dummy``, with Procession's pool of threads."""

import sys

from .._std import dummy as _real
from .._std.dummy import (
    Barrier,
    BoundedSemaphore,
    Condition,
    Event,
    JoinableQueue,
    Lock,
    Pipe,
    Process,
    Queue,
    RLock,
    Semaphore,
    active_children,
    connection,
    current_process,
    freeze_support,
)

__all__ = [
    "Process",
    "current_process",
    "active_children",
    "freeze_support",
    "Lock",
    "RLock",
    "Semaphore",
    "BoundedSemaphore",
    "Condition",
    "Event",
    "Barrier",
    "Queue",
    "Manager",
    "Pipe",
    "Pool",
    "JoinableQueue",
]

sys.modules[f"{__name__}.connection"] = connection


def Manager():
    """This module, which has what a manager has."""
    return sys.modules[__name__]


def Pool(processes=None, initializer=None, initargs=()):
    """A pool of threads; see procession.pool.ThreadPool."""
    from ..pool import ThreadPool

    return ThreadPool(processes, initializer, initargs)


def __getattr__(name):
    # What else a manager has, as `Manager().dict`.
    return getattr(_real, name)
