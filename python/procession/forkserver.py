"""The fork server: a fresh interpreter that forks children on request.

The starter and its descendants share one end of a socket pair (SOCK_SEQPACKET: a request is one
message), the server has the other. So there is no address that a stranger could connect to and no
file to leave behind; the server ends when the last holder of the other end has gone; and a client
sees by the hang-up that the server has died, whoever started it.

A request carries descriptors and nothing else:

    data pipe (read end), status pipe (write end), the clients' end, resource tracker, *others

The server answers over the status pipe: the child's pid (negative errno if the fork failed), later
its exit code. The child reads the same two pickles as a spawned one. The server joins the family
before it imports anything, and its children belong to it by fork.
"""

import atexit
import gc
import os
import select
import selectors
import signal
import socket
import struct
import sys

from . import _core, _family, spawn
from ._std import displaced, process, resource_tracker, util
from ._std import forkserver as _std

__all__ = [
    "connect_to_new_process",
    "ensure_running",
    "get_inherited_fds",
    "set_forkserver_preload",
]

# The kernel passes 253 descriptors with a message.
MAXFDS_TO_SEND = 253
_FIXED_FDS = 4
_SIGNED = struct.Struct("q")
# The collector rests until main begins, as in a spawned child.
_BOOT = "import gc; gc.disable(); from procession.forkserver import main;"
# What every child, or every worker of a pool, imports. And what children import if they are handed
# a function by value, a queue, a lock: the server does that when it has had nothing to do for so
# many seconds.
_AT_ONCE = [f"{__package__}.{name}" for name in ("popen_forkserver", "_worker", "_lifeline")]
_LATER = ["cloudpickle", *(f"{__package__}.{name}" for name in ("queues", "sharedctypes"))]
_IDLE = 0.02


class ForkServer(_std.ForkServer):
    """The client's side. Inherits the list of modules to preload and the inherited descriptors.

    `_forkserver_alive_fd` is the clients' end of the socket pair.
    """

    def set_forkserver_preload(self, modules_names):
        """Sets the modules that the server tries to import before its first fork."""
        if not all(type(name) is str for name in modules_names):
            raise TypeError("module_names must be a list of strings")
        self._preload_modules = modules_names

    @property
    def _running(self):
        """Whether the server is there: the other end of a dead one's socket has hung up."""
        if self._forkserver_alive_fd is None:
            return False
        poll = select.poll()
        poll.register(self._forkserver_alive_fd, 0)
        return not poll.poll(0)

    def _stop_unlocked(self):
        if self._forkserver_alive_fd is None:
            return
        os.close(self._forkserver_alive_fd)
        self._forkserver_alive_fd = None
        if self._forkserver_pid is not None:
            try:
                os.waitpid(self._forkserver_pid, 0)
            except ChildProcessError:
                pass  # another process started it, and the server lives on for that one
            self._forkserver_pid = None

    def connect_to_new_process(self, fds):
        """Has a child forked. Returns its pid, the status pipe and the pipe for its data."""
        if len(fds) + _FIXED_FDS > MAXFDS_TO_SEND:
            raise ValueError("too many fds")
        try:
            return self._request(fds)
        except (ConnectionError, EOFError):
            # The server was killed between the look at it and the request.
            return self._request(fds)

    def _request(self, fds):
        self.ensure_running()
        status_r, status_w = os.pipe()
        data_r, data_w = os.pipe()
        try:
            try:
                client_fd = self._forkserver_alive_fd
                own = [data_r, status_w, client_fd, resource_tracker.getfd()]
                with socket.socket(fileno=os.dup(client_fd)) as client:
                    socket.send_fds(client, [b"\0"], own + fds)
            finally:
                os.close(data_r)
                os.close(status_w)
            pid = read_signed(status_r)
            if pid < 0:
                raise OSError(-pid, f"the fork server cannot fork: {os.strerror(-pid)}")
        except BaseException:
            os.close(status_r)
            os.close(data_w)
            raise
        return pid, status_r, data_w

    def ensure_running(self):
        """Starts the server, unless it runs."""
        with self._lock:
            resource_tracker.ensure_running()
            if not self._running:
                self._stop_unlocked()
                self._start()

    def _start(self):
        options = {}
        if self._preload_modules:
            data = spawn.get_preparation_data("ignore")
            options["sys_path"] = data["sys_path"]
            for kind in ("path", "name"):
                if (main := data.get(f"init_main_from_{kind}")) is not None:
                    options[f"main_{kind}"] = main
        if displaced():
            options["install"] = spawn._installation().derived
        family_fd = _core.family_fd()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            arguments = (theirs.fileno(), family_fd, list(self._preload_modules))
            program = f"{_BOOT} main(*{arguments!r}, **{options!r})"
            executable = spawn.get_executable()
            command = [executable, *util._args_from_interpreter_flags(), "-c", program]
            passed = sorted({theirs.fileno(), family_fd})
            self._forkserver_pid = util.spawnv_passfds(executable, command, passed)
            self._forkserver_alive_fd = ours.detach()

    def _adopt(self, fds):
        """In a child of the server: makes it this process's server, too."""
        (
            self._forkserver_alive_fd,
            resource_tracker._resource_tracker._fd,
            *self._inherited_fds,
        ) = fds


