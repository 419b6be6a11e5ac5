"""Ends a process when another one does, however that ended, and whatever this one is at.

The owner holds the writing end of a pipe, and nobody else: forked children close it at once, and it
is not inherited by exec. The other has the kernel send it SIGKILL when the pipe hangs up. No thread
is needed for that, which a process that may fork had better not have.
"""

import fcntl
import os
import select
import signal
import weakref

from ._std import util
from ._std.context import get_spawning_popen
from ._std.reduction import DupFd

_held: weakref.WeakSet = weakref.WeakSet()


class Lifeline:
    """The pipe, in the owner and on its way to the others."""

    def __init__(self):
        self._reader, self._writer = os.pipe()
        self._closing = util.Finalize(self, util.close_fds, (self._reader, self._writer))
        _held.add(self)

    def __getstate__(self):
        # Only into a process that is being started.
        return DupFd(self._reader) if get_spawning_popen() is not None else None

    def __setstate__(self, fd):
        self._reader = None if fd is None else fd.detach()

    def hang_on(self):
        """In the other process: from now on it ends with the owner."""
        if self._reader is None:
            return
        # An open file of our own: to whom the signal goes is the file's, not the descriptor's.
        line = os.open(f"/proc/self/fd/{self._reader}", os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(line, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(line, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(line, fcntl.F_SETFL, fcntl.fcntl(line, fcntl.F_GETFL) | fcntl.FASYNC)
        poll = select.poll()
        poll.register(line, 0)
        if poll.poll(0):  # it ended before that
            os.kill(os.getpid(), signal.SIGKILL)


def _let_go():
    for lifeline in list(_held):
        os.close(lifeline._writer)
    _held.clear()


os.register_at_fork(after_in_child=_let_go)
