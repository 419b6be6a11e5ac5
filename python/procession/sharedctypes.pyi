"""The standard library's ``multiprocessing.sharedctypes``."""

from multiprocessing.sharedctypes import (
    Array,
    RawArray,
    RawValue,
    Value,
    copy,
    synchronized,
)

__all__ = [
    "Array",
    "RawArray",
    "RawValue",
    "Value",
    "copy",
    "synchronized",
]
