import sys
from multiprocessing import shared_memory as _std
from typing import TypeVar

__all__ = ["ShareableList", "SharedMemory"]

_T = TypeVar("_T", int, float, bool, str, bytes, None)

class SharedMemory(_std.SharedMemory):
    if sys.version_info >= (3, 13):
        def __init__(
            self,
            name: str | None = None,
            create: bool = False,
            size: int = 0,
            *,
            track: bool = True,
        ) -> None: ...
    else:
        def __init__(
            self, name: str | None = None, create: bool = False, size: int = 0
        ) -> None: ...

class ShareableList(_std.ShareableList[_T]):
    shm: SharedMemory
