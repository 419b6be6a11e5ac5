"""Thread queues for coroutines: no thread, and nothing is lost when one is cancelled."""

import asyncio
import gc
import random
import threading
import warnings

import pytest
from support import PATIENCE, until
from thread_queues import calls, opened, until_blocked  # noqa: F401

from procession import queue

KINDS = [queue.Queue, queue.LifoQueue, queue.PriorityQueue, queue.SimpleQueue]
JOINABLE = KINDS[:3]


@pytest.fixture(params=["native", "opened"])
def make(request):
    def make(kind=queue.Queue, *args):
        q = kind(*args)
        if request.param == "opened" and kind is not queue.SimpleQueue:
            opened(q)
        return q

    return make


def patiently(coroutine):
    """Runs a program of coroutines that has to end."""
    return asyncio.run(asyncio.wait_for(coroutine, PATIENCE))


async def all_wait(tasks):
    """Goes on when the tasks have had their turns."""
    for _ in range(5):
        await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_there_comes_at_once(kind, make):
    q = make(kind)

    async def main():
        await q.aput(2)
        await q.aput(1)
        return sorted([await q.aget(), await q.aget()])

    assert patiently(main()) == [1, 2] and q.empty()


@pytest.mark.parametrize("kind", KINDS)
def test_a_coroutine_waits_for_a_thread(kind, make):
    q = make(kind)
    threads = threading.active_count()

    async def main():
        task = asyncio.ensure_future(q.aget())
        await all_wait([task])
        assert threading.active_count() == threads
        thread = threading.Thread(target=q.put, args=(1,))
        thread.start()
        item = await task
        thread.join()
        return item

    assert patiently(main()) == 1


@pytest.mark.parametrize("kind", JOINABLE)
def test_a_coroutine_waits_for_room(kind, make):
    q = make(kind, 1)
    q.put(0)

    async def main():
        tasks = [asyncio.ensure_future(q.aput(number)) for number in (1, 2)]
        await all_wait(tasks)
        taken = [q.get() for _ in range(1)]
        taken += [await q.aget() for _ in range(2)]
        await asyncio.gather(*tasks)
        return taken

    assert sorted(patiently(main())) == [0, 1, 2]


def test_a_thread_and_a_coroutine_of_another_loop(make, calls):  # noqa: F811
    """Several loops in several threads, and threads that are in none, on one small queue."""
    q, results = make(queue.Queue, 4), make()

    async def produce(first):
        for number in range(first, first + 500):
            await q.aput(number)

    async def consume():
        async for number in q:
            await results.aput(number)

    async def several(coroutine, *args):
        await asyncio.gather(*(coroutine(*each) for each in args))

    consumers = [calls(patiently, several(consume, (), ())) for _ in range(2)]
    consumers.append(calls(lambda: results.put_many(q)))
    producers = [
        calls(patiently, several(produce, (base,), (base + 500,))) for base in range(0, 2000, 1000)
    ]
    producers.append(calls(lambda: [q.put(number) for number in range(2000, 2500)]))
    for producer in producers:
        producer.result()
    q.shutdown()
    for consumer in consumers:
        consumer.result()
    assert sorted(results.get_many()) == list(range(2500))


@pytest.mark.parametrize("immediate", [False, True])
def test_shutdown_wakes_coroutines(make, immediate):
    q, full = make(), make(queue.Queue, 1)
    full.put(1)

    async def main():
        tasks = [asyncio.ensure_future(q.aget()) for _ in range(3)]
        tasks += [asyncio.ensure_future(full.aput(2)) for _ in range(3)]
        iterating = asyncio.ensure_future(collect(q))
        joining = asyncio.ensure_future(full.ajoin())
        await all_wait([*tasks, iterating, joining])
        q.shutdown(immediate)
        full.shutdown(immediate)
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(error) for error in found} == {queue.ShutDown}
        assert await iterating == []
        if not immediate:
            assert await full.aget() == 1
            full.task_done()
        await joining

    patiently(main())


async def collect(q):
    return [item async for item in q]


@pytest.mark.parametrize("kind", JOINABLE)
def test_ajoin(kind, make):
    q = make(kind)

    async def main():
        await q.ajoin()
        q.put_many([1, 2])
        joining = [asyncio.ensure_future(q.ajoin()) for _ in range(3)]
        await all_wait(joining)
        q.task_done()
        await all_wait(joining)
        q.task_done()
        await asyncio.gather(*joining)

    patiently(main())


def test_a_queue_that_is_opened_while_coroutines_wait():
    q, full = queue.Queue(), queue.Queue(1)
    full.put(0)

    async def main():
        tasks = [asyncio.ensure_future(q.aget()), asyncio.ensure_future(full.aput(1))]
        joining = asyncio.ensure_future(full.ajoin())
        cancelled = asyncio.ensure_future(q.aget())
        await all_wait([*tasks, joining, cancelled])
        cancelled.cancel()
        with q.mutex, full.mutex:
            q.queue.append("by hand")
            q.not_empty.notify()
            full.queue.clear()
            full.not_full.notify()
        assert await tasks[0] == "by hand"
        await tasks[1]
        for _ in range(2):
            full.task_done()
        await joining
        await asyncio.gather(cancelled, return_exceptions=True)
        assert cancelled.cancelled()

    patiently(main())


# ---------------------------------------------------------------- cancelling


