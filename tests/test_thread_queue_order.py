"""The order of thread queues, beside the standard library's classes; and what comparisons may do."""

import heapq
import queue as standard

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thread_queues import calls, opened, until_blocked  # noqa: F401

from procession import queue

CLASSES = ["Queue", "LifoQueue", "PriorityQueue"]


class Job:
    """Equal to all of its priority; counts whom it was compared with."""

    def __init__(self, priority, log=None):
        self.priority = priority
        self.log = log

    def __lt__(self, other):
        if self.log is not None:
            self.log.append((self.priority, other.priority))
        return self.priority < other.priority

    def __repr__(self):
        return f"Job({self.priority})"


numbers = st.integers(-3, 3)
plain = st.one_of(
    numbers,
    st.integers(-(2**70), 2**70),
    st.booleans(),
    st.floats(),
)
texts = st.text("ab\u00e9\u4e2d", max_size=3)
things = st.one_of(
    st.lists(plain, max_size=30),
    st.lists(texts, max_size=30),
    st.lists(st.binary(max_size=3), max_size=30),
    st.lists(st.tuples(plain, texts), max_size=30),
    st.lists(st.tuples(numbers, st.tuples(numbers, texts)), max_size=30),
    st.lists(st.tuples(), max_size=5),
    st.lists(st.one_of(st.tuples(numbers), st.tuples(numbers, numbers)), max_size=30),
    st.lists(numbers.map(Job), max_size=30),
    st.lists(st.tuples(numbers, numbers.map(Job)), max_size=30),
    st.lists(st.lists(numbers, max_size=3), max_size=30),
    st.lists(st.one_of(numbers, texts, st.none()), max_size=8),
)
steps = st.lists(
    st.sampled_from(
        ["put", "put", "put", "get", "get", "many", "peek", "open", "shutdown", "done"]
    ),
    max_size=60,
)


def tried(call):
    """What a call gives: an object itself, or the name of its exception."""
    try:
        return "is", id(call())
    except Exception as error:
        return "raises", type(error).__name__, str(error)


def model_peek(q):
    if not q.queue:
        raise (standard.Empty if not getattr(q, "is_shutdown", False) else queue.ShutDown)
    return q.queue[-1 if isinstance(q, standard.LifoQueue) else 0]


@pytest.mark.parametrize("kind", CLASSES)
@settings(max_examples=300, deadline=None)
@given(items=things, steps=steps, size=st.integers(0, 4), data=st.data())
def test_side_by_side(kind, items, steps, size, data):
    """Each call gives the same object, or the same error, as the standard library's."""
    theirs, ours = getattr(standard, kind)(size), getattr(queue, kind)(size)
    items = iter(items)
    for step in steps:
        if step == "put":
            try:
                item = next(items)
            except StopIteration:
                continue
            before = list(theirs.queue)
            wanted = tried(lambda q=theirs, i=item: q.put(i, False))
            if wanted[0] == "raises" and wanted[1] == "TypeError":
                theirs.queue[:] = before  # ours has not got what could not be compared
            assert tried(lambda i=item: ours.put(i, False)) == wanted
        elif step == "get":
            before = list(theirs.queue)
            wanted = tried(lambda: theirs.get(False))
            assert tried(lambda: ours.get(False)) == wanted
            if wanted[0] == "raises" and wanted[1] == "TypeError":
                return  # theirs has lost one
        elif step == "many":
            most = data.draw(st.integers(1, 3))
            wanted = []
            while len(wanted) < most and (got := tried(lambda: theirs.get(False)))[0] == "is":
                wanted.append(got)
            if not wanted:
                assert tried(lambda: ours.get_many(block=False)) == got
                continue
            assert [("is", id(i)) for i in ours.get_many(most, block=False)] == wanted
        elif step == "peek":
            assert tried(lambda: ours.peek(False)) == tried(lambda: model_peek(theirs))
        elif step == "open":
            assert [id(i) for i in ours.queue] == [id(i) for i in theirs.queue]
        elif step == "shutdown" and hasattr(theirs, "shutdown"):
            now = data.draw(st.booleans())
            theirs.shutdown(now)
            ours.shutdown(now)
        elif step == "done":
            assert tried(ours.task_done) == tried(theirs.task_done)
        assert ours.qsize() == theirs.qsize() and ours.unfinished_tasks == theirs.unfinished_tasks
        assert (ours.empty(), ours.full()) == (theirs.empty(), theirs.full())


