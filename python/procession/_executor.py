"""`ProcessPoolExecutor`: concurrent.futures' own, over a `Pool`.

It is a subclass of the standard library's, so that whoever asks for one gets one, and shares
nothing with it but names: what is submitted lies on a desk (_desk.py), whose pool has the workers.
As there, they start with the first call.
"""

import time
import weakref
from concurrent.futures import process as _theirs

from . import _crew, _desk, _docs
from ._crew import _cpu_count
from .pool import Pool

_ABRUPTLY = "A child process terminated abruptly, the process pool is not usable anymore"


# The names by which a traceback shows them are those of what they are.
class BrokenPoolError(_crew.BrokenPoolError, _theirs.BrokenProcessPool):
    __doc__ = _crew.BrokenPoolError.__doc__


class WorkerLostError(_crew.WorkerLostError, _theirs.BrokenProcessPool):
    __doc__ = _crew.WorkerLostError.__doc__


class TaskTimeoutError(_crew.TaskTimeoutError, WorkerLostError):
    __doc__ = _crew.TaskTimeoutError.__doc__


class _Pool(Pool):
    _errors = _crew.Errors(BrokenPoolError, WorkerLostError, TaskTimeoutError)


class ProcessPoolExecutor(_theirs.ProcessPoolExecutor):
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
        daemon=False,
        backend=None,
        queue="default",
        allow_pickle=True,
    ):
        most = max_workers
        if max_workers is None:
            max_workers = _cpu_count()
        elif max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        if mp_context is None:
            from . import get_context

            mp_context = get_context("spawn" if max_tasks_per_child is not None else None)
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        _check_tasks(max_tasks_per_child, None if backend is not None else mp_context)
        self._max_workers = max_workers
        self._mp_context = mp_context
        self._initializer = initializer
        self._initargs = initargs
        self._max_tasks_per_child = max_tasks_per_child

        def make():
            return _Pool(
                max_workers,
                initializer,
                initargs,
                max_tasks_per_child,
                mp_context,
                timeout=timeout,
                retries=retries,
                daemon=daemon,
            )

        if backend is not None:
            from .remote._executor import FEW, Pool

            def make():
                return Pool(
                    most,
                    initializer,
                    initargs,
                    max_tasks_per_child,
                    backend=backend,
                    queue=queue,
                    allow_pickle=allow_pickle,
                    timeout=timeout,
                    retries=retries,
                    daemon=daemon,
                )

            max_workers = most or FEW
        self._desk = desk = _desk.Desk(make, max_workers, _broken)
        weakref.finalize(self, desk.close).atexit = False

    # ------------------------------------------------------------ what programs look at

    @property
    def _pool(self):
        return self._desk.open()

    @property
    def _processes(self):
        pool = self._desk.pool
        return {} if pool is None else {worker.pid: worker for worker in list(pool._pool)}

    @property
    def _executor_manager_thread(self):
        pool = self._desk.pool
        return None if pool is None else pool._worker_handler

    @property
    def _pending_work_items(self):
        return self._desk.pending

    @property
    def _shutdown_thread(self):
        return self._desk.shut or self._desk.reason() is not None

    @property
    def _broken(self):
        reason = self._desk.reason()
        return False if reason is None else f"{_ABRUPTLY}: {reason}"

    def stats(self):
        """What the workers do: see `Pool.stats`."""
        pool = self._desk.pool
        if pool is not None:
            return pool.stats()
        from ._poolview import NOTHING

        return NOTHING

    # ------------------------------------------------------------ calls

    def submit(self, fn, /, *args, **kwargs):
        """Calls `fn(*args, **kwargs)` in a worker; returns a Future."""
        return self._desk.submit(fn, args, kwargs)

    def map(self, fn, *iterables, timeout=None, chunksize=1, buffersize=None):
        """Returns an iterator over `fn(a, b, …)` of the items of `iterables`, in their order.

        The items are taken at once, or, with `buffersize`, only so many chunks more than results.
        Raises TimeoutError if a result is not there `timeout` seconds after the call. What has not
        begun is cancelled when one fails, and when the iterator is closed.
        """
        if buffersize is not None and not isinstance(buffersize, int):
            raise TypeError("buffersize must be an integer or None")
        if buffersize is not None and buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        end = None if timeout is None else timeout + time.monotonic()
        items = zip(*iterables, strict=False)
        if buffersize is not None:
            self._desk.check()
            job = self._desk.map(fn, None, chunksize)
            feed = _desk.Feed(self, job, items, buffersize * chunksize)
            feed.fill(0)
            return _desk.results(job, end, feed=feed)
        items = list(items)
        if not items:
            return iter(())
        return _desk.results(self._desk.map(fn, items, chunksize), end, len(items))

    # ------------------------------------------------------------ the end

    def shutdown(self, wait=True, *, cancel_futures=False):
        """Ends the workers when all is done; `cancel_futures`: without what has not begun.

        Without waiting where that could never end: in the callback of a future.
        """
        self._desk.close(cancel_futures)
        if wait:
            self._desk.join()

    def terminate_workers(self):
        """Ends all workers at once, by SIGTERM; what is under way fails."""
        self._desk.end("terminate")

    def kill_workers(self):
        """Ends all workers at once, by SIGKILL; what is under way fails."""
        self._desk.end("kill")


def _broken(reason):
    return BrokenPoolError(f"{_ABRUPTLY}: {reason}")


def _check_tasks(number, context):
    if number is None:
        return
    if not isinstance(number, int):
        raise TypeError("max_tasks_per_child must be an integer")
    if number <= 0:
        raise ValueError("max_tasks_per_child must be >= 1")
    if context is not None and context.get_start_method(allow_none=False) == "fork":
        raise ValueError(
            "max_tasks_per_child is incompatible with the 'fork' multiprocessing start method;"
            " supply a different mp_context."
        )
