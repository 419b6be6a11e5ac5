import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from .._core import (
    RemoteBarrierBase,
    RemoteConditionBase,
    RemoteEventBase,
    RemoteLockBase,
    RemoteSemaphoreBase,
)
from .context import RemoteContext

__all__ = ["Barrier", "BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore"]

_T = TypeVar("_T")

class _Travels:
    def __getstate__(self) -> tuple[Any, ...]: ...
    def __setstate__(self, state: tuple[Any, ...]) -> None: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

class _Held(_Travels):
    kind: int
    @property
    def _semlock(self) -> Any: ...
    def __enter__(self) -> bool: ...
    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None: ...
    async def aacquire(self) -> bool: ...
    async def __aenter__(self) -> bool: ...
    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None: ...

class Lock(_Held, RemoteLockBase):
    maxvalue: int
    def __init__(self, *, ctx: RemoteContext) -> None: ...

class RLock(_Held, RemoteLockBase):
    maxvalue: int
    def __init__(self, *, ctx: RemoteContext) -> None: ...

class Semaphore(_Held, RemoteSemaphoreBase):
    def __init__(self, value: int = 1, *, ctx: RemoteContext) -> None: ...
    def get_value(self) -> int: ...

class BoundedSemaphore(Semaphore): ...

class Condition(_Travels, RemoteConditionBase):
    acquire: Callable[..., bool]
    release: Callable[[], None]
    def __init__(
        self, lock: Lock | RLock | Semaphore | None = None, *, ctx: RemoteContext
    ) -> None: ...
    def __enter__(self) -> bool: ...
    def __exit__(self, *args: Any) -> None: ...
    def wait(self, timeout: float | None = None) -> bool: ...
    def wait_for(self, predicate: Callable[[], _T], timeout: float | None = None) -> _T: ...
    def notify(self, n: int = 1) -> None: ...
    def notify_all(self) -> None: ...

class Event(_Travels, RemoteEventBase):
    def __init__(self, *, ctx: RemoteContext) -> None: ...

class Barrier(_Travels, RemoteBarrierBase, threading.Barrier):
    def __init__(
        self,
        parties: int,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
        *,
        ctx: RemoteContext,
    ) -> None: ...
    def wait(self, timeout: float | None = None) -> int: ...
