"""Dicts and lists on a server that many processes use: waiting, locks, contention, and sudden death."""

import gc
import multiprocessing
import os
import pickle
import random
import signal
import threading

import pytest
from collections_support import Odd, place_at
from proxy_support import Often, Proxy
from support import LONG, PATIENCE, ended, until

import procession
from procession import _core
from procession.remote.collections import Dict, List

pytestmark = pytest.mark.timeout(60 if not LONG else 1200)


# ---------------------------------------------------------------- waiting, and locks


@pytest.fixture
def place(remote_server):
    """Where objects are made."""
    yield from place_at(remote_server)


def _set_later(d, ready):
    ready.wait()
    d["noise"] = 1
    d["key"] = "come"


def test_waiting_for_a_key(place):
    d, ready = Dict(ctx=place), procession.Event()
    with pytest.raises(multiprocessing.TimeoutError):
        d.wait_for("key", 0.05)
    with pytest.raises(multiprocessing.TimeoutError):
        d.wait_for("key", -1)
    child = place.Process(target=_set_later, args=(d, ready))
    child.start()
    ready.set()
    assert d.wait_for("key", PATIENCE) == "come" == d.wait_for("key", 0)
    ended(child)
    threading.Timer(0.05, d.__setitem__, (2.0, "two")).start()
    assert d.wait_for(2) == "two"


def test_the_lock_of_a_dict(place):
    d = Dict(ctx=place, n=0)
    other = pickle.loads(pickle.dumps(d))
    with d.lock(), d.lock():
        d["n"] += 1
        taken = []
        thread = threading.Thread(target=lambda: taken.append(other.lock().acquire(False)))
        thread.start()
        thread.join(PATIENCE)
        assert taken == [False]
    assert List(ctx=place).lock().acquire(False)


# ---------------------------------------------------------------- contention and death

ACCOUNTS, TOKENS = 8, 40
STAMPED = [f"stamped {number}" for number in range(30)]


def _work(shared, notes, seed):
    rng = random.Random(seed)
    counts, accounts, stamps, rows, here, there, odd = shared
    while True:
        way = rng.randrange(7)
        if way == 0:
            counts.increment("count")
            notes.send("counted")
        elif way == 1:
            while not counts.compare_exchange("exchanged", old := counts["exchanged"], old + 1):
                pass
            notes.send("exchanged")
        elif way == 2:
            one, other = rng.sample(range(ACCOUNTS), 2)
            accounts.increment((one, other), 1.5)
        elif way == 3:
            stamps.update(dict.fromkeys(STAMPED, "x" * rng.randrange(9000)))
        elif way == 4:
            number = rng.randrange(1, 2**62)
            rows[rng.randrange(50) * 2 :][:0]  # a read in between
            at = 2 * rng.randrange(100)
            rows[at:at] = [number, -number]
            if len(rows) > 400:
                del rows[0:200]
            rows.reverse()
        elif way == 5:
            odd[Odd(rng.randrange(5))] = seed
            odd.increment(Odd(-1))
            notes.send("odd")
        else:
            token = rng.randrange(TOKENS)
            if here.pop(token, None) is not None:
                there.append(token)
                notes.send("moved")


def test_who_is_killed_leaves_everything_whole(place):
    seed = int(os.environ.get("PROCESSION_SEED", "0")) or random.SystemRandom().randrange(2**32)
    print("PROCESSION_SEED", seed)
    rng = random.Random(seed)
    counts, odd = Dict(ctx=place, count=0, exchanged=0), Dict({Odd(-1): 0}, ctx=place)
    accounts, stamps = Dict(ctx=place), Dict(dict.fromkeys(STAMPED, 0), ctx=place)
    rows, there = List(ctx=place), List(ctx=place)
    here = Dict(((token, str(token) * 9) for token in range(TOKENS)), ctx=place)
    shared = (counts, accounts, stamps, rows, here, there, odd)
    said = dict.fromkeys(("counted", "exchanged", "odd", "moved"), 0)
    killed = 0
    for _ in range(400 if LONG else 30):
        running = []
        for _ in range(2):
            mine, theirs = multiprocessing.Pipe(False)
            child = place.Process(target=_work, args=(shared, theirs, rng.randrange(2**32)))
            child.start()
            theirs.close()
            running.append((child, mine))
        for child, mine in running:
            for _ in range(rng.randrange(1, 12)):
                assert mine.poll(PATIENCE)
                said[mine.recv()] += 1
            os.kill(child.pid, signal.SIGKILL)
            killed += 1
            until(lambda child=child: not child.is_alive(), "the end")
            while mine.poll():
                try:
                    said[mine.recv()] += 1
                except EOFError:
                    break
            child.join()
            child.close()
        # What was said was done; one more at most of each who died.
        assert said["counted"] <= counts["count"] <= said["counted"] + killed
        assert said["exchanged"] <= counts["exchanged"] <= said["exchanged"] + killed
        assert said["odd"] <= odd[Odd(-1)] <= said["odd"] + killed and len(odd) <= 6
        assert len(set(stamps.values())) == 1 and list(stamps) == STAMPED
        pairs = rows.copy()
        assert all(one == -other for one, other in zip(pairs[::2], pairs[1::2], strict=True))
        moved = there.copy()
        lost = set(range(TOKENS)) - set(moved) - set(here)
        assert len(moved) == len(set(moved)) and not set(moved) & set(here)
        assert len(lost) <= killed, "whoever died between the two steps"
        assert all(value % 1.5 == 0 for value in accounts.values())


