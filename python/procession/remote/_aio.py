"""Waiting for a server in asyncio: `await queue.aget()` and the like.

A round trip must not keep a loop waiting, and what is asked of a server waits in a thread. So what
tasks want of one object goes to a *line*, a thread of that object's own for one kind of request; it
serves them one after the other, in their order, and ends when it has had nothing to do for a while.

A task that is cancelled stops its request. If that was done by then, its `undo` is done, too.
"""

import collections
import os
import threading
import weakref

from .. import _aio
from .._core import RemoteStop, RemoteStopped

# A thread that has nothing to do for so many seconds ends.
IDLE = 5.0
# How long a task that is cancelled waits until what it had asked for is withdrawn.
WITHDRAWING = 0.25

_lines = weakref.WeakSet()
_guard = threading.Lock()  # of who makes a line


class _Request:
    """What a task wants."""

    def __init__(self, loop, attempt, undo):
        self.turn = loop.create_future()
        self.left = loop.create_future()  # done when nothing of it is under way any more
        self.stop = RemoteStop()
        self.begun = False
        self._loop = loop
        self._attempt = attempt
        self._undo = undo

    def serve(self):
        """In the line's thread."""
        self.begun = True
        if self.stop.is_set:
            return
        try:
            result = self._attempt(self.stop)
        except RemoteStopped:
            self._tell(self._leave)
        except BaseException as error:
            self._tell(self._failed, error)
        else:
            # Here, before the next request is served: so what goes back is still the first.
            if self.stop.is_set or not self._tell(self._done, result):
                self.take_back(result)

    def take_back(self, result):
        """In any thread but the loop's."""
        try:
            if self._undo is not None:
                self._undo(result)
        finally:
            self._tell(self._leave)

    def _tell(self, function, *arguments):
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop is closed
            return False
        return True

    # In the loop's thread; the task may be gone by then.

    def _leave(self):
        if not self.left.done():
            self.left.set_result(None)

    def _done(self, result):
        if self.turn.done():
            self.undo_later(result)
        else:
            self.turn.set_result(result)
            self._leave()

    def _failed(self, error):
        self._leave()
        if self.turn.done():
            return
        if isinstance(error, StopIteration):
            error = RuntimeError(repr(error))  # a future takes no such
        self.turn.set_exception(error)

    def withdraw(self):
        """Its task is cancelled. Whether something of it may be under way."""
        self.stop.set()
        turn = self.turn
        if turn.done() and not turn.cancelled():
            if turn.exception() is not None:
                return False
            self.undo_later(turn.result())  # the task was cancelled just after that
            return True
        return self.begun  # else it never will

    def undo_later(self, result):
        if self.left.done():
            self.left = self._loop.create_future()
        # Not in the line's thread, which may be waiting for something else.
        threading.Thread(target=self.take_back, args=(result,), daemon=True).start()


class _Line:
    """The requests of one kind for one object, and the thread that serves them."""

    def __init__(self):
        self._process = os.getpid()
        self._bell = threading.Condition()
        self._waiting = collections.deque()
        self._current = None
        self._runs = False
        self._ended = False
        _lines.add(self)

    def is_of_this_process(self):
        return self._process == os.getpid()

    def enter(self, request):
        with self._bell:
            self._waiting.append(request)
            self._bell.notify()
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._serve, name="procession-line", daemon=True).start()

    def end(self):
        with self._bell:
            self._ended = True
            if self._current is not None:
                self._current.stop.set()
            self._bell.notify()

    def _serve(self):
        while (request := self._next()) is not None:
            request.serve()
            self._current = request = None  # they have what they are about

    def _next(self):
        with self._bell:
            self._current = None
            if not self._waiting and not self._ended:
                self._bell.wait(IDLE)
            if not self._waiting or self._ended:
                self._runs = False
                return None
            self._current = self._waiting.popleft()
            return self._current


def end_all():
    """At the end of the process: no thread asks a server for anything any more."""
    for line in list(_lines):
        if line.is_of_this_process():
            line.end()


def _line_of(owner, what):
    with _guard:
        lines = vars(owner).setdefault("_lines", {})
        line = lines.get(what)
        if line is None or not line.is_of_this_process():
            line = lines[what] = _Line()
        return line


async def run(owner, what, attempt, undo=None):
    """The result of `attempt(stop)`, which is called in the line of `owner` for `what`.

    If the task is cancelled, `stop` is set; if it was done by then, `undo(result)` is called in
    another thread."""
    from asyncio import CancelledError, get_running_loop

    request = _Request(get_running_loop(), attempt, undo)
    _line_of(owner, what).enter(request)
    try:
        return await request.turn
    except CancelledError:
        if request.withdraw():
            from asyncio import wait

            # When this task goes on nothing of its request is left, so long as the server answers.
            await wait([request.left], timeout=WITHDRAWING)
        raise
    except GeneratorExit:
        request.withdraw()
        raise


class AsyncQueue(_aio.AsyncQueue):
    """Mixed into queues: `aget`, `aput` and `async for`."""

    async def aget(self):
        """Takes the next object out of the queue and returns it; waits for one in this task alone.

        The other tasks of the loop go on meanwhile: a thread of this queue's asks the server, one
        for all tasks that wait for it, in their order. What was taken for a task that is cancelled
        meanwhile goes back to the front. Raises what `get` raises, but never `queue.Empty`.
        """
        return self._open_raw(await run(self, "get", self._get_raw, self._give_back))

    async def aput(self, obj):
        """Puts an object into the queue; waits for room in this task alone, as `aget` does.

        A task that is cancelled while it waits for room has put nothing; one that is cancelled
        while the object is on its way to the server may have put it. Raises what `put` raises, but
        never `queue.Full`.
        """
        message = self._encode(obj)
        await run(self, "put", lambda stop: self._put_raw(message, stop))


class AsyncJoin:
    """Mixed into queues that have `join`."""

    async def ajoin(self):
        """Waits, in this task alone, until `task_done` was called for all that was put."""
        await run(self, "join", lambda stop: self._join(None, stop))


def _after_fork():
    global _guard
    _guard = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
