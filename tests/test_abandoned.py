"""Processes that die while they hold a lock, or wait: who is told, and what is free."""

import faulthandler
import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import pytest
from support import PATIENCE, each_method, ended, until, until_waiting

import procession as mp
from procession import util
from procession.synchronize import AbandonedLockWarning

pytestmark = pytest.mark.both_backends


def hold(lock, ready, how):
    lock.acquire()
    ready.set()
    if how == "exit":
        return
    if how == "os._exit":
        os._exit(3)
    if how == "segv":
        faulthandler.disable()
        os.kill(os.getpid(), signal.SIGSEGV)
    threading.Event().wait()


def holder(context, lock, how):
    ready = context.Event()
    process = context.Process(target=hold, args=(lock, ready, how), name="holder")
    process.start()
    assert ready.wait(PATIENCE)
    return process


WAYS = [
    ("kill", -9, "was killed by SIGKILL"),
    ("segv", -11, "was killed by SIGSEGV"),
    ("os._exit", 3, "exited with code 3 without releasing it"),
]


@each_method
@pytest.mark.parametrize("kind", ["Lock", "RLock"])
@pytest.mark.parametrize(("how", "code", "text"), WAYS, ids=[way[0] for way in WAYS])
@pytest.mark.parametrize("reaped", [True, False])
def test_the_next_acquire_has_the_lock_and_says_so(method, kind, how, code, text, reaped):
    context = mp.get_context(method)
    lock = getattr(context, kind)()
    process = holder(context, lock, how)
    pid = process.pid
    if how == "kill":
        process.kill()
    if reaped:
        process.join(PATIENCE)
    with pytest.warns(AbandonedLockWarning, match=text) as caught:
        assert lock.acquire(timeout=PATIENCE)
    warning = caught[0].message
    assert (warning.pid, warning.name, warning.exitcode) == (pid, "holder", code)
    assert caught[0].filename == __file__
    lock.release()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert lock.acquire(False)
    lock.release()
    ended(process, code=code)


def test_one_who_waits_already_is_told():
    context = mp.get_context("fork")
    lock = context.Lock()
    process = holder(context, lock, "wait")
    threading.Timer(0.05, process.kill).start()
    with pytest.warns(AbandonedLockWarning):
        assert lock.acquire(timeout=PATIENCE)
    lock.release()
    ended(process, code=-9)


