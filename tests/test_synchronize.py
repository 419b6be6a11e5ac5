"""Locks, semaphores, conditions, events and barriers: meanings, exceptions, reprs, travel."""

import os
import pickle
import signal
import threading

import pytest
from support import LONG, PATIENCE, descriptors, each_method, ended, until, until_waiting

import procession as mp
from procession import _core, synchronize

pytestmark = pytest.mark.both_backends


def in_thread(function, *args):
    """Runs a function in another thread and returns what it returned."""
    result = []
    thread = threading.Thread(target=lambda: result.append(function(*args)))
    thread.start()
    thread.join(PATIENCE)
    return result[0]


# Locks


def test_a_lock_is_held_by_one():
    lock = mp.Lock()
    assert lock.acquire() is True
    assert lock.acquire(False) is False
    assert lock.acquire(block=True, timeout=0.01) is False
    assert lock.acquire(True, -1) is False
    assert lock.release() is None
    with pytest.raises(ValueError, match="^semaphore or lock released too many times$"):
        lock.release()
    with lock as had:
        assert had is True
    assert lock.acquire(timeout=0)


def test_a_lock_may_be_released_by_another_thread():
    lock = mp.Lock()
    lock.acquire()
    in_thread(lock.release)
    assert lock.acquire(False)


def test_an_rlock_counts_and_belongs_to_its_thread():
    lock = mp.RLock()
    assert lock.acquire() and lock.acquire(False)
    assert repr(lock) == "<RLock(MainProcess, 2)>"
    assert in_thread(lock.acquire, False) is False
    text = "^attempt to release recursive lock not owned by thread$"
    with pytest.raises(AssertionError, match=text):
        in_thread_raising(lock.release)
    lock.release()
    assert in_thread(lock.acquire, False) is False
    lock.release()
    with pytest.raises(AssertionError, match=text):
        lock.release()
    assert repr(lock) == "<RLock(None, 0)>"


def in_thread_raising(function):
    """Runs a function in another thread and raises what it raised."""

    def attempt():
        try:
            function()
        except BaseException as error:
            return error

    error = in_thread(attempt)
    if error is not None:
        raise error


def test_reprs_say_who_holds_it():
    lock = mp.Lock()
    assert repr(lock) == "<Lock(owner=None)>"
    with lock:
        assert repr(lock) == "<Lock(owner=MainProcess)>"
        assert in_thread(repr, lock) == "<Lock(owner=SomeOtherThread)>"
    assert in_thread(lambda: lock.acquire() and repr(lock)).startswith("<Lock(owner=MainProcess|")
    reentrant = mp.RLock()
    hold = mp.get_context("fork").Process(
        target=hold_until_told, args=(reentrant, go := mp.Event())
    )
    hold.start()
    until(lambda: reentrant._is_zero())
    assert repr(reentrant) == "<RLock(SomeOtherProcess, nonzero)>"
    assert reentrant._holder() == (hold.pid, hold.name)
    go.set()
    ended(hold)


def hold_until_told(lock, go):
    with lock:
        go.wait()


@pytest.mark.parametrize(
    "arguments", [{"timeout": "soon"}, {"timeout": object()}, {"blocking": True}]
)
def test_bad_arguments_are_type_errors_and_take_nothing(arguments):
    lock = mp.Lock()
    with pytest.raises(TypeError):
        lock.acquire(**arguments)
    assert lock.acquire(False)


def add(lock, counter, times):
    for _ in range(times):
        with lock:
            counter.value += 1


@each_method
@pytest.mark.parametrize("kind", ["Lock", "RLock", "Semaphore", "BoundedSemaphore"])
def test_a_lock_keeps_others_out(method, kind):
    context = mp.get_context(method)
    lock, counter = getattr(context, kind)(), context.RawValue("i")
    children = [context.Process(target=add, args=(lock, counter, 2000)) for _ in range(4)]
    for child in children:
        child.start()
    ended(*children)
    assert counter.value == 8000


def add_until(lock, counter, end, added):
    mine = 0
    while not end.is_set():
        with lock:
            counter.value += 1
        mine += 1
    added.put(mine)


@pytest.mark.skipif(_core.memory_limit() < 1 << 29, reason="memory for sixty-four processes")
@pytest.mark.timeout(90)
def test_sixty_four_processes_on_one_lock():
    context = mp.get_context("fork")
    lock, counter, end, added = context.Lock(), context.RawValue("q"), context.Event(), mp.Queue()
    children = [
        context.Process(target=add_until, args=(lock, counter, end, added)) for _ in range(64)
    ]
    for child in children:
        child.start()
    assert not end.wait(10 if LONG else 1)
    end.set()
    counts = [added.get(timeout=PATIENCE) for _ in children]
    ended(*children)
    assert sum(counts) == counter.value
    assert all(counts), "each has had its turns"


