"""The back end for joblib: `register_joblib()`, then `parallel_config(backend="procession")`."""

from joblib.parallel import (  # type: ignore[import-untyped]
    AutoBatchingMixin,
    ParallelBackendBase,
    register_parallel_backend,
)

from .pool import Pool


class ProcessionBackend(AutoBatchingMixin, ParallelBackendBase):
    """Runs joblib's batches in a `Pool`."""

    supports_retrieve_callback = True
    supports_timeout = True

    _pool = None

    def effective_n_jobs(self, n_jobs):
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None:
            return 1
        if n_jobs < 0:
            from joblib import cpu_count

            return max(cpu_count() + 1 + n_jobs, 1)
        return n_jobs

    def configure(self, n_jobs=1, parallel=None, **options):
        n_jobs = self.effective_n_jobs(n_jobs)
        self._pool = Pool(n_jobs)
        self.parallel = parallel
        return n_jobs

    def submit(self, func, callback=None):
        return self._pool.apply_async(_Safe(func), callback=callback, error_callback=callback)

    apply_async = submit

    def retrieve_result_callback(self, result):
        if isinstance(result, BaseException):
            raise result
        return result

    def terminate(self):
        if self._pool is not None:
            self._pool.close()
            self._pool.terminate()
            self._pool.join()
            self._pool = None
        self.reset_batch_stats()

    def abort_everything(self, ensure_ready=True):
        self.terminate()
        if ensure_ready:
            self.configure(n_jobs=self.parallel.n_jobs, parallel=self.parallel)


class _Safe:
    """A batch, which joblib calls without arguments."""

    def __init__(self, func):
        self._func = func

    def __call__(self):
        return self._func()


def register_joblib():
    """Makes the back end known to joblib, as "procession"."""
    register_parallel_backend("procession", ProcessionBackend)
