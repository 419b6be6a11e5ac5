import threading
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

from ._aio import AsyncLock, AsyncRLock
from ._core import BarrierBase, ConditionBase, EventBase, LockBase, SemaphoreBase
from ._family import Travels
from .context import BaseContext

__all__ = ["BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore"]

_T = TypeVar("_T")

RECURSIVE_MUTEX: Final[int]
SEMAPHORE: Final[int]
SEM_VALUE_MAX: Final[int]

class _LockLike(Protocol):
    def acquire(self, block: bool = ..., timeout: float | None = ...) -> bool: ...
    def release(self) -> None: ...
    def __enter__(self) -> bool: ...
    def __exit__(self, *args: Any) -> None: ...

class AbandonedLockWarning(RuntimeWarning):
    pid: int | None
    name: str | None
    exitcode: int | None
    host: str | None
    def __init__(
        self,
        message: str,
        pid: int | None = None,
        name: str | None = None,
        exitcode: int | None = None,
        host: str | None = None,
    ) -> None: ...

class SemLock(Travels): ...

class Lock(SemLock, AsyncLock, LockBase):
    kind: int
    @property
    def _semlock(self) -> Any: ...
    maxvalue: int
    def __init__(self, *, ctx: BaseContext) -> None: ...

class RLock(SemLock, AsyncRLock, LockBase):
    kind: int
    @property
    def _semlock(self) -> Any: ...
    maxvalue: int
    def __init__(self, *, ctx: BaseContext) -> None: ...

class Semaphore(SemLock, AsyncLock, SemaphoreBase):
    kind: int
    @property
    def _semlock(self) -> Any: ...
    def __init__(self, value: int = 1, *, ctx: BaseContext) -> None: ...
    def get_value(self) -> int: ...

class BoundedSemaphore(Semaphore):
    def __init__(self, value: int = 1, *, ctx: BaseContext) -> None: ...

class Condition(Travels, ConditionBase):
    acquire: Callable[..., bool]
    release: Callable[[], None]
    def __init__(self, lock: _LockLike | None = None, *, ctx: BaseContext) -> None: ...
    def __enter__(self) -> bool: ...
    def __exit__(self, *args: Any) -> None: ...
    def wait(self, timeout: float | None = None) -> bool: ...
    def wait_for(self, predicate: Callable[[], _T], timeout: float | None = None) -> _T: ...
    def notify(self, n: int = 1) -> None: ...
    def notify_all(self) -> None: ...

class Event(Travels, EventBase):
    def __init__(self, *, ctx: BaseContext) -> None: ...

class Barrier(Travels, BarrierBase, threading.Barrier):
    def __init__(
        self,
        parties: int,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
        *,
        ctx: BaseContext,
    ) -> None: ...
    def wait(self, timeout: float | None = None) -> int: ...
