"""The standard library's ``multiprocessing.managers``."""

from multiprocessing.managers import (
    BaseManager,
    BaseProxy,
    SharedMemoryManager,
    SyncManager,
    Token,
)

__all__ = [
    "BaseManager",
    "BaseProxy",
    "SharedMemoryManager",
    "SyncManager",
    "Token",
]
