from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from typing_extensions import Self

_T = TypeVar("_T")
_R = TypeVar("_R")

ITEMS: Final = 0
ROOM: Final = 1
DONE: Final = 2
SLICE: Final = 0.25
IDLE: Final = 4

class Line:
    thing: Any
    what: int
    users: int
    waiting: Any
    coming: int
    withdraw: Callable[[], None] | None
    def __init__(self, thing: Any, what: int) -> None: ...
    def look(self) -> None: ...

class Desk:
    def enter(self, loop: Any, thing: Any, what: int) -> Line: ...
    def leave(self, line: Line) -> None: ...

async def wait(
    thing: Any, what: int, attempt: Callable[[], _R], nothing: type[BaseException]
) -> _R: ...

class AsyncQueue(Generic[_T]):
    async def aget(self) -> _T: ...
    async def aput(self, obj: _T) -> None: ...
    def __aiter__(self) -> Self: ...
    async def __anext__(self) -> _T: ...

class AsyncJoin:
    async def ajoin(self) -> None: ...

class AsyncLock:
    async def aacquire(self) -> bool: ...
    async def __aenter__(self) -> bool: ...
    async def __aexit__(self, *exc_info: object) -> None: ...

class AsyncRLock(AsyncLock): ...