def _change_all_the_time(values, ready):
    while True:
        values.append(1)
        values.pop()
        ready.set()


def test_who_sorts_is_not_outrun(place):
    """What sorts here takes longer than others leave the list alone, unless it asks them to."""
    values, ready = List(range(2000), ctx=place), procession.Event()
    child = place.Process(target=_change_all_the_time, args=(values, ready))
    child.start()
    assert ready.wait(PATIENCE)
    tries = []

    def key(value):
        if value == 0:
            tries.append(value)
        return -value

    values.sort(key=key)
    os.kill(child.pid, signal.SIGKILL)
    child.join(PATIENCE)
    assert values[:3] == [1999, 1998, 1997] or values[:2] == [1999, 1998]
    assert 1 <= len(tries) < 40


def test_who_has_claimed_and_dies_keeps_nobody_out(place):
    values = List([1], ctx=place)
    mine, theirs = multiprocessing.Pipe(False)

    def claim():
        theirs.send(values._claim(60_000))
        signal.pause()

    child = procession.get_context("fork").Process(target=claim)
    child.start()
    assert mine.poll(PATIENCE) and mine.recv() is True
    assert values._claim(1000) is False, "it is another's"
    assert values.copy() == [1], "who reads is not kept out"
    os.kill(child.pid, signal.SIGKILL)
    child.join(PATIENCE)
    values.append(2)
    assert values.copy() == [1, 2] and values._claim(1000) is True


def test_each_step_is_done_once_over_a_line_that_breaks(own_server):
    """Replies are lost, and calls are: all are sent again, and none is done twice."""
    server = own_server()
    rng = random.Random(int(os.environ.get("PROCESSION_SEED", "7")))
    judge = Often(rng, 0.3)
    with Proxy(("127.0.0.1", server.port), judge) as line:
        place = procession.get_context(server.url("p", port=line.port, timeout=30))
        d, values, plain = Dict(ctx=place), List(ctx=place), []
        for number in range(60):
            assert d.increment("n") == number + 1
            values.append(number)
            plain.append(number)
            if number % 3 == 0:
                values.insert(1, -number)
                plain.insert(1, -number)
                assert values.pop(0) == plain.pop(0)
                values.reverse()
                plain.reverse()
            assert d.setdefault(number, number) == number
            assert d.popitem() == (number, number)
        assert values.copy() == plain and d.copy() == {"n": 60}
        assert judge.done > 20
        d = values = place = None
        gc.collect()
        _core.leave_servers(1.0)


def test_a_server_without_memory_refuses_whole_steps(own_server):
    server = own_server(options=("--maxmemory", "6mb", "--maxmemory-policy", "noeviction"))
    place = procession.get_context(server.url("p"))
    d, values = Dict(ctx=place), List(ctx=place)
    d["first"], block = 1, "x" * 10_000
    with pytest.raises(MemoryError):
        for number in range(10_000):
            d.update({("a", number): block, ("b", number): block})
            values[0:0] = [block, number]
    server.call("CONFIG", "SET", "maxmemory", "1mb")  # not now and then, as at the limit itself
    for wrong in (
        lambda: d.update({"new": block, "first": 2}),
        lambda: d.setdefault("new", 1),
        lambda: d.increment("first"),
        lambda: values.extend([block] * 3),
        lambda: values.append(1),
    ):
        with pytest.raises(MemoryError):
            wrong()
    # What is there is whole, and goes.
    keys = d.keys()
    assert len(keys) % 2 == 1 and len(values) % 2 == 0 and d["first"] == 1 and "new" not in d
    d.popitem()
    del d[keys[1]], keys
    values.pop()
    values.pop(0)
    values.clear()
    d.clear()
    server.call("CONFIG", "SET", "maxmemory", "100mb")
    d["new"] = block
    assert d.copy() == {"new": block} and not len(values)
    d = values = place = wrong = None
    gc.collect()
    _core.leave_servers(1.0)
