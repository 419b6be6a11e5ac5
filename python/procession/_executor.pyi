from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import process as _theirs
from typing import Any, TypeVar

from typing_extensions import ParamSpec

from . import _crew
from ._poolview import PoolStats

_P = ParamSpec("_P")
_R = TypeVar("_R")

class BrokenPoolError(_crew.BrokenPoolError, _theirs.BrokenProcessPool): ...
class WorkerLostError(_crew.WorkerLostError, _theirs.BrokenProcessPool): ...
class TaskTimeoutError(_crew.TaskTimeoutError, WorkerLostError): ...

class ProcessPoolExecutor(_theirs.ProcessPoolExecutor):
    def __init__(
        self,
        max_workers: int | None = None,
        mp_context: Any = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        max_tasks_per_child: int | None = None,
        timeout: float | None = None,
        retries: int = 0,
        daemon: bool = False,
        backend: str | None = None,
        queue: str = "default",
        allow_pickle: bool = True,
    ) -> None: ...
    def submit(
        self, fn: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> Future[_R]: ...
    def map(
        self,
        fn: Callable[..., _R],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[_R]: ...
    def stats(self) -> PoolStats: ...
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None: ...
    def terminate_workers(self) -> None: ...
    def kill_workers(self) -> None: ...
