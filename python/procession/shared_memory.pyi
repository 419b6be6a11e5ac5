"""The standard library's ``multiprocessing.shared_memory``."""

from multiprocessing.shared_memory import (
    ShareableList,
    SharedMemory,
)

__all__ = [
    "ShareableList",
    "SharedMemory",
]
