"""The standard library's ``multiprocessing.dummy.connection``."""

from multiprocessing.dummy.connection import Client, Listener, Pipe

__all__ = ["Client", "Listener", "Pipe"]
