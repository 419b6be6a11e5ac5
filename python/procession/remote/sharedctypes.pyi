from typing import Any, Literal, overload

from .. import sharedctypes as _home
from .._core import RemoteValueBase
from ..synchronize import _LockLike
from .context import RemoteContext

__all__ = ["Value"]

@overload
def Value(
    typecode_or_type: str | type[Any], *args: Any, lock: Literal[False], ctx: RemoteContext
) -> RawValue: ...
@overload
def Value(
    typecode_or_type: str | type[Any],
    *args: Any,
    lock: bool | _LockLike | None = True,
    ctx: RemoteContext,
) -> Any: ...

class RawValue(RemoteValueBase[Any]):
    value: Any
    def __init__(self, kind: type[Any], *args: Any, ctx: RemoteContext) -> None: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

class Synchronized(_home.Synchronized):
    def __init__(self, obj: RawValue, lock: _LockLike) -> None: ...
