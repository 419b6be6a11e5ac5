"""The standard library's ``multiprocessing.heap``."""

from multiprocessing.heap import (
    BufferWrapper,
)

__all__ = [
    "BufferWrapper",
]
