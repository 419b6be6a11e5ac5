"""The standard library's ``multiprocessing.connection``."""

from multiprocessing.connection import (
    Client,
    Listener,
    Pipe,
    wait,
)

__all__ = [
    "Client",
    "Listener",
    "Pipe",
    "wait",
]