def test_a_cancelled_coroutine_has_taken_nothing(make):
    q = make()

    async def main():
        tasks = [asyncio.ensure_future(q.aget()) for _ in range(2)]
        await all_wait(tasks)
        # Woken, and cancelled before it runs: its turn passes to the other.
        q.put("x")
        tasks[0].cancel()
        assert await tasks[1] == "x"
        await asyncio.gather(tasks[0], return_exceptions=True)
        assert tasks[0].cancelled()

    patiently(main())


def test_a_cancelled_coroutine_has_put_nothing(make):
    q = make(queue.Queue, 1)
    q.put(0)

    async def main():
        tasks = [asyncio.ensure_future(q.aput(number)) for number in (1, 2)]
        await all_wait(tasks)
        assert q.get() == 0
        tasks[0].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert tasks[0].cancelled()
        assert await q.aget() == 2 and q.empty()

    patiently(main())


def test_the_turn_of_a_cancelled_coroutine_passes_to_a_thread(make, calls):  # noqa: F811
    q = make()

    async def main():
        task = asyncio.ensure_future(q.aget())
        await all_wait([task])
        getter = calls(q.get, True, PATIENCE)
        until_blocked(getter)
        q.put("x")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        # (Opened, both are woken, and the thread may be the one who takes it.)
        assert task.cancelled()
        return await asyncio.get_running_loop().run_in_executor(None, getter.result)

    assert patiently(main()) == "x"


@pytest.mark.parametrize("kind", KINDS)
def test_ten_thousand_of_which_a_thousand_are_cancelled(kind, make):
    q = make(kind)
    chance = random.Random(8)

    async def main():
        tasks = [asyncio.ensure_future(q.aget()) for _ in range(10_000)]
        await asyncio.sleep(0)
        doomed = chance.sample(tasks, 1000)
        thread = threading.Thread(target=lambda: [q.put(number) for number in range(9000)])
        thread.start()
        for task in doomed:
            task.cancel()
            if chance.random() < 0.05:
                await asyncio.sleep(0)
        thread.join()
        found = await asyncio.gather(*doomed, return_exceptions=True)
        taken = [item for item in found if type(item) is int]
        for _ in range(len(taken)):
            q.put(-1)  # for those whose cancelling came too late there are more getters
        rest = await asyncio.gather(*(t for t in tasks if t not in set(doomed)))
        return [item for item in taken + rest if item >= 0]

    assert sorted(patiently(main())) == list(range(9000)) and q.empty()


def test_ten_thousand_putters_and_getters(make):
    q = make(queue.Queue, 3)

    async def main():
        putting = [asyncio.ensure_future(q.aput(number)) for number in range(10_000)]
        taken = await asyncio.gather(*(q.aget() for _ in range(10_000)))
        await asyncio.gather(*putting)
        return taken

    assert sorted(patiently(main())) == list(range(10_000))


def test_wait_for_with_a_time_limit(make):
    q = make()

    async def main():
        for _ in range(3):
            with pytest.raises((TimeoutError, asyncio.TimeoutError)):
                await asyncio.wait_for(q.aget(), 0.01)
        q.put(1)
        assert await asyncio.wait_for(q.aget(), PATIENCE) == 1

    patiently(main())


# ---------------------------------------------------------------- loops that are gone


def test_a_loop_that_was_closed_does_not_hurt_the_putter(make):
    q = make()
    loop = asyncio.new_event_loop()
    task = loop.create_task(q.aget())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    other = asyncio.new_event_loop()
    waiting = other.create_task(q.aget())
    other.run_until_complete(asyncio.sleep(0))
    q.put(1)  # the closed loop cannot be told: the other one is
    assert other.run_until_complete(asyncio.wait_for(waiting, PATIENCE)) == 1
    other.close()
    q.put(2)
    assert q.get() == 2
    drop(task)


def drop(task):
    """Lets go of a task that never ended, without the complaint about it."""
    task._log_destroy_pending = False
    del task
    gc.collect()


def test_a_coroutine_that_is_dropped_passes_its_turn_on(make):
    """Its loop is neither run nor closed any more."""
    q = make()
    loop, other = asyncio.new_event_loop(), asyncio.new_event_loop()
    coroutine = q.aget()
    step = loop.create_task(coroutine)
    loop.run_until_complete(asyncio.sleep(0))
    waiting = other.create_task(q.aget())
    other.run_until_complete(asyncio.sleep(0))
    q.put(1)
    step._log_destroy_pending = False
    coroutine.close()
    assert other.run_until_complete(asyncio.wait_for(waiting, PATIENCE)) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        del step
    loop.close()
    other.close()
    gc.collect()


def test_a_subclass_with_methods_of_its_own():
    class Doubling(queue.Queue):
        def put(self, item, *args, **kwargs):
            super().put(item * 2, *args, **kwargs)

        def get(self, *args, **kwargs):
            return -super().get(*args, **kwargs)

    q = Doubling(1)

    async def main():
        await q.aput(1)
        putting = asyncio.ensure_future(q.aput(2))
        await all_wait([putting])
        return [await q.aget(), await q.aget()]

    assert patiently(main()) == [-2, -4] and not q._is_open


def test_importing_does_not_load_asyncio():
    from support import run

    assert run("-c", "import procession.queue, sys; assert 'asyncio' not in sys.modules") == ""


def test_awaiting_outside_a_loop():
    q = queue.Queue()
    coroutine = q.aget()
    with pytest.raises(RuntimeError, match="no running event loop"):
        coroutine.send(None)
    until(q.empty)
