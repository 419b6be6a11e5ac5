"""`Pool(executor=…)`: the face of `Pool`, over workers that Ray, Dask or an executor has started.

Calls, callbacks, retries and the thread that sends are _farcrew.py's. What is sent and taken in is
in crew.py; what is done in a worker, in task.py; what differs between the clusters is in a file for
each, and is no more than how to submit, to cancel, and to know a worker's death.
"""

from .. import pool
from .._farcrew import FarPool
from .crew import Crew

__all__ = ["OuterPool"]

_KNOWN = (
    "executor is a concurrent.futures.Executor, a dask.distributed.Client, the module ray,"
    ' "ray", "dask" or the address of a cluster of theirs'
)


def adapter(executor):
    """What speaks to that cluster; TypeError if nobody knows what it is."""
    address = executor if isinstance(executor, str) else None
    name = address or getattr(executor, "__name__", "")
    if name == "ray" or name.startswith("ray://"):
        from .ray import Ray

        return Ray(None if name == "ray" else name)
    if name in ("dask", "distributed") or "://" in name:
        from .dask import Dask

        return Dask(None if "://" not in name else name)
    if type(executor).__module__.partition(".")[0] == "distributed" and hasattr(
        executor, "nthreads"
    ):
        from .dask import Dask

        return Dask(executor)
    if address is None and callable(getattr(executor, "submit", None)):
        from .futures import Futures

        return Futures(executor)
    raise TypeError(f"{_KNOWN}, not {executor!r}")


class OuterPool(FarPool):
    """A pool whose workers are a cluster's, or an executor's."""

    __module__ = pool.__name__

    def __init__(
        self,
        processes=None,
        initializer=None,
        initargs=(),
        maxtasksperchild=None,
        context=None,
        *,
        executor,
        timeout=None,
        retries=0,
        daemon=True,
    ):
        pool._checked(processes, initializer)
        if maxtasksperchild is not None:
            raise ValueError("maxtasksperchild: these workers are not the pool's to replace")
        self._ctx = context
        crew = Crew(adapter(executor), processes, initializer, tuple(initargs))
        self._set_up(crew, timeout, retries)

    def __repr__(self):
        kind, size = self._crew.adapter.name, self._crew.size
        return f"<procession.pool.Pool state={self._state} executor={kind} pool_size={size}>"

    def _repopulate_pool(self):
        """Others do."""
