"""`ProcessPoolExecutor`: the face of concurrent.futures over a `Pool`.

What must hold: only what was handed to the pool can no longer be cancelled, so few calls are handed
over ahead of the workers; a call that ends hands over the next one.
"""

import os
import threading
import time
import weakref
from collections import deque
from concurrent.futures import Executor, Future
from concurrent.futures import TimeoutError as FutureTimeoutError

from . import _docs
from ._crew import BrokenPoolError
from ._std.context import TimeoutError
from .pool import _APPLY, _STAR, ApplyResult, IMapIterator, Pool

# So many calls for each worker are handed over: the one that it runs, and the next.
_AHEAD = 2
_NO_BOUND = 1 << 60

_living: weakref.WeakSet = weakref.WeakSet()


class ProcessPoolExecutor(Executor):
    __doc__ = _docs.EXECUTOR

    def __init__(
        self,
        max_workers=None,
        mp_context=None,
        initializer=None,
        initargs=(),
        *,
        max_tasks_per_child=None,
        timeout=None,
        retries=0,
        daemon=True,
    ):
        if max_workers is not None and max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        self._pool = Pool(
            max_workers,
            initializer,
            initargs,
            max_tasks_per_child,
            context=mp_context,
            timeout=timeout,
            retries=retries,
            daemon=daemon,
        )
        self._room = _AHEAD * self._pool._processes
        self._waiting = deque()
        self._changed = threading.Condition()
        self._under_way = 0
        self._shut = False
        self._ending = None
        _living.add(self)

    def submit(self, fn, /, *args, **kwargs):
        """Calls `fn(*args, **kwargs)` in a worker; returns a Future."""
        future = Future()
        with self._changed:
            self._check()
            self._waiting.append((future, fn, args, kwargs))
        self._hand_over()
        return future

    def _check(self):
        if self._pool._crew.error is not None:
            raise self._pool._crew.error
        if self._shut:
            raise RuntimeError("cannot schedule new futures after shutdown")

    def _hand_over(self):
        """Gives the pool what it has room for."""
        while True:
            with self._changed:
                if not self._waiting or self._under_way >= self._room:
                    return
                future, fn, args, kwargs = self._waiting.popleft()
                if not future.set_running_or_notify_cancel():
                    self._changed.notify_all()
                    continue
                self._under_way += 1
            try:
                self._pool._begin(
                    ApplyResult(),
                    fn,
                    [(args, kwargs)],
                    _APPLY,
                    "one",
                    callback=lambda value, future=future: self._done(future.set_result, value),
                    error_callback=lambda error, future=future: self._done(
                        future.set_exception, error
                    ),
                )
            except Exception as error:
                with self._changed:
                    self._under_way -= 1
                    self._changed.notify_all()
                future.set_exception(error)

    def _done(self, settle, outcome):
        with self._changed:
            self._under_way -= 1
        self._hand_over()
        settle(outcome)
        with self._changed:
            self._changed.notify_all()

    def map(self, fn, *iterables, timeout=None, chunksize=1, buffersize=None):
        """Returns an iterator over `fn(a, b, …)` of the items of `iterables`, in their order.

        The items are taken at once, or at most `buffersize` more than results. Raises TimeoutError
        if a result is not there `timeout` seconds after the call.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        if buffersize is not None and buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        with self._changed:
            self._check()
        end = None if timeout is None else time.monotonic() + timeout
        items = zip(*iterables, strict=False)
        if buffersize is None:
            items, buffersize = list(items), _NO_BOUND
        results = self._pool._imap(
            IMapIterator(), "ordered", fn, items, chunksize, buffersize, {}, mode=_STAR
        )
        return _results(results, end)

    def stats(self):
        """What the workers do: see `Pool.stats`."""
        return self._pool.stats()

    def shutdown(self, wait=True, *, cancel_futures=False):
        """Ends the workers when all is done; `cancel_futures`: without what has not begun."""
        with self._changed:
            self._shut = True
            cancelled = []
            if cancel_futures:
                cancelled = [item[0] for item in self._waiting]
                self._waiting.clear()
            if self._ending is None:
                self._ending = threading.Thread(target=self._end)
                self._ending.start()
        for future in cancelled:
            if future.cancel():
                future.set_running_or_notify_cancel()
        if wait:
            self._ending.join()

    def _end(self):
        with self._changed:
            self._changed.wait_for(
                lambda: not self._waiting and not self._under_way or self._is_broken()
            )
        self._fail_waiting()
        self._pool.close()
        self._pool.join()

    def _is_broken(self):
        return self._pool._crew.error is not None

    def _fail_waiting(self):
        while self._waiting:
            future = self._waiting.popleft()[0]
            if future.set_running_or_notify_cancel():
                future.set_exception(self._pool._crew.error or BrokenPoolError("it was ended"))


def _results(results, end):
    while True:
        try:
            if end is None:
                value = results.next()
            else:
                value = results.next(max(0, end - time.monotonic()))
        except StopIteration:
            return
        except TimeoutError:
            raise FutureTimeoutError from None
        yield value


def _at_exit():
    for executor in list(_living):
        executor.shutdown()


# As in concurrent.futures: before the interpreter waits for threads, since there are some to end.
threading._register_atexit(_at_exit)
# A worker ends without its owner's executors.
os.register_at_fork(after_in_child=_living.clear)
