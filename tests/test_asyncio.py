"""Queues in asyncio: nothing is lost or doubled, whoever is cancelled, killed or closed."""

import asyncio
import os
import signal
import threading
import time

import pytest
from asyncio_support import run, some
from support import PATIENCE, each_method, ended, until

import procession as mp
from procession import _aio

pytestmark = pytest.mark.both_backends

KINDS = ["Queue", "JoinableQueue", "SimpleQueue", "LifoQueue", "PriorityQueue"]


def put_all(queue, numbers):
    for number in numbers:
        queue.put(number)


def take_all(queue, results):
    while (number := queue.get()) is not None:
        results.put(number)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_there_is_taken_and_what_is_not_is_waited_for(kind):
    queue = getattr(mp, kind)()

    async def main():
        await queue.aput(1)
        assert await queue.aget() == 1
        second = asyncio.ensure_future(queue.aget())
        await asyncio.sleep(0.01)
        assert not second.done()
        queue.put(2)
        assert await second == 2

    run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_there_takes_no_step_of_the_loops(kind):
    queue = getattr(mp, kind)()
    queue.put(1)
    first = queue.aget()
    with pytest.raises(StopIteration, match="1"):
        first.send(None)
    assert queue.empty()


def test_waiters_come_in_their_order():
    queue = mp.Queue()

    async def main():
        got = []

        async def take(i):
            got.append((i, await queue.aget()))

        tasks = [asyncio.create_task(take(i)) for i in range(10)]
        await asyncio.sleep(0)
        for i in range(10):
            queue.put(i)
        await asyncio.gather(*tasks)
        assert got == [(i, i) for i in range(10)]

    run(main())


@each_method
def test_ten_thousand_tasks_and_a_thousand_that_are_cancelled(method):
    context = mp.get_context(method)
    queue = context.Queue()
    tasks_there, gone = 10_000, 1_000
    parts = [range(i, tasks_there, 2) for i in range(2)]
    producers = [context.Process(target=put_all, args=(queue, part)) for part in parts]

    async def main():
        tasks = [asyncio.create_task(queue.aget()) for _ in range(tasks_there)]
        await asyncio.sleep(0)
        for producer in producers:
            producer.start()
        for i, task in enumerate(some(tasks, gone)):
            task.cancel()
            if i % 20 == 0:
                await asyncio.sleep(0)
        found = await asyncio.gather(*tasks, return_exceptions=True)
        cancelled = [each for each in found if isinstance(each, asyncio.CancelledError)]
        numbers = [each for each in found if isinstance(each, int)]
        # Who got a number before it was cancelled has it; the rest is in the queue.
        assert len(cancelled) + len(numbers) == tasks_there and len(numbers) >= tasks_there - gone
        rest = [queue.get(True, PATIENCE) for _ in cancelled]
        assert sorted(numbers + rest) == list(range(tasks_there))
        assert queue.empty()

    run(main())
    ended(*producers)


@pytest.mark.of_the_arena("the insides of its loops")
def test_one_that_is_cancelled_after_it_was_woken_passes_it_on():
    queue = mp.Queue()

    async def main():
        tasks = [asyncio.create_task(queue.aget()) for _ in range(3)]
        await asyncio.sleep(0)
        line = next(iter(_aio._desk(asyncio.get_running_loop())._lines.values()))
        queue.put("x")
        line.look()  # as if it had rung: the first is woken, and has not run
        assert line.coming == 1 and len(line.waiting) == 2
        tasks[0].cancel()
        assert await tasks[1] == "x"
        assert tasks[0].cancelled() and not tasks[2].done()

    run(main())


@each_method
def test_a_full_queue_is_waited_for(method):
    context = mp.get_context(method)
    queue, results = context.Queue(3), context.Queue()
    consumer = context.Process(target=take_all, args=(queue, results))

    async def main():
        tasks = [asyncio.create_task(queue.aput(i)) for i in range(2000)]
        while not queue.full():
            await asyncio.sleep(0)
        consumer.start()
        for i, task in enumerate(some(tasks, 300)):
            task.cancel()
            if i % 10 == 0:
                await asyncio.sleep(0)
        found = await asyncio.gather(*tasks, return_exceptions=True)
        put = [i for i, each in enumerate(found) if each is None]
        assert len(put) >= 1700
        await queue.aput(None)
        got = [await results.aget() for _ in put]
        assert sorted(got) == put
        assert results.empty()

    run(main())
    ended(consumer)


def test_put_raises_what_it_raises():
    queue = mp.Queue(1)

    async def main():
        with pytest.raises(Exception, match="pickle"):
            await queue.aput(threading.Lock())
        await queue.aput(1)
        putting = asyncio.create_task(queue.aput(2))
        getting = asyncio.create_task(mp.Queue().aget())
        await asyncio.sleep(0)
        queue.close()
        with pytest.raises(ValueError, match="closed"):
            await putting
        getting.cancel()

    run(main())


