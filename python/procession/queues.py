"""The queues between processes, over the Rust core's.

The way of a message: `put` here *is* the core's method (no Python frame in between): it encodes in
the caller, writes into shared memory and wakes a sleeper; `get` is the reverse. This file adds what
`multiprocessing` has around that: factories' arguments, pickling of handles, `_reader` and
`_writer` for selectors and `concurrent.futures`, and the methods that are about feeder threads, of
which there are none.
"""

import io
import types
import weakref
from queue import Empty, Full

from . import _aio, _docs, _family
from ._core import QueueBase, ShutDown
from ._delivery import Delivery, InFlight
from ._queueface import IfRedelivering, JoinableFace, QueueFace, raise_closed

__all__ = [
    "Delivery",
    "Empty",
    "Full",
    "InFlight",
    "JoinableQueue",
    "LifoQueue",
    "PriorityQueue",
    "Queue",
    "ShutDown",
    "SimpleQueue",
]


class _End:
    """What `_reader` and `_writer` have in common.

    An end keeps its queue, and not the reverse; so whether it is closed is written in the queue.
    """

    __slots__ = ("__weakref__", "_queue")

    def __init__(self, queue):
        self._queue = queue

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def __repr__(self):
        state = " (closed)" if self.closed else ""
        return f"<{type(self).__name__} of {self._queue!r}{state}>"

    @property
    def closed(self):
        return type(self) in self._queue._closed_ends

    def close(self):
        self._queue._closed_ends |= {type(self)}

    def _check(self):
        if self.closed:
            raise OSError("handle is closed")


class _Reader(_End):
    """A queue's reading end, with the interface of a `multiprocessing.connection.Connection`.

    Its descriptor is readable as long as there is something to get, in any process. What passes as
    bytes is the pickled message, as in the standard library.
    """

    __slots__ = ()
    readable = True
    writable = False

    def fileno(self):
        self._check()
        return self._queue._bell()

    def close(self):
        if not self.closed:
            super().close()
            self._queue._bell_close()

    def poll(self, timeout=0.0):
        self._check()
        if not QueueBase.empty(self._queue):
            return True
        if timeout is not None and timeout <= 0:
            return False
        from ._std.connection import wait

        return bool(wait([self], timeout))

    def recv(self):
        self._check()
        return QueueBase.get(self._queue)

    def recv_bytes(self, maxlength=None):
        from .reduction import Pickler

        message = bytes(Pickler.dumps(self.recv()))
        if maxlength is not None and len(message) > maxlength:
            self.close()
            raise OSError("bad message length")
        return message


class _Writer(_End):
    """A queue's writing end, with the interface of a `multiprocessing.connection.Connection`."""

    __slots__ = ()
    readable = False
    writable = True

    def fileno(self):
        self._check()
        raise io.UnsupportedOperation("a queue's writing end has no file descriptor")

    def send(self, obj):
        self._check()
        QueueBase.put(self._queue, obj)

    def send_bytes(self, buf, offset=0, size=None):
        from .reduction import loads

        end = None if size is None else offset + size
        self.send(loads(memoryview(buf)[offset:end]))


class _Shared(_family.Travels, _aio.AsyncQueue, QueueBase):
    """What all queues have around the core's methods."""

    # Written by concurrent.futures; there is no pipe that could break.
    _ignore_epipe = False
    _closed_ends = frozenset()

    def __getstate__(self):
        return self._ignore_epipe, self._plain_only, super().__getstate__()

    def __setstate__(self, state):
        self._ignore_epipe, plain_only, state = state
        super().__setstate__(state)
        if plain_only:
            self._refuse_pickle()

    def _end(self, kind):
        ends = self.__dict__.setdefault("_ends", {})
        end = ends[kind]() if kind in ends else None
        if end is None:
            end = kind(self)
            # Weak: an end keeps its queue, and the pair should not wait for the garbage collector.
            ends[kind] = weakref.ref(end)
        return end

    @property
    def _reader(self):
        return self._end(_Reader)

    @property
    def _writer(self):
        return self._end(_Writer)

    __class_getitem__ = classmethod(types.GenericAlias)


class Queue(QueueFace, _Shared):
    __doc__ = _docs.QUEUE
    _order = "fifo"

    def __init__(self, maxsize=0, *, maxbytes=0, redeliver=False, ctx=None):
        if redeliver and self._order != "fifo":
            raise ValueError("redeliver=True is for queues whose oldest message is taken first")
        self._create(maxsize, "delivery" if redeliver else self._order, maxbytes)

    @IfRedelivering
    async def ajoin(self):
        """As ``join``, in this task alone; where there is ``join``."""
        await _aio.AsyncJoin.ajoin(self)


class JoinableQueue(_aio.AsyncJoin, JoinableFace, Queue):
    __doc__ = _docs.JOINABLE_QUEUE


class LifoQueue(JoinableQueue):
    __doc__ = _docs.LIFO_QUEUE
    _order = "lifo"


class PriorityQueue(JoinableQueue):
    __doc__ = _docs.PRIORITY_QUEUE
    _order = "priority"


class SimpleQueue(_Shared):
    __doc__ = _docs.SIMPLE_QUEUE

    def __init__(self, *, ctx=None):
        self._create(0)

    def close(self):
        self._reader.close()
        self._writer.close()
        # The methods are the core's own and know nothing of this way of being closed: so the
        # instance gets others.
        self.put = self.get = self.empty = raise_closed
        self._drop()
