"""Locks and semaphores in asyncio: they exclude, among tasks, threads and processes."""

import asyncio
import threading
import time

import backends
import pytest
from asyncio_support import run, some, threads
from support import PATIENCE, each_method, ended

import procession as mp
from procession.synchronize import AbandonedLockWarning

pytestmark = pytest.mark.both_backends

LOCKS = ["Lock", "RLock"]
ALL = [*LOCKS, "Semaphore", "BoundedSemaphore"]
each_lock = pytest.mark.parametrize("kind", ALL)


@each_lock
def test_one_at_a_time_among_tasks(kind):
    lock = getattr(mp, kind)()
    count = 0

    async def main():
        async def bump():
            nonlocal count
            async with lock:
                seen = count
                await asyncio.sleep(0)
                count = seen + 1

        tasks = [asyncio.create_task(bump()) for _ in range(500)]
        await asyncio.sleep(0)
        for i, task in enumerate(some(tasks, 100)):
            task.cancel()
            if i % 5 == 0:
                await asyncio.sleep(0)
        found = await asyncio.gather(*tasks, return_exceptions=True)
        done = sum(each is None for each in found)
        # One that was cancelled inside has not counted, and has let go.
        assert count == done >= 400
        assert lock.acquire(False)
        lock.release()

    running = threads()
    run(main())
    assert set(threads()) <= set(running)


def bump_in_loop(lock, number, n, backend):
    async def main():
        async def bump():
            async with lock:
                seen = number.value
                await asyncio.sleep(0)
                number.value = seen + 1

        await asyncio.gather(*(bump() for _ in range(n)))

    run(main(), backend=backend)


def bump_without(lock, number, n, _backend):
    for _ in range(n):
        with lock:
            number.value += 1


@each_method
@each_lock
def test_one_at_a_time_among_processes(method, kind):
    context = mp.get_context(method)
    lock, number = getattr(context, kind)(), context.Value("i", 0, lock=False)
    # Each is some round trips over a server, and those who wait are woken by a message.
    n = 200 if backends.current.name == backends.ARENA else 20
    processes = [
        context.Process(target=target, args=(lock, number, n, backends.current.name))
        for target in (bump_in_loop, bump_in_loop, bump_without)
    ]
    for process in processes:
        process.start()
    bump_in_loop(lock, number, n, backends.current.name)
    ended(*processes)
    assert number.value == 4 * n


def test_a_plain_lock_is_released_by_anybody():
    lock = mp.Lock()

    async def main():
        assert await lock.aacquire() is True
        task = asyncio.create_task(lock.aacquire())
        await asyncio.sleep(0)
        assert not task.done()
        thread = threading.Thread(target=lock.release)
        thread.start()
        assert await task is True
        lock.release()
        thread.join(PATIENCE)

    run(main())


def test_permits_are_neither_lost_nor_doubled():
    semaphore = mp.BoundedSemaphore(5)
    inside = most = 0

    async def main():
        async def use():
            nonlocal inside, most
            async with semaphore:
                inside += 1
                most = max(most, inside)
                try:
                    await asyncio.sleep(0)
                finally:
                    inside -= 1

        tasks = [asyncio.create_task(use()) for _ in range(1000)]
        await asyncio.sleep(0)
        for i, task in enumerate(some(tasks, 300)):
            task.cancel()
            if i % 7 == 0:
                await asyncio.sleep(0)
        await asyncio.gather(*tasks, return_exceptions=True)

    run(main())
    assert 1 < most <= 5 and inside == 0
    assert semaphore.get_value() == 5


def become(other, lock):
    """As if the task that has it were this one."""
    if backends.current.name == backends.ARENA:
        lock._task = None
    else:
        lock._tasks[asyncio.current_task()] = lock._tasks[other]


def test_a_reentrant_lock_is_a_tasks():
    lock = mp.RLock()

    async def main():
        await lock.aacquire()
        await lock.aacquire()
        other = asyncio.create_task(lock.aacquire())
        await asyncio.sleep(0.01)
        assert not other.done(), "it is the same thread, and another task"

        async def wrong():
            with pytest.raises(AssertionError, match="not owned by task"):
                lock.release()

        await asyncio.create_task(wrong())
        lock.release()
        await asyncio.sleep(0.01)
        assert not other.done()
        lock.release()
        assert await other is True
        assert lock._count() == 1

        async def after():
            async with lock:
                return True

        last = asyncio.create_task(after())
        await asyncio.sleep(0)
        assert not last.done()
        become(other, lock)
        lock.release()
        assert await last is True and not lock.locked()

    run(main())
    # Without a loop it is the thread's again.
    assert lock.acquire(False) and lock.acquire(False)
    lock.release()
    lock.release()
    assert not lock.locked()


def test_a_reentrant_lock_that_the_thread_has_is_waited_for():
    lock = mp.RLock()
    same = pickle_of(lock)

    async def main():
        lock.acquire()
        tasks = [asyncio.create_task(each.aacquire()) for each in (lock, same)]
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in tasks)
        lock.release()
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert len(done) == 1, "two handles are one lock"

    run(main())


def pickle_of(lock):
    """Another handle of the same lock, in this process."""
    queue = mp.Queue()
    queue.put(lock)
    return queue.get(True, PATIENCE)


def hold(lock, ready):
    lock.acquire()
    ready.set()
    threading.Event().wait()


@each_method
@pytest.mark.parametrize("kind", LOCKS)
def test_after_a_kill_the_next_has_the_lock_and_is_told(method, kind):
    context = mp.get_context(method)
    lock, ready = getattr(context, kind)(), context.Event()
    process = context.Process(target=hold, args=(lock, ready))
    process.start()
    assert ready.wait(PATIENCE)

    async def main():
        tasks = [asyncio.create_task(lock.aacquire()) for _ in range(2)]
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in tasks)
        process.kill()
        start = time.monotonic()
        with pytest.warns(AbandonedLockWarning, match="SIGKILL") as caught:
            assert await tasks[0] is True
        assert time.monotonic() - start < 2 + backends.current.lease
        assert len(caught) == 1
        tasks[1].cancel()

    run(main())
    ended(process, code=-9)


def test_who_makes_an_error_of_the_warning_does_not_have_the_lock():
    lock, ready = mp.Lock(), mp.Event()
    process = mp.Process(target=hold, args=(lock, ready))
    process.start()
    assert ready.wait(PATIENCE)

    async def main():
        task = asyncio.create_task(lock.aacquire())
        await asyncio.sleep(0)
        process.kill()
        with pytest.raises(AbandonedLockWarning):
            await task
        with pytest.warns(AbandonedLockWarning):
            assert await lock.aacquire()

    run(main())
    ended(process, code=-9)
    lock.release()
