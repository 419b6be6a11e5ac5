"""Programs that reach into a queue of threads, or override what it does: recipes that are in use."""

import heapq
import inspect
from collections import deque

import pytest
from thread_queues import calls, drained, each_module, opened, until_blocked  # noqa: F401

from procession import queue


@each_module
def test_emptying_a_queue_for_good(module, calls):  # noqa: F811
    q = module.Queue()
    for number in range(5):
        q.put(number)
    joiner = calls(q.join)
    until_blocked(joiner)
    with q.mutex:
        q.queue.clear()
        q.unfinished_tasks = 0
        q.all_tasks_done.notify_all()
    joiner.result()
    assert q.empty() and q.unfinished_tasks == 0


@each_module
def test_emptying_a_full_queue_lets_putters_in(module, calls):  # noqa: F811
    q = module.Queue(2)
    q.put(1)
    q.put(2)
    putter = calls(q.put, 3)
    until_blocked(putter)
    with q.mutex:
        q.queue.clear()
        q.not_full.notify_all()
    putter.result()
    assert drained(q) == [3]


@each_module
@pytest.mark.parametrize("kind", ["Queue", "LifoQueue", "PriorityQueue"])
def test_looking_at_what_is_inside(module, kind):
    q = getattr(module, kind)()
    for number in [5, 3, 4, 1, 2]:
        q.put(number)
    wanted = [5, 3, 4, 1, 2]
    if kind == "PriorityQueue":
        heapq.heapify(wanted := [])
        for number in [5, 3, 4, 1, 2]:
            heapq.heappush(wanted, number)
    assert list(q.queue) == wanted and type(q.queue) is (deque if kind == "Queue" else list)
    assert q.queue[0] == wanted[0] and 4 in q.queue and len(q.queue) == 5
    q.queue.remove(4)
    assert q.qsize() == 4 and 4 not in drained(q)


@each_module
def test_putting_in_front(module, calls):  # noqa: F811
    q = module.Queue()
    getter = calls(q.get)
    until_blocked(getter)
    with q.mutex:
        q.queue.appendleft("first")
        q.unfinished_tasks += 1
        q.not_empty.notify()
    assert getter.result() == "first"
    assert q.unfinished_tasks == 1


@each_module
def test_those_who_wait_go_over(module, calls):  # noqa: F811
    q, full = module.Queue(), module.Queue(1)
    full.put(0)
    getters = [calls(q.get), calls(q.get, True, 60)]
    putters = [calls(full.put, 1), calls(full.put, 1, True, 60)]
    joiner = calls(full.join)
    until_blocked(*getters, *putters, joiner)
    assert len(q.queue) == 0 and list(full.queue) == [0]
    q.put("a")
    q.put("b")
    assert {getter.result() for getter in getters} == {"a", "b"}
    assert [full.get(), full.get(), full.get()] == [0, 1, 1]
    for putter in putters:
        putter.result()
    for _ in range(3):
        full.task_done()
    joiner.result()


@each_module
def test_a_time_limit_goes_over(module, calls):  # noqa: F811
    q = module.Queue()
    getter = calls(q.get, True, 0.3)
    q.mutex  # noqa: B018
    with pytest.raises(module.Empty):
        getter.result()


def test_iterators_and_takers_of_many_go_over(calls):  # noqa: F811
    q = queue.Queue()
    waiting = [calls(list, q), calls(q.get_many), calls(q.peek)]
    until_blocked(*waiting)
    opened(q)
    q.put_many([1, 2, 3])
    q.shutdown()
    taken, many, seen = waiting[0].result(), None, None
    try:
        many = waiting[1].result()
    except queue.ShutDown:
        many = []
    try:
        seen = waiting[2].result()
    except queue.ShutDown:
        seen = 1
    assert sorted(taken + many) == [1, 2, 3] and seen in (1, 2, 3)


@each_module
def test_waiting_on_a_condition_by_hand(module, calls):  # noqa: F811
    q = module.Queue()

    def two_at_once():
        with q.not_empty:
            q.not_empty.wait_for(lambda: q._qsize() >= 2)
            return q._get(), q._get()

    taker = calls(two_at_once)
    until_blocked(taker)
    q.put(1)
    q.put(2)
    assert taker.result() == (1, 2)


