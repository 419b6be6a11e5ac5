"""What all kinds of queues do beside put and get, wherever their messages are.

The classes here stand before a native base: `_core.QueueBase` for what is in shared memory,
`_core.RemoteQueueBase` for what is on a server.
"""

from ._core import ShutDown
from ._delivery import Delivery, InFlight


class IfRedelivering:
    """A method that only those queues have that deliver again.

    Whether a queue has it is what others ask to learn its kind: `logging.handlers.QueueListener`
    calls `task_done` where there is one.
    """

    def __init__(self, method):
        self._method = method

    def __get__(self, queue, owner=None):
        if queue is not None and not queue._redelivers:
            name = self._method.__name__
            raise AttributeError(
                f"'{type(queue).__name__}' object has no attribute '{name}': only a JoinableQueue "
                "has, and a Queue(redeliver=True)"
            )
        return self._method.__get__(queue, owner)


class QueueFace:
    @property
    def maxbytes(self):
        """How many bytes of encoded messages may be in the queue; 0: as many as memory allows."""
        return self._maxbytes

    def get_delivery(self, block=True, timeout=None):
        """Takes the next message as a `Delivery`, which says when it is done. Waits as ``get``.

        Such a message is none of those that ``task_done`` ends. ValueError: the queue was made
        without ``redeliver=True``.
        """
        item, ticket = self._take(block, timeout)
        return Delivery(self, item, ticket)

    @property
    def redeliver(self):
        """Whether what a process had taken and not done when it died comes back."""
        return self._redelivers

    @property
    def delivery_count(self):
        """How often the message was delivered that this thread took last (by ``get`` or its like);
        0: it took none. ValueError: the queue was made without ``redeliver=True``.
        """
        return self._delivery_count

    def in_flight(self):
        """How many messages were taken and are not done yet, by processes that live.

        ValueError: the queue was made without ``redeliver=True``.
        """
        return self._in_flight()

    def in_flights(self):
        """The same messages, and who has them: a list of `InFlight`, in the order of arrival."""
        return [InFlight._make(row) for row in self._in_flights()]

    @IfRedelivering
    def task_done(self):
        """The oldest message that this thread took, and has not reported yet, is done with.

        ValueError: there is none. A queue that was made without ``redeliver=True`` has no such
        method. (A `JoinableQueue` always has: some message is done with, whoever took it.)
        """
        self._task_done()

    @IfRedelivering
    def join(self):
        """Waits until every message that was put is done with, in whatever process.

        A queue that was made without ``redeliver=True``, and is no `JoinableQueue`, has no such
        method.
        """
        self._join()

    def shutdown(self, immediate=False):
        """Ends the queue for all processes; ``immediate`` drops what is left in it.

        ``put`` raises ``ShutDown`` from now on, and so does ``get`` as soon as nothing is left;
        whoever waits is woken. What is dropped counts as done. As ``queue.Queue.shutdown`` of
        Python 3.13. A process that is killed in the middle of it leaves the queue shut down, and
        somebody else may call it again.
        """
        self._shut_down(bool(immediate))

    @property
    def is_shutdown(self):
        """Whether ``shutdown`` was called, by any process."""
        return self._is_shut_down

    def __iter__(self):
        """Takes one message after the other, until the queue was shut down and nothing is left."""
        while True:
            try:
                message = self.get()
            except ShutDown:
                return
            yield message

    def close(self):
        self._close()
        if self.qsize():
            # The standard library's reader is closed by now, unless nothing was ever put.
            self.empty = raise_closed

    def join_thread(self):
        assert self._closed, f"Queue {self!r} not closed"

    def cancel_join_thread(self):
        pass

    def _terminate_broken(self):
        self.close()
        self.join_thread()

    @staticmethod
    def _on_queue_feeder_error(e, obj):
        """Called, in a subclass that overrides it, with an error in pickling that `put` had."""
        import traceback

        traceback.print_exception(type(e), e, e.__traceback__)


class JoinableFace:
    """What is in front of `QueueFace` in queues that count what is done."""

    def task_done(self):
        self._put_done()

    def join(self):
        self._join()


def raise_closed(*args, **kwargs):
    """In the place of the methods of a queue that this process has closed."""
    raise OSError("handle is closed")
