"""What a process says of itself to its family: its name, and that it ends on purpose.

A process that ends without a word (killed, crashed, `os._exit`, an exception) leaves its locks
abandoned. One that says that it leaves does so on purpose: its Locks stay held, its RLocks are
free.
"""

import os
import sys

from . import _core

# A server that does not answer keeps a process that ends no longer than this, in seconds.
LEAVING = 1.0

# The process, if it is a child that ends by the interpreter's own exit, with the exit functions.
_exiting = None
# Whether the work of this child has failed.
_failed = False


def introduce(name):
    """Says what this process is called, to those who find a lock that it has left behind."""
    _core.set_name(str(name).encode("utf8", "replace").decode())


def will_exit():
    """In a spawned child: it ends by the interpreter's own exit. The others end by `os._exit`."""
    global _exiting
    _exiting = os.getpid()


def end_with(code):
    """A child's work is done; its exit functions may still come."""
    global _failed
    _failed = code != 0
    if _exiting == os.getpid():
        return
    if sys.version_info >= (3, 13):
        # Its starter runs the exit functions, and the last of these the finalizers.
        from ._std import util

        util.Finalize(None, leave, exitpriority=-sys.maxsize)
    else:
        leave()


def leave():
    """The last thing that a process does with its family, unless an exception has ended it."""
    if (waiting := sys.modules.get(f"{__package__}.remote._aio")) is not None:
        waiting.end_all()
    on_purpose = not _failed and (not hasattr(sys, "last_type") or hasattr(sys, "ps1"))
    if on_purpose:
        _core.leave_locks(LEAVING)
    _core.leave_servers(LEAVING)
    if on_purpose:
        _core.leave_cleanly()
    else:
        _core.depart()  # `os._exit` does not
