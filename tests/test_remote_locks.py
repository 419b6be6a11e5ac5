"""What is peculiar to locks and their kin on a server: leases, tokens, LeaseLost, and servers that
stop. What they have in common with those at home is in test_synchronize.py and test_abandoned.py,
which are run over a server, too."""

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings

import pytest
from support import PATIENCE, each_method, ended, until

import procession
from procession.remote import _aio
from procession.synchronize import AbandonedLockWarning

fork = procession.get_context("fork")


@pytest.fixture
def place(remote_server):
    return procession.get_context(remote_server.url(lease=0.5, timeout=5, keep=1))


def lose_lease(server, prefix):
    """As if this process had not been heard of for its lease."""
    for key in server.keys(f"{prefix}:client"):
        server.call("DEL", key)


@pytest.fixture
def forgetful(own_server):
    """A context, and what has its server take the lease of this process away."""
    server = own_server()
    context = procession.get_context(server.url("t", timeout=5))
    yield context, lambda: lose_lease(server, "t")
    procession._core.leave_servers(1.0)


def in_thread(function, *args):
    found = []
    thread = threading.Thread(target=lambda: found.append(function(*args)))
    thread.start()
    thread.join(PATIENCE)
    return found[0]


def hold_for_ever(lock, ready):
    lock.acquire()
    ready.set()
    threading.Event().wait()


def holder(place, lock):
    ready = place.Event()
    process = fork.Process(target=hold_for_ever, args=(lock, ready), name="holder")
    process.start()
    assert ready.wait(PATIENCE)
    return process


def test_tokens_are_this_threads_and_grow(place):
    lock = place.Lock()
    assert lock.token is None
    with lock:
        first = lock.token
        assert first > 0
        assert in_thread(lambda: lock.token) is None
        lock.check()
    assert lock.token is None
    with lock:
        assert lock.token > first
    reentrant = place.RLock()
    with reentrant:
        first = reentrant.token
        with reentrant:
            assert reentrant.token == first
    assert reentrant.token is None


@pytest.mark.parametrize(("kind", "error"), [("Lock", ValueError), ("RLock", AssertionError)])
def test_check_is_for_who_has_it(place, kind, error):
    lock = getattr(place, kind)()
    with pytest.raises(error):
        lock.check()
    with lock:
        assert lock.check() is None


@each_method
def test_a_killed_holders_lock_comes_with_a_warning(place, method):
    context = place.get_context(method)
    lock = context.Lock()
    ready = context.Event()
    process = context.Process(target=hold_for_ever, args=(lock, ready), name="holder")
    process.start()
    assert ready.wait(PATIENCE)
    assert lock.acquire(False) is False
    process.kill()
    with pytest.warns(AbandonedLockWarning) as caught:
        assert lock.acquire(timeout=PATIENCE)
    told = caught[0].message
    assert (told.pid, told.name, told.exitcode) == (process.pid, "holder", -9)
    assert told.host == os.uname().nodename
    assert f"process {process.pid} (holder) on {told.host}, which was killed by SIGKILL" in str(
        told
    )
    assert caught[0].filename == __file__
    ended(process, code=-9)
    lock.release()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with lock:
            lock.check()


def test_a_warning_that_is_an_error_leaves_the_lock_to_the_next_one(place):
    lock = place.Lock()
    process = holder(place, lock)
    process.kill()
    ended(process, code=-9)
    with warnings.catch_warnings():
        warnings.simplefilter("error", AbandonedLockWarning)
        for _ in range(2):
            with pytest.raises(AbandonedLockWarning):
                lock.acquire(timeout=PATIENCE)
            assert lock.token is None
    with pytest.warns(AbandonedLockWarning):
        assert lock.acquire(timeout=PATIENCE)
    lock.release()


def lose(lock, reports, go):
    """Is stopped while it has the lock, and then says how it learns that it has lost it."""
    found = []
    try:
        with lock:
            reports.put(lock.token)
            go.recv()
            found.append(lock.token)
            try:
                lock.check()
            except procession.LeaseLost:
                found.append("check")
            raise KeyError("of the block")
    except procession.LeaseLost as error:
        found += ["exit", type(error.__context__).__name__]
    found.append(lock.acquire(False))
    reports.put(found)


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_a_stopped_holder_is_told_that_it_lost_the_lock(place, kind):
    lock, reports = getattr(place, kind)(), place.Queue()
    go, tell = fork.Pipe(duplex=False)
    process = fork.Process(target=lose, args=(lock, reports, go))
    process.start()
    old = reports.get(timeout=PATIENCE)
    os.kill(process.pid, signal.SIGSTOP)
    try:
        with pytest.warns(AbandonedLockWarning, match="is stopped"):
            assert lock.acquire(timeout=PATIENCE)
        assert lock.token > old
        tell.send(None)
    finally:
        os.kill(process.pid, signal.SIGCONT)
    assert reports.get(timeout=PATIENCE) == [None, "check", "exit", "KeyError", False]
    lock.check()
    lock.release()
    ended(process)
    go.close()
    tell.close()


