import ctypes
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, SupportsIndex, TypeVar, overload

from . import _core
from .context import BaseContext
from .heap import BufferWrapper
from .synchronize import _LockLike

__all__ = ["Array", "RawArray", "RawValue", "Value", "copy", "synchronized"]

_T = TypeVar("_T")
_Sizes = int | Sequence[Any]
_Lock = bool | _LockLike | None

typecode_to_type: dict[str, type[Any]]
class_cache: Any

@overload
def RawValue(typecode_or_type: type[_T], *args: Any) -> _T: ...
@overload
def RawValue(typecode_or_type: str, *args: Any) -> Any: ...
@overload
def RawArray(typecode_or_type: type[_T], size_or_initializer: _Sizes) -> ctypes.Array[Any]: ...
@overload
def RawArray(typecode_or_type: str, size_or_initializer: _Sizes) -> Any: ...
@overload
def Value(
    typecode_or_type: type[_T], *args: Any, lock: Literal[False], ctx: BaseContext | None = None
) -> _T: ...
@overload
def Value(
    typecode_or_type: str | type[Any],
    *args: Any,
    lock: _Lock = True,
    ctx: BaseContext | None = None,
) -> Any: ...
def Array(
    typecode_or_type: str | type[Any],
    size_or_initializer: _Sizes,
    *,
    lock: _Lock = True,
    ctx: BaseContext | None = None,
) -> Any: ...
def copy(obj: _T) -> _T: ...
def synchronized(
    obj: Any, lock: _LockLike | None = None, ctx: BaseContext | None = None
) -> SynchronizedBase: ...
def rebuild_ctype(type_: type[Any], wrapper: BufferWrapper, length: int | None) -> Any: ...
def reduce_ctype(obj: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]: ...
def make_property(name: str) -> Any: ...

class SynchronizedBase(_core.SynchronizedBase):
    def __init__(
        self, obj: Any, lock: _LockLike | None = None, ctx: BaseContext | None = None
    ) -> None: ...
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]: ...

class Synchronized(SynchronizedBase):
    value: Any

class SynchronizedArray(SynchronizedBase):
    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, i: SupportsIndex) -> Any: ...
    @overload
    def __getitem__(self, i: slice) -> Any: ...
    @overload
    def __setitem__(self, i: SupportsIndex, value: Any) -> None: ...
    @overload
    def __setitem__(self, i: slice, value: Iterable[Any]) -> None: ...
    def __getslice__(self, start: int, stop: int) -> Any: ...
    def __setslice__(self, start: int, stop: int, values: Iterable[Any]) -> None: ...

class SynchronizedString(SynchronizedArray):
    value: bytes
    raw: bytes
