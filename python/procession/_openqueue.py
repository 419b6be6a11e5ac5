"""The opened mode of thread queues: the standard library's face for those who reach inside.

`queue.Queue` is a class in Python, and programs use its insides: they hold `mutex`, clear `queue`,
set `unfinished_tasks`, wait on `not_empty`, or override `_init`, `_qsize`, `_put` and `_get`. A
native queue has none of these. So a queue that is asked for one of them, or whose class overrides
one of the four, is *opened*, for good: what is inside becomes a Python container, under a real lock
with three real conditions, and from then on the native methods come here (`_opened_put` and so on).
Threads that were waiting natively come as well, with the time that they have left. What was asked
for and what the class adds then works as it does in the standard library, at its speed.

The core opens a queue in one step: its objects and its new attributes change places at once, and
no Python code runs in between, of another thread, a signal's handler or a destructor.
"""

import queue as standard  # noqa: F401 -- for queue.py
import sys
import threading
from collections import OrderedDict, deque
from queue import Empty, Full
from time import monotonic

if sys.modules[__package__].native:
    from ._core import ShutDown
else:
    try:
        from queue import ShutDown
    except ImportError:  # before Python 3.13

        class ShutDown(Exception):
            """Raised by a queue that was shut down; on Python 3.13 it is the standard library's."""

        ShutDown.__module__ = f"{__package__}.queue"

_PARTS = frozenset({"all_tasks_done", "mutex", "not_empty", "not_full", "queue"})
_HOOKS = ("_init", "_qsize", "_put", "_get")
_TELLING = _PARTS.union(_HOOKS)


def hooks(kind):
    """What a class has for the four methods that a program may override."""
    return [kind._init, kind._qsize, kind._put, kind._get]


def open_up(queue):
    """Makes a native queue one whose parts can be touched; does nothing if it is one."""
    if "mutex" not in vars(queue):
        # It may have to wait for a comparison first.
        queue._open_up({**_new_parts(), "queue": queue._container()})


def _new_parts():
    mutex = threading.Lock()
    return {
        "mutex": mutex,
        "not_empty": Bell(mutex),
        "not_full": Bell(mutex),
        "all_tasks_done": Bell(mutex),
    }


class Bell(threading.Condition):
    """A condition that also rings for callbacks: each is called once, or is forgotten before.

    A RuntimeError out of a callback says that nobody is behind it any more (its event loop is
    closed): the next one is called in its place.
    """

    def __init__(self, lock):
        super().__init__(lock)
        self._calls = OrderedDict()

    def notify(self, n=1):
        super().notify(n)
        self._call(n)

    def notify_all(self):
        super().notify_all()
        self._call(len(self._calls))

    def _call(self, n):
        while n > 0 and self._calls:
            _, callback = self._calls.popitem(last=False)
            try:
                callback()
            except RuntimeError:
                continue
            except BaseException:
                self._call(n)  # a signal's handler raised, and who knows whether it was heard
                raise
            n -= 1

    def register(self, token, callback, first):
        self._calls[token] = callback
        self._calls.move_to_end(token, last=not first)

    def forget(self, token):
        return self._calls.pop(token, None) is not None


class _Part:
    """An attribute that only an opened queue has: to ask for it opens the queue."""

    def __init__(self, name):
        self._name = name

    def __get__(self, queue, owner):
        if queue is not None:
            open_up(queue)
            try:
                return vars(queue)[self._name]
            except KeyError:
                pass
        raise AttributeError(f"{owner.__name__!r} object has no attribute {self._name!r}")


