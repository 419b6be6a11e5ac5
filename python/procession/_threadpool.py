"""`ThreadPool`: the face of `Pool`, with threads for workers; and what its calls return.

What the threads are is _threadcrew.py's, the way of a call's items _threadcall.py's. Objects are
handed over themselves: nothing is pickled.
"""

import time

from . import _docs, _poolview, _results, pool
from ._crew import _name
from ._std import util
from ._std.context import TimeoutError
from ._threadcall import Call, Failure, Stream
from ._threadcrew import Crew


class _Result:
    _call: Call

    def ready(self):
        return self._call.done

    def wait(self, timeout=None):
        self._call.wait(timeout)

    def _progress(self):
        return self._call.progress()

    @property
    def _job(self):
        return self._call._job

    @property
    def _number_left(self):
        return self._call._number_left


class ApplyResult(_Result, pool.ApplyResult):
    """What a thread pool's `apply_async` returns; see multiprocessing.pool.AsyncResult."""

    def successful(self):
        if not self.ready():
            raise ValueError(f"{self!r} not ready")
        return self._call.failure is None

    def get(self, timeout=None):
        call = self._call
        if not call.wait(timeout):
            raise TimeoutError
        try:
            if call.failure is not None:
                raise call.failure
            return call.value()
        finally:
            self = call = None  # the exception has this frame in its traceback


class MapResult(ApplyResult, pool.MapResult):
    """What a thread pool's `map_async` and `starmap_async` return."""


class ChunkResult(_results.Chunked, MapResult):
    """That of a function which gives the results of many items."""


class IMapIterator(_Result, pool.IMapIterator):
    """What a thread pool's `imap` returns: the results, in the order of the items."""

    _call: Stream

    def _feeder(self):
        return self._call

    def next(self, timeout=None):
        call = self._call
        try:
            outcome = call.outcomes.popleft()
        except IndexError:
            try:
                outcome = call.take(timeout)
            except StopIteration:
                self._pool = None
                raise
        if type(outcome) is Failure:
            try:
                raise outcome.error
            finally:
                outcome = None
        return outcome

    __next__ = next

    def __del__(self):
        call = getattr(self, "_call", None)
        if call is not None and not call.done:
            call.abandon()


class IMapUnorderedIterator(IMapIterator, pool.IMapUnorderedIterator):
    """What a thread pool's `imap_unordered` returns: the results, as they come."""


class Keeping(pool.Pool):
    """The face of a pool whose calls are kept by a crew in Python."""

    _Apply, _Map, _Chunks = ApplyResult, MapResult, ChunkResult
    _Ordered, _Unordered = IMapIterator, IMapUnorderedIterator

    def _begin(
        self,
        result,
        func,
        items,
        mode,
        gather,
        *,
        timeout=None,
        retries=None,
        waits=False,
        **options,
    ):
        self._check_running()
        options["timeout"] = self._timeout if timeout is None else timeout
        options["name"] = _name(func)
        options.update(
            self._more(retries, options.pop("tells", False), options.pop("catch", False))
        )
        if not self._crew.begin(self, result, func, items, mode, gather, **options):
            # It has ended since.
            self._check_running()
            raise ValueError("Pool not running")
        return result

    def _more(self, retries, tells, catch):
        """What its crew wants to know of a call besides."""
        return {}

    def _get(self, result, progress):
        try:
            if pool._shows(progress):
                _poolview.watch(result, progress, result._progress()[2])
            return result.get()
        finally:
            del result  # it has the exception, whose traceback has this frame

    def _calls(self):
        return list(self._crew.open)

    def close(self):
        """No more calls are made; the workers end when all is done."""
        util.debug("closing pool")
        if self._state == pool.RUN:
            self._state = pool.CLOSE
            self._crew.close()

    def terminate(self):
        """Ends the workers that are at nothing; what is under way fails."""
        super().terminate()
        self._crew.sweep()

    def _join(self):
        self._crew.join()


class ThreadPool(Keeping):
    __doc__ = _docs.THREAD_POOL
    __module__ = pool.__name__

    _wrap_exception = False

    @staticmethod
    def Process(ctx, *args, **kwds):
        from .dummy import Process

        return Process(*args, **kwds)

    def __init__(self, processes=None, initializer=None, initargs=(), *, timeout=None, retries=0):
        self._pool = []
        self._state = pool.INIT
        self._processes = pool._checked(processes, initializer)
        self._maxtasksperchild = None
        self._timeout, self._retries = timeout, retries
        self._since = time.monotonic()
        make = type(self).Process
        self._crew = crew = Crew(
            lambda **kwds: make(None, **kwds), self._processes, initializer, tuple(initargs)
        )
        self._pool = crew.threads
        try:
            crew.maintain()
        except BaseException:
            crew.disband()
            raise
        self._terminate = util.Finalize(self, crew.disband, exitpriority=15)
        self._state = pool.RUN

    @property
    def _taskqueue(self):
        raise AttributeError("a pool of threads has no queue of tasks")

    def stats(self):
        """What the threads do: a `PoolStats`, which prints as a table."""
        return _poolview.of_threads(self._crew, self._since)

    def close(self):
        """No more calls are made; the threads end when all is done."""
        super().close()

    def terminate(self):
        """Ends the threads that are at nothing; what is under way fails.

        A thread that is at an item ends after it, and nobody waits for that.
        """
        super().terminate()