def test_a_lost_lock_is_told_at_release_and_then_no_more(forgetful):
    context, lose_it = forgetful
    lock = context.Lock()
    lock.acquire()
    lose_it()
    with pytest.raises(procession.LeaseLost, match="the lease of the lock"):
        lock.release()
    with pytest.raises(ValueError, match="released too many times"):
        lock.release()
    with pytest.warns(AbandonedLockWarning):
        lock.acquire(timeout=PATIENCE)
    lock.release()


def test_who_was_told_inside_is_not_told_again_at_the_end(forgetful):
    context, lose_it = forgetful
    lock = context.Lock()
    with pytest.raises(procession.LeaseLost) as caught, lock:
        lose_it()
        lock.check()
    assert not isinstance(caught.value.__context__, procession.LeaseLost)
    assert [entry.name for entry in caught.traceback] == [
        "test_who_was_told_inside_is_not_told_again_at_the_end"
    ]


def test_a_lost_rlock_is_not_acquired_once_more(forgetful):
    context, lose_it = forgetful
    lock = context.RLock()
    with pytest.raises(procession.LeaseLost), lock, lock:
        lose_it()
        lock.acquire()
    assert lock._count() == 0
    with pytest.warns(AbandonedLockWarning):
        lock.acquire()
    lock.release()


def test_another_thread_that_has_it_by_now_keeps_it(forgetful):
    context, lose_it = forgetful
    lock = context.Lock()
    lock.acquire()
    lose_it()
    with pytest.warns(AbandonedLockWarning):
        assert in_thread(lock.acquire, True, PATIENCE)
    with pytest.raises(procession.LeaseLost):
        lock.release()
    assert lock.locked()
    lock.release()  # of the other's: anybody may
    assert not lock.locked()


def test_a_condition_whose_lock_is_lost(forgetful):
    context, lose_it = forgetful
    condition = context.Condition()
    with pytest.raises(procession.LeaseLost), condition:
        lose_it()
        condition.wait(PATIENCE)
    assert condition._waiting() == 0
    with pytest.warns(AbandonedLockWarning), condition:
        condition.notify()


def test_a_condition_wants_a_lock_on_its_server(place, own_server):
    with pytest.raises(TypeError, match="a lock on that server"):
        place.Condition(procession.Lock())
    other = procession.get_context(own_server().url("other"))
    with pytest.raises(ValueError, match="the lock is on"):
        place.Condition(other.Lock())
    with place.Condition(place.Lock()) as had:
        assert had is True


def test_a_server_that_restarts_keeps_holders_and_those_who_wait(own_server):
    server = own_server(durable=True)
    place = procession.get_context(server.url("t", lease=20, timeout=20))
    lock, event = place.Lock(), place.Event()
    lock.acquire()
    got = []

    def waiter():
        event.wait(PATIENCE)
        got.append(lock.acquire(timeout=PATIENCE))

    thread = threading.Thread(target=waiter)
    thread.start()
    until(lambda: any(key.endswith(":waiters") for key in server.keys("t")))
    server.kill()
    server.restart()
    event.set()
    lock.check()
    lock.release()
    thread.join(PATIENCE)
    assert got == [True]
    procession._core.leave_servers(1.0)


def test_an_unreachable_server_is_named(own_server):
    server = own_server()
    place = procession.get_context(server.url("t", timeout=0.3))
    lock = place.Lock()
    lock.acquire()
    server.kill()
    began = time.monotonic()
    with pytest.raises(procession.ServerUnreachableError, match=f"127.0.0.1:{server.port}"):
        lock.release()
    with pytest.raises(procession.ServerUnreachableError):
        place.Lock()
    assert time.monotonic() - began < PATIENCE
    procession._core.leave_servers(0.1)


def test_all_by_their_names(remote_server):
    with procession.Family(remote_server.url()) as family:
        with family.lock("lock"):
            assert family.lock("lock").acquire(False) is False
        with family.rlock("rlock"), family.rlock("rlock") as had:
            assert had is True
        permits = family.semaphore("semaphore", 2)
        assert family.semaphore("semaphore", 9).get_value() == 2 == permits.get_value()
        assert family.bounded_semaphore("bounded", 3).maxvalue == 3
        assert family.bounded_semaphore("bounded").maxvalue == 3
        with pytest.raises(ValueError, match="maximum 3, and not 4"):
            family.bounded_semaphore("bounded", 4)
        with pytest.raises(TypeError, match="is a bounded_semaphore, and no semaphore"):
            family.semaphore("bounded")
        family.event("event").set()
        assert family.event("event").is_set()
        condition = family.condition("condition")
        with condition:
            assert family.condition("condition").acquire(timeout=0) is True  # the very same lock
            condition.release()
            assert in_thread(family.condition("condition").acquire, False) is False
        assert family.barrier("barrier", 1).wait() == 0
        with pytest.raises(ValueError, match="parties 1, and not 2"):
            family.barrier("barrier", 2)
        kinds = "lock rlock semaphore bounded_semaphore event condition barrier".split()
        assert sorted(family.names().values()) == sorted(kinds)
        for name in family.names():
            assert family.remove(name)
        with pytest.raises(RuntimeError, match="is gone"):
            condition.acquire()


