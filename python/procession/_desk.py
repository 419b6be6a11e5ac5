"""What an executor was asked to do, on its way to a pool and back to the futures.

    submit ─► waiting ─► handed over to the pool ─► done: future      at most `room` are handed over
    map ─────────────────► one call of the pool's ─► results

What must hold: what was handed over can no longer be cancelled, so few calls are, and a call that
ends hands over the next. A desk knows nothing of its executor, so that one nobody refers to is
collected; then, as after `shutdown`, the desk *closes* the pool once nothing waits, and the pool
ends its workers itself once all is done. No foreign code (of a future, of a function's pickling)
runs under the lock, and `close` may come from a collection at any moment.
"""

import os
import threading
import time
import weakref
from collections import deque
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.process import _RemoteTraceback  # what its users see as a cause
from functools import partial

from ._std import util
from ._std.pool import RemoteTraceback
from .pool import _APPLY, _STAR

# So many calls for each worker are handed over: the one that it runs, and the next.
_AHEAD = 2

_living: weakref.WeakSet = weakref.WeakSet()
_exiting = False


class Desk:
    def __init__(self, make, workers, broken):
        """`make()` gives the pool, `broken(reason)` the exception of one that has ended."""
        self.pool = None
        self.pending = {}
        self.shut = False
        self._make = make
        self._broken = broken
        self._room = _AHEAD * workers
        self._owner = os.getpid()
        self._changed = threading.Condition()
        self._count = 0
        self._waiting = deque()
        self._handed_over = 0
        # Calls that stand between the two, and keep the pool open.
        self._between = 0
        self._maps = []
        self._closed = False

    # ------------------------------------------------------------ the pool

    def open(self):
        """The pool; with the first call its workers start."""
        with self._changed:
            if self.pool is None:
                self.pool = self._make()
                # As long as there are workers there is somebody to ask how far they are.
                self.pool._crew.keeps = self
                _living.add(self)
                _at_the_end_of_a_child()
            return self.pool

    def reason(self):
        """Why the pool has ended by itself; None if it has not."""
        error = None if self.pool is None else self.pool._crew.error
        return None if error is None else str(error)

    def check(self):
        """Raises what a call gets that comes too late."""
        reason = self.reason()
        if reason is not None:
            raise self._broken(reason)
        if self.shut:
            raise RuntimeError("cannot schedule new futures after shutdown")
        if _exiting:
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    # ------------------------------------------------------------ calls

    def submit(self, fn, args, kwargs):
        future = Future()
        with self._changed:
            self.check()
            self.open()
            number = self._count
            self._count += 1
            self.pending[number] = future, fn, args, kwargs
            self._waiting.append(number)
        self._hand_over()
        return future

    def _hand_over(self):
        """Gives the pool what it has room for."""
        interrupt = None
        while True:
            with self._changed:
                if not self._waiting or self._handed_over >= self._room:
                    self._close_if_due()
                    break
                self._handed_over += 1
                self._between += 1
                number = self._waiting.popleft()
                future, fn, args, kwargs = self.pending[number]
            begun, error, job = False, None, None
            try:
                if future.set_running_or_notify_cancel():
                    job = self.pool._Apply()
                    self._begin(number, job, fn, args, kwargs)
                    begun = True
            except BaseException as raised:
                begun, error = _has_begun(job), raised
            with self._changed:
                self._between -= 1
                if not begun:
                    self._handed_over -= 1
                    del self.pending[number]
            if error is not None:
                if not begun:
                    future.set_exception(error)
                if not isinstance(error, Exception):
                    interrupt = error  # Ctrl-C, in the thread that submits
        if interrupt is not None:
            raise interrupt

    def _begin(self, number, job, fn, args, kwargs):
        self.pool._begin(
            job,
            fn,
            [(args, kwargs)],
            _APPLY,
            "one",
            catch=True,
            callback=partial(self._done, number, Future.set_result),
            error_callback=partial(self._done, number, _fail),
        )

    def _done(self, number, settle, outcome):
        with self._changed:
            self._handed_over -= 1
            future = self.pending.pop(number)[0]
        self._hand_over()
        settle(future, outcome)

    def map(self, fn, items, chunksize):
        """Calls `fn` with the items: a job. They are fed to it if `items` is None."""
        with self._changed:
            self.check()
            self.open()
            self._between += 1
        job = self.pool._Ordered()
        try:
            self.pool._begin(job, fn, items, _STAR, "ordered", chunk=chunksize, catch=True)
        except BaseException:
            if _has_begun(job):
                job._feeder().cancel()
            raise
        finally:
            with self._changed:
                self._between -= 1
                self._maps = [call for call in self._maps if not call.ready()]
                if _has_begun(job):
                    self._maps.append(job._feeder())
                self._close_if_due()
        return job

    # ------------------------------------------------------------ the end

    def close(self, cancel=False):
        """No more calls; `cancel`: nor those that have not begun. What is fed ends where it is."""
        if self._owner != os.getpid():
            return  # a fork of the one whose it is
        with self._changed:
            self.shut = True
            maps, dropped = list(self._maps), []
            if cancel:
                dropped = [self.pending.pop(number)[0] for number in self._waiting]
                self._waiting.clear()
            self._close_if_due()
        for call in maps:
            if cancel:
                call.cancel()
            else:
                call.end()
        for future in dropped:
            if future.cancel():
                future.set_running_or_notify_cancel()

    def _close_if_due(self):
        if self.shut and not self._closed and not self._waiting and not self._between:
            self._closed = True
            if self.pool is not None:
                self.pool.close()
            self._changed.notify_all()

    def join(self):
        """Waits until all is done and the workers have ended; not in a thread that sees to that."""
        if self._owner != os.getpid():
            return
        if self.pool is not None and threading.current_thread() in self._threads():
            return
        with self._changed:
            self._changed.wait_for(lambda: self._closed)
        if self.pool is not None:
            self.pool.join()

    def _threads(self):
        return self.pool._result_handler, self.pool._worker_handler

    def end(self, by):
        """Ends all workers at once, `by` that method of theirs: what is under way fails."""
        self.close(cancel=True)
        if self.pool is not None and (self.pool._pool or self.pool._crew.far):
            self.pool._crew.end("its workers were ended", by)