@each_module
def test_the_hooks_called_from_outside(module):
    q = module.Queue()
    q._put(1)
    q._put(2)
    assert q._qsize() == 2 and q._get() == 1 and q.get() == 2 and q.unfinished_tasks == 0


@each_module
def test_wait_with_a_time_limit_for_all_tasks(module):
    """The usual recipe for a join with a time-out."""
    q = module.Queue()
    q.put(1)
    with q.all_tasks_done:
        assert not q.all_tasks_done.wait_for(lambda: not q.unfinished_tasks, 0.01)
    q.get()
    q.task_done()
    with q.all_tasks_done:
        assert q.all_tasks_done.wait_for(lambda: not q.unfinished_tasks, 0.01)


def test_attributes_that_only_an_instance_has():
    for name in "mutex", "not_empty", "queue":
        assert not hasattr(queue.Queue, name) and hasattr(queue.Queue(), name)


def test_nothing_else_opens_a_queue():
    q = queue.PriorityQueue(5)
    q.note = q.maxsize
    q.maxsize = 7
    q.put(2)
    q.put_many([3, 1])
    assert (q.qsize(), q.empty(), q.full(), q.unfinished_tasks, q.peek()) == (3, False, False, 3, 1)
    assert q.get() == 1 and q.get_many() == [2, 3]
    q.task_done()
    q.unfinished_tasks = 0
    q.join()
    q.shutdown()
    repr(q), hash(q), vars(q), inspect.getmembers(q)
    assert not q._is_open and "mutex" not in dir(q)
    assert "mutex" in dir(opened(q))


# ---------------------------------------------------------------- subclasses


def recipes(module):
    """Classes as they are found in programs."""

    class SetQueue(module.Queue):
        """Takes nothing twice."""

        def _init(self, maxsize):
            self.queue = set()

        def _put(self, item):
            self.queue.add(item)

        def _get(self):
            return self.queue.pop()

    class OrderedSetQueue(module.Queue):
        def _init(self, maxsize):
            super()._init(maxsize)
            self.seen = set()

        def _put(self, item):
            if item not in self.seen:
                self.seen.add(item)
                super()._put(item)

    class Unshift(module.Queue):
        def _put(self, item):
            self.queue.appendleft(item) if item < 0 else self.queue.append(item)

    class Ticketed(module.PriorityQueue):
        """Stable, and compares priorities only."""

        def _init(self, maxsize):
            super()._init(maxsize)
            self.count = 0

        def _put(self, item):
            self.count += 1
            super()._put((item[0], self.count, item))

        def _get(self):
            return super()._get()[2]

    class Weighted(module.Queue):
        """Its size is not its number of objects."""

        def _init(self, maxsize):
            self.items, self.weight = [], 0

        def _qsize(self):
            return self.weight

        def _put(self, item):
            self.items.append(item)
            self.weight += item

        def _get(self):
            item = self.items.pop(0)
            self.weight -= item
            return item

    class Old(module.Queue):
        """Names the base class, and has arguments of its own."""

        def __init__(self, name, size=0):
            self.name = name
            module.Queue.__init__(self, maxsize=size)

        def _put(self, item):
            module.Queue._put(self, (self.name, item))

    class Mixin:
        def _get(self):
            return -super()._get()

    class Mixed(Mixin, module.LifoQueue):
        pass

    return locals()


@each_module
def test_a_set(module):
    q = recipes(module)["SetQueue"]()
    for item in [1, 2, 1, 2, 3]:
        q.put(item)
    assert q.qsize() == 3 and sorted(drained(q)) == [1, 2, 3] and q.unfinished_tasks == 5


@each_module
def test_a_set_in_order(module):
    q = recipes(module)["OrderedSetQueue"]()
    for item in [3, 1, 3, 2, 1]:
        q.put(item)
    assert drained(q) == [3, 1, 2]


@each_module
def test_a_queue_with_two_ends(module):
    q = recipes(module)["Unshift"]()
    for item in [1, -1, 2, -2]:
        q.put(item)
    assert drained(q) == [-2, -1, 1, 2]


@each_module
def test_a_stable_priority_queue(module):
    q = recipes(module)["Ticketed"]()
    items = [(1, object()), (0, object()), (1, object()), (0, object())]
    for item in items:
        q.put(item)
    assert drained(q) == [items[1], items[3], items[0], items[2]]


