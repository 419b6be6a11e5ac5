"""Thread queues for coroutines: `aget`, `aput`, `ajoin` and `async for`, with no thread.

A coroutine tries without waiting. If that fails it leaves a callback with the queue and awaits a
future of its own loop; whoever puts, takes or ticks off calls it, from whatever thread, and the
coroutine tries again. So an object is handed over in one step that nothing can interrupt: a
cancelled coroutine has not taken or put anything, and `_forget` passes on the wake-up that it may
have got.
"""

from functools import partial
from queue import Empty, Full

from ._openqueue import ShutDown


def _wake(future):
    if not future.done():
        future.set_result(None)


async def _until(queue, register, again):
    """Waits until `register`'s callback is called; `again`: in front of all who came later."""
    from asyncio import get_running_loop

    loop = get_running_loop()
    future = loop.create_future()
    # A loop that was closed meanwhile raises, and then the next one is called.
    token = register(partial(loop.call_soon_threadsafe, _wake, future), first=again)
    if token is None:
        return
    try:
        await future
    except BaseException:
        queue._forget(token)
        raise


class Awaits:
    """Getting and putting for coroutines."""

    async def aget(self):
        """The same as get() for a coroutine: the loop runs on while it waits.

        Raises queue.ShutDown when the queue was shut down and is empty. A coroutine that is
        cancelled has taken nothing. For a time limit: ``asyncio.wait_for(q.aget(), seconds)``.

        >>> import asyncio, procession.queue
        >>> q = procession.queue.Queue()
        >>> q.put("from any thread")
        >>> asyncio.run(q.aget())
        'from any thread'
        """
        again = False
        while True:
            try:
                return self.get_nowait()
            except Empty:
                pass
            await _until(self, self._when_item, again)
            again = True

    async def aput(self, item):
        """The same as put(item) for a coroutine: the loop runs on while it waits for room.

        Raises queue.ShutDown when the queue was shut down. A coroutine that is cancelled has put
        nothing.

        >>> import asyncio, procession.queue
        >>> q = procession.queue.Queue()
        >>> asyncio.run(q.aput(1))
        >>> q.get()
        1
        """
        again = False
        while True:
            try:
                return self.put_nowait(item)
            except Full:
                pass
            await _until(self, self._when_room, again)
            again = True

    async def __aiter__(self):
        """Takes one object after the other until the queue is shut down and empty."""
        while True:
            try:
                item = await self.aget()
            except ShutDown:
                return
            yield item


class Joins:
    """Waiting for the end of all the work, for coroutines."""

    async def ajoin(self):
        """The same as join() for a coroutine: waits until all that was put is ticked off."""
        again = False
        while self.unfinished_tasks:
            await _until(self, self._when_done, again)
            again = True
