"""Pickling for messages and for processes that are being started.

`Pickler` is the standard library's ForkingPickler, with its registered reducers (also those that
are registered later), and with one thing more: functions and classes that the receiver could not
find by name go by value (see _byvalue.py). `dumps` is what the core calls for every message that is
not plain data; large buffers stay out of the pickle, and are copied straight into shared memory.
"""

import io
import pickle
from types import FunctionType

from . import _byvalue
from ._std import reduction as _std
from ._std.reduction import (
    HAVE_SEND_HANDLE,
    AbstractReducer,
    DupFd,
    ForkingPickler,
    recvfds,
    register,
    sendfds,
)

__all__ = [
    "HAVE_SEND_HANDLE",
    "AbstractReducer",
    "DupFd",
    "ForkingPickler",
    "Pickler",
    "dump",
    "dumps",
    "loads",
    "recv_handle",
    "recvfds",
    "register",
    "send_handle",
    "sendfds",
]

loads = pickle.loads

# The very table that ForkingPickler.register writes into.
_reducers = ForkingPickler._extra_reducers

# What the picklers here write stays in the family; of which classes they make something else there.
_kin_classes: tuple = ()
_reduce_kin = None


def reduce_within_family(kind, reduce):
    """Has `reduce` pickle what is of this class, or of one derived from it."""
    global _kin_classes, _reduce_kin
    _kin_classes, _reduce_kin = (kind,), reduce


class Pickler(ForkingPickler):
    """ForkingPickler that sends by value what cannot be found by name.

    ForkingPickler copies both tables of reducers into every instance; here the registered ones are
    looked up when they are needed, and the pickler looks into copyreg's by itself.
    """

    __init__ = pickle.Pickler.__init__

    # A cloudpickle pickler that knows how to take functions apart, from the first by value on.
    _taking_apart = None
    # True while an object of __main__ is itself the message: what it refers to goes inline.
    _inline = False

    def reducer_override(self, obj):
        kind = type(obj)
        reduce = _reducers.get(kind)
        if reduce is not None:
            return reduce(obj)
        if kind is FunctionType or issubclass(kind, type):
            return _byvalue.reduce(self, obj)
        if issubclass(kind, _kin_classes):
            return _reduce_kin(obj)
        if self._taking_apart is not None:
            reduce = self._taking_apart.dispatch_table.get(kind)
            if reduce is not None:
                return reduce(obj)
        return NotImplemented


class _ByReference(ForkingPickler):
    """ForkingPickler, as fast as `Pickler`."""

    __init__ = pickle.Pickler.__init__

    def reducer_override(self, obj):
        reduce = _reducers.get(type(obj))
        if reduce is not None:
            return reduce(obj)
        return _reduce_kin(obj) if issubclass(type(obj), _kin_classes) else NotImplemented


def dump(obj, file, protocol=None):
    """Pickles `obj` into a file."""
    Pickler(file, protocol).dump(obj)


def dumps(obj):
    """Returns the pickle and the list of the `pickle.PickleBuffer` objects that stay outside."""
    buffers = []
    file = io.BytesIO()
    Pickler(file, 5, buffer_callback=buffers.append).dump(obj)
    return file.getvalue(), buffers


def dumps_by_reference(obj):
    """As `dumps`, for a pool's results: with the standard library's pickler."""
    buffers = []
    file = io.BytesIO()
    _ByReference(file, 5, buffer_callback=buffers.append).dump(obj)
    return file.getvalue(), buffers


def send_handle(conn, handle, destination_pid):
    """Sends a descriptor over a connection between processes of one machine.

    Over a pipe it goes as a message: then this process must live until it is received.
    """
    from .connection import is_ring

    if is_ring(conn):
        from ._std.resource_sharer import DupFd

        conn.send(DupFd(handle))
    else:
        _std.send_handle(conn, handle, destination_pid)


def recv_handle(conn):
    """Receives a descriptor that `send_handle` sent, waiting for it.

    Raises EOFError when the other end is closed, RuntimeError for anything else than a descriptor.
    """
    from .connection import has_strays, is_ring, wait_for_all

    if not is_ring(conn):
        return _std.recv_handle(conn)
    from ._std.resource_sharer import DupFd

    conn._check_closed()
    wait_for_all([conn], None)
    message = None if has_strays(conn) else conn.recv()
    if not isinstance(message, DupFd):
        raise RuntimeError("Invalid data received")
    return message.detach()
