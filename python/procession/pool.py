"""`Pool` and what its methods return, over the Rust core's.

The way of a task: `apply`, `map` and the others make a *job* (`ApplyResult` and its kin *are* the
core's), whose items the core cuts into chunks, encodes and puts into shared memory; a worker's loop
(also the core's) takes a chunk, calls the function, and its results come back the same way. This
file has the signatures; _crew.py sees to the processes.

Two threads belong to a pool: one waits for workers' ends, one for results that nobody is waiting
for. They begin with the first call that needs them: beside workers that are starting a thread waits
for a processor, and the call would with it. A third feeds a call whose items come out of an
iterator.
"""

import itertools
import threading
import time
import warnings

from . import _core, _docs, _elsewhere
from ._crew import (
    CLOSE,
    RUN,
    TERMINATE,
    BrokenPoolError,
    Crew,
    Errors,
    TaskTimeoutError,
    Thread,
    WorkerLostError,
    _checked,
    _name,
)
from ._results import (
    ApplyResult,
    AsyncResult,
    IMapIterator,
    IMapUnorderedIterator,
    MapResult,
    _ChunkResult,
)
from ._std import util
from ._std.context import TimeoutError

__all__ = ["Pool", "ThreadPool"]  # noqa: F822

INIT = "INIT"

_APPLY, _MAP, _STAR = range(3)


class _Adapting(int):
    """The number one as a default: chunks of items that are as if they were one."""


_ONE = _Adapting(1)
# So many seconds a call is waited for before anybody looks whether the workers live.
_SOON = 0.01
# So many items more than results that were taken are at most taken out of an iterable by `imap`.
BUFFERSIZE = 1024


