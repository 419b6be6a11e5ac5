"""The standard library's ``multiprocessing.resource_sharer``."""

from multiprocessing.resource_sharer import (
    DupFd,
    stop,
)

__all__ = [
    "DupFd",
    "stop",
]
