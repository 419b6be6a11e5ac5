"""What families do wherever their objects are, on this machine or on a server."""


class Family:  # as its heirs are called: its name stands before its methods' in error messages
    """Mixed in before what knows how an object is had: `_of_kind(kind, name, argument)`. What is
    left open is ``_closed``."""

    def close(self):
        """Ends the use of this object; what was had by it lives on."""
        self._closed = True

    def __enter__(self):
        self._check_open()
        return self

    def __exit__(self, *exc_info):
        self.close()

    def _check_open(self):
        if self._closed:
            raise ValueError(f"{self!r}: no object can be had by it any more")

    def queue(self, name, maxsize=None, *, redeliver=False):
        """The `Queue` of that name. `maxsize`: how many messages it holds, 0 for any number; None:
        as it is, and any number if it is new. With redeliver it is another kind of object.

        Here and below: TypeError if the name is something else's, ValueError if the object there
        was made otherwise than is asked for.
        """
        return self._of_kind("delivery_queue" if redeliver else "queue", name, maxsize)

    def joinable_queue(self, name, maxsize=None):
        """The `JoinableQueue` of that name; `maxsize` as of `queue`."""
        return self._of_kind("joinable_queue", name, maxsize)

    def lifo_queue(self, name, maxsize=None):
        """The `LifoQueue` of that name; `maxsize` as of `queue`."""
        return self._of_kind("lifo_queue", name, maxsize)

    def priority_queue(self, name, maxsize=None):
        """The `PriorityQueue` of that name; `maxsize` as of `queue`."""
        return self._of_kind("priority_queue", name, maxsize)

    def lock(self, name):
        """The `Lock` of that name."""
        return self._of_kind("lock", name)

    def rlock(self, name):
        """The `RLock` of that name."""
        return self._of_kind("rlock", name)

    def semaphore(self, name, value=1):
        """The `Semaphore` of that name; a new one has `value` permits."""
        return self._of_kind("semaphore", name, value)

    def bounded_semaphore(self, name, value=None):
        """The `BoundedSemaphore` of that name, which has `value` permits when all were given back;
        None: as it is, and 1 if it is new."""
        return self._of_kind("bounded_semaphore", name, value)

    def event(self, name):
        """The `Event` of that name."""
        return self._of_kind("event", name)

    def condition(self, name):
        """The `Condition` of that name, with a reentrant lock of its own."""
        return self._of_kind("condition", name)

    def barrier(self, name, parties):
        """The `Barrier` of that name, at which so many meet."""
        return self._of_kind("barrier", name, parties)

    def dict(self, name):
        """The shared dict of that name: what `Manager().dict()` gives, without a manager."""
        return self._of_kind("dict", name)

    def list(self, name):
        """The shared list of that name: what `Manager().list()` gives, without a manager."""
        return self._of_kind("list", name)

    def value(self, name, initial=None):
        """The shared value of that name, `v.value`, which is `initial` if it is new."""
        return self._of_kind("value", name, initial)