class Pool:
    __doc__ = _docs.POOL

    _wrap_exception = True
    _errors = Errors()
    # What calls return; a pool of threads has its own.
    _Apply, _Map, _Chunks = ApplyResult, MapResult, _ChunkResult
    _Ordered, _Unordered = IMapIterator, IMapUnorderedIterator

    @staticmethod
    def Process(ctx, *args, **kwds):
        return ctx.Process(*args, **kwds)

    def __init__(
        self,
        processes=None,
        initializer=None,
        initargs=(),
        maxtasksperchild=None,
        context=None,
        *,
        timeout=None,
        retries=0,
        daemon=True,
        executor=None,
        backend=None,
        **elsewhere,
    ):
        self._pool = []
        self._state = INIT
        if executor is not None or backend is not None:
            options = {"timeout": timeout, "retries": retries, "daemon": daemon, **elsewhere}
            options |= {"executor": executor, "backend": backend}
            first = (processes, initializer, initargs, maxtasksperchild, context)
            _elsewhere.become(self, *first, **options)
            return
        if elsewhere:
            raise TypeError(f"{next(iter(elsewhere))} is for a pool with a backend")
        if context is None:
            from . import get_context

            context = get_context()
        self._ctx = context
        self._processes = processes = _checked(processes, initializer, maxtasksperchild)
        self._maxtasksperchild = maxtasksperchild
        self._initializer = initializer
        self._initargs = initargs
        self._since = time.monotonic()
        self._timeout = timeout
        self._retries = retries
        self._core = core = _core.PoolBase()
        core._create(processes)
        make, ctx = type(self).Process, context
        self._crew = crew = Crew(
            core,
            lambda **kwds: make(ctx, **kwds),
            processes,
            initializer,
            tuple(initargs),
            maxtasksperchild,
            daemon,
            self._errors,
        )
        self._pool = crew.workers
        self._starting = threading.Lock()
        self._worker_handler = Thread(crew.tend)
        self._result_handler = Thread(crew.serve)
        try:
            crew.populate()
        except BaseException:
            crew.disband()
            raise
        self._terminate = util.Finalize(
            self,
            crew.terminate,
            args=(self._worker_handler, self._result_handler),
            exitpriority=15,
        )
        self._state = RUN

    def __del__(self, _warn=warnings.warn, RUN=RUN):
        if self._state == RUN:
            _warn(f"unclosed running multiprocessing pool {self!r}", ResourceWarning, source=self)
            crew = getattr(self, "_crew", None)
            if crew is not None:
                crew.change()

    def __repr__(self):
        return (
            f"<{type(self).__module__}.{type(self).__qualname__}"
            f" state={self._state} pool_size={len(self._pool)}>"
        )

    def __reduce__(self):
        raise NotImplementedError("pool objects cannot be passed between processes or pickled")

    def __enter__(self):
        self._check_running()
        return self

    def __exit__(self, *exc_info):
        self.terminate()

    def _check_running(self):
        if self._crew.error is not None:
            raise self._crew.error
        if self._state != RUN:
            raise ValueError("Pool not running")

    def _repopulate_pool(self):
        self._crew.maintain()

    # ------------------------------------------------------------ what programs look at

    @property
    def _cache(self):
        """The calls under way, by their numbers."""
        return _view().Calls(self._calls)

    @property
    def _taskqueue(self):
        """How many calls wait; nothing can be put there."""
        return _view().Waiting(self._core._waiting)

    @property
    def _task_handler(self):
        """The thread that sends tasks, where nobody waits for a result."""
        return self._result_handler

    def _calls(self):
        return self._core._calls()

    @staticmethod
    def _get_tasks(func, it, size):
        """`func` with each `size` items of an iterable."""
        it = iter(it)
        while chunk := tuple(itertools.islice(it, size)):
            yield func, chunk

    # ------------------------------------------------------------ calls

    def _begin(self, job, func, items, mode, gather, *, timeout=None, retries=None, **options):
        self._check_running()
        options["timeout"] = self._timeout if timeout is None else timeout
        options["retries"] = self._retries if retries is None else retries
        options.setdefault("name", _name(func))
        if not self._core._begin(job, func, items, mode, gather, **options):
            # It has ended since.
            self._check_running()
            raise ValueError("Pool not running")
        job._hold(self)  # a pool that nobody else refers to lives as long as its results
        if not options.get("waits"):
            self._see_to(self._worker_handler)
            self._see_to(self._result_handler)
        if options["timeout"] is not None:
            self._see_to(self._worker_handler)
            self._crew.change()  # from now on somebody has to look at the clock
        return job

    def _see_to(self, handler):
        """Has one of the pool's two threads begin, if it has not."""
        if handler.ident is None:
            with self._starting:
                if handler.ident is None:
                    handler.start()

    def apply(self, func, args=(), kwds={}, *, timeout=None, retries=None):  # noqa: B006
        """Calls `func(*args, **kwds)` in a worker and returns what it returns."""
        limits = {"timeout": timeout, "retries": retries}
        items = [(args, dict(kwds))]
        return self._get(
            self._begin(self._Apply(), func, items, _APPLY, "one", waits=True, **limits), None
        )

    def apply_async(
        self,
        func,
        args=(),
        kwds={},  # noqa: B006
        callback=None,
        error_callback=None,
        *,
        timeout=None,
        retries=None,
    ):
        """As `apply`, without waiting: returns an `AsyncResult`.

        Raises what pickle says of an argument that cannot be pickled, unless there is an
        `error_callback` to be told.
        """
        return self._begin(
            self._Apply(),
            func,
            [(args, dict(kwds))],
            _APPLY,
            "one",
            callback=callback,
            error_callback=error_callback,
            timeout=timeout,
            retries=retries,
            tells=error_callback is None,
        )

    def map(self, func, iterable, chunksize=None, *, timeout=None, retries=None, progress=None):
        """Calls `func` with each item and returns the list of the results.

        `progress`: True shows a bar, a tqdm instance is one.
        """
        limits = {"timeout": timeout, "retries": retries, "waits": True}
        return self._get(self._map(func, iterable, _MAP, chunksize, **limits), progress)

    def map_async(
        self,
        func,
        iterable,
        chunksize=None,
        callback=None,
        error_callback=None,
        *,
        timeout=None,
        retries=None,
    ):
        """As `map`, without waiting: returns an `AsyncResult`."""
        calls = {"callback": callback, "error_callback": error_callback}
        limits = {"timeout": timeout, "retries": retries}
        return self._map(func, iterable, _MAP, chunksize, **calls, **limits)

    def starmap(self, func, iterable, chunksize=None, *, timeout=None, retries=None, progress=None):
        """As `map`, where each item is a tuple of arguments."""
        limits = {"timeout": timeout, "retries": retries, "waits": True}
        return self._get(self._map(func, iterable, _STAR, chunksize, **limits), progress)

    def starmap_async(
        self,
        func,
        iterable,
        chunksize=None,
        callback=None,
        error_callback=None,
        *,
        timeout=None,
        retries=None,
    ):
        """As `starmap`, without waiting: returns an `AsyncResult`."""
        calls = {"callback": callback, "error_callback": error_callback}
        limits = {"timeout": timeout, "retries": retries}
        return self._map(func, iterable, _STAR, chunksize, **calls, **limits)

    def _map_async(
        self, func, iterable, mapper, chunksize=None, callback=None, error_callback=None
    ):
        """`mapper((func, items))` for each chunk of items, which is a list of results."""
        calls = {"callback": callback, "error_callback": error_callback}
        mode = _view().mode(mapper)
        if mode is not None:
            return self._map(func, iterable, mode, chunksize, **calls)
        items = list(iterable)
        if chunksize is None:
            chunksize = -(-len(items) // (4 * self._processes)) or 1
        if callback is not None:
            calls["callback"] = lambda lists: callback(list(itertools.chain.from_iterable(lists)))
        tasks = self._get_tasks(func, items, chunksize)
        job = self._Chunks()
        job._chunksize = chunksize
        return self._map(mapper, tasks, _MAP, 1, job=job, **calls)

    def _get(self, job, progress):
        try:
            if _shows(progress):
                self._see_to(self._worker_handler)
                self._see_to(self._result_handler)
                _view().watch(job, progress, job._progress()[2])
            if self._worker_handler.ident is None:
                job.wait(_SOON)
                if not job.ready():
                    self._see_to(self._worker_handler)
            return job.get()
        except BaseException:
            # It may go on without anybody who waits for it.
            self._see_to(self._worker_handler)
            self._see_to(self._result_handler)
            raise
        finally:
            # It has the exception, whose traceback has this frame.
            del job

    def _map(self, func, iterable, mode, chunksize, job=None, **options):
        self._check_running()
        items = iterable if type(iterable) is range else list(iterable)
        if chunksize is None and self._maxtasksperchild is not None:
            # What a task is counts here.
            chunksize = -(-len(items) // (4 * self._processes)) or 1
        if chunksize is not None:
            # With 0 nothing is called, as the standard library has it.
            chunksize = max(chunksize, 0)
        stop = chunksize != 1
        job = job or self._Map()
        return self._begin(job, func, items, mode, "list", chunk=chunksize, stop=stop, **options)

    def imap(
        self,
        func,
        iterable,
        chunksize=_ONE,
        *,
        buffersize=None,
        timeout=None,
        retries=None,
        progress=None,
    ):
        """Calls `func` with each item; returns an iterator over the results, in order.

        At most `buffersize` items more are taken than results.
        """
        limits = {"timeout": timeout, "retries": retries}
        job = self._Ordered()
        results = self._imap(job, "ordered", func, iterable, chunksize, buffersize, limits)
        return _view().follow(results, progress, _length(iterable)) if _shows(progress) else results

    def imap_unordered(
        self,
        func,
        iterable,
        chunksize=_ONE,
        *,
        buffersize=None,
        timeout=None,
        retries=None,
        progress=None,
    ):
        """As `imap`; the results come in the order in which they are there."""
        job, limits = self._Unordered(), {"timeout": timeout, "retries": retries}
        results = self._imap(job, "unordered", func, iterable, chunksize, buffersize, limits)
        return _view().follow(results, progress, _length(iterable)) if _shows(progress) else results

    def _imap(self, job, gather, func, iterable, chunksize, buffersize, limits, mode=_MAP):
        self._check_running()
        if chunksize < 1:
            raise ValueError(f"Chunksize must be 1+, not {chunksize:n}")
        if buffersize is not None and buffersize < 1:
            raise ValueError(f"buffersize must be 1+, not {buffersize:n}")
        adapts = isinstance(chunksize, _Adapting) and self._maxtasksperchild is None
        chunk = None if adapts else min(int(chunksize), buffersize or int(chunksize))
        buffer = buffersize or max(BUFFERSIZE, 4 * self._processes * int(chunksize))
        # These cannot block and cannot raise: no thread is needed to iterate over them.
        items = list(iterable) if type(iterable) in (list, tuple) else None
        if type(iterable) is range:
            items = iterable
        self._begin(job, func, items, mode, gather, chunk=chunk, buffer=buffer, **limits)
        if items is None:
            Thread.begin(job._feeder().feed, iterable)
        return job

    def stats(self):
        """What the workers do: a `PoolStats`, which prints as a table."""
        return _view().stats(self._core, self._since)

    # ------------------------------------------------------------ the end

    def close(self):
        """No more calls are made; workers end when all is done."""
        util.debug("closing pool")
        if self._state == RUN:
            self._state = CLOSE
            if self._crew.state == RUN:
                self._crew.change(CLOSE)
                self._see_to(self._worker_handler)
                self._see_to(self._result_handler)

    def terminate(self):
        """Ends the workers at once, whatever they do; what is under way fails."""
        util.debug("terminating pool")
        self._state = TERMINATE
        self._terminate()

    def join(self):
        """Waits until the workers have ended, after `close` or `terminate`."""
        util.debug("joining pool")
        if self._state == RUN:
            raise ValueError("Pool is still running")
        if self._state not in (CLOSE, TERMINATE):
            raise ValueError("In unknown state")
        self._join()

    def _join(self):
        if self._crew.state == CLOSE:
            self._core._wait_idle()
            self._crew.change()
        for handler in self._worker_handler, self._result_handler:
            if handler.ident is not None:
                handler.join()
        for worker in list(self._pool):
            worker.join()


def _view():
    from . import _poolview  # which few ask for, and which imports much

    return _poolview


def _shows(progress):
    """Whether there is to be a bar: the truth of one says how much is to be done."""
    return progress is not None and progress is not False


def _length(iterable):
    try:
        return len(iterable)
    except TypeError:
        return None


def __getattr__(name):
    # A pool begins without importing ThreadPool, the exceptions' wrappings and the like.
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "ThreadPool":
        from ._threadpool import ThreadPool

        return ThreadPool
    from ._std import pool

    return getattr(pool, name)


__all__ += [
    "ApplyResult",
    "AsyncResult",
    "BrokenPoolError",
    "IMapIterator",
    "IMapUnorderedIterator",
    "MapResult",
    "TaskTimeoutError",
    "TimeoutError",
    "WorkerLostError",
]