def test_handles_travel_without_credentials(own_server):
    server = own_server(password="geheim")
    place = procession.get_context(server.url("t", password="geheim"))
    things = [
        place.Lock(),
        place.RLock(),
        place.Semaphore(2),
        place.BoundedSemaphore(2),
        place.Event(),
        place.Condition(),
        place.Barrier(2, timeout=7),
    ]
    for thing in things:
        sent = pickle.dumps(thing)
        assert b"geheim" not in sent
        same = pickle.loads(sent)
        assert type(same) is type(thing) and same._key == thing._key
        assert "geheim" not in repr(thing)
    lock = things[0]
    with lock:
        assert pickle.loads(pickle.dumps(lock)).token == lock.token
    assert same._timeout == 7
    procession._core.leave_servers(1.0)


def test_a_task_that_holds_an_rlock_is_its_owner(place):
    lock = place.RLock()

    async def other():
        with pytest.raises(AssertionError):
            lock.release()
        async with lock:
            return "had"

    async def main():
        async with lock, lock:
            waiting = asyncio.create_task(other())
            done, _ = await asyncio.wait([waiting], timeout=0.05)
            assert not done
        return await asyncio.wait_for(waiting, PATIENCE)

    assert asyncio.run(main()) == "had"


def test_a_cancelled_task_holds_nothing(place):
    lock, permits = place.Lock(), place.Semaphore(0)

    async def main():
        lock.acquire()
        tasks = [asyncio.create_task(each.aacquire()) for each in (lock, permits)]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
    lock.release()
    permits.release()
    _aio.end_all()
    until(lambda: not any(each.name == "procession-line" for each in threading.enumerate()))
    # They were both not waited for any more, or are given back.
    until(lambda: lock.acquire(False))
    until(lambda: permits.acquire(False))
    lock.release()


def test_a_barrier_breaks_when_a_party_dies(place):
    barrier = place.Barrier(3)
    process = fork.Process(target=barrier.wait)
    process.start()
    until(lambda: barrier.n_waiting == 1)
    failed = []

    def wait():
        try:
            barrier.wait(PATIENCE)
        except threading.BrokenBarrierError:
            failed.append(True)

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: barrier.n_waiting == 2)
    process.kill()
    thread.join(PATIENCE)
    assert failed == [True] and barrier.broken
    ended(process, code=-9)
    barrier.reset()
    assert not barrier.broken and barrier.n_waiting == 0


def test_a_notification_of_the_dead_goes_to_another(place):
    condition = place.Condition(place.Lock())
    with condition:
        pass
    dying = fork.Process(target=wait_and_tell, args=(condition, place.Event()))
    dying.start()
    until(lambda: condition._waiting() == 1)
    told = place.Event()
    living = fork.Process(target=wait_and_tell, args=(condition, told))
    living.start()
    until(lambda: condition._waiting() == 2)
    with condition:
        condition.notify()
        dying.kill()
        until(lambda: condition._waiting() == 0)
    assert told.wait(PATIENCE)
    ended(dying, code=-9)
    ended(living)


def wait_and_tell(condition, event):
    with condition:
        assert condition.wait(PATIENCE)
    event.set()


INTERRUPTED = """
import sys, time
import procession
family = procession.Family(sys.argv[1])
barrier, condition = family.barrier("barrier", 2), family.condition("condition")

def wait():
    with condition:
        condition.wait()

print("ready", flush=True)
try:
    {"barrier": barrier.wait, "condition": wait}[sys.argv[2]]()
except BaseException as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize("what", ["barrier", "condition"])
def test_ctrl_c_ends_a_wait_while_the_server_hangs(own_server, what):
    server = own_server()
    url = server.url("p", lease=60, timeout=PATIENCE)
    family = procession.Family(url)
    barrier, condition = family.barrier("barrier", 2), family.condition("condition")
    child = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, url, what], stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout.readline() == "ready\n"
        until(lambda: barrier.n_waiting + condition._waiting() == 1)
        server.freeze()
        began = time.monotonic()
        child.send_signal(signal.SIGINT)
        said = child.communicate(timeout=PATIENCE)[0]
    server.thaw()
    assert said == "KeyboardInterrupt\n"
    # No time-out of the address is waited out, let alone two.
    assert time.monotonic() - began < PATIENCE / 2