def test_two_handles_of_a_lock_are_one_lock():
    queue = mp.Queue()
    lock = mp.RLock()
    queue.put(lock)
    other = queue.get()
    with lock, other:
        assert repr(other) == "<RLock(MainProcess, 2)>"
    other = pickle.loads(pickle.dumps(lock))
    with lock:
        assert in_thread(other.acquire, False) is False


@each_method
def test_primitives_travel_in_messages(method):
    context = mp.get_context(method)
    box, ready, done = context.Queue(), context.Event(), context.Event()
    child = context.Process(target=use_from_queue, args=(box, ready))
    child.start()
    box.put((context.Lock(), context.Semaphore(0), context.Condition(), done, context.Barrier(1)))
    assert ready.wait(PATIENCE)
    ended(child)


def use_from_queue(box, ready):
    lock, semaphore, condition, done, barrier = box.get()
    with lock, condition:
        assert not semaphore.acquire(False)
        semaphore.release()
        condition.notify_all()
    assert barrier.wait() == 0
    done.set()
    assert done.wait()
    ready.set()


def test_a_subclass_may_have_methods_of_its_own():
    class Mine(synchronize.Lock):
        def _acquire(self):
            return self.acquire(timeout=0.01)

        def _release(self):
            return self.release()

    lock = Mine(ctx=mp.get_context())
    assert lock.acquire() and not lock._acquire()
    lock._release()
    with pytest.raises(ValueError):
        lock._release()


def test_arguments_of_acquire_by_name_and_place():
    lock = mp.Lock()
    lock.acquire(block=True, timeout=None)
    assert not lock.acquire(False, timeout=1)
    assert not lock.acquire(timeout=0.01, block=True)
    with pytest.raises(TypeError):
        lock.acquire(True, 1, 2)
    with pytest.raises(TypeError):
        lock.acquire(True, block=True)


@pytest.mark.of_the_arena("its memory: over a server the clients' connections count")
def test_many_cost_no_descriptors():
    before = descriptors()
    locks = [mp.Lock() for _ in range(5000)]
    assert descriptors() == before
    assert all(lock.acquire(False) for lock in locks)


def test_ctrl_c_ends_a_wait():
    lock = mp.Lock()
    lock.acquire()
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        lock.acquire(timeout=PATIENCE)
    lock.release()
    assert lock.acquire(False)


# Semaphores


def test_a_semaphore_counts():
    permits = mp.Semaphore(2)
    assert repr(permits) == "<Semaphore(value=2)>"
    assert permits.acquire() and permits.acquire()
    assert permits.get_value() == 0
    assert not permits.acquire(False) and not permits.acquire(True, 0.01)
    for _ in range(3):
        permits.release()
    assert permits.get_value() == 3
    with permits:
        assert permits.get_value() == 2


def test_a_bounded_semaphore_has_a_maximum():
    permits = mp.BoundedSemaphore(1)
    assert repr(permits) == "<BoundedSemaphore(value=1, maxvalue=1)>"
    with pytest.raises(ValueError, match="^semaphore or lock released too many times$"):
        permits.release()
    assert permits.get_value() == 1


@pytest.mark.parametrize("kind", ["Semaphore", "BoundedSemaphore"])
@pytest.mark.parametrize(("value", "error"), [(-1, OSError), (2**31, OverflowError)])
def test_impossible_semaphores(kind, value, error):
    with pytest.raises(error):
        getattr(mp, kind)(value)


# Conditions


def wait_and_tell(condition, box, timeout=None):
    with condition:
        box.put("waiting")
        box.put(condition.wait(timeout))


@each_method
def test_notify_wakes_as_many_as_asked(method):
    context = mp.get_context(method)
    condition, box = context.Condition(), context.Queue()
    children = [context.Process(target=wait_and_tell, args=(condition, box)) for _ in range(4)]
    for child in children:
        child.start()
    assert [box.get(timeout=PATIENCE) for _ in children] == ["waiting"] * 4
    until(lambda: condition._waiting() == 4)
    with condition:
        condition.notify()
    assert box.get(timeout=PATIENCE) is True
    with condition:
        assert condition._waiting() == 3 and box.empty()
        condition.notify(2)
    assert box.get(timeout=PATIENCE) and box.get(timeout=PATIENCE)
    with condition:
        condition.notify_all()
    assert box.get(timeout=PATIENCE)
    ended(*children)
    assert condition._waiting() == 0 and box.empty()


def test_a_condition_wants_its_lock():
    condition = mp.Condition()
    with pytest.raises(AssertionError, match=r"^must acquire\(\) condition before using wait\(\)$"):
        condition.wait()
    with pytest.raises(AssertionError, match="^lock is not owned$"):
        condition.notify()


def test_waiting_releases_every_level_and_takes_it_again():
    condition = mp.Condition()
    with condition, condition:
        threading.Timer(0, notify, (condition,)).start()
        assert condition.wait(PATIENCE)
        assert repr(condition) == "<Condition(<RLock(MainProcess, 2)>, 0)>"


