"""A Ray cluster: the one that this program is connected to, or that of an address."""

import ray
from ray import exceptions

from . import task
from .crew import Adapter

_LOST = tuple(
    getattr(exceptions, name)
    for name in (
        "WorkerCrashedError",
        "NodeDiedError",
        "LocalRayletDiedError",
        "OutOfMemoryError",
        "ObjectLostError",
        "TaskCancelledError",
    )
    if hasattr(exceptions, name)
)


class Ray(Adapter):
    name = "Ray"

    def __init__(self, address):
        self._own = not ray.is_initialized()
        if self._own:
            ray.init(address, log_to_driver=False) if address else ray.init(log_to_driver=False)
        # Whether a task may run again is the pool's to say.
        self._work = ray.remote(max_retries=0, retry_exceptions=False)(task.work)

    def seats(self):
        return int(ray.cluster_resources().get("CPU", 1))

    def submit(self, piece, done):
        reference = self._work.remote(piece)
        future = reference.future()
        future.procession_reference = reference
        future.add_done_callback(done)
        return future

    def is_loss(self, error):
        return isinstance(error, _LOST)

    def cancel(self, future):
        """It ends the worker's process, if it is at it."""
        ray.cancel(future.procession_reference, force=True)

    def close(self):
        if self._own:
            ray.shutdown()
