"""Objects that processes share, in shared memory where that can be."""

import multiprocessing.managers as _std
from collections.abc import Iterable
from contextlib import AbstractContextManager
from multiprocessing.context import BaseContext
from multiprocessing.managers import BaseProxy, Token
from typing import Any, TypeVar, overload

from _typeshed import SupportsKeysAndGetItem

_T = TypeVar("_T")
_KT = TypeVar("_KT")
_VT = TypeVar("_VT")
_PlainList = list

__all__ = ["BaseManager", "BaseProxy", "SharedMemoryManager", "SyncManager", "Token"]

class _Dict(_std.DictProxy[_KT, _VT]):
    def lock(self) -> AbstractContextManager[bool]: ...
    def increment(self, key: _KT, n: Any = 1) -> Any: ...
    def compare_exchange(self, key: _KT, old: _VT, new: _VT) -> bool: ...
    def wait_for(self, key: _KT, timeout: float | None = None) -> _VT: ...

class _List(_std.ListProxy[_T]):
    def lock(self) -> AbstractContextManager[bool]: ...
    def clear(self) -> None: ...
    def copy(self) -> list[_T]: ...

class BaseManager(_std.BaseManager):
    def __init__(
        self,
        address: Any = None,
        authkey: bytes | None = None,
        serializer: str = "pickle",
        ctx: BaseContext | None = None,
        *,
        shutdown_timeout: float = 1.0,
    ) -> None: ...

class SyncManager(BaseManager, _std.SyncManager):
    @overload
    def dict(self) -> _Dict[Any, Any]: ...
    @overload
    def dict(self, **kwargs: _VT) -> _Dict[str, _VT]: ...
    @overload
    def dict(self, map: SupportsKeysAndGetItem[_KT, _VT], /) -> _Dict[_KT, _VT]: ...
    @overload
    def dict(self, map: SupportsKeysAndGetItem[str, _VT], /, **kwargs: _VT) -> _Dict[str, _VT]: ...
    @overload
    def dict(self, iterable: Iterable[tuple[_KT, _VT]], /) -> _Dict[_KT, _VT]: ...
    @overload
    def dict(self, iterable: Iterable[tuple[str, _VT]], /, **kwargs: _VT) -> _Dict[str, _VT]: ...
    @overload
    def dict(self, iterable: Iterable[_PlainList[str]], /) -> _Dict[str, str]: ...
    @overload
    def dict(self, iterable: Iterable[_PlainList[bytes]], /) -> _Dict[bytes, bytes]: ...
    @overload
    def list(self, sequence: Iterable[_T], /) -> _List[_T]: ...
    @overload
    def list(self) -> _List[Any]: ...
    def shutdown(self) -> None: ...  # type: ignore[override]

class SharedMemoryManager(BaseManager, _std.SharedMemoryManager): ...