def _has_begun(job):
    """Whether the pool has a call, so that it will be done."""
    try:
        return job is not None and job._job >= 0
    except RuntimeError:
        return False


def _fail(future, error):
    future.set_exception(with_cause(error))


def with_cause(error):
    """An exception of a worker's: its traceback there as concurrent.futures' users know it."""
    if type(error.__cause__) is RemoteTraceback:
        error.__cause__ = _RemoteTraceback(error.__cause__.tb)
    return error


class Feed:
    """Items out of an iterator, so many ahead of the results, in the thread that takes these."""

    def __init__(self, executor, job, items, ahead):
        self._executor = executor  # which is not dropped before the items have come
        self._call = job._feeder()
        self._items = items
        self._ahead = ahead
        self._ended = False
        self.count = 0

    def fill(self, taken):
        """Feeds what there is room for when so many results were taken."""
        while not self._ended and self.count < taken + self._ahead:
            for item in self._items:
                self._executor._desk.check()
                self.count += 1
                self._call.put([item])
                break
            else:
                self._ended = True
                self._call.end()


def results(job, end, count=None, feed=None):
    """The results of a map, in their order. What has not begun is dropped when nobody wants it.

    `end` is when time is over; `count` is how many items there are, if `feed` does not know.
    """
    take, taken = job._take, 0
    try:
        while True:
            if feed is not None:
                feed.fill(taken)
            kind, value = take() if end is None else take(max(0, end - time.monotonic()))
            if kind:
                break
            taken += 1
            kept = [value]
            del value  # the one who takes it alone decides how long it lives
            yield kept.pop()
        if kind == 1:
            raise with_cause(value)
        if kind == 3:
            raise FutureTimeoutError
        if taken < (count if feed is None else feed.count):
            raise CancelledError  # by `shutdown`
    finally:
        job._feeder().cancel()


def _at_exit():
    global _exiting
    _exiting = True
    desks = list(_living)
    for desk in desks:
        desk.close()
    for desk in desks:
        desk.join()


def _at_the_end_of_a_child():
    """A child of this package's waits for its own children before it does so for threads' ends."""
    global _registered
    if _registered != os.getpid():
        _registered = os.getpid()
        util.Finalize(None, _at_exit, exitpriority=20)  # before a pool's


_registered = None
# As in concurrent.futures: before the interpreter waits for threads, since there are some to end.
threading._register_atexit(_at_exit)
# A worker ends without its owner's executors.
os.register_at_fork(after_in_child=_living.clear)
