"""`Pipe`, `Listener`, `Client` and `wait`: the standard library's module, with pipes of our own.

The two ends of a `Pipe` are *rings*: their messages go through shared memory, beside a socket pair
that says who lives and wakes who sleeps. As in queues.py, `send` and `recv` here *are* the core's
methods. Connections over a descriptor of somebody else's (`Listener`, `Client`, `Connection(fd)`)
are *plain*: the core's methods hand them on to the standard library's, so what is on the wire is
its protocol.

What must hold: nothing but the core reads from a ring's socket or writes to it.
"""

import io
import os
import select
import selectors
import time

from . import _docs, _family, reduction
from ._core import ConnectionBase
from ._std import connection as _std
from ._std import util
from ._std.context import get_spawning_popen

__all__ = ["Client", "Listener", "Pipe", "wait"]

# A receiver that is stopped holds up the others that fetch descriptors for so long at most.
_ATTACH_SECONDS = 1.0
# No system call of `wait` is longer.
_SLICE_SECONDS = 1.0


class Connection(ConnectionBase, _std.Connection):
    __doc__ = _docs.CONNECTION

    # Whether the standard library reads and writes the descriptor.
    _plain = False

    def __init__(self, handle, readable=True, writable=True):
        handle = handle.__index__()
        if handle < 0:
            raise ValueError("invalid handle")
        if not readable and not writable:
            raise ValueError("at least one of `readable` and `writable` must be True")
        if self._find(handle):
            self._narrow(readable, writable)
        else:
            self._begin_plain(handle, bool(readable), bool(writable))
            self._plain = True

    def _narrow(self, readable, writable):
        """Gives up a direction; one that the ring does not have cannot be had."""
        if not readable:
            self._readable = False
        if not writable:
            self._writable = False

    def __reduce__(self):
        self._check_closed()
        directions = self.readable, self.writable
        if self._plain:
            rebuild, arguments = _rebuild_plain, (reduction.DupFd(self.fileno()), *directions)
        else:
            socket = _Socket if get_spawning_popen() is None else _Inherited
            ring = socket(self), self._ring_handle(), _family.papers(self)
            rebuild, arguments = _rebuild_ring, (*ring, *directions)
        # A subclass's attributes travel, as they would with the standard library's class.
        state = None if type(self) is Connection else (vars(self) or None)
        return rebuild, (type(self), *arguments), state

    # Of what the standard library's methods are made of, the core has all that is about messages.

    def _check_closed(self):
        # `_handle` is not asked: it is `fileno`, and that has its price.
        if self.closed:
            raise OSError("handle is closed")

    def _send(self, buf, write=os.write):
        self._check_plain()
        _std.Connection._send(self, buf, write)

    def _recv(self, size, read=os.read):
        self._check_plain()
        return _std.Connection._recv(self, size, read)

    def _check_plain(self):
        if not self._plain:
            raise io.UnsupportedOperation("a pipe has messages, no stream of bytes")


def Pipe(duplex=True):
    first, second = Connection.__new__(Connection), Connection.__new__(Connection)
    first._begin_pair(second, bool(duplex))
    return first, second


Pipe.__doc__ = _docs.PIPE


# ---------------------------------------------------------------- from process to process


class _Socket:
    """A ring's socket under way in a message, as `resource_sharer.DupFd` has a descriptor.

    The ring lives on until the receiver has attached to it, or this process ends.
    """

    def __init__(self, connection):
        from ._std import resource_sharer

        fds, leases = [os.dup(connection._socket())], [connection._lease()]

        def send(receiver, pid):
            _std.reduction.send_handle(receiver, fds[0], pid)
            os.close(fds.pop())  # no copy of the end is here any more
            receiver.poll(_ATTACH_SECONDS)  # it hangs up when it has counted the ring

        def close():
            util.close_fds(*fds)
            leases.clear()

        self._id = resource_sharer._resource_sharer.register(send, close)

    def attach(self, connection, handle):
        from ._std import resource_sharer

        with resource_sharer._resource_sharer.get_connection(self._id) as sender:
            connection._attach(handle, _std.reduction.recv_handle(sender))


class _Inherited:
    """A ring's socket on its way into a process that is being started.

    `papers` has the lease.
    """

    def __init__(self, connection):
        self._fd = reduction.DupFd(connection._socket())

    def attach(self, connection, handle):
        connection._attach(handle, self._fd.detach())


