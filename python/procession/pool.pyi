"""The standard library's ``multiprocessing.pool``."""

from multiprocessing.pool import (
    Pool,
    ThreadPool,
)

__all__ = [
    "Pool",
    "ThreadPool",
]
