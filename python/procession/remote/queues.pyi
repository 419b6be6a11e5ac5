from types import GenericAlias
from typing import Any, TypeVar

from .._aio import AsyncJoin, AsyncQueue
from .._core import RemoteQueueBase
from .._queueface import JoinableFace, QueueFace
from ..queues import Delivery as Delivery
from ..queues import Empty as Empty
from ..queues import Full as Full
from ..queues import InFlight as InFlight
from ..queues import ShutDown as ShutDown
from .context import RemoteContext

__all__ = [
    "Delivery",
    "Empty",
    "Full",
    "InFlight",
    "JoinableQueue",
    "LifoQueue",
    "PriorityQueue",
    "Queue",
    "ShutDown",
    "SimpleQueue",
]

_T = TypeVar("_T")

class _Shared(AsyncQueue[_T], RemoteQueueBase[_T]):
    def __getstate__(self) -> tuple[Any, ...]: ...
    def __setstate__(self, state: tuple[Any, ...]) -> None: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    @classmethod
    def __class_getitem__(cls, item: Any, /) -> GenericAlias: ...

class Queue(QueueFace[_T], _Shared[_T]):
    def __init__(
        self,
        maxsize: int = 0,
        *,
        maxbytes: int = 0,
        redeliver: bool = False,
        ctx: RemoteContext,
    ) -> None: ...
    async def ajoin(self) -> None: ...

class JoinableQueue(AsyncJoin, JoinableFace, Queue[_T]): ...
class LifoQueue(JoinableQueue[_T]): ...
class PriorityQueue(JoinableQueue[_T]): ...

class SimpleQueue(_Shared[_T]):
    def __init__(self, *, ctx: RemoteContext) -> None: ...
    def close(self) -> None: ...
