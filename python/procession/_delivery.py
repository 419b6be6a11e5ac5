"""What a queue with redeliver=True gives out beside its objects."""

import types
from collections import namedtuple

InFlight = namedtuple("InFlight", "pid name delivery_count seconds bytes number")
InFlight.__doc__ = """A message in flight, as `Queue.in_flights` lists them.

    pid, name
        The process that has it, and what it calls itself.
    delivery_count
        How often the message was delivered, this time included.
    seconds
        How long ago that process took it, to some milliseconds.
    bytes
        Its encoded length.
    number
        How many messages were put before it.
    """


class Delivery:
    """A message that this process has taken, and what is to be said of it.

    As a context manager it gives out the object; at the end of the block the message is done, or,
    if an exception leaves the block, given back:

    >>> import procession as mp
    >>> q = mp.Queue(redeliver=True)
    >>> q.put("work")
    >>> with q.get_delivery() as work:
    ...     assert work == "work"
    >>> q.in_flight()
    0

    What was done or given back in the block stays so. Dropped without a word, the message stays in
    flight until the process ends, and then comes back. It is of no use in another process.
    """

    __slots__ = ("_queue", "_said", "_ticket", "item")

    def __init__(self, queue, item, ticket):
        self._queue = queue
        self._ticket = ticket
        self._said = False
        self.item = item

    @property
    def count(self):
        """How often the message was delivered, this time included: 1, unless it came back."""
        return self._ticket.count

    @property
    def number(self):
        """How many messages were put into the queue before this one."""
        return self._ticket.number

    def done(self):
        """The message is done with, and does not come back.

        ValueError: it is not in flight in this process (any more).
        """
        self._settle(True)

    def give_back(self):
        """The message waits again, where it stood: before all that came later.

        Its count stays; for who takes it next it is one more. ValueError: as of ``done``.
        """
        self._settle(False)

    def _settle(self, done):
        self._queue._settle(self._ticket, done)
        self._said = True

    def __enter__(self):
        return self.item

    def __exit__(self, exc_type, exc_value, traceback):
        if not self._said:
            self._settle(exc_type is None)

    def __repr__(self):
        return f"<Delivery {self.count} of message {self.number}>"

    __class_getitem__ = classmethod(types.GenericAlias)