def _rebuild_ring(cls, socket, handle, papers, readable, writable):
    connection = cls.__new__(cls)
    _family.enter(papers)
    socket.attach(connection, handle)
    connection._narrow(readable, writable)
    return connection


def _rebuild_plain(cls, fd, readable, writable):
    return _plain(cls, fd.detach(), readable, writable)


def _plain(cls, fd, readable=True, writable=True):
    """A connection over a descriptor that is no ring's for certain."""
    connection = cls.__new__(cls)
    connection._begin_plain(fd, readable, writable)
    connection._plain = True
    return connection


def reduce_connection(conn):
    """What pickle makes of a connection."""
    return conn.__reduce__()


def rebuild_connection(df, readable, writable):
    """The connection over a descriptor that travelled alone."""
    return Connection(df.detach(), readable, writable)


# ---------------------------------------------------------------- sockets


class Listener(_std.Listener):
    """A listening socket, with the standard library's protocol: any `multiprocessing` may connect.

    See https://docs.python.org/3/library/multiprocessing.html#multiprocessing.connection.Listener
    """

    def accept(self):
        """Accepts a connection, waiting for one; `AuthenticationError` if the key is wrong."""
        return _adopt(super().accept())


def Client(address, family=None, authkey=None):
    """Connects to a `Listener` of Procession's or the standard library's.

    `AuthenticationError` if the key is wrong. See
    https://docs.python.org/3/library/multiprocessing.html#multiprocessing.connection.Client
    """
    return _adopt(_std.Client(address, family, authkey))


def _adopt(theirs):
    fd = theirs.fileno()
    theirs._handle = None  # it closes nothing any more
    return _plain(Connection, fd)


# ---------------------------------------------------------------- waiting for several


def wait(object_list, timeout=None):
    """Returns those of some objects that have something to read: a message, data, or the end.

    They may be connections, queues' `_reader`, sockets, sentinels of processes and whatever else
    has a `fileno`. Waits at most `timeout` seconds, for ever if it is None.
    See https://docs.python.org/3/library/multiprocessing.html#multiprocessing.connection.wait
    """
    objects = list(object_list)
    rings = [each for each in objects if is_ring(each)]
    if not rings:
        return _std.wait(objects, timeout)
    if len(objects) == 1 and rings[0].readable:
        return objects if rings[0].poll(timeout) else []
    return wait_for_all(objects, timeout)


def is_ring(connection):
    """Whether messages go through shared memory."""
    return isinstance(connection, Connection) and not connection._plain


def wait_for_all(objects, timeout):
    """`wait`, where there is at least one ring."""
    with selectors.PollSelector() as selector:
        rings = []
        for each in objects:
            if is_ring(each):
                rings.append(selector.register(each._socket(), selectors.EVENT_READ, each))
            else:
                selector.register(each, selectors.EVENT_READ, None)
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            # Looks first, and has the next message ring where there is none.
            ready = {key.fd for key in rings if key.data.readable and not key.data._arm()}
            for key, _ in selector.select(0 if ready else _slice(timeout)):
                if key.data is None or _has_news(key.data):
                    ready.add(key.fd)
            if ready:
                found = [key for key in selector.get_map().values() if key.fd in ready]
                return [key.fileobj if key.data is None else key.data for key in found]
            # Somebody else took the message, or it is not quite there.
            if deadline is not None:
                timeout = deadline - time.monotonic()
                if timeout <= 0:
                    return []


def _slice(timeout):
    """A signal that comes just before the system call is handled after it only: so none is long."""
    return _SLICE_SECONDS if timeout is None else min(timeout, _SLICE_SECONDS)


def _has_news(ring):
    return (ring.readable and ring._has_message()) or ring._hung_up() or has_strays(ring)


def has_strays(ring):
    """Whether a program has written to the socket by itself: readable, in the standard library's
    eyes, and for ever so in ours.

    A bell's byte is gone after `_arm`, or else the message is there that it rang for. One more may
    have rung since, but hardly each time.
    """
    if not ring.readable or ring._hung_up():
        return False
    poll = select.poll()
    poll.register(ring._socket(), select.POLLIN)
    return all(ring._arm() and poll.poll(0) for _ in range(4))


def __getattr__(name):
    return getattr(_std, name)


def __dir__():
    return sorted({*globals(), *dir(_std)})
