"""A manager's server and its clients: if both are of one family, they go on over a pipe.

They meet as in the standard library: by a socket, with the key, in its protocol. When the server
has accepted a proxy's connection, and before the first request, the client makes an offer:

    client                                           server
    family, an end of a new pipe    ───────────►
                                    ◄───────────     yes; no, of another family; not Procession's:
                                                     "no such object". After these two all stays
                                                     as it is
    the end's socket                ───────────►     takes it
                                    ◄───────────     yes
    closes the first connection     ◄══ pipe ══►     closes the first connection

(Descriptors do not go over TCP. There the offer says where the server can fetch it, and the server
comes for it instead of the first yes.)

Offers go only to servers that managers of Procession's have to do with, and a server that has said
no is not asked again by this process. `BaseProxy` keeps a thread's connection in an object that all
proxies of one address share (`_tls`). There, and not in the proxy, it is exchanged: so that
proxies of all classes have it, and those of other managers are as they were.

To other processes of the family a proxy travels with a word that says so. Anywhere else it goes as
the standard library's do, and a proxy made of that uses the socket.
"""

import contextlib
import copyreg
import os
import sys

from . import _core, connection, reduction
from ._std import connection as _std_connection
from ._std import managers as _std
from ._std import util

# As a request: an object and a method. No name of somebody else's looks like these.
_DESK, _OFFER = "#procession", "#PIPE"
_YES, _NO = ("#RETURN", True), False


# ---------------------------------------------------------------- the client


class _Line(util.ForkAwareLocal):
    """A thread's connection to the server at an address."""

    # These are the same for all threads.
    __slots__ = ("address", "is_strangers")
    address: object
    is_strangers: bool

    def __setattr__(self, name, value):
        if name == "connection" and not self.is_strangers:
            value = self._go_on(value)
        super().__setattr__(name, value)

    def _go_on(self, met):
        """The connection to use: a pipe, if there can be one."""
        if _core.family_id() is None or type(met) is not _std_connection.Connection:
            return met
        try:
            ours, theirs = connection.Pipe()
            door, way = _door(self.address)
        except (OSError, MemoryError):
            return met
        with theirs, door:
            if _offer(met, theirs, door, way):
                met.close()
                return ours
        ours.close()
        self.is_strangers = True
        return met


def _door(address):
    """Where the server fetches a descriptor, and the way there. None: over the connection."""
    if _std_connection.address_type(address) == "AF_UNIX":
        return contextlib.nullcontext(), None
    key = os.urandom(32)
    door = _std_connection.Listener(family="AF_UNIX", authkey=key)
    return door, (door.address, key)


def _offer(met, end, door, way):
    """Offers the server an end of a pipe; returns whether it has taken it."""
    met.send((_DESK, _OFFER, (_core.family_id(), end._ring_handle(), way), {}))
    if way is None:
        if met.recv() != _YES:
            return False
        reduction.send_handle(met, end._socket(), None)
    elif met not in _std_connection.wait([met, door._listener._socket]):
        with door.accept() as sender:
            reduction.send_handle(sender, end._socket(), None)
    return met.recv() == _YES


def meet(address):
    """Before there are proxies: offers will be made to the server at this address."""
    known = _std.BaseProxy._address_to_local
    with _std.BaseProxy._mutex:
        if address not in known:
            line = _Line()
            line.address, line.is_strangers = address, False
            known[address] = line, _std.ProcessLocalSet()


def _reduce(proxy):
    """A proxy in a message to the family."""
    line = getattr(proxy, "_tls", None)
    if type(line) is not _Line or line.is_strangers or type(proxy) in copyreg.dispatch_table:
        return NotImplemented
    rebuild, arguments, *state = proxy.__reduce_ex__(5)
    return _rebuild, (line.address, rebuild, arguments), *state


def _rebuild(address, rebuild, arguments):
    meet(address)
    return rebuild(*arguments)


reduction.reduce_within_family(_std.BaseProxy, _reduce)


# ---------------------------------------------------------------- the server


class _TakesOffers:
    """Mixed into the server classes."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.id_to_obj[_DESK] = (None, (), None)

    def _take(self, met, ident, obj, family, handle, way):
        """Serves the pipe of which an end is offered."""
        if family != _core.family_id():
            return _NO
        if way is None:
            met.send(_YES)
            fd = reduction.recv_handle(met)
        else:
            address, key = way
            with _std_connection.Client(address, authkey=key) as sender:
                fd = reduction.recv_handle(sender)
        os.set_inheritable(fd, False)
        end = connection.Connection.__new__(connection.Connection)
        end._attach(handle, fd)
        met.send(_YES)
        met.close()
        with end:
            self.serve_client(end)
        sys.exit(0)  # as at the end of a connection: there is nothing more to read from `met`

    # Methods that every object has, as the server calls them.
    fallback_mapping = {**_std.Server.fallback_mapping, _OFFER: _take}


class Server(_TakesOffers, _std.Server):
    """The standard library's server, which goes on over pipes with those of its family."""


class SharedMemoryServer(_TakesOffers, _std.SharedMemoryServer):
    """The same for a `SharedMemoryManager`."""
