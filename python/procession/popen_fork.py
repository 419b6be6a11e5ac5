"""Starts a process by fork: the standard library's way, as the core sees every fork by itself."""

from multiprocessing.popen_fork import Popen

__all__ = ["Popen"]
