"""Any `concurrent.futures.Executor`: processes, threads, or what a library has by that name."""

from concurrent import futures

from .._crew import WorkerLostError, _cpu_count
from . import task
from .crew import Adapter


class Futures(Adapter):
    def __init__(self, executor):
        self._executor = executor
        self.name = type(executor).__name__
        alike = isinstance(executor, futures.ThreadPoolExecutor)
        # Its threads have interpreters of their own, between which things go as between processes.
        apart = getattr(futures, "InterpreterPoolExecutor", None)
        self.packs = not alike or (apart is not None and isinstance(executor, apart))

    def seats(self):
        return getattr(self._executor, "_max_workers", None) or _cpu_count()

    def submit(self, piece, done):
        future = self._executor.submit(task.work, piece)
        future.add_done_callback(done)
        return future

    def is_loss(self, error):
        lost = (futures.BrokenExecutor, futures.CancelledError, WorkerLostError)
        return isinstance(error, lost)
