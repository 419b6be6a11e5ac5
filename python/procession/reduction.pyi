import pickle
from collections.abc import Callable
from multiprocessing.connection import Connection as _Connection
from multiprocessing.reduction import (
    HAVE_SEND_HANDLE,
    AbstractReducer,
    DupFd,
    ForkingPickler,
    recvfds,
    register,
    sendfds,
)
from pickle import loads
from typing import Any, Protocol

__all__ = [
    "HAVE_SEND_HANDLE",
    "AbstractReducer",
    "DupFd",
    "ForkingPickler",
    "Pickler",
    "dump",
    "dumps",
    "loads",
    "recv_handle",
    "recvfds",
    "register",
    "send_handle",
    "sendfds",
]

class _Writes(Protocol):
    def write(self, data: bytes, /) -> object: ...

class Pickler(ForkingPickler):
    def __init__(
        self,
        file: _Writes,
        protocol: int | None = None,
        fix_imports: bool = True,
        buffer_callback: Callable[[pickle.PickleBuffer], object] | None = None,
    ) -> None: ...
    def reducer_override(self, obj: object) -> Any: ...

def dump(obj: object, file: _Writes, protocol: int | None = None) -> None: ...
def dumps(obj: object) -> tuple[bytes, list[pickle.PickleBuffer]]: ...
def reduce_within_family(kind: type, reduce: Callable[[Any], Any]) -> None: ...
def send_handle(conn: _Connection[Any, Any], handle: int, destination_pid: int) -> None: ...
def recv_handle(conn: _Connection[Any, Any]) -> int: ...
