"""The standard library's ``multiprocessing.resource_tracker``."""

from multiprocessing.resource_tracker import (
    ensure_running,
    register,
    unregister,
)

__all__ = [
    "ensure_running",
    "register",
    "unregister",
]