def test_async_for_ends_with_the_queue():
    queue = mp.JoinableQueue()

    async def main():
        async def take():
            return [number async for number in queue]

        takers = [asyncio.create_task(take()) for _ in range(5)]
        await asyncio.sleep(0)
        for i in range(100):
            await queue.aput(i)
        queue.shutdown()
        start = time.monotonic()
        found = await asyncio.gather(*takers)
        assert time.monotonic() - start < 2
        assert sorted(sum(found, [])) == list(range(100))

    run(main())


def test_who_waits_is_told_of_a_shut_down():
    queue, full = mp.Queue(), mp.Queue(1)
    full.put(0)

    async def main():
        tasks = [asyncio.create_task(queue.aget()) for _ in range(50)]
        tasks += [asyncio.create_task(full.aput(1)) for _ in range(50)]
        await asyncio.sleep(0)
        start = time.monotonic()
        queue.shutdown()
        full.shutdown()
        for task in tasks:
            with pytest.raises(mp.queues.ShutDown):
                await task
        assert time.monotonic() - start < 0.2, "at once, and not after a slice"

    run(main())


def do_tasks(queue, n):
    for _ in range(n):
        queue.get()
        queue.task_done()


@each_method
def test_join(method):
    context = mp.get_context(method)
    queue = context.JoinableQueue()
    worker = context.Process(target=do_tasks, args=(queue, 20))

    async def main():
        await queue.ajoin()  # nothing was put
        for i in range(20):
            queue.put(i)
        joins = [asyncio.create_task(queue.ajoin()) for _ in range(10)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in joins)
        worker.start()
        await asyncio.gather(*joins)

    run(main())
    ended(worker)


def put_and_die(queue):
    queue.put("left")
    os.kill(os.getpid(), signal.SIGKILL)


@each_method
def test_a_killed_producer_leaves_what_it_put(method):
    context = mp.get_context(method)
    queue = context.Queue()
    producers = [context.Process(target=put_and_die, args=(queue,)) for _ in range(4)]

    async def main():
        tasks = [asyncio.create_task(queue.aget()) for _ in producers]
        await asyncio.sleep(0)
        for producer in producers:
            producer.start()
        assert await asyncio.gather(*tasks) == ["left"] * len(producers)

    run(main())
    ended(*producers, code=-signal.SIGKILL)


@pytest.mark.of_the_arena("the insides of its loops")
def test_who_was_not_rung_for_looks_after_a_slice(monkeypatch):
    """As if each that puts were killed before it rings."""
    queue = mp.Queue()
    monkeypatch.setattr(_aio.Desk, "_rung", staticmethod(lambda bell, lines: bell.heard()))

    async def main():
        task = asyncio.create_task(queue.aget())
        await asyncio.sleep(0)
        queue.put("late")
        assert await asyncio.wait_for(task, 20 * _aio.SLICE) == "late"

    run(main())


def test_beside_threads_and_other_processes():
    """One queue, taken from by tasks, threads and a process at once."""
    queue, results = mp.Queue(), mp.Queue()
    n = 3000
    process = mp.Process(target=take_all, args=(queue, results))
    thread = threading.Thread(target=take_all, args=(queue, results))

    async def main():
        async def take():
            while (number := await queue.aget()) is not None:
                results.put(number)

        tasks = [asyncio.create_task(take()) for _ in range(20)]
        process.start()
        thread.start()
        for i in range(n):
            await queue.aput(i)
            if i % 50 == 0:
                await asyncio.sleep(0)
        got = [await results.aget() for _ in range(n)]
        for _ in range(len(tasks) + 2):
            queue.put(None)
        await asyncio.gather(*tasks)
        assert sorted(got) == list(range(n))

    run(main())
    ended(process)
    thread.join(PATIENCE)
    until(queue.empty)


@pytest.mark.of_the_arena("the slices of its loops")
def test_one_that_is_too_large_waits_and_does_not_spin():
    """There is room for some, but not for this one: it waits for the next that is taken."""
    queue = mp.Queue(maxbytes=4000)
    large = b"x" * 3000

    async def main():
        await queue.aput(b"y" * 2000)
        tries = 0
        put = queue.put

        def counted(*args):
            nonlocal tries
            tries += 1
            return put(*args)

        queue.put = counted
        tasks = [asyncio.create_task(queue.aput(large)) for _ in range(3)]
        await asyncio.sleep(2.2 * _aio.SLICE)
        assert not any(task.done() for task in tasks)
        assert tries <= 3 * 2 * (1 + 3), "two looks at the beginning, and two after each slice"
        del queue.put
        assert await queue.aget() == b"y" * 2000
        for _ in tasks:
            assert await queue.aget() == large
        await asyncio.gather(*tasks)

    run(main())


def take_and_die(queue, taken):
    taken.put(queue.get())
    signal.pause()


def test_what_a_killed_consumer_had_comes_to_a_task():
    queue, taken = mp.Queue(redeliver=True), mp.Queue()
    queue.put("work")
    process = mp.Process(target=take_and_die, args=(queue, taken))
    process.start()

    async def main():
        assert await taken.aget() == "work"
        task = asyncio.create_task(queue.aget())
        await asyncio.sleep(0.01)
        assert not task.done()
        process.kill()
        assert await task == "work"
        queue.task_done()
        await queue.ajoin()

    run(main())
    ended(process, code=-signal.SIGKILL)
