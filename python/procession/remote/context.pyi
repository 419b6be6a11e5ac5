from collections.abc import Callable, Iterable
from typing import Any

from ..context import _Factories
from ..pool import Pool as _Pool
from . import queues, synchronize
from .managers import RemoteManager

__all__ = ["RemoteContext"]

class RemoteContext(_Factories):
    allow_pickle: bool
    Process: Any
    def __init__(self, url: str, *, allow_pickle: bool = False) -> None: ...
    @property
    def address(self) -> str: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    def get_context(  # type: ignore[override]
        self, method: str | None = None, *, allow_pickle: bool | None = None
    ) -> RemoteContext: ...
    def get_start_method(self, allow_none: bool = False) -> str: ...
    def set_start_method(self, method: str | None, force: bool = False) -> None: ...
    def get_all_start_methods(self) -> list[str]: ...
    def Queue(  # type: ignore[override]
        self, maxsize: int = 0, *, maxbytes: int = 0, redeliver: bool = False
    ) -> queues.Queue[Any]: ...
    def JoinableQueue(  # type: ignore[override]
        self, maxsize: int = 0, *, maxbytes: int = 0, redeliver: bool = False
    ) -> queues.JoinableQueue[Any]: ...
    def SimpleQueue(self) -> queues.SimpleQueue[Any]: ...  # type: ignore[override]
    def LifoQueue(self, maxsize: int = 0, *, maxbytes: int = 0) -> queues.LifoQueue[Any]: ...  # type: ignore[override]
    def PriorityQueue(  # type: ignore[override]
        self, maxsize: int = 0, *, maxbytes: int = 0
    ) -> queues.PriorityQueue[Any]: ...
    def Lock(self) -> synchronize.Lock: ...  # type: ignore[override]
    def RLock(self) -> synchronize.RLock: ...  # type: ignore[override]
    def Condition(  # type: ignore[override]
        self,
        lock: synchronize.Lock | synchronize.RLock | synchronize.Semaphore | None = None,
    ) -> synchronize.Condition: ...
    def Semaphore(self, value: int = 1) -> synchronize.Semaphore: ...  # type: ignore[override]
    def BoundedSemaphore(self, value: int = 1) -> synchronize.BoundedSemaphore: ...  # type: ignore[override]
    def Event(self) -> synchronize.Event: ...  # type: ignore[override]
    def Barrier(  # type: ignore[override]
        self,
        parties: int,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
    ) -> synchronize.Barrier: ...
    def Pool(  # type: ignore[override]
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        **options: Any,
    ) -> _Pool: ...
    def Manager(self) -> RemoteManager: ...  # type: ignore[override]
