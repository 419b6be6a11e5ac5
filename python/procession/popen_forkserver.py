"""Has a process forked by the fork server (see forkserver.py)."""

import os
import threading

from . import forkserver, spawn
from ._family import UNKNOWN, LeaseHolder
from ._std import popen_forkserver, util
from ._std.connection import wait

__all__ = ["Popen"]

# No exit code has these bytes.
_UNREAD = b"\x80" * 8


class _Inherited:
    """Pickles a descriptor as its place in the list that travels with the request."""

    def __init__(self, ind):
        self.ind = ind

    def detach(self):
        return forkserver.get_inherited_fds()[self.ind]


class Popen(LeaseHolder, popen_forkserver.Popen):
    """The forked process, as `Process` sees it."""

    DupFd = _Inherited

    def __init__(self, process_obj):
        # The exit code can be read once only: into a place where it stays if a signal handler
        # raises in the midst of it.
        self._reading = threading.RLock()
        self._code = bytearray(_UNREAD)
        super().__init__(process_obj)

    def _launch(self, process_obj):
        message, _ = spawn.encode(self, process_obj)
        self.pid, self.sentinel, feed = forkserver.connect_to_new_process(self._fds)
        # A duplicate stays open until the Popen goes: the child takes its closing for the parent's
        # end.
        held = os.dup(feed)
        self.finalizer = util.Finalize(self, util.close_fds, (held, self.sentinel))
        with open(feed, "wb") as pipe:
            pipe.write(spawn.NO_CODE)  # the server has compiled it
            pipe.write(message)

    def poll(self, flag=os.WNOHANG):
        if self.returncode is None:
            if not wait([self.sentinel], 0 if flag == os.WNOHANG else None):
                return None
            with self._reading:
                if self.returncode is None:
                    self._read_code()
        return self.returncode

    def _read_code(self):
        try:
            os.readv(self.sentinel, [self._code])  # written in one piece
        except OSError:
            pass
        # Unread at the end of the pipe: the server was killed, and nobody else can know.
        code = None if self._code == _UNREAD else forkserver.signed(self._code)
        self._has_ended(code)
        self.returncode = UNKNOWN if code is None else code
