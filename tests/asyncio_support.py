"""What the tests of asyncio have in common: a loop that has nothing but what is promised to suffice."""

import asyncio
import os
import random

from support import PATIENCE


class BareLoop(asyncio.SelectorEventLoop):
    """No threads, no writers, no wake-ups from other threads."""

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


def run(main, *, debug=False, loop=BareLoop):
    """Runs a coroutine to its end in a loop of its own, and ends its tasks."""
    loop = loop()
    loop.set_debug(debug)
    try:
        return loop.run_until_complete(asyncio.wait_for(main, PATIENCE))
    finally:
        loop.run_until_complete(cancel(asyncio.all_tasks(loop)))
        loop.close()


def threads():
    return sorted(os.listdir("/proc/self/task"))


def some(tasks, n, seed=8):
    return random.Random(seed).sample(tasks, n)
