"""A worker of a pool: what runs in it, and how it gets to its seat.

A spawned worker imports this before it can do anything, so what only failures need is imported when
there is one. (_crew.py has the owner's side.)
"""

import signal
import sys

from . import _core, _family
from . import reduction as reduction  # the core's, for results
from ._std import util


class Seat:
    """A worker's place in its pool, on its way to it."""

    def __init__(self, core, index, lifeline, unblock):
        self._core = core
        self._handle = core._handle(index)
        self._lifeline = lifeline
        self._unblock = unblock

    def _lease(self):
        return self._core._lease()

    def __getstate__(self):
        return self._handle, self._lifeline, self._unblock, _family.papers(self)

    def __setstate__(self, state):
        self._handle, self._lifeline, self._unblock, travelled = state
        _family.enter(travelled)
        from . import spawn

        spawn.leave_interrupts_blocked()  # until `take`

    def take(self):
        if self._unblock:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        self._lifeline.hang_on()
        worker = _core.WorkerBase()
        worker._attach(self._handle)
        return worker


def work(seat, initializer, initargs, maxtasks):
    """What a worker does: tasks, until there will be no more."""
    try:
        worker = seat.take()
        if initializer is not None:
            _failed(Exception())  # it may leave a process that can import nothing more
            initializer(*initargs)
        worker._run(maxtasks, _failed, _unsent)
    except KeyboardInterrupt:
        # The one who pressed the keys hears of it from the owner.
        sys.exit(-signal.SIGINT)
    util.debug("worker exiting")


def _errors():
    from ._std import pool

    return pool


def _failed(exception):
    """What is sent for an exception: it, with its traceback as text."""
    try:
        return _errors().ExceptionWithTraceback(exception, exception.__traceback__)
    except Exception:  # for want of a path, of descriptors, of memory
        return exception


def _unsent(error, thing):
    """What is sent for a result that cannot be pickled."""
    try:
        return _errors().MaybeEncodingError(error, thing)
    except Exception:
        return error
