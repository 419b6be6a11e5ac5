"""What a manager hands out: objects in shared memory, with the standard library's proxies' faces.

There is no server behind them: an operation *is* the core's, in this process. Each is one of the
standard library's proxy classes, too, for those who ask `isinstance`; of that class's methods those
remain that are about a server, and are replaced here (`base.Shared`).

A proxy may go anywhere in the family: as a Process argument, to a Pool's worker, into a queue, and
into another shared object, which then keeps it alive. It says to which manager it belongs, for once
that was shut down each operation raises BrokenPipeError.
"""

from . import containers, locks
from .base import TYPES, find, make

__all__ = ["TYPES", "containers", "find", "locks", "make"]
