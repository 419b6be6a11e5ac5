"""A Dask cluster, by its `Client`."""

import itertools
import uuid
import warnings

import distributed
from distributed.diagnostics.plugin import SchedulerPlugin

from . import task
from .crew import Adapter

_KEYS = "procession-pool-"


class Once(SchedulerPlugin):
    """Has no task of a pool run again when its worker died: whether it may, the pool knows.

    Of its own accord the scheduler would try it on four workers. Its count of deaths begins where
    it ends, for these tasks.
    """

    name = "procession-once"

    def transition(self, key, start, finish, *args, **kwargs):
        if finish == "processing" and str(key).startswith(_KEYS):
            found = self.scheduler.tasks.get(key)
            if found is not None:
                found.suspicious = self.scheduler.allowed_failures

    async def start(self, scheduler):
        self.scheduler = scheduler


class Dask(Adapter):
    name = "Dask"

    def __init__(self, client):
        self._own = None
        if client is None:
            try:
                client = distributed.default_client()
            except ValueError:
                client = self._own = distributed.Client()
        elif isinstance(client, str):
            client = self._own = distributed.Client(client)
        if client.asynchronous:
            raise TypeError(
                "the Client is asynchronous: a pool waits in threads, and needs another"
            )
        self._client = client
        self._keys = map(f"{_KEYS}{uuid.uuid4().hex}-{{}}".format, itertools.count())
        try:
            client.register_plugin(Once())
        except Exception as error:
            text = f"Dask may run a task again whose worker has died: its scheduler says {error!r}"
            warnings.warn(text, RuntimeWarning, stacklevel=2)

    def seats(self):
        return sum(self._client.nthreads().values())

    def submit(self, piece, done):
        future = self._client.submit(task.work, piece, key=next(self._keys), pure=False)
        future.add_done_callback(done)
        return future

    def is_loss(self, error):
        return isinstance(
            error, (distributed.KilledWorker, distributed.client.FutureCancelledError)
        )

    def says(self, error):
        if isinstance(error, distributed.KilledWorker):
            return f"it was at {error.last_worker.address}"  # its own text counts deaths
        return super().says(error)

    def cancel(self, future):
        try:
            future.cancel(force=True)
        except Exception:
            pass  # the cluster has ended

    def close(self):
        if self._own is not None:
            self._own.close()
