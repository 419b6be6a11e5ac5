"""A queue of threads that is opened while others are at it."""

import queue as standard
import threading

import pytest
from support import until
from thread_queues import calls, each_module, until_blocked  # noqa: F401

from procession import queue


@pytest.mark.parametrize("kind", [queue.Queue, queue.LifoQueue, queue.PriorityQueue])
def test_opening_while_threads_put_and_get(kind, calls):  # noqa: F811
    q = kind(8)
    producers = [calls(lambda n=n: [q.put(i) for i in range(n, 2000, 2)]) for n in range(2)]
    consumers = [calls(lambda: [q.get(timeout=20) for _ in range(1000)]) for _ in range(2)]
    until(lambda: q.unfinished_tasks > 100)
    touchers = [calls(lambda: q.mutex) for _ in range(4)]
    assert len({id(toucher.result()) for toucher in touchers}) == 1
    for producer in producers:
        producer.result()
    taken = [item for consumer in consumers for item in consumer.result()]
    assert sorted(taken) == list(range(2000)) and q.empty() and q.unfinished_tasks == 2000


def test_a_comparison_opens_another_queue_while_its_own_is_opened(calls):  # noqa: F811
    q, other, at_it, gate = (
        queue.PriorityQueue(),
        queue.Queue(),
        threading.Event(),
        threading.Event(),
    )

    class Slow:
        def __lt__(self, job):
            at_it.set()
            assert gate.wait(20)
            return other.mutex.locked()

    q.put(Slow())
    putter = calls(q.put, Slow())
    assert at_it.wait(20)
    opener = calls(lambda: q.mutex)
    until_blocked(opener)
    gate.set()
    putter.result()
    assert opener.result() is q.mutex and len(q.queue) == 2


def test_who_opens_is_gone(monkeypatch):
    """Interrupted, say: the others go on."""

    def interrupted():
        monkeypatch.undo()
        raise KeyboardInterrupt

    q = queue.Queue()
    q.put(0)
    monkeypatch.setattr(queue.Queue, "_container", staticmethod(interrupted))
    with pytest.raises(KeyboardInterrupt):
        q.mutex  # noqa: B018
    q.put(1)
    assert q.get() == 0 and q.get() == 1 and not q.mutex.locked()


def test_the_mutex_holds_everybody_off(calls):  # noqa: F811
    q = queue.Queue()
    q.put(1)
    with q.mutex:
        waiting = [calls(q.get), calls(q.qsize), calls(q.put, 2)]
        until_blocked(*waiting)
    for call in waiting:
        call.result()


@each_module
def test_bool_of_conditions_and_types(module):
    q = module.Queue()
    assert isinstance(q.not_empty, threading.Condition)
    assert isinstance(q.mutex, type(threading.Lock()))
    assert not q.mutex.locked()


def test_the_real_classes_are_not_ours():
    assert queue.Queue is not standard.Queue
