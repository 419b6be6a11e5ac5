"""What stands for the native thread queues where the Rust core does not run.

Its methods normalise their arguments and go on in the opened mode (_openqueue.py), always: so
`procession.queue` has all its methods on every system.
"""

import types


class ThreadQueue:
    """A queue whose opened mode is all that it has."""

    _is_open = False
    _order = "fifo"

    def __new__(cls, *args, **keywords):
        self = super().__new__(cls)
        vars(self).update(maxsize=0, unfinished_tasks=0, is_shutdown=False)
        return self

    def __init__(self, maxsize=0):
        self._is_open = True
        self.maxsize = maxsize

    __class_getitem__ = classmethod(types.GenericAlias)

    def _open_up(self, parts):
        vars(self).update(parts)

    def qsize(self):
        """How many objects are in the queue."""
        return self._opened_qsize()

    def empty(self):
        """Whether there is nothing to get at this moment."""
        return self._opened_empty()

    def full(self):
        """Whether there is no room at this moment."""
        return self._opened_full()

    def put(self, item, block=True, timeout=None):
        """Puts an object into the queue; waits for room, at most timeout seconds; then Full."""
        self._opened_put(item, block, timeout)

    def get(self, block=True, timeout=None):
        """Takes the next object; waits for one, at most timeout seconds; then raises Empty."""
        return self._opened_get(block, timeout)

    def put_nowait(self, item):
        """The same as put(item, False)."""
        return self.put(item, block=False)

    def get_nowait(self):
        """The same as get(False)."""
        return self.get(block=False)

    def put_many(self, objs, timeout=None, *, block=True):
        """Puts each of some objects, in their order; timeout is for all of them."""
        self._opened_put_many(objs, block, timeout)

    def get_many(self, max=None, timeout=None, *, block=True):
        """Takes what is there, at most max objects, as a list; waits for the first only."""
        return self._opened_get_many(max, block, timeout)

    def peek(self, block=True, timeout=None):
        """The object that get would return, left where it is."""
        return self._opened_peek(block, timeout)

    def peek_nowait(self):
        """The same as peek(False)."""
        return self._opened_peek(False, None)

    def task_done(self):
        """Says that one object got is done."""
        self._opened_task_done()

    def join(self):
        """Waits until all that was put is done."""
        self._opened_join()

    def shutdown(self, immediate=False):
        """Puts raise ShutDown from now on, gets when nothing is left; immediate drops that, too."""
        self._opened_shutdown(immediate)

    def __iter__(self):
        from ._openqueue import iterate

        return iterate(self)

    def _when_item(self, callback, *, first=False):
        return self._opened_when_item(callback, first)

    def _when_room(self, callback, *, first=False):
        return self._opened_when_room(callback, first)

    def _when_done(self, callback, *, first=False):
        return self._opened_when_done(callback, first)

    def _forget(self, token):
        return self._opened_forget(token)
