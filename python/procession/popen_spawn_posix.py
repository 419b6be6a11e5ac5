"""Starts a process as a fresh interpreter.

    parent                                             child
    pipe ── code, preparation data, Process ───►  procession.spawn.spawn_main
    sentinel  ◄── closed by the kernel at its end      (holds the other end until then)

The child inherits three descriptors beside that: its end of the pipe, the resource tracker's, and
the family's arena.
"""

import fcntl
import os
import signal

from . import _core, spawn
from ._family import LeaseHolder
from ._std import popen_spawn_posix, resource_tracker, util

__all__ = ["Popen"]

# What fits into a new pipe.
_PIPE = 1 << 16


class Popen(LeaseHolder, popen_spawn_posix.Popen):
    """The started process, as `Process` sees it."""

    def _launch(self, process_obj):
        tracker_fd = resource_tracker.getfd()
        family_fd = _core.family_fd()
        message, main_path = spawn.encode(self, process_obj)
        sentinel, child_w = os.pipe()
        child_r, feed = os.pipe()
        # Kept open until the Popen goes: the child takes its closing for the parent's end.
        self.finalizer = util.Finalize(self, util.close_fds, (sentinel, feed))
        # Ctrl-C in the midst of the interpreter's start would be a fatal error with many lines. The
        # child takes it when it can.
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            command = spawn.get_command_line(
                tracker_fd=tracker_fd,
                pipe_handle=child_r,
                family_fd=family_fd,
                unblock=int(signal.SIGINT not in masked),
            )
            # A descriptor may stand in the list once only.
            fds = {*self._fds, tracker_fd, family_fd, child_r, child_w}
            self.pid = util.spawnv_passfds(spawn.get_executable(), command, sorted(fds))
        finally:
            os.close(child_r)
            os.close(child_w)
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        self.sentinel = sentinel
        code = spawn.code_for(main_path)  # while the child begins
        _make_room(feed, len(code) + len(message))
        with open(feed, "wb", closefd=False) as pipe:
            pipe.write(code)
            pipe.write(message)


def _make_room(pipe, size):
    """Lets a pipe take as much at once: the next child need not wait until this one reads."""
    if size > _PIPE:
        try:
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, size)
        except OSError:
            pass  # more than the system allows
