"""Worker processes that calls are distributed to."""

from collections.abc import Callable, Iterable, Mapping
from multiprocessing.context import TimeoutError as TimeoutError
from types import GenericAlias
from typing import Any, Final, Generic, TypeVar

from typing_extensions import Self

from ._core import JobBase
from ._poolview import PoolStats

_T = TypeVar("_T")
_R = TypeVar("_R")

__all__ = [
    "Pool",
    "ThreadPool",
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

INIT: Final = "INIT"
RUN: Final = "RUN"
CLOSE: Final = "CLOSE"
TERMINATE: Final = "TERMINATE"

class MaybeEncodingError(Exception):
    exc: str
    value: str
    def __init__(self, exc: BaseException, value: object) -> None: ...

class RemoteTraceback(Exception):
    tb: str
    def __init__(self, tb: str) -> None: ...

class BrokenPoolError(RuntimeError): ...

class WorkerLostError(RuntimeError):
    task: str | None
    index: int | None
    pid: int | None
    exitcode: int | None
    def __init__(
        self,
        message: str,
        task: str | None = None,
        index: int | None = None,
        pid: int | None = None,
        exitcode: int | None = None,
    ) -> None: ...
    @property
    def signal(self) -> int | None: ...

class TaskTimeoutError(WorkerLostError, TimeoutError): ...

class ApplyResult(JobBase, Generic[_T]):
    def __class_getitem__(cls, item: Any, /) -> GenericAlias: ...
    def get(self, timeout: float | None = None) -> _T: ...

AsyncResult = ApplyResult

class MapResult(ApplyResult[list[_T]]): ...

class IMapIterator(JobBase, Generic[_T]):
    def __iter__(self) -> Self: ...
    def __next__(self) -> _T: ...
    def next(self, timeout: float | None = None) -> _T: ...

class IMapUnorderedIterator(IMapIterator[_T]): ...

class Pool:
    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: Any = None,
        *,
        timeout: float | None = None,
        retries: int = 0,
        daemon: bool = True,
        executor: Any = None,
        backend: str | None = None,
        **elsewhere: Any,
    ) -> None: ...
    @staticmethod
    def Process(ctx: Any, *args: Any, **kwds: Any) -> Any: ...
    def __del__(self, _warn: Callable[..., object] = ..., RUN: str = "RUN") -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exc_info: object) -> None: ...
    def apply(
        self,
        func: Callable[..., _R],
        args: Iterable[Any] = (),
        kwds: Mapping[str, Any] = {},
        *,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> _R: ...
    def apply_async(
        self,
        func: Callable[..., _R],
        args: Iterable[Any] = (),
        kwds: Mapping[str, Any] = {},
        callback: Callable[[_R], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> ApplyResult[_R]: ...
    def map(
        self,
        func: Callable[[_T], _R],
        iterable: Iterable[_T],
        chunksize: int | None = None,
        *,
        timeout: float | None = None,
        retries: int | None = None,
        progress: Any = None,
    ) -> list[_R]: ...
    def map_async(
        self,
        func: Callable[[_T], _R],
        iterable: Iterable[_T],
        chunksize: int | None = None,
        callback: Callable[[list[_R]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> MapResult[_R]: ...
    def starmap(
        self,
        func: Callable[..., _R],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        *,
        timeout: float | None = None,
        retries: int | None = None,
        progress: Any = None,
    ) -> list[_R]: ...
    def starmap_async(
        self,
        func: Callable[..., _R],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Callable[[list[_R]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> MapResult[_R]: ...
    def imap(
        self,
        func: Callable[[_T], _R],
        iterable: Iterable[_T],
        chunksize: int = ...,
        *,
        buffersize: int | None = None,
        timeout: float | None = None,
        retries: int | None = None,
        progress: Any = None,
    ) -> IMapIterator[_R]: ...
    def imap_unordered(
        self,
        func: Callable[[_T], _R],
        iterable: Iterable[_T],
        chunksize: int = ...,
        *,
        buffersize: int | None = None,
        timeout: float | None = None,
        retries: int | None = None,
        progress: Any = None,
    ) -> IMapIterator[_R]: ...
    def stats(self) -> PoolStats: ...
    def close(self) -> None: ...
    def terminate(self) -> None: ...
    def join(self) -> None: ...

class ThreadPool(Pool):
    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        *,
        timeout: float | None = None,
        retries: int = 0,
    ) -> None: ...
