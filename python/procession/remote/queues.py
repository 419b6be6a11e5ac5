"""Queues on a server: the names and methods of `procession.queues`, for any number of machines.

`put` and `get` *are* the core's methods: each is one step of the server's, and one round trip. What
they don't have is what needs a descriptor: `_reader` and `_writer`.
"""

import types

from .. import _docs
from .._core import RemoteQueueBase
from .._queueface import IfRedelivering, JoinableFace, QueueFace, raise_closed
from ..queues import Delivery, Empty, Full, InFlight, ShutDown
from ..queues import Queue as _HomeQueue
from . import _aio
from ._server import Remote

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


class _Shared(Remote, _aio.AsyncQueue, RemoteQueueBase):
    """What all queues have around the core's methods."""

    def _attach_args(self):
        return (self._kind,)

    __class_getitem__ = classmethod(types.GenericAlias)


class Queue(QueueFace, _Shared):
    __doc__ = _docs.REMOTE_QUEUE
    _made_as = "queue"

    def __init__(self, maxsize=0, *, maxbytes=0, redeliver=False, ctx):
        kind = self._made_as
        if redeliver:
            if kind in ("lifo_queue", "priority_queue"):
                raise ValueError("redeliver=True is for queues whose oldest message is taken first")
            kind = "delivery_queue"
        self._begin(ctx, kind, maxsize, maxbytes)

    @IfRedelivering
    async def ajoin(self):
        """As ``join``, in this task alone; where there is ``join``."""
        await _aio.AsyncJoin.ajoin(self)

    # The very same, so that the core sees whether a class overrides it.
    _on_queue_feeder_error = staticmethod(_HomeQueue._on_queue_feeder_error)


class JoinableQueue(_aio.AsyncJoin, JoinableFace, Queue):
    __doc__ = _docs.REMOTE_JOINABLE_QUEUE
    _made_as = "joinable_queue"


class LifoQueue(JoinableQueue):
    __doc__ = _docs.REMOTE_LIFO_QUEUE
    _made_as = "lifo_queue"


class PriorityQueue(JoinableQueue):
    __doc__ = _docs.REMOTE_PRIORITY_QUEUE
    _made_as = "priority_queue"


class SimpleQueue(_Shared):
    __doc__ = _docs.REMOTE_SIMPLE_QUEUE

    def __init__(self, *, ctx):
        self._begin(ctx, "queue", 0, 0)

    def close(self):
        # The methods are the core's own and know nothing of this way of being closed: so the
        # instance gets others.
        self.put = self.get = self.empty = raise_closed
