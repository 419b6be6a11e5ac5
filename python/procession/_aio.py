"""Waiting in asyncio, without threads: `await queue.aget()`, `await lock.aacquire()` and so on.

Tasks of one loop that wait for the same thing stand in a *line*. The line is told, through the
loop's doorbell (a pipe of the core's, whatever the number of objects), when there may be something;
then it wakes as many as may go on, oldest first. Whoever was woken looks for himself, in his own
step: what is waited for is taken there or not at all, so that a task that is cancelled has taken
nothing.

What must hold: while anybody stands in a line, somebody will ring when something comes, or a task
that was woken has not looked yet. So a task that leaves, however it leaves, passes the word on.

As everywhere else, nothing depends on a ring: a process may be killed before it rings. After each
slice, a quarter of a second in which anything is waited for, all lines look again.

Any loop will do that has `add_reader` and `call_later`. asyncio itself is imported at first need.
"""

import collections
import os
import weakref
from queue import Empty, Full

from ._core import Doorbell, ShutDown

ITEMS, ROOM, DONE = range(3)
SLICE = 0.25
# A loop whose tasks have waited for nothing for so many slices gives its descriptors back.
IDLE = 4


class Line:
    """The tasks of one loop that wait for one thing."""

    __slots__ = ("coming", "thing", "users", "waiting", "what", "withdraw")

    def __init__(self, thing, what):
        self.thing = thing
        self.what = what
        self.users = 0
        self.waiting = collections.OrderedDict()  # futures, oldest first
        self.coming = 0  # were woken, and have not looked yet
        self.withdraw = None

    def look(self):
        """Wakes those who may go on; if there are none, the line is told of what comes."""
        self._wake(Doorbell.ready)
        if self.waiting and not self.coming:
            self._wake(Doorbell.announce)

    def _wake(self, ask):
        try:
            n = ask(self.thing, self.what)
        except Exception:
            n = len(self.waiting) + self.coming  # each meets the error itself
        while n > self.coming and self.waiting:
            turn, _ = self.waiting.popitem(last=False)
            if not turn.done():  # else its task was cancelled, and is about to leave
                turn.set_result(None)
                self.coming += 1


class Desk:
    """What one loop waits for."""

    def __init__(self):
        self._lines = {}
        self._bells = []
        self._ticks = False
        self._idle = 0

    def enter(self, loop, thing, what):
        """The line for this, one user more."""
        key = id(thing), what
        line = self._lines.get(key)
        if line is None:
            line = Line(thing, what)
            line.withdraw = self._listen(loop, line)
            self._lines[key] = line
        line.users += 1
        if not self._ticks:
            self._ticks = True
            self._idle = 0
            loop.call_later(SLICE, self._tick, loop)
        return line

    def leave(self, line):
        """One user less. Others go on."""
        line.users -= 1
        if line.users:
            line.look()
        else:
            del self._lines[id(line.thing), line.what]
            line.withdraw()

    def _listen(self, loop, line):
        """Has the doorbell of its family rung for a line; returns what ends that."""
        found = None
        for bell, lines in self._bells:
            token = bell.listen(line.thing, line.what)
            if token is not None:
                found = lines
                break
        else:
            bell, found = Doorbell(line.thing), {}
            loop.add_reader(bell.fileno(), self._rung, bell, found)
            self._bells.append((bell, found))
            token = bell.listen(line.thing, line.what)
        found[token] = line

        def withdraw():
            bell.stop(token)
            found.pop(token, None)

        return withdraw

    @staticmethod
    def _rung(bell, lines):
        for token in bell.heard():
            line = lines.get(token)
            if line is not None:
                line.look()

    def _tick(self, loop):
        self._idle = 0 if self._lines else self._idle + 1
        if self._idle >= IDLE:
            return self._close(loop)
        for bell, _ in self._bells:
            bell.tick()
        for line in list(self._lines.values()):
            line.look()
        loop.call_later(SLICE, self._tick, loop)

    def _close(self, loop):
        self._ticks = False
        while self._bells:
            loop.remove_reader(self._bells.pop()[0].fileno())


# Loop: weak reference to its desk, which the loop itself keeps, by a timer, until it is closed.
_desks = weakref.WeakKeyDictionary()


def _forget_desks():
    global _desks
    _desks = weakref.WeakKeyDictionary()  # the child of a fork has no loop yet


os.register_at_fork(after_in_child=_forget_desks)


def _desk(loop):
    known = _desks.get(loop)
    desk = None if known is None else known()
    if desk is None:
        desk = Desk()
        _desks[loop] = weakref.ref(desk)
    return desk


