"""What the tests of asyncio have in common: a loop that has nothing but what is promised to suffice."""

import asyncio
import os
import random
import threading

import backends
from support import PATIENCE


class BareLoop(asyncio.SelectorEventLoop):
    """No threads, no writers, no wake-ups from other threads: what suffices in the arena."""

    def run_in_executor(self, executor, func, *args):
        raise AssertionError("a thread")

    def add_writer(self, fd, callback, *args):
        raise AssertionError("a writer")

    def call_soon_threadsafe(self, callback, *args, context=None):
        raise AssertionError("from another thread")


async def cancel(tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def new_loop(backend=None):
    """One for the tests of that back end, by its name: in a child, who does not know."""
    name = backend or backends.current.name
    return BareLoop() if name == backends.ARENA else asyncio.SelectorEventLoop()


def run(main, *, debug=False, backend=None):
    """Runs a coroutine to its end in a loop of its own, and ends its tasks."""
    loop = new_loop(backend)
    loop.set_debug(debug)
    try:
        return loop.run_until_complete(asyncio.wait_for(main, PATIENCE))
    finally:
        loop.run_until_complete(cancel(asyncio.all_tasks(loop)))
        loop.close()


def threads():
    """This process's; but for those that wait for a server, each a while longer than it has to."""
    lines = {str(t.native_id) for t in threading.enumerate() if t.name == "procession-line"}
    return sorted({*os.listdir("/proc/self/task")} - lines)


def some(tasks, n, seed=8):
    return random.Random(seed).sample(tasks, n)
