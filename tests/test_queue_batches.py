"""Many messages at once: in order, each once, also when what is put or got fails, or processes are killed."""

import collections
import itertools
import os
import queue as standard
import random
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import LONG, PATIENCE, each_method, ended, until, until_waiting

import procession as mp
from procession.queues import ShutDown

pytestmark = pytest.mark.both_backends

ROUNDS = 100 if LONG else 10
SEED = int(os.environ.get("PROCESSION_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)


class Odd:
    """What is no plain data."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, Odd) and self.value == other.value


def fail(*_):
    raise ZeroDivisionError


class Unloadable:
    def __reduce__(self):
        return fail, ()


class Unpicklable:
    def __reduce__(self):
        raise ZeroDivisionError


def mixture(count):
    """All that goes by a way of its own."""
    make = [
        lambda i: i,
        lambda i: f"text {i}",
        lambda i: Odd(i),
        lambda i: [i, (i, {"k": i})],
        lambda i: b"b" * (i * 97 % 40_000),
        lambda i: "x" * (i * 53 % 100_000),
        lambda i: None,
        lambda i: mp.SimpleQueue() if i % 50 == 7 else 0.5 * i,
    ]
    return [make[i % len(make)](i) for i in range(count)]


def same(one, other):
    return type(one) is type(other) and (one == other or isinstance(one, mp.queues.SimpleQueue))


@pytest.mark.parametrize("sequence", [list, tuple, iter])
def test_all_kinds_of_objects_keep_their_order(sequence):
    q = mp.Queue()
    sent = mixture(2000)
    q.put_many(sequence(sent))
    assert q.qsize() == 2000
    got = q.get_many(1)
    while len(got) < 2000:
        got += q.get_many(123)
    assert all(map(same, got, sent))
    assert q.empty()


def test_equal_objects_arrive_as_objects_of_their_own():
    q = mp.Queue()
    message = [1]
    q.put_many([message, message])
    one, other = q.get_many()
    assert one == other == [1] and one is not other


def test_max_is_a_bound_and_what_comes_meanwhile_is_left():
    q = mp.Queue()
    q.put_many([*range(1000)])
    assert q.get_many(0) == []
    assert q.get_many(999) == [*range(999)]
    assert q.get_many(10**9) == [999]
    with pytest.raises(standard.Empty):
        q.get_many(block=False)


def test_an_iterable_is_put_as_it_comes():
    q = mp.Queue()

    def numbers():
        for number in range(5):
            assert q.qsize() == number  # those before are in the queue
            yield number
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as raised:
        q.put_many(numbers())
    assert raised.value.put == 5
    assert q.get_many() == [0, 1, 2, 3, 4]


def test_an_object_that_cannot_be_pickled_ends_it():
    q = mp.Queue()
    with pytest.raises(ZeroDivisionError) as raised:
        q.put_many([1, 2, Unpicklable(), 4])
    assert raised.value.put == 2
    assert q.get_many() == [1, 2]


def test_a_full_queue_says_how_many_are_in_it():
    q = mp.Queue(300)
    with pytest.raises(standard.Full, match="300 objects") as raised:
        q.put_many([*range(1000)], timeout=0.01)
    assert raised.value.put == 300
    with pytest.raises(standard.Full):
        q.put_many((1,), block=False)
    assert q.get_many() == [*range(300)]


def test_a_list_that_changes_while_it_is_put():
    q = mp.Queue(2)
    numbers = [*range(5000)]
    putting = threading.Thread(target=q.put_many, args=(numbers,))
    putting.start()
    got = [q.get(timeout=PATIENCE), q.get(timeout=PATIENCE)]
    del numbers[:]  # what was encoded is on its way; no more follows
    while putting.is_alive() or not q.empty():
        try:
            got += q.get_many(timeout=0.01)
        except standard.Empty:
            pass
    putting.join()
    assert got == [*range(len(got))] and 2 <= len(got) < 5000


def test_what_cannot_be_loaded_keeps_no_other_back():
    q = mp.Queue()
    q.put_many([1, 2, Unloadable(), 4, 5])
    with pytest.raises(ZeroDivisionError) as raised:
        q.get_many()
    assert raised.value.received == [1, 2]
    assert q.get_many() == [4, 5]
    q.put_many([Unloadable(), 6])
    with pytest.raises(ZeroDivisionError) as raised:
        q.get_many()
    assert not hasattr(raised.value, "received")
    assert q.get_many() == [6]


def test_a_batch_wakes_all_who_wait_for_it():
    q, got = mp.Queue(), []
    threads = [
        threading.Thread(target=lambda: got.append(q.get(timeout=PATIENCE))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    q.put_many([1, 2, 3, 4])
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(got) == [1, 2, 3, 4]


def test_a_batch_makes_room_for_all_who_wait_for_it():
    q = mp.Queue(4)
    q.put_many([0, 0, 0, 0])
    threads = [threading.Thread(target=q.put, args=(i, True, PATIENCE)) for i in range(1, 5)]
    for thread in threads:
        thread.start()
    until_waiting(os.getpid())
    assert q.get_many(4) == [0, 0, 0, 0]
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(q.get_many(4)) == [1, 2, 3, 4]


def put_in_batches(q, me, count, done):
    draw = random.Random(me)
    sent = 0
    while sent < count:
        size = min(count - sent, draw.choice([1, 2, 7, 64, 300]))
        q.put_many([(me, sent + i) for i in range(size)], timeout=PATIENCE)
        sent += size
        done[me] = sent


def take_in_batches(q, results):
    while True:
        try:
            results.put(q.get_many(50))
        except ShutDown:
            return


@each_method
@pytest.mark.parametrize("maxsize", [0, 5])
def test_every_message_once_and_in_order(method, maxsize):
    context = mp.get_context(method)
    q, results = context.Queue(maxsize), context.Queue()
    done = context.Array("q", 3, lock=False)
    producers = [
        context.Process(target=put_in_batches, args=(q, me, 3000, done)) for me in range(3)
    ]
    consumers = [context.Process(target=take_in_batches, args=(q, results)) for _ in range(2)]
    for process in (*producers, *consumers):
        process.start()
    ended(*producers)
    q.shutdown()
    ended(*consumers)
    batches = results.get_many()
    assert all(len(batch) <= 50 for batch in batches)
    everything = sorted(itertools.chain(*batches))
    assert everything == [(me, i) for me in range(3) for i in range(3000)]
    for batch in batches:
        for me in range(3):
            mine = [i for p, i in batch if p == me]
            assert mine == sorted(mine)


@pytest.mark.timeout(120)
def test_a_killed_producer_has_put_what_came_first_and_no_more():
    context, draw = mp.get_context("fork"), random.Random(SEED)
    print("PROCESSION_SEED =", SEED)
    for _ in range(ROUNDS):
        q = context.Queue(draw.choice([0, 0, 40, 1000]))
        done = context.Array("q", 2, lock=False)
        producers = [
            context.Process(target=put_in_batches, args=(q, me, 10**9, done)) for me in range(2)
        ]
        for process in producers:
            process.start()
        got = []
        enough = draw.randrange(1, 5000)
        while len(got) < enough:
            got += q.get_many(timeout=PATIENCE)
        for process in producers:
            process.kill()
        ended(*producers, code=-9)
        while True:
            try:
                got += q.get_many(timeout=0)
            except standard.Empty:
                break
        for me in range(2):
            mine = [i for p, i in got if p == me]
            assert mine == [*range(len(mine))], "nothing lost, doubled or out of order"
            assert len(mine) >= done[me], "what put_many returned for is there"
        q.put_many([1, 2, 3])
        assert q.get_many(timeout=PATIENCE) == [1, 2, 3]


@pytest.mark.timeout(120)
def test_a_killed_consumer_takes_one_batch_with_it_at_most():
    context, draw = mp.get_context("fork"), random.Random(SEED)
    print("PROCESSION_SEED =", SEED)
    for _ in range(ROUNDS):
        q, results = context.Queue(), context.Queue()
        consumers = [context.Process(target=take_in_batches, args=(q, results)) for _ in range(3)]
        for process in consumers:
            process.start()
        total, at = 4000, draw.randrange(4000)
        for start in range(0, total, 100):
            q.put_many([*range(start, start + 100)])
            if start <= at < start + 100:
                consumers[0].kill()
                consumers[1].kill()
        q.shutdown()
        ended(*consumers[:2], code=-9)
        ended(consumers[2])
        got = [*itertools.chain(*results.get_many(timeout=PATIENCE))]
        assert len(got) == len(set(got)), "nothing doubled"
        assert set(got) <= {*range(total)} and len(got) >= total - 2 * 50


SMALL = st.one_of(st.integers(), st.text(max_size=20), st.none(), st.builds(Odd, st.integers()))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), SMALL),
        st.tuples(st.just("put_many"), st.lists(SMALL, max_size=12)),
        st.tuples(st.just("get"), st.none()),
        st.tuples(st.just("peek"), st.none()),
        st.tuples(st.just("get_many"), st.one_of(st.none(), st.integers(0, 9))),
    ),
    max_size=40,
)


@settings(max_examples=300 if LONG else 80, deadline=None)
@given(st.sampled_from([0, 1, 3, 7]), STEPS)
def test_as_a_model_says(maxsize, steps):
    q, model = mp.Queue(maxsize), collections.deque()
    room = lambda: maxsize - len(model) if maxsize else 10**9  # noqa: E731
    for what, argument in steps:
        if what == "put":
            try:
                q.put(argument, block=False)
                assert room() > 0
                model.append(argument)
            except standard.Full:
                assert room() == 0
        elif what == "put_many":
            try:
                q.put_many(argument, block=False)
                assert len(argument) <= room()
                model.extend(argument)
            except standard.Full as error:
                assert error.put == room() < len(argument)
                model.extend(argument[: error.put])
        else:
            try:
                if what == "get_many":
                    got = q.get_many(argument, block=False)
                    wanted = len(model) if argument is None else min(argument, len(model))
                    assert got == [model.popleft() for _ in range(wanted)]
                elif what == "get":
                    assert q.get(block=False) == model.popleft()
                else:
                    assert q.peek(block=False) == model[0]
            except standard.Empty:
                assert not model
        assert q.qsize() == len(model) and q.full() == (room() == 0)
    until(lambda: q.empty() == (not model))
    assert not model or q.get_many() == [*model]