@each_module
def test_a_size_of_its_own(module, calls):  # noqa: F811
    q = recipes(module)["Weighted"](5)
    q.put(3)
    assert not q.full()
    q.put(4)
    assert q.full() and q.qsize() == 7
    putter = calls(q.put, 1)
    until_blocked(putter)
    assert q.get() == 3
    putter.result()
    assert [q.get(), q.get()] == [4, 1] and q.empty()


@each_module
def test_arguments_of_its_own(module):
    q = recipes(module)["Old"]("x", size=2)
    q.put(1)
    assert q.maxsize == 2 and q.get() == ("x", 1)


@each_module
def test_a_hook_that_is_mixed_in(module):
    q = recipes(module)["Mixed"]()
    q.put(1)
    q.put(2)
    assert [q.get(), q.get_nowait()] == [-2, -1]


@each_module
def test_a_hook_of_one_instance(module):
    q = module.Queue()
    q.put(0)
    put = q._put
    q._put = lambda item: put(item * 2)
    q.put(1)
    assert drained(q) == [0, 2]
    del q._put
    q.put(1)
    assert q.get() == 1


def test_a_hook_that_is_set_on_the_class():
    class Patched(queue.Queue):
        pass

    before = Patched()
    Patched._put = lambda self, item: self.queue.append(item * 2)
    after = Patched()
    for q in before, after:
        q.put(1)
    assert (before.get(), after.get()) == (1, 2)
    opened(before).put(1)
    assert before.get() == 2


@each_module
def test_a_put_written_with_the_parts(module, calls):  # noqa: F811
    class Dropping(module.Queue):
        """Makes room by dropping the oldest."""

        def put(self, item, block=True, timeout=None):
            with self.mutex:
                if self.maxsize > 0 and self._qsize() >= self.maxsize:
                    self._get()
                else:
                    self.unfinished_tasks += 1
                self._put(item)
                self.not_empty.notify()

    q = Dropping(2)
    getter = calls(q.get)
    until_blocked(getter)
    q.put("a")
    assert getter.result() == "a"
    for item in "bcde":
        q.put_nowait(item)
    assert drained(q) == ["d", "e"] and q.unfinished_tasks == 3


@each_module
def test_parts_that_are_set_before_the_queues_own_init(module):
    class Early(module.Queue):
        def __init__(self):
            self.queue = "nothing yet"
            self.limit = 3
            super().__init__(self.limit)

    q = Early()
    q.put(1)
    assert q.maxsize == 3 and q.get() == 1 and q.empty()


@each_module
@pytest.mark.parametrize("touched", [False, True])
def test_init_begins_anew(module, touched):
    q = module.Queue(1)
    q.put(1)
    if touched:
        assert q.queue[0] == 1
    q.__init__(2)
    assert q.maxsize == 2 and q.empty() and q.unfinished_tasks == 0
    q.put(1)
    q.put(2)
    assert drained(q) == [1, 2]


@each_module
def test_a_hook_that_raises(module):
    class Picky(module.Queue):
        def _put(self, item):
            if item is None:
                raise ZeroDivisionError
            super()._put(item)

    q = Picky()
    with pytest.raises(ZeroDivisionError):
        q.put(None)
    assert q.unfinished_tasks == 0
    q.put(1)
    assert q.get() == 1


def test_peeking_into_a_queue_with_its_own_order():
    made = recipes(queue)
    for kind in "SetQueue", "Ticketed", "Mixed":
        q = made[kind]()
        q.put((1, 2))
        with pytest.raises(
            NotImplementedError, match=f"{kind} has a _get of its own, but no _peek"
        ):
            q.peek()
    q = made["OrderedSetQueue"]()
    q.put(1)
    assert q.peek() == 1

    class Mine(made["Weighted"]):
        def _peek(self):
            return self.items[0]

    q = Mine()
    q.put(4)
    assert q.peek_nowait() == 4 and q.get() == 4


@pytest.mark.parametrize("kind", ["OrderedSetQueue", "Unshift"])
def test_what_there_is_beside_works_on_subclasses(kind, calls):  # noqa: F811
    q = recipes(queue)[kind](3)
    putter = calls(q.put_many, [1, 2, 3, 4, 5])
    assert [q.get(timeout=20) for _ in range(5)] == [1, 2, 3, 4, 5]
    putter.result()
    q.put_many([7, 8])
    q.shutdown()
    assert q.get_many(1) == [7] and list(q) == [8]