class Opens:
    """What all classes of thread queues with parts and hooks have, in front of the native base."""

    # No __set__: what an opened queue has in its dictionary is found there first.
    mutex = _Part("mutex")
    not_empty = _Part("not_empty")
    not_full = _Part("not_full")
    all_tasks_done = _Part("all_tasks_done")
    queue = _Part("queue")
    _container = deque

    def __init__(self, maxsize=0):
        super().__init__(maxsize)
        if maxsize is None:
            self.maxsize = None  # a TypeError, from which the native one would be free
        kind = type(self)
        if self._is_open or hooks(kind) != kind._native_hooks:
            open_up(self)
            vars(self).update(_new_parts())
            self.unfinished_tasks = 0
            self.is_shutdown = False
            self._init(maxsize)

    def __init_subclass__(cls, **keywords):
        super().__init_subclass__(**keywords)
        for method, others in _FOLLOWERS.items():
            if getattr(cls, method) is not getattr(cls._native, method):
                for name, function in others.items():
                    if getattr(cls, name) is getattr(cls._native, name):
                        setattr(cls, name, function)

    def __setattr__(self, name, value):
        if name in _TELLING:
            open_up(self)
        super().__setattr__(name, value)

    def __dir__(self):
        # Managers and debuggers ask for all that they find here.
        hidden = _PARTS.difference(vars(self))
        return [name for name in super().__dir__() if name not in hidden]

    # ------------------------------------------------------------ the hooks, first in, first out

    def _init(self, maxsize):
        self.queue = deque()

    def _qsize(self):
        return len(self.queue)

    def _put(self, item):
        self.queue.append(item)

    def _get(self):
        return self.queue.popleft()

    def _peek(self):
        """What `_get` would return. A class that overrides `_get` overrides this, if it is used."""
        kind = type(self)
        if kind._get is not kind._native_hooks[3] or "_get" in vars(self):
            raise NotImplementedError(f"{kind.__name__} has a _get of its own, but no _peek")
        return self.queue[-1 if kind._order == "lifo" else 0]

    # ------------------------------------------------------------ what the native methods call

    def _opened_qsize(self):
        with self.mutex:
            return self._qsize()

    def _opened_empty(self):
        with self.mutex:
            return not self._qsize()

    def _opened_full(self):
        with self.mutex:
            return not self._has_room()

    def _opened_put(self, item, block, timeout):
        with self.not_full:
            self._wait_for_room(block, timeout)
            self._add(item)

    def _opened_put_many(self, items, block, timeout):
        deadline = _deadline(block, timeout)
        done = 0
        for item in items:
            left = None if deadline is None else max(0.0, deadline - monotonic())
            try:
                self._opened_put(item, block, left)
            except Full:
                raise Full(f"{done} objects were put, then the queue was full") from None
            done += 1

    def _opened_get(self, block, timeout):
        with self.not_empty:
            self._wait(self.not_empty, self._qsize, block, timeout, Empty)
            return self._take()

    def _opened_get_many(self, most, block, timeout):
        if most is not None and most <= 0:
            return []
        with self.not_empty:
            self._wait(self.not_empty, self._qsize, block, timeout, Empty)
            items = [self._take()]
            while self._qsize() and (most is None or len(items) < most):
                items.append(self._take())
            return items

    def _opened_peek(self, block, timeout):
        with self.not_empty:
            self._wait(self.not_empty, self._qsize, block, timeout, Empty)
            try:
                return self._peek()
            finally:
                # It may have been woken in the place of one who wants to take.
                self.not_empty.notify()

    def _opened_task_done(self):
        with self.all_tasks_done:
            if self.unfinished_tasks <= 0:
                raise ValueError("task_done() called too many times")
            self.unfinished_tasks -= 1
            if self.unfinished_tasks == 0:
                self.all_tasks_done.notify_all()

    def _opened_join(self):
        with self.all_tasks_done:
            while self.unfinished_tasks:
                self.all_tasks_done.wait()

    def _opened_shutdown(self, immediate):
        dropped = []  # their destructors must find the mutex free
        with self.mutex:
            self.is_shutdown = True
            if immediate:
                while self._qsize():
                    dropped.append(self._get())
                    self.unfinished_tasks = max(0, self.unfinished_tasks - 1)
                self.all_tasks_done.notify_all()
            self.not_empty.notify_all()
            self.not_full.notify_all()

    def _opened_when_item(self, callback, first=False):
        return self._when(self.not_empty, self._qsize, callback, first)

    def _opened_when_room(self, callback, first=False):
        return self._when(self.not_full, self._has_room, callback, first)

    def _opened_when_done(self, callback, first=False):
        return self._when(
            self.all_tasks_done, lambda: not self.unfinished_tasks, callback, first, False
        )

    def _opened_forget(self, token):
        with self.mutex:
            bells = self.not_empty, self.not_full, self.all_tasks_done
            if any(bell.forget(token) for bell in bells):
                return True
            for bell in bells:
                bell.notify()
            return False

    # ------------------------------------------------------------ with the mutex held

    def _has_room(self):
        return self.maxsize <= 0 or self._qsize() < self.maxsize

    def _add(self, item):
        self._put(item)
        self.unfinished_tasks += 1
        self.not_empty.notify()

    def _take(self):
        item = self._get()
        self.not_full.notify()
        return item

    def _wait_for_room(self, block, timeout):
        if not self.is_shutdown and self.maxsize > 0:
            self._wait(self.not_full, self._has_room, block, timeout, Full)
        if self.is_shutdown:
            raise ShutDown

    def _wait(self, condition, ready, block, timeout, too_late):
        """Waits until ready(); raises `too_late` if time runs out, ShutDown after a shutdown."""
        over = self.is_shutdown and not ready()
        if block and timeout is not None and timeout < 0 and not over:
            raise ValueError("'timeout' must be a non-negative number")
        deadline = None
        while not ready():
            if self.is_shutdown:
                raise ShutDown
            if not block:
                raise too_late
            left = None
            if timeout is not None:
                deadline = deadline or monotonic() + timeout
                left = deadline - monotonic()
                if left <= 0:
                    raise too_late
            try:
                condition.wait(left)
            except BaseException:
                condition.notify()  # it may have been woken before it was interrupted
                raise

    def _when(self, bell, ready, callback, first, ends=True):
        with self.mutex:
            if ready() or (ends and self.is_shutdown):
                return None
            token = object()  # native ones are numbers
            bell.register(token, callback, first)
            return token


Opens._native_hooks = hooks(Opens)
Opens.__init__.__qualname__ = "Queue.__init__"  # in the texts of TypeErrors


def _deadline(block, timeout):
    if not block or timeout is None:
        return None
    if timeout < 0:
        raise ValueError("'timeout' must be a non-negative number")
    return monotonic() + timeout


# ---------------------------------------------------------------- when a class overrides put or get


def _put_many(self, objs, timeout=None, *, block=True):
    """put() for each object, in their order; timeout, in seconds, is for all of them."""
    deadline = _deadline(block, timeout)
    for done, item in enumerate(objs):
        left = None if deadline is None else max(0.0, deadline - monotonic())
        try:
            self.put(item, block, left)
        except Full:
            raise Full(f"{done} objects were put, then the queue was full") from None


def _get_many(self, max=None, timeout=None, *, block=True):
    """Takes what is there by get(), at most max objects; waits for the first, at most timeout s."""
    if max is not None and max <= 0:
        return []
    items = [self.get(block, timeout)]
    there = self.qsize()  # a producer that never rests must not keep us here
    while len(items) <= there and (max is None or len(items) < max):
        try:
            items.append(self.get(False))
        except (Empty, ShutDown):
            break
    return items


def iterate(self):
    """Takes one object after the other by get(), until the queue is shut down and empty."""
    while True:
        try:
            item = self.get()
        except ShutDown:
            return
        yield item


_FOLLOWERS = {
    "put": {"put_many": _put_many},
    "get": {"get_many": _get_many, "__iter__": iterate},
}