async def wait(thing, what, attempt, nothing):
    """Calls `attempt` when that may help, until it does not raise `nothing`; returns what it does.

    `attempt` is called in this task's own step, and what it returns is returned in that step.
    """
    from asyncio import get_running_loop

    loop = get_running_loop()
    desk = _desk(loop)
    line = desk.enter(loop, thing, what)
    turn, again = None, False
    try:
        while True:
            Doorbell.announce(thing, what)
            try:
                # What came before the announcement is there by now.
                return attempt()
            except nothing:
                pass
            turn = loop.create_future()
            line.waiting[turn] = None
            if again:  # who was woken in vain has not lost his place
                line.waiting.move_to_end(turn, last=False)
            await turn
            line.coming -= 1
            turn = None
            try:
                return attempt()
            except nothing:
                again = True
    finally:
        if turn is not None:
            if turn.done() and not turn.cancelled():
                line.coming -= 1
            else:
                line.waiting.pop(turn, None)
        if not loop.is_closed():
            desk.leave(line)


class AsyncQueue:
    """Mixed into queues: `aget`, `aput` and `async for`."""

    async def aget(self):
        """Takes the next object out of the queue and returns it; waits for one in this task alone.

        The other tasks of the loop go on meanwhile; no thread waits. `asyncio.wait_for` and
        `asyncio.timeout` end the wait. A task that is cancelled has taken nothing. Tasks of one
        loop get objects in the order in which they came to wait. Whoever puts may be any process;
        if one is killed just after a put, the object is there a quarter of a second later at most.
        Raises what `get` raises, but never `queue.Empty`.

        >>> import asyncio, procession
        >>> numbers = procession.Queue()
        >>> async def main():
        ...     taking = asyncio.create_task(numbers.aget())
        ...     await numbers.aput(7)
        ...     return await taking
        >>> asyncio.run(main())
        7
        """
        try:
            return self.get(False)
        except Empty:
            return await wait(self, ITEMS, lambda: self.get(False), Empty)

    async def aput(self, obj):
        """Puts an object into the queue; waits for room in this task alone, as `aget` does.

        A task that is cancelled has put nothing. Raises what `put` raises, but never `queue.Full`.
        """
        try:
            self.put(obj, False)
        except Full:
            await wait(self, ROOM, lambda: self.put(obj, False), Full)

    def __aiter__(self):
        return self

    async def __anext__(self):
        try:
            return await self.aget()
        except ShutDown:
            raise StopAsyncIteration from None


class AsyncJoin:
    """Mixed into queues that have `join`."""

    async def ajoin(self):
        """Waits, in this task alone, until `task_done` was called for all that was put.

        What a process that was killed had taken, and not reported as done, keeps it waiting.
        """

        def is_done():
            if not Doorbell.ready(self, DONE):
                raise Empty

        try:
            is_done()
        except Empty:
            await wait(self, DONE, is_done, Empty)


class AsyncLock:
    """Mixed into locks and semaphores: `aacquire` and `async with`."""

    async def aacquire(self):
        """Acquires it; waits for that in this task alone, and returns True.

        The other tasks of the loop go on meanwhile; no thread waits. A task that is cancelled has
        acquired nothing. There is no order among processes; tasks of one loop come in their order.
        If the process is killed that holds the lock, the next one gets it within half a second,
        with an `AbandonedLockWarning`, as with `acquire`. A plain lock and a semaphore may be
        released by any task, thread or process.

        >>> import asyncio, procession
        >>> lock = procession.Lock()
        >>> async def main():
        ...     async with lock:
        ...         return lock.locked()
        >>> asyncio.run(main())
        True
        """
        if self.acquire(False):
            return True
        return await wait(self, ITEMS, self._try, Empty)

    def _try(self):
        if not self.acquire(False):
            raise Empty
        return True

    async def __aenter__(self):
        return await self.aacquire()

    async def __aexit__(self, *exc_info):
        self.release()


class AsyncRLock(AsyncLock):
    """Mixed into reentrant locks, which belong to a task then, and not only to its thread."""

    _task = None

    async def aacquire(self):
        """As `Lock.aacquire`; it is this task's then, which may acquire it again and releases it.

        Other tasks of the loop wait, as other threads do; so do all while the loop's thread itself
        has it by `acquire`. (Which does not see whose task it is: in a loop acquire it by
        `aacquire` only.)
        """
        try:
            return self._try()
        except Empty:
            return await wait(self, ITEMS, self._try, Empty)

    def _try(self):
        from asyncio import current_task

        me = current_task()
        if self._is_mine() and (self._task is None or self._task() is not me):
            raise Empty  # to the core it is all one thread
        if not self.acquire(False):
            raise Empty
        self._task = weakref.ref(me)
        # A release must look whose it is, from now on. (The class's is the core's own, and faster.)
        self.__dict__.setdefault("release", self._release_as_task)
        return True

    def _release_as_task(self):
        from asyncio import _get_running_loop, current_task

        if self._task is not None and self._is_mine():
            task = current_task() if _get_running_loop() is not None else None
            if self._task() is not task:
                raise AssertionError("attempt to release recursive lock not owned by task")
            if self._count() == 1:
                self._task = None
        type(self).release(self)
