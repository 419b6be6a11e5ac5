"""Queues for the threads of one process, and for its coroutines: the standard library's `queue`.

The objects themselves are handed over, with no copy. The classes are native (the Rust core's); a
program that reaches into a queue, or overrides its hooks, gets one that works as the standard
library's does (_openqueue.py). On a system without the core that is so from the start.

Beside what `queue` has: `put_many`, `get_many`, `peek`, `shutdown` on every Python, iteration, and
`aget`, `aput`, `ajoin` and `async for` for coroutines. For processes there are the same names in
`procession.queues`.

Follows https://docs.python.org/3/library/queue.html
"""

import sys

from . import _leastfirst
from ._openqueue import Empty, Full, Opens, ShutDown, hooks
from ._openqueue import standard as _standard  # the real one, also if this is loaded once more
from ._threadaio import Awaits, Joins

if sys.modules[__package__].native:
    from ._core import ThreadQueue, ThreadSimpleQueue
else:
    from ._threadless import ThreadQueue

    class ThreadSimpleQueue(Opens, ThreadQueue):
        """What stands for the native one: a put never waits."""

        _native = ThreadQueue

        def __init__(self):
            super().__init__()

        def put(self, item, block=True, timeout=None):
            self._opened_put(item, True, None)


__all__ = ["Empty", "Full", "LifoQueue", "PriorityQueue", "Queue", "ShutDown", "SimpleQueue"]


def __getattr__(name):
    # Programs know of the real module's inner names, too.
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_standard, name)


class _Stays:
    """A queue does not travel; a subclass that says how it does, does."""

    def __reduce_ex__(self, protocol):
        kind = type(self)
        if any(vars(each).keys() & _WAYS for each in kind.mro() if each not in _PLAIN):
            return super().__reduce_ex__(protocol)
        raise TypeError(
            f"cannot pickle {kind.__name__!r} object: it is for the threads of one process,"
            " and procession.Queue is for several"
        )


_WAYS = {"__reduce__", "__getstate__"}


class Queue(Opens, Joins, Awaits, _Stays, ThreadQueue):
    """Queue(maxsize=0): hands objects from threads and coroutines to others, first in, first out.

    It holds at most ``maxsize`` objects; 0 or less means as many as memory allows. Any number of
    threads and event loops of one process may use it; for other processes, `procession.Queue`.

    put(item, block=True, timeout=None)
        Waits for room; ``Full`` when there is none in time, ``ShutDown`` after ``shutdown()``.
    get(block=True, timeout=None)
        Waits for an object; ``Empty`` when there is none in time, ``ShutDown`` when the queue was
        shut down and nothing is left.
    put_nowait(item), get_nowait()
        The same without waiting.
    put_many(objs, timeout=None, *, block=True), get_many(max=None, timeout=None, *, block=True)
        The same for several at once; ``get_many`` takes what is there, and waits for the first.
    peek(block=True, timeout=None), peek_nowait()
        What ``get`` would return, left where it is.
    shutdown(immediate=False)
        No more puts; ``immediate`` also drops what is left. Who waits is woken. ``for item in q``
        takes one object after the other until then.
    task_done(), join()
        Says that one object got is done; waits until all that were put are.
    aget(), aput(item), ajoin(), ``async for``
        The same for coroutines, with no helper thread.
    qsize(), empty(), full()
        Exact at the moment of asking.

    A time-out counts seconds; a negative one is a ``ValueError``. Ctrl-C ends a wait at once. In a
    forked child the queue has what it had at the fork, for the child alone.

    A class may override ``_init``, ``_qsize``, ``_put`` and ``_get``, and a program may use
    ``mutex``, ``not_empty``, ``not_full``, ``all_tasks_done`` and ``queue``, as in the standard
    library; such a queue is as fast as the standard library's.

    Follows https://docs.python.org/3/library/queue.html#queue.Queue

    >>> from procession.queue import Queue
    >>> q = Queue()
    >>> q.put_many("abc")
    >>> q.get(), q.peek(), q.get_many()
    ('a', 'b', ['b', 'c'])
    """

    _native = ThreadQueue


class LifoQueue(Queue):
    """LifoQueue(maxsize=0): a Queue that gives back first what was put last.

    Everything else is as in `Queue`.

    Follows https://docs.python.org/3/library/queue.html#queue.LifoQueue

    >>> from procession.queue import LifoQueue
    >>> q = LifoQueue()
    >>> q.put_many("abc")
    >>> q.get_many()
    ['c', 'b', 'a']
    """

    _order = "lifo"
    _container = list

    def _init(self, maxsize):
        self.queue = []

    def _qsize(self):
        return len(self.queue)

    def _put(self, item):
        self.queue.append(item)

    def _get(self):
        return self.queue.pop()


class PriorityQueue(Queue):
    """PriorityQueue(maxsize=0): a Queue that gives back the least object first.

    Objects are compared by ``<``, and come in exactly the order in which `heapq` would give them.
    An exception out of a comparison goes to the caller, and nothing is lost; a comparison that uses
    the queue itself is a ``RuntimeError``. Everything else is as in `Queue`.

    Follows https://docs.python.org/3/library/queue.html#queue.PriorityQueue

    >>> from procession.queue import PriorityQueue
    >>> q = PriorityQueue()
    >>> q.put_many([(2, "later"), (1, "now")])
    >>> q.get()
    (1, 'now')
    """

    _order = "priority"
    _container = list

    def _init(self, maxsize):
        self.queue = []

    def _qsize(self):
        return len(self.queue)

    def _put(self, item):
        _leastfirst.push(self.queue, item)

    def _get(self):
        return _leastfirst.pop(self.queue)


class SimpleQueue(Awaits, _Stays, ThreadSimpleQueue):
    """SimpleQueue(): a queue without bounds whose ``put`` never waits.

    It has no ``maxsize``, ``full``, ``task_done`` and ``join``; ``put`` ignores its ``block`` and
    ``timeout``, and may be called from a destructor or a signal handler that interrupts another
    call. Everything else is as in `Queue`.

    Follows https://docs.python.org/3/library/queue.html#queue.SimpleQueue

    >>> from procession.queue import SimpleQueue
    >>> q = SimpleQueue()
    >>> q.put(1)
    >>> q.get()
    1
    """


LifoQueue._native_hooks = hooks(LifoQueue)
PriorityQueue._native_hooks = hooks(PriorityQueue)
_PLAIN = {*Queue.__mro__, *SimpleQueue.__mro__}
