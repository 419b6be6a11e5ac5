from types import GenericAlias, TracebackType
from typing import Any, Generic, NamedTuple, TypeVar

from ._core import Ticket
from .queues import Queue

_T = TypeVar("_T")

class InFlight(NamedTuple):
    pid: int
    name: str
    delivery_count: int
    seconds: float
    bytes: int
    number: int

class Delivery(Generic[_T]):
    item: _T
    def __init__(self, queue: Queue[_T], item: _T, ticket: Ticket) -> None: ...
    @property
    def count(self) -> int: ...
    @property
    def number(self) -> int: ...
    def done(self) -> None: ...
    def give_back(self) -> None: ...
    def __enter__(self) -> _T: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
    @classmethod
    def __class_getitem__(cls, item: Any, /) -> GenericAlias: ...
