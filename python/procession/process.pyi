"""The standard library's ``multiprocessing.process``."""

from multiprocessing.process import (
    BaseProcess,
    active_children,
    current_process,
    parent_process,
)

__all__ = [
    "BaseProcess",
    "active_children",
    "current_process",
    "parent_process",
]
