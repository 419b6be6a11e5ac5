"""The loops that wait for queues: several of them, closed ones, forked ones; nothing is left of them."""

import asyncio
import gc
import threading
import warnings

import pytest
from asyncio_support import new_loop, run, threads
from support import PATIENCE, descriptors, ended

import procession as mp

pytestmark = pytest.mark.both_backends


def test_no_thread_and_nothing_left():
    queues = [mp.Queue() for _ in range(300)]
    gc.collect()
    before, running = descriptors(), threads()

    async def main():
        inside = descriptors()
        tasks = [asyncio.create_task(queue.aget()) for queue in queues]
        await asyncio.sleep(0)
        assert descriptors() <= inside + 2, "one pipe for all"
        assert set(threads()) <= set(running)
        for i, queue in enumerate(queues):
            queue.put(i)
        assert await asyncio.gather(*tasks) == list(range(300))
        # Nobody waits any more: some slices later the pipe is closed, though the loop goes on.
        while descriptors() > inside:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        queues[0].put("again")
        assert await queues[0].aget() == "again"

    run(main())
    assert descriptors() <= before and set(threads()) <= set(running)


@pytest.mark.filterwarnings("default")
def test_a_loop_that_is_closed_beneath_its_waiters():
    queue = mp.Queue()
    gc.collect()
    before = descriptors()
    loop = new_loop()

    async def main():
        tasks = [asyncio.create_task(queue.aget()) for _ in range(3)]
        await asyncio.sleep(0)
        return tasks

    tasks = loop.run_until_complete(main())
    loop.close()
    for task in tasks:
        task._log_destroy_pending = False
    del tasks, task, loop
    gc.collect()
    assert descriptors() == before
    queue.put("still there")
    assert run(queue.aget()) == "still there"


def test_two_loops_in_two_threads():
    there, back = mp.Queue(1), mp.Queue(1)
    n = 500

    async def ping():
        for i in range(n):
            await there.aput(i)
            assert await back.aget() == i
        return "ping"

    async def pong():
        for _ in range(n):
            await back.aput(await there.aget())

    found = []
    thread = threading.Thread(target=lambda: found.append(run(pong())))
    thread.start()
    assert run(ping()) == "ping"
    thread.join(PATIENCE)
    assert found == [None]


def test_loops_in_turn_in_one_thread():
    queue = mp.Queue()
    first, second = new_loop(), new_loop()
    try:
        waiting = first.create_task(queue.aget())
        first.run_until_complete(asyncio.sleep(0))
        other = second.create_task(queue.aget())
        second.run_until_complete(asyncio.sleep(0))
        queue.put(1)
        assert second.run_until_complete(asyncio.wait_for(other, 5)) == 1
        queue.put(2)
        assert first.run_until_complete(asyncio.wait_for(waiting, PATIENCE)) == 2
    finally:
        waiting.cancel()
        first.run_until_complete(asyncio.wait([waiting]))
        first.close()
        second.close()


def test_debug_mode():
    queue = mp.Queue(1)

    async def main():
        async def put():
            for i in range(50):
                await queue.aput(i)

        putting = asyncio.create_task(put())
        assert [await queue.aget() for _ in range(50)] == list(range(50))
        await putting

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(main(), debug=True)


def test_a_timeout_ends_a_wait():
    queue = mp.Queue()

    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(queue.aget(), 0.01)
        queue.put(1)
        assert await asyncio.wait_for(queue.aget(), PATIENCE) == 1

    run(main())


@pytest.mark.of_the_arena("the pipe that wakes a loop")
def test_ten_thousand_queues_have_one_pipe():
    queues = [mp.Queue() for _ in range(10_000)]

    async def main():
        before = descriptors()
        tasks = [asyncio.create_task(queue.aget()) for queue in queues]
        await asyncio.sleep(0)
        assert descriptors() <= before + 2
        for i, queue in enumerate(queues):
            queue.put(i)
        assert await asyncio.gather(*tasks) == list(range(len(queues)))

    run(main())


def test_a_child_of_a_fork_has_a_loop_of_its_own():
    queue, answers = mp.Queue(), mp.get_context("fork").Queue()

    def child():
        async def main():
            task = asyncio.create_task(queue.aget())
            await asyncio.sleep(0)
            answers.put("waits")
            return await task

        answers.put(run(main()))

    async def main():
        task = asyncio.create_task(mp.Queue().aget())  # so that there is something to inherit
        await asyncio.sleep(0)
        process = mp.get_context("fork").Process(target=child)
        process.start()
        assert await answers.aget() == "waits"
        await queue.aput("for the child")
        assert await answers.aget() == "for the child"
        task.cancel()
        return process

    ended(run(main()))