def test_a_warning_that_is_an_error_leaves_the_lock_abandoned():
    context = mp.get_context("fork")
    lock = context.Lock()
    process = holder(context, lock, "kill")
    process.kill()
    ended(process, code=-9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            with pytest.raises(AbandonedLockWarning, match="SIGKILL"):
                lock.acquire(timeout=PATIENCE)
    with pytest.warns(AbandonedLockWarning, match="SIGKILL"):
        assert lock.acquire(timeout=PATIENCE)


@each_method
def test_a_clean_exit_leaves_a_lock_held_and_frees_an_rlock(method):
    context = mp.get_context(method)
    lock, reentrant = context.Lock(), context.RLock()
    for one in (lock, reentrant):
        ended(holder(context, one, "exit"))
    # Many come and go, so that the dead one's place in the family is another's by now.
    for _ in range(3):
        other = context.Process(target=int)
        other.start()
        ended(other)
    assert not lock.acquire(timeout=0.7)
    assert reentrant.acquire(timeout=PATIENCE)
    lock.release()
    assert lock.acquire(False)


def test_the_name_of_the_dead_outlasts_its_place():
    context = mp.get_context("fork")
    lock = context.Lock()
    process = holder(context, lock, "kill")
    process.kill()
    pid = process.pid
    ended(process, code=-9)
    for _ in range(5):
        other = context.Process(target=int)
        other.start()
        ended(other)
    with pytest.warns(AbandonedLockWarning, match=f"{pid} .holder., which was killed by SIGKILL"):
        assert lock.acquire(timeout=PATIENCE)


def test_a_stopped_holder_keeps_its_lock():
    context = mp.get_context("fork")
    lock = context.Lock()
    process = holder(context, lock, "wait")
    os.kill(process.pid, signal.SIGSTOP)
    assert not lock.acquire(timeout=0.7)
    process.kill()
    with pytest.warns(AbandonedLockWarning):
        assert lock.acquire(timeout=PATIENCE)
    ended(process, code=-9)


def wait_at(barrier):
    barrier.wait()


@each_method
def test_a_barrier_breaks_for_those_who_wait_with_the_dead(method):
    context = mp.get_context(method)
    barrier = context.Barrier(3)
    process = context.Process(target=wait_at, args=(barrier,))
    process.start()
    until(lambda: barrier.n_waiting == 1)
    threading.Timer(0.02, process.kill).start()
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait(PATIENCE)
    ended(process, code=-9)
    assert barrier.broken


def wait_on(condition, ready):
    with condition:
        ready.release()
        condition.wait()


def test_a_condition_loses_no_wake_up_to_the_dead():
    context = mp.get_context("fork")
    condition, ready = context.Condition(), context.Semaphore(0)
    victim, survivor = (context.Process(target=wait_on, args=(condition, ready)) for _ in range(2))
    for process in (victim, survivor):
        process.start()
        assert ready.acquire(timeout=PATIENCE)
        with condition:
            pass  # it waits by now
    os.kill(victim.pid, signal.SIGSTOP)
    with condition:
        condition.notify()
    victim.kill()
    victim.join(PATIENCE)
    with condition:
        condition.notify()
    ended(survivor)
    ended(victim, code=-9)


def test_nor_to_one_that_dies_before_it_has_the_lock_again():
    context = mp.get_context("fork")
    condition, ready = context.Condition(), context.Semaphore(0)
    victim, survivor = (context.Process(target=wait_on, args=(condition, ready)) for _ in range(2))
    victim.start()
    assert ready.acquire(timeout=PATIENCE)
    with condition:
        assert condition._waiting() == 1
    survivor.start()
    assert ready.acquire(timeout=PATIENCE)
    with condition:
        assert condition._waiting() == 2
        condition.notify()  # the victim, which waited first, and now waits for the lock
        victim.kill()
        victim.join(PATIENCE)
    ended(survivor)
    ended(victim, code=-9)


def raise_with(lock, ready):
    lock.acquire()
    ready.set()
    raise RuntimeError("the work failed")


@each_method
def test_a_child_that_an_exception_ends_leaves_its_locks_abandoned(method):
    context = mp.get_context(method)
    lock, ready = context.Lock(), context.Event()
    process = context.Process(target=raise_with, args=(lock, ready))
    process.start()
    assert ready.wait(PATIENCE)
    process.join(PATIENCE)
    with pytest.warns(AbandonedLockWarning, match="exited with code 1"):
        assert lock.acquire(timeout=PATIENCE)
    ended(process, code=1)


def release_at_the_end(lock, told):
    lock.acquire()
    util.Finalize(None, lock.release, exitpriority=5)
    util.Finalize(None, told.put, ("released",), exitpriority=1)


@each_method
def test_exit_functions_still_have_the_locks(method):
    context = mp.get_context(method)
    lock, told = context.RLock(), context.Queue()
    process = context.Process(target=release_at_the_end, args=(lock, told))
    process.start()
    assert told.get(timeout=PATIENCE) == "released"
    ended(process)
    assert lock.acquire(False)


def wait_and_say(lock, told):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        lock.acquire()
    told.put(str(caught[0].message))


@each_method
def test_a_sibling_is_told_how_the_holder_died(method):
    context = mp.get_context(method)
    lock, told = context.Lock(), context.Queue()
    process = holder(context, lock, "wait")
    process.kill()
    process.join(PATIENCE)
    sibling = context.Process(target=wait_and_say, args=(lock, told))
    sibling.start()
    assert "(holder), which was killed by SIGKILL" in told.get(timeout=PATIENCE)
    ended(sibling)
    ended(process, code=-9)


def test_the_warning_points_at_the_users_line():
    context = mp.get_context("fork")
    for make in (context.Condition, lambda: context.Array("i", 1)):
        shared = make()
        process = holder(context, shared, "os._exit")
        ended(process, code=3)
        with pytest.warns(AbandonedLockWarning) as caught:
            with shared:
                pass
        assert caught[0].filename == __file__


@pytest.mark.parametrize("name", ["\udcff", 7, "x" * 500, ""])
def test_any_name_does(name):
    context = mp.get_context("fork")
    process = context.Process(target=int, name="child")
    process._name = name
    process.start()
    ended(process)


def test_permits_of_the_dead_stay_gone():
    context = mp.get_context("fork")
    permits, ready = context.Semaphore(1), context.Event()
    process = context.Process(target=hold, args=(permits, ready, "wait"))
    process.start()
    assert ready.wait(PATIENCE)
    process.kill()
    ended(process, code=-9)
    assert not permits.acquire(timeout=0.7)


def test_a_killed_waiter_takes_nothing_along():
    context = mp.get_context("fork")
    lock, ready = context.Lock(), context.Event()
    lock.acquire()
    victim = context.Process(target=hold, args=(lock, ready, "wait"))
    victim.start()
    until_waiting(victim.pid)
    victim.kill()
    ended(victim, code=-9)
    start = time.monotonic()
    lock.release()
    assert lock.acquire(timeout=PATIENCE)
    assert time.monotonic() - start < 2


PROGRAM = """
import os, procession as mp
lock = mp.get_context("fork").Lock()
def child():
    lock.acquire()
    os._exit(0)
p = mp.get_context("fork").Process(target=child)
p.start(); p.join()
print(lock.acquire(timeout=5))
"""


def test_the_warning_is_seen_by_default():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.stdout == "True\n"
    assert "AbandonedLockWarning: this Lock was held by process" in done.stderr
    assert "exited with code 0 without releasing it" in done.stderr
