"""The same names on a Valkey or Redis server, for processes of any number of machines.

`procession.Family("redis://…")` and `procession.get_context("redis://…")` are the ways in; see
docs/guide/remote.md.
"""

from .._core import LeaseLost, OutcomeUnknownError, ServerUnreachableError
from .context import RemoteContext
from .family import Family

__all__ = ["Family", "LeaseLost", "OutcomeUnknownError", "RemoteContext", "ServerUnreachableError"]