def main(
    server_fd, family_fd, preload, main_path=None, sys_path=None, main_name=None, install=None
):
    """Runs the fork server."""
    _family.attach(family_fd)
    if install is not None:
        spawn.install_like(install)
    for name in _AT_ONCE:
        __import__(name)
    gc.freeze()
    gc.enable()
    _preload(preload, main_path, main_name, sys_path)
    util._close_stdin()
    with socket.socket(fileno=server_fd) as requests:
        _Server(requests).serve()


def _preload(preload, main_path, main_name, sys_path):
    if sys_path is not None:
        sys.path[:] = sys_path
    if "__main__" in preload and (main_path or main_name):
        current = process.current_process()
        current._inheriting = True
        try:
            if main_path:
                spawn.import_main_path(main_path)
            else:
                spawn.import_main_name(main_name)
        except (Exception, SystemExit):
            pass  # the children import it again, and show what is wrong with it
        finally:
            del current._inheriting
    for name in preload:
        _try_import(name)
    util._flush_std_streams()


def _try_import(name):
    try:
        __import__(name)
    except ImportError:
        pass


class _Server:
    """The loop: requests come in over the socket, deaths of children through a pipe that the signal
    handler writes to."""

    def __init__(self, requests):
        self.requests = requests
        self.status = {}  # pid → status pipe
        self.wake_r, self.wake_w = os.pipe()
        os.set_blocking(self.wake_r, False)
        os.set_blocking(self.wake_w, False)
        self.handlers = {
            signal.SIGCHLD: signal.signal(signal.SIGCHLD, lambda *_: None),
            signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
        }
        signal.set_wakeup_fd(self.wake_w, warn_on_full_buffer=False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.requests, selectors.EVENT_READ, self.request)
        self.selector.register(self.wake_r, selectors.EVENT_READ, self.reap)

    def serve(self):
        later = list(_LATER)
        while True:
            events = self.selector.select(_IDLE if later else None)
            for key, _ in events:
                key.data()
            if later and not events:
                _try_import(later.pop(0))
                if not later:
                    # What is there stays; so children's collectors need not look at it, nor copy
                    # its pages by that.
                    gc.collect()
                    gc.freeze()

    def request(self):
        message, fds, _, _ = socket.recv_fds(
            self.requests, 1, MAXFDS_TO_SEND, socket.MSG_CMSG_CLOEXEC
        )
        if not message:
            sys.exit()  # no client is left
        data_r, status_w, *others = fds
        try:
            pid = os.fork()
        except OSError as error:
            pid = -error.errno
        if pid == 0:
            self.become_child(data_r, status_w, others)
        for fd in (data_r, *others):
            os.close(fd)
        _tell(status_w, pid)
        if pid > 0:
            self.status[pid] = status_w
        else:
            os.close(status_w)

    def reap(self):
        os.read(self.wake_r, 65536)
        # One by one: a preloaded module may have children of its own to wait for.
        for pid in list(self.status):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                status_w, code = self.status.pop(pid), os.waitstatus_to_exitcode(status)
                _core.record_exit(pid, code)  # nobody else can know it, until the starter asks
                _tell(status_w, code)
                os.close(status_w)

    def become_child(self, data_r, status_w, fds):
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            spawn.block_interrupts()  # until it begins with its work
            for number, handler in self.handlers.items():
                signal.signal(number, handler)
            self.selector.close()
            self.requests.close()
            for fd in (self.wake_r, self.wake_w, status_w, *self.status.values()):
                os.close(fd)
            if _AT_EXIT:
                atexit._clear()
                atexit.register(util._exit_function)
            _forkserver._adopt(fds)
            code = spawn._main(data_r, os.dup(data_r))
        except Exception:
            sys.excepthook(*sys.exc_info())
            util._flush_std_streams()
        finally:
            if _AT_EXIT:
                atexit._run_exitfuncs()
            os._exit(code)


# From 3.13 on it is the starter of a process, and not the process object, that runs the exit
# functions.
_AT_EXIT = sys.version_info >= (3, 13)


def _tell(fd, number):
    """Writes a number to a status pipe, whose reader may have gone."""
    try:
        write_signed(fd, number)
    except BrokenPipeError:
        pass


def read_signed(fd):
    """Reads a number from a status pipe; EOFError if its writer has gone."""
    data = b""
    while len(data) < _SIGNED.size:
        part = os.read(fd, _SIGNED.size - len(data))
        if not part:
            raise EOFError("unexpected EOF")
        data += part
    return signed(data)


def signed(data):
    """The number that `write_signed` wrote as these bytes."""
    return _SIGNED.unpack(data)[0]


def write_signed(fd, n):
    """Writes a number to a status pipe: less than a page, so in one piece."""
    os.write(fd, _SIGNED.pack(n))


_forkserver = ForkServer()
ensure_running = _forkserver.ensure_running
get_inherited_fds = _forkserver.get_inherited_fds
connect_to_new_process = _forkserver.connect_to_new_process
set_forkserver_preload = _forkserver.set_forkserver_preload