def notify(condition):
    with condition:
        condition.notify()


def test_a_time_out_withdraws():
    condition = mp.Condition(mp.Lock())
    with condition:
        assert condition.wait(0.01) is False
        assert condition.wait_for(lambda: False, timeout=0.01) is False
        assert condition.wait_for(lambda: 7) == 7
        assert condition._waiting() == 0


def test_a_condition_over_a_semaphore():
    condition = mp.Condition(mp.Semaphore(1))
    with condition:
        assert condition.wait(0.01) is False
        condition.notify(-1)
        condition.notify(1.5)


def test_a_notification_before_the_wait_is_not_kept():
    condition = mp.Condition()
    with condition:
        condition.notify_all()
        assert condition.wait(0) is False


# Events


@each_method
def test_an_event_lets_everyone_through(method):
    context = mp.get_context(method)
    event, box = context.Event(), context.Queue()
    children = [context.Process(target=tell_of, args=(event, box)) for _ in range(3)]
    for child in children:
        child.start()
    until_waiting(*(child.pid for child in children))
    event.set()
    event.clear()
    assert [box.get(timeout=PATIENCE) for _ in children] == [True] * 3
    ended(*children)


def tell_of(event, box):
    box.put(event.wait())


def test_an_event_is_set_and_cleared():
    event = mp.Event()
    assert not event.is_set() and event.wait(0.01) is False
    event.set()
    event.set()
    assert event.is_set() and event.wait() and event.wait(0)
    assert repr(event).endswith(" set>")
    event.clear()
    assert not event.is_set() and event.wait(0) is False


# Barriers


def pass_by(barrier, box, times):
    for _ in range(times):
        box.put(barrier.wait())


@each_method
def test_a_barrier_lets_go_when_all_are_there(method):
    context = mp.get_context(method)
    barrier, box = context.Barrier(3), context.Queue()
    children = [context.Process(target=pass_by, args=(barrier, box, 50)) for _ in range(3)]
    for child in children:
        child.start()
    got = [box.get(timeout=PATIENCE) for _ in range(150)]
    ended(*children)
    assert sorted(got) == [0] * 50 + [1] * 50 + [2] * 50
    assert (barrier.parties, barrier.n_waiting, barrier.broken) == (3, 0, False)


def test_the_last_one_runs_the_action_before_anyone_goes_on():
    ran = []
    barrier = mp.Barrier(2, action=lambda: ran.append(1))
    thread = threading.Thread(target=barrier.wait)
    thread.start()
    barrier.wait()
    assert ran == [1]
    thread.join(PATIENCE)


def broken_in_thread(barrier, seen, timeout=None):
    try:
        barrier.wait(timeout)
    except threading.BrokenBarrierError:
        seen.append("broken")


@pytest.mark.parametrize("how", ["timeout", "abort", "reset", "action"])
def test_what_breaks_a_barrier(how):
    barrier = mp.Barrier(2, action=lambda: 1 / 0)
    seen = []
    thread = threading.Thread(target=broken_in_thread, args=(barrier, seen))
    if how != "timeout":
        thread.start()
        until(lambda: barrier.n_waiting == 1)
    if how == "timeout":
        with pytest.raises(threading.BrokenBarrierError):
            barrier.wait(0.01)
        thread.start()
    elif how == "action":
        with pytest.raises(ZeroDivisionError):
            barrier.wait()
    else:
        getattr(barrier, how)()
    thread.join(PATIENCE)
    assert seen == ["broken"]
    assert barrier.broken is (how != "reset")
    barrier.reset()
    assert not barrier.broken and barrier.n_waiting == 0


@pytest.mark.parametrize("parties", [-1, 0, 65536])
def test_impossible_barriers(parties):
    with pytest.raises(ValueError, match="parties must be"):
        mp.Barrier(parties)


def test_one_too_many_at_a_barrier_hurts_nobody():
    inside, go = threading.Event(), threading.Event()
    barrier = mp.Barrier(2, action=lambda: inside.set() or go.wait())
    got = []
    threads = [threading.Thread(target=lambda: got.append(barrier.wait())) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert inside.wait(PATIENCE)
    late = threading.Thread(target=broken_in_thread, args=(barrier, got, 0.01))
    late.start()
    go.set()
    for thread in (*threads, late):
        thread.join(PATIENCE)
    assert sorted(got, key=str) == [0, 1, "broken"]


@pytest.mark.of_the_arena("the names of the package's module")
def test_names_of_the_module():
    assert set(synchronize.__all__) < set(dir(synchronize))
    assert mp.Lock()._semlock.kind == synchronize.SEMAPHORE
    assert mp.RLock()._semlock.kind == synchronize.RECURSIVE_MUTEX
