"""Queues on a server in asyncio: no loop waits for a round trip, and who is cancelled loses nothing."""

import asyncio
import pickle
import random
import threading
import time

import pytest
from support import PATIENCE

import procession as mp
from procession.remote import queues


@pytest.fixture
def context(remote_server):
    return mp.get_context(remote_server.url(lease=1, keep=1))


def in_time(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, PATIENCE))


def line_threads():
    return [t for t in threading.enumerate() if t.name == "procession-line"]


def test_there_and_back(context):
    q = context.Queue(2)

    async def main():
        await q.aput([1])
        await q.aput("two")
        waiting = asyncio.create_task(q.aput(3))
        assert await q.aget() == [1]
        await waiting
        return [await q.aget(), await q.aget()]

    assert in_time(main()) == ["two", 3]


def test_tasks_get_in_the_order_in_which_they_came(context):
    q = context.Queue()
    got, before = [], set(line_threads())

    async def take(number):
        got.append((number, await q.aget()))

    async def main():
        tasks = [asyncio.create_task(take(number)) for number in range(20)]
        await asyncio.sleep(0)
        for number in range(20):
            await q.aput(number)
        await asyncio.gather(*tasks)
        # One for who takes and one for who puts, however many tasks there are.
        assert len(set(line_threads()) - before) == 2

    in_time(main())
    assert got == [(number, number) for number in range(20)]


def test_the_loop_goes_on_while_the_server_does_not_answer(own_server):
    server = own_server()
    q = mp.get_context(server.url("p", timeout=20, lease=5)).Queue()
    longest = 0.0

    async def watch():
        nonlocal longest
        before = time.monotonic()
        while True:
            await asyncio.sleep(0.005)
            now = time.monotonic()
            longest, before = max(longest, now - before), now

    async def main():
        watching = asyncio.create_task(watch())
        server.freeze()
        asking = [asyncio.create_task(q.aget()), asyncio.create_task(q.aput(1))]
        done, _ = await asyncio.wait(asking, timeout=1)
        assert not done
        server.thaw()
        assert await asking[0] == 1
        watching.cancel()

    in_time(main())
    assert longest < 0.7


@pytest.mark.parametrize("redeliver", [False, True])
def test_what_was_taken_for_who_is_cancelled_is_the_first_again(context, redeliver):
    q = context.Queue(redeliver=redeliver)

    async def main():
        for _ in range(30):
            taking = asyncio.create_task(q.aget())
            await asyncio.sleep(0.001)
            putting = asyncio.create_task(q.aput("first"))
            await asyncio.sleep(random.random() / 1000)
            taking.cancel()
            await putting
            await q.aput("second")
            try:
                # The cancellation may have come too late.
                first = await taking
            except asyncio.CancelledError:
                first = await q.aget()
            assert [first, await q.aget()] == ["first", "second"]
            if redeliver:
                q.task_done()
                q.task_done()
        assert q.qsize() == 0

    in_time(main())


def test_a_result_that_came_just_before_the_cancellation_goes_back(context):
    """The loop has the message, and the task is cancelled before its next step."""
    q = context.Queue()
    q.put("kept")

    async def main():
        taking = asyncio.create_task(q.aget())
        await asyncio.sleep(0)
        (line,) = [q._lines["get"]]
        # Nobody gives the loop time: the message is in the thread's hands.
        while line._current is not None or line._waiting:
            time.sleep(0.001)
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
        return await q.aget()

    assert in_time(main()) == "kept"


def test_a_loop_that_is_closed_in_the_midst_of_a_wait(context):
    q = context.Queue()
    loop = asyncio.new_event_loop()
    task = loop.create_task(q.aget())
    loop.call_later(0.05, loop.stop)
    loop.run_forever()
    task.cancel()
    try:
        loop.run_until_complete(task)
    except asyncio.CancelledError:
        pass
    loop.close()
    q.put(1)
    assert q.get(timeout=PATIENCE) == 1


def test_time_outs(context):
    q = context.Queue(1)

    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(q.aget(), 0.05)
        await q.aput(1)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(q.aput(2), 0.05)
        assert await q.aget() == 1
        assert q.empty()

    in_time(main())


def test_errors_come_through(context):
    q = context.Queue()

    async def main():
        with pytest.raises(pickle.PicklingError):
            await q.aput(3j)
        await q.aput(1)
        q.shutdown()
        with pytest.raises(queues.ShutDown):
            await q.aput(2)
        return [message async for message in q]

    assert in_time(main()) == [1]
    closed = context.Queue()
    closed.close()

    async def use():
        with pytest.raises(ValueError, match="is closed"):
            await closed.aget()

    in_time(use())


def test_ajoin(context):
    for q in (context.JoinableQueue(), context.Queue(redeliver=True)):
        q.put_many([1, 2])

        async def main(q=q):
            joining = asyncio.create_task(q.ajoin())
            for _ in range(2):
                assert not joining.done()
                await q.aget()
                q.task_done()
            await joining

        in_time(main())
    with pytest.raises(AttributeError):
        context.Queue().ajoin  # noqa: B018


def test_threads_of_lines_end(context, monkeypatch):
    monkeypatch.setattr("procession.remote._aio.IDLE", 0.01)
    q = context.Queue()
    before = set(line_threads())
    for _ in range(3):
        in_time(q.aput(1))
        deadline = time.monotonic() + PATIENCE
        while set(line_threads()) - before:
            assert time.monotonic() < deadline
            time.sleep(0.005)
    assert q.get_many() == [1, 1, 1]


def test_a_program_may_end_while_tasks_wait(remote_server):
    from support import run

    code = """
import asyncio, sys
import procession as mp
q = mp.get_context(sys.argv[1]).Queue()
async def main():
    asyncio.create_task(q.aget())
    await asyncio.sleep(0.1)
asyncio.run(main())
print("end")
"""
    assert run("-c", code, remote_server.url(lease=30, keep=30)) == "end\n"
    # It has left.
    assert remote_server.left() == []
