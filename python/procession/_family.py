"""How a handle gets into a process that is being started.

A process of Procession's contexts is a member of the family from its first line on; all it needs is
that the object still lives when it unpickles the handle, so the starting `Popen` holds a lease.
A process of the standard library's own contexts knows nothing of families: the family's descriptor
travels with the first handle, by the means that the standard library has for descriptors.
"""

import os

from . import _core
from ._std.context import get_spawning_popen
from ._std.reduction import DupFd

# The exit code of a child whose end nobody can know any more.
UNKNOWN = 255


class Reporter:
    """Mixed into the Popen classes: the family learns how the child ended, for those who take over
    a lock from it."""

    def __init__(self, process_obj):
        self._parent = os.getpid()
        self._unreaped = [None]
        super().__init__(process_obj)

    def poll(self, flag=os.WNOHANG):
        if self.returncode is None:
            code = self._ask(flag)
            if code is None:
                return self.returncode
            # The kernel forgets the status only when it is stored here: an exception that a signal
            # handler raises in between, or another thread that asks as well, loses nothing.
            self._has_ended(code)
            self.returncode = code
        self._reap()
        return self.returncode

    def _ask(self, flag):
        """How the child ended, which the kernel goes on to know; None if it has not."""
        try:
            end = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | flag)
        except ChildProcessError:
            # Taken by `os.wait` or a handler of SIGCHLD, or by the kernel if SIGCHLD is ignored;
            # or this process is not its parent.
            return UNKNOWN if self.returncode is None and self._parent == os.getpid() else None
        if end is None:
            return None
        return end.si_status if end.si_code == os.CLD_EXITED else -end.si_status

    def _reap(self):
        try:
            self._unreaped.pop()  # one thread only, as the pid may have a new owner after it
            os.waitpid(self.pid, os.WNOHANG)
        except (IndexError, ChildProcessError):
            pass

    def _has_ended(self, code):
        if code is not None:
            _core.record_exit(self.pid, code)


class LeaseHolder(Reporter):
    """Mixed into the Popen classes: what the child was given lives as long as the child."""

    def __init__(self, process_obj):
        self._leases = []
        super().__init__(process_obj)

    def _has_ended(self, code):
        super()._has_ended(code)  # first: a count that is given back may start a sweep
        self._leases.clear()

    def close(self):
        self._leases.clear()
        super().close()


class Travels:
    """Mixed into what has a native part that is pickled as a handle, to any process."""

    def __getstate__(self):
        return self._handle(), papers(self)

    def __setstate__(self, state):
        handle, travelled = state
        enter(travelled)
        self._attach(handle)

    def __reduce__(self):
        return _rebuild, (type(self),), self.__getstate__()


def _rebuild(cls):
    return cls.__new__(cls)


def papers(owner):
    """What has to travel with a handle: None, but when a stranger is being started."""
    popen = get_spawning_popen()
    if popen is None:
        return None
    if isinstance(popen, LeaseHolder):
        popen._leases.append(owner._lease())
        return None
    # One descriptor for all handles: a Popen refuses to pass the same one twice.
    passing = popen.__dict__.setdefault("_procession_passing", [])
    if not passing:
        passing.append(DupFd(_core.family_fd()))
    passing.append(owner._lease())
    return passing[0]


def enter(travelled):
    """In the receiver: joins the family whose descriptor came with a handle, if it is in none."""
    if travelled is None or getattr(travelled, "_procession_entered", False):
        return
    travelled._procession_entered = True  # it is one for all handles that came together
    fd = travelled.detach()
    if _core.family_id() is None:
        attach(fd)
    else:
        os.close(fd)


def attach(fd):
    """Joins the family behind an inherited descriptor, and closes that."""
    _core.attach_family(fd)
    os.close(fd)
