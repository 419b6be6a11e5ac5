"""Starts a process by fork: the standard library's way, as the core sees every fork by itself."""

from ._family import Reporter
from ._std import popen_fork as _std

__all__ = ["Popen"]


class Popen(Reporter, _std.Popen):
    """A process started by fork."""
