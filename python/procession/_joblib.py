"""The back end for joblib: `procession.register_joblib()`, then `backend="procession"`."""

import warnings

from joblib import cpu_count  # type: ignore[import-untyped]
from joblib.parallel import (  # type: ignore[import-untyped]
    AutoBatchingMixin,
    FallbackToBackend,
    ParallelBackendBase,
    SequentialBackend,
    register_parallel_backend,
)

from ._std.process import current_process
from .pool import _APPLY, ApplyResult, Pool, _name

# What may be said of the pool: `parallel_config(backend="procession", retries=2)`.
_OPTIONS = frozenset(
    {"initializer", "initargs", "maxtasksperchild", "context", "timeout", "retries", "daemon"}
)


class ProcessionBackend(AutoBatchingMixin, ParallelBackendBase):
    """Runs joblib's batches in a `Pool`."""

    supports_retrieve_callback = True

    _pool = None

    def effective_n_jobs(self, n_jobs):
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None:
            return 1
        if n_jobs != 1 and current_process().daemon:
            warnings.warn(
                "a worker of a pool cannot have workers: setting n_jobs=1"
                " (daemon=False for the outer pool allows it)",
                stacklevel=3,
            )
            return 1
        if n_jobs < 0:
            return max(cpu_count() + 1 + n_jobs, 1)
        return n_jobs

    def configure(self, n_jobs=1, parallel=None, prefer=None, require=None, **options):
        n_jobs = self.effective_n_jobs(n_jobs)
        if n_jobs == 1:
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        # joblib always gives a context of multiprocessing's: here only the user's own counts.
        given = {**options, "context": None, **self.backend_kwargs}
        self._pool = Pool(n_jobs, **{key: given[key] for key in _OPTIONS & given.keys()})
        self.parallel = parallel
        return n_jobs

    def submit(self, func, callback=None):
        # The batch is the argument, not the function: so its arrays travel without being copied.
        return self._pool._begin(
            ApplyResult(),
            _call,
            [((func,), {})],
            _APPLY,
            "one",
            name=_name_of(func),
            catch=True,
            callback=callback,
            error_callback=callback,
        )

    apply_async = submit  # before joblib 1.5

    def retrieve_result_callback(self, result):
        if isinstance(result, BaseException):
            raise result
        return result

    def terminate(self):
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()
            pool.join()
        self.reset_batch_stats()

    def abort_everything(self, ensure_ready=True):
        self.terminate()
        if ensure_ready:
            parallel = self.parallel
            self.configure(n_jobs=parallel.n_jobs, parallel=parallel, **parallel._backend_kwargs)


def _call(batch):
    return batch()


def _name_of(batch):
    """What a batch is called in errors: its first function."""
    items = getattr(batch, "items", None)
    return _name(items[0][0] if items else batch)


def register_joblib() -> None:
    """Makes Procession known to joblib: `Parallel(n_jobs=4, backend="procession")`."""
    register_parallel_backend("procession", ProcessionBackend)