@settings(max_examples=200, deadline=None)
@given(st.lists(numbers, max_size=40), st.booleans())
def test_the_same_comparisons_the_same_way_round(priorities, inside):
    """Which of two stands on the left of `<` can be seen by programs."""
    logs = []
    for module in standard, queue:
        log = []
        q = module.PriorityQueue()
        if inside:
            q.mutex  # noqa: B018
        for priority in priorities:
            q.put(Job(priority, log))
        for _ in range(len(priorities) // 2):
            q.get()
        q.put(Job(0, log))
        while q.qsize():
            q.get()
        logs.append(log)
    assert logs[0] == logs[1]


# ---------------------------------------------------------------- what a comparison may do


class Told:
    """Compares as it is told."""

    def __init__(self, priority, act=None):
        self.priority = priority
        self.act = act

    def __lt__(self, other):
        for each in self, other:
            if each.act is not None:
                each.act()
        return self.priority < other.priority


def failing():
    raise ZeroDivisionError


@pytest.mark.parametrize("inside", [False, True], ids=["native", "opened"])
def test_a_comparison_that_raises(inside):
    q = queue.PriorityQueue()
    if inside:
        opened(q)
    good = [Told(number) for number in (3, 1, 2)]
    q.put_many(good)
    bad = Told(0, failing)
    with pytest.raises(ZeroDivisionError):
        q.put(bad)
    bad.act = None
    # The standard library's has it, uncounted, behind the others; ours has not got it.
    assert q.qsize() == 3 and q.unfinished_tasks == 3
    good[2].act = failing
    with pytest.raises(ZeroDivisionError):
        while True:
            q.get()
    good[2].act = None
    assert q.unfinished_tasks == 3


@pytest.mark.parametrize("inside", [False, True])
def test_nothing_is_lost_to_a_comparison_that_raises_in_get(inside):
    q = queue.PriorityQueue()
    if inside:
        opened(q)
    jobs = [Told(number) for number in range(8)]
    q.put_many(jobs)
    jobs[6].act = failing
    taken = []
    for _ in range(8):
        try:
            taken.append(q.get_nowait())
        except ZeroDivisionError:
            jobs[6].act = None
    taken += q.get_many(block=False) if q.qsize() else []
    assert sorted(job.priority for job in taken) == list(range(8))


@pytest.mark.parametrize("call", ["put", "get", "qsize", "peek", "put_many", "mutex"])
def test_a_comparison_that_uses_the_queue(call):
    """Nobody hangs, and the queue is whole afterwards."""
    q = queue.PriorityQueue()
    act = {
        "put": lambda: q.put(Told(9)),
        "get": lambda: q.get(False),
        "qsize": lambda: q.qsize(),
        "peek": lambda: q.peek(False),
        "put_many": lambda: q.put_many([Told(9)]),
        "mutex": lambda: q.mutex,
    }[call]
    q.put(Told(1))
    nosy = Told(0, act)
    try:
        q.put(nosy)
    except RuntimeError as error:
        assert "compar" in str(error)
        assert q.qsize() == 1
    nosy.act = None
    priorities = [job.priority for job in iter_now(q)]
    assert priorities == sorted(priorities) and 1 in priorities


def iter_now(q):
    while q.qsize():
        yield q.get(False)


def test_a_comparison_that_waits_for_another_thread(calls):  # noqa: F811
    """The others wait meanwhile, and lose nothing."""
    import threading

    q = queue.PriorityQueue()
    gate = threading.Event()
    q.put(Told(1))
    putter = calls(q.put, Told(0, lambda: gate.wait(20)))
    until_blocked(putter)
    getter = calls(q.get)
    until_blocked(getter)
    gate.set()
    putter.result()
    assert getter.result().priority == 0 and q.get().priority == 1


@given(
    priorities=st.lists(st.integers(0, 9), min_size=1), after=st.integers(0, 8), put=st.booleans()
)
def test_an_opened_queue_is_as_it_was_after_a_comparison_that_raises(priorities, after, put):
    left = [-1]

    def act():
        left[0] -= 1
        if left[0] == -1:
            raise ZeroDivisionError

    q = queue.PriorityQueue()
    opened(q)
    q.put_many([Told(priority, act) for priority in priorities])
    before, left[0] = list(q.queue), 2 * after  # each is asked twice
    try:
        q.put(Told(0, act)) if put else q.get()
    except ZeroDivisionError:
        assert list(map(id, q.queue)) == list(map(id, before))
    else:
        assert q.qsize() == len(before) + (1 if put else -1)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_an_interrupt_right_after_an_object_was_taken_out_loses_nothing(size, monkeypatch):
    """By Ctrl-C, before the one who got it has it."""
    q = queue.PriorityQueue()
    opened(q)
    q.put_many(range(size))

    def interrupted(heap, take=heapq.heappop):
        take(heap)
        raise KeyboardInterrupt

    monkeypatch.setattr(heapq, "heappop", interrupted)
    with pytest.raises(KeyboardInterrupt):
        q.get()
    monkeypatch.undo()
    assert list(q.queue) == list(range(size)) and q.get() == 0
