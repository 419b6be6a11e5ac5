"""Managers' dicts and lists that many change all the time: each operation comes to its end."""

import dataclasses
import itertools
import os
import random
import threading
import time

import pytest
from manager_support import sound
from support import LONG, PATIENCE, each_method, ended, run, until

import procession as mp
from procession import _core

NEW = itertools.count()
SEED = int(os.environ.get("PROCESSION_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)


@dataclasses.dataclass(frozen=True)
class Odd:
    number: int


def change(shared, row, end):
    number = 0
    while not end.is_set():
        number += 1
        shared[number % 50] = number
        shared.pop(number % 50 - 20, None)
        row.append(number)
        row.pop()


@pytest.fixture
def busy():
    """A dict and a list that two processes change without a pause."""
    with mp.Manager() as manager:
        shared, row, end = manager.dict(), manager.list(range(20_000)), mp.Event()
        children = [mp.Process(target=change, args=(shared, row, end)) for _ in range(2)]
        for child in children:
            child.start()
        until(lambda: len(shared) > 10, "their changes")
        yield shared, row
        end.set()
        ended(*children)
        assert row._check() == shared._check() == _core.check() == []


STEPS = {
    "sort": lambda d, row: row.sort(),
    "sort by key": lambda d, row: row.sort(key=lambda value: -value),
    "remove": lambda d, row: row.remove(15_000),
    "repeat": lambda d, row: row.__imul__(1),
    "set with steps": lambda d, row: row.__setitem__(slice(0, 100, 2), range(50)),
    "delete with steps": lambda d, row: row.__delitem__(slice(0, 100, 2)),
    "reverse": lambda d, row: row.reverse(),
    "index": lambda d, row: row.index(15_000),
    "copy": lambda d, row: row.copy(),
    "go through": lambda d, row: [*zip(range(20_000), row, strict=False)],
    "odd key": lambda d, row: [d.__setitem__(Odd(n), n) for n in range(20)],
    "odd increment": lambda d, row: [d.increment(Odd(n % 3)) for n in range(20)],
    "odd update": lambda d, row: d.update({Odd(n): n for n in range(20)}),
    "odd miss": lambda d, row: [d.get(Odd(n)) for n in range(20)],
    "keys": lambda d, row: (d.keys(), d.items(), d.copy()),
    "exchange": lambda d, row: [exchange(d) for _ in range(50)],
    "lock": lambda d, row: [held(d) for _ in range(50)],
}


def exchange(shared):
    while not shared.compare_exchange("mine", old := shared.setdefault("mine", 0), old + 1.5):
        pass


def held(shared):
    with shared.lock():
        shared["held"] = shared.get("held", 0) + 1


@pytest.mark.parametrize("step", STEPS)
def test_it_comes_to_its_end(busy, step):
    start = time.monotonic()
    STEPS[step](*busy)
    assert time.monotonic() - start < PATIENCE
    shared, row = busy
    before = row[-1]
    until(lambda: row[-1] != before, "the others' further changes")


def test_going_through_a_dict_that_others_change(busy):
    shared, _ = busy
    for _ in range(200):
        try:
            seen = list(shared)
        except RuntimeError as error:
            assert str(error) == "dictionary changed size during iteration"
        else:
            assert len(seen) == len({*seen})


def sort_by_the_other(one, other, times):
    for _ in range(times):
        one.sort(key=lambda value: (other[0], value))
        one.append(one.pop(0))


def test_two_that_sort_each_by_the_others_list():
    with mp.Manager() as manager:
        rows = manager.list(range(500)), manager.list(range(500))
        children = [
            mp.Process(target=sort_by_the_other, args=(*order, 20))
            for order in (rows, rows[::-1], rows, rows[::-1])
        ]
        for child in children:
            child.start()
        ended(*children)
        assert all(sorted(row) == [*range(500)] for row in rows)
        sound(*rows)


def in_threads(shared, row, number):
    def work():
        for n in range(200):
            shared.increment("n")
            row.append((number, n))
            with row.lock():
                row.sort()
                row.reverse()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@each_method
def test_threads_of_several_processes(method):
    context = mp.get_context(method)
    with context.Manager() as manager:
        shared, row = manager.dict(), manager.list()
        children = [context.Process(target=in_threads, args=(shared, row, n)) for n in range(2)]
        for child in children:
            child.start()
        ended(*children)
        assert shared["n"] == 1600 and len(row) == 1600
        assert sorted(row) == sorted((p, n) for p in range(2) for n in range(200) for _ in range(4))
        sound(shared, row)


FORKS = """
import os, threading
import procession as mp

manager = mp.Manager()
shared, row, end = manager.dict(), manager.list(), threading.Event()

def change():
    while not end.is_set():
        shared.increment("n")
        row.append(1)
        row.pop()

threads = [threading.Thread(target=change) for _ in range(3)]
for thread in threads:
    thread.start()
for number in range(100):
    # Also in the middle of an operation of another thread's.
    pid = os.fork()
    if pid == 0:
        shared[number] = row.append(number)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
end.set()
for thread in threads:
    thread.join()
assert [key for key in shared if key != "n"] == list(range(100))
assert shared._check() == row._check() == []
"""


def test_forks_in_the_middle_of_other_threads_operations():
    assert run("-W", "ignore::DeprecationWarning", "-c", FORKS) == ""


# ---------------------------------------------------------------- with little memory


def fill(filler):
    """Takes all the memory that there is."""
    for size in (1 << 20, 1 << 16, 5000, 300, 20):
        try:
            while True:
                filler[next(NEW)] = bytes(size)
        except MemoryError:
            pass


def value(rng):
    return bytes(rng.choice([0, 3, 30, 300, 3000, 4096, 20_000, 300_000]))


def key(rng):
    number = rng.randrange(300)
    return rng.choice([number, f"key {number}", (number, "k" * 5000), Odd(number % 10)])


def steps(rng):
    """One that a dict has, and one that a list has; what is random in them is settled."""
    one, other, name = value(rng), value(rng), key(rng)
    many = {key(rng): value(rng) for _ in range(rng.randrange(60))}
    at, end = rng.randrange(-5, 600), rng.randrange(-5, 600)
    return rng.choice(
        [
            lambda d: d.__setitem__(name, one),
            lambda d: d.update(many),
            lambda d: d.pop(name, None),
            lambda d: d.setdefault(name, other),
            lambda d: d.clear() if len(one) == 3 else None,
            lambda d: [d.pop(k, None) for k in many],
        ]
    ), rng.choice(
        [
            lambda row: row.append(one),
            lambda row: row.extend(many.values()),
            lambda row: row.insert(at, one),
            lambda row: row.__setitem__(slice(at, end), [one, other]),
            lambda row: row.__delitem__(slice(at, end, 3)),
            lambda row: row.reverse(),
            lambda row: row.sort(),
            repeat,
            lambda row: row.extend(range(at)),
            lambda row: row.clear() if len(one) == 3 else None,
            lambda row: row.sort(key=str, reverse=True),
        ]
    )


def repeat(row):
    row *= 2 if len(row) < 500 else 0


def same_done(step, shared, plain):
    """Does it to both; to neither, if there is no memory for it. Says which."""
    try:
        result = step(shared)
    except MemoryError:
        assert shared._check() == [] and shared.copy() == plain
        return False
    except TypeError as error:
        assert "not supported between" in str(error)  # bytes and numbers in one list
        return False
    assert result == step(plain)
    return True


@pytest.mark.timeout(60 if not LONG else 600)
def test_whatever_fails_for_lack_of_memory_is_not_done():
    print(f"PROCESSION_SEED={SEED}")
    rng, limit, done = random.Random(SEED), _core.memory_limit(), []
    with mp.Manager() as manager:
        shared, row, filler = manager.dict(), manager.list(), manager.dict()
        plain, plain_row = {}, []
        _core.set_memory_limit(max(_core.stats()["arena_bytes"], 16 << 20))
        try:
            for _ in range(200 if LONG else 20):
                fill(filler)
                for name in rng.sample(filler.keys(), min(len(filler), rng.randrange(60))):
                    del filler[name]
                for _ in range(20):
                    for step, one, other in zip(
                        steps(rng), (shared, row), (plain, plain_row), strict=True
                    ):
                        done.append(same_done(step, one, other))
                assert shared.copy() == plain and list(shared) == list(plain)
                assert row.copy() == plain_row
                assert shared._check() == row._check() == filler._check() == []
                for one in (shared, plain, row, plain_row) if rng.random() < 0.3 else ():
                    one.clear()
        finally:
            _core.set_memory_limit(limit)
        sound(shared, row)
    assert True in done and False in done
    until(lambda: not _core.check(), "a sound arena")
