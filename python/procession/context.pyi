from collections.abc import Callable, Iterable, Sequence
from multiprocessing import context as _std
from multiprocessing import reduction
from multiprocessing.context import (
    AuthenticationError,
    BaseContext,
    BufferTooShort,
    ProcessError,
    TimeoutError,
    assert_spawning,
    get_spawning_popen,
    set_spawning_popen,
)
from multiprocessing.managers import SyncManager
from multiprocessing.process import BaseProcess
from typing import Any, ClassVar, Literal, overload

from . import connection, queues, synchronize
from .pool import Pool as _Pool
from .remote.context import RemoteContext
from .synchronize import _LockLike

__all__ = [
    "AuthenticationError",
    "BaseContext",
    "BufferTooShort",
    "DefaultContext",
    "ForkContext",
    "ForkProcess",
    "ForkServerContext",
    "ForkServerProcess",
    "Process",
    "ProcessError",
    "SpawnContext",
    "SpawnProcess",
    "TimeoutError",
    "assert_spawning",
    "get_spawning_popen",
    "reduction",
    "set_spawning_popen",
]

class _Factories(BaseContext):
    def Queue(  # type: ignore[override]
        self, maxsize: int = 0, *, maxbytes: int = 0, redeliver: bool = False
    ) -> queues.Queue[Any]: ...
    def JoinableQueue(  # type: ignore[override]
        self, maxsize: int = 0, *, maxbytes: int = 0, redeliver: bool = False
    ) -> queues.JoinableQueue[Any]: ...
    def SimpleQueue(self) -> queues.SimpleQueue[Any]: ...  # type: ignore[override]
    def LifoQueue(self, maxsize: int = 0, *, maxbytes: int = 0) -> queues.LifoQueue[Any]: ...
    def PriorityQueue(
        self, maxsize: int = 0, *, maxbytes: int = 0
    ) -> queues.PriorityQueue[Any]: ...
    def Pipe(
        self, duplex: bool = True
    ) -> tuple[connection.Connection[Any, Any], connection.Connection[Any, Any]]: ...
    def Lock(self) -> synchronize.Lock: ...  # type: ignore[override]
    def RLock(self) -> synchronize.RLock: ...  # type: ignore[override]
    def Condition(self, lock: _LockLike | None = None) -> synchronize.Condition: ...  # type: ignore[override]
    def Semaphore(self, value: int = 1) -> synchronize.Semaphore: ...  # type: ignore[override]
    def BoundedSemaphore(self, value: int = 1) -> synchronize.BoundedSemaphore: ...  # type: ignore[override]
    def Event(self) -> synchronize.Event: ...  # type: ignore[override]
    def Barrier(  # type: ignore[override]
        self,
        parties: int,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
    ) -> synchronize.Barrier: ...
    def RawValue(self, typecode_or_type: str | type[Any], *args: Any) -> Any: ...
    def RawArray(
        self, typecode_or_type: str | type[Any], size_or_initializer: int | Sequence[Any]
    ) -> Any: ...
    def Value(
        self, typecode_or_type: str | type[Any], *args: Any, lock: bool | _LockLike = True
    ) -> Any: ...
    def Array(
        self,
        typecode_or_type: str | type[Any],
        size_or_initializer: int | Sequence[Any],
        *,
        lock: bool | _LockLike = True,
    ) -> Any: ...
    def Pool(  # type: ignore[override]
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        *,
        timeout: float | None = None,
        retries: int = 0,
        daemon: bool = True,
        executor: Any = None,
        backend: str | None = None,
        **elsewhere: Any,
    ) -> _Pool: ...
    def Manager(self) -> SyncManager: ...
    def freeze_support(self) -> None: ...
    def set_forkserver_preload(self, module_names: list[str]) -> None: ...
    @overload  # type: ignore[override]
    def get_context(self, method: None = None, *, allow_pickle: None = None) -> _Factories: ...
    @overload
    def get_context(self, method: Literal["fork"], *, allow_pickle: None = None) -> ForkContext: ...
    @overload
    def get_context(
        self, method: Literal["spawn"], *, allow_pickle: None = None
    ) -> SpawnContext: ...
    @overload
    def get_context(
        self, method: Literal["forkserver"], *, allow_pickle: None = None
    ) -> ForkServerContext: ...
    @overload
    def get_context(self, method: str, *, allow_pickle: bool) -> RemoteContext: ...
    @overload
    def get_context(self, method: str, *, allow_pickle: None = None) -> _Factories: ...

class Process(BaseProcess):
    _start_method: str | None
    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Any: ...

class ForkProcess(_std.ForkProcess): ...
class SpawnProcess(_std.SpawnProcess): ...
class ForkServerProcess(_std.ForkServerProcess): ...

class ForkContext(_std.ForkContext, _Factories):
    Process: ClassVar[type[ForkProcess]]

class SpawnContext(_std.SpawnContext, _Factories):
    Process: ClassVar[type[SpawnProcess]]

class ForkServerContext(_std.ForkServerContext, _Factories):
    Process: ClassVar[type[ForkServerProcess]]

class DefaultContext(_std.DefaultContext, _Factories):
    Process: ClassVar[type[Process]]  # type: ignore[assignment]

_default_context: DefaultContext
