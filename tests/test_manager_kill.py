"""Processes that are killed in the midst of operations on a manager's objects: the others go on, and
find everything whole."""

import contextlib
import dataclasses
import mmap
import os
import random
import signal
import warnings

import backends
import pytest
from manager_support import given_back, sound, used
from support import LONG, ended, until

import procession as mp
from procession import _core
from procession.synchronize import AbandonedLockWarning

pytestmark = pytest.mark.both_backends

ROUNDS = 3000 if LONG else 60
FAR_ROUNDS = 300 if LONG else 8  # over a server
SEED = int(os.environ.get("PROCESSION_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
WORKERS, ACCOUNTS, TOKENS, KEPT = 4, 12, 60, 20
STAMPED = [f"stamped {number}" for number in range(60)]


class Notes:
    """Numbers that a worker writes down, and that stay readable when it is killed."""

    NAMES = ("steps", "counted", "exchanged", "stored", "odd")

    def __init__(self):
        self.words = memoryview(mmap.mmap(-1, 8 * len(self.NAMES))).cast("q")

    def __getitem__(self, name):
        return self.words[self.NAMES.index(name)]

    def add(self, name):
        self.words[self.NAMES.index(name)] += 1


@dataclasses.dataclass(frozen=True)
class Odd:
    """A key that only `==` finds."""

    number: float


class Shared:
    def __init__(self, manager):
        self.manager = manager
        self.counts = manager.dict(count=0, exchanged=0, float=0.0)
        self.accounts = manager.dict((number, 100) for number in range(ACCOUNTS))
        self.store, self.stamps = manager.dict(), manager.dict(dict.fromkeys(STAMPED, 0))
        self.pairs, self.rows, self.grown = manager.list(), manager.list(), manager.dict()
        self.here = manager.dict((token, str(token) * 40) for token in range(TOKENS))
        self.there = manager.list()
        self.space, self.odd = manager.Namespace(number=0), manager.dict()

    def all(self):
        return [
            one for one in vars(self).values() if type(one).__name__ in ("DictProxy", "ListProxy")
        ]


def payload(number):
    """Such as lie in a word, in a segment, and in a block of their own."""
    return (number, bytes([number % 251]) * (0, 3, 40, 700, 4095, 9000)[number % 6])


class Worker:
    def __init__(self, number, shared, notes, seed):
        self.number, self.shared, self.notes = number, shared, notes
        self.rng = random.Random(seed)

    def run(self, end):
        warnings.simplefilter("ignore", AbandonedLockWarning)
        actions = [getattr(self, name) for name in vars(Worker) if name.startswith("do_")]
        while not end.is_set():
            self.rng.choice(actions)()
            self.notes.add("steps")

    def do_count(self):
        self.shared.counts.increment("count")
        self.notes.add("counted")
        self.shared.counts.increment("float", 0.5)

    def do_exchange(self):
        counts = self.shared.counts
        while not counts.compare_exchange("exchanged", old := counts["exchanged"], old + 1):
            pass
        self.notes.add("exchanged")

    def do_transfer(self):
        accounts, amount = self.shared.accounts, self.rng.randrange(2**40)
        one, other = self.rng.sample(range(ACCOUNTS), 2)
        with accounts.lock():
            accounts.update({one: accounts[one] - amount, other: accounts[other] + amount})

    def do_store(self):
        """New keys all the time, and the oldest go."""
        number, store = self.notes["stored"], self.shared.store
        store[self.number, number] = payload(number)
        self.notes.add("stored")
        store.pop((self.number, number - KEPT), None)

    def do_stamp(self):
        self.shared.stamps.update(dict.fromkeys(STAMPED, payload(self.rng.randrange(1000))))

    def do_pair(self):
        pairs, number = self.shared.pairs, self.rng.randrange(1, 2**62)
        at = 2 * self.rng.randrange(300)
        way = self.rng.randrange(6)
        if way == 0:
            pairs[at:at] = [number, -number]
        elif way == 1:
            pairs.extend([number, -number] * self.rng.randrange(80))
        elif way == 2:
            pairs.reverse()
        elif way == 3:
            del pairs[at : at + 2 * self.rng.randrange(60)]
        elif way == 4:
            pairs[at : at + 4] = [number, -number, str(number), f"-{number}"]
        else:
            pairs.extend([number, -number])

    def do_move(self):
        """A token is here or there; who is killed has at most one in its hands."""
        here, there = self.shared.here, self.shared.there
        with contextlib.suppress(KeyError, IndexError):
            if self.rng.random() < 0.5:
                there.append(here.popitem())
            else:
                token, text = there.pop(self.rng.choice([0, -1]))
                here[token] = text

    def do_rows(self):
        rows = self.shared.rows
        rows.append(payload(self.rng.randrange(100)))
        if self.rng.random() < 0.3:
            rows.sort(reverse=self.rng.random() < 0.5)
        if len(rows) > 300:
            rows *= 0

    def do_odd(self):
        odd, number = self.shared.odd, self.rng.randrange(1, 40)
        odd.increment(Odd(self.rng.choice([number, float(number)])))
        self.notes.add("odd")
        odd[Odd(-number)] = odd[-number] = number
        odd.pop(Odd(-self.rng.randrange(1, 40)), None)

    def do_grow(self):
        grown, number = self.shared.grown, self.rng.randrange(700)
        if number < 3:
            grown.clear()
        elif number < 10:
            grown.update((n, payload(n)) for n in range(number * 70))
        else:
            grown[number] = number
            grown.pop(self.rng.randrange(700), None)
            grown.setdefault(number, ())

    def do_nest(self):
        key = ("nested", self.rng.randrange(3))
        inner = self.shared.manager.list([payload(5), self.shared.manager.Lock()])
        self.shared.store[key] = inner
        with contextlib.suppress(KeyError):
            self.shared.store[key].append(payload(1))
        self.shared.space.number += 1


def look(shared, notes, killed):
    """What must hold, whoever was killed where."""
    sound(*(one for one in shared.all() if one not in (shared.store, shared.there)))
    assert shared.store._check() == shared.there._check() == []
    total = {name: sum(note[name] for note in notes) for name in Notes.NAMES}
    assert total["counted"] <= shared.counts["count"] <= total["counted"] + killed
    assert total["counted"] - killed <= 2 * shared.counts["float"] <= total["counted"]
    assert total["exchanged"] <= shared.counts["exchanged"] <= total["exchanged"] + killed
    odd = [(key.number, n) for key, n in shared.odd.items() if isinstance(key, Odd)]
    assert len({*dict(odd)}) == len(odd), "equal keys are one"
    counted = sum(n for number, n in odd if number > 0)
    assert total["odd"] <= counted <= total["odd"] + killed
    assert sum(shared.accounts.values()) == 100 * ACCOUNTS and len(shared.accounts) == ACCOUNTS
    stamps = shared.stamps.values()
    assert stamps == [stamps[0]] * len(STAMPED) and shared.stamps.keys() == STAMPED
    values = [int(value) for value in shared.pairs]
    assert [-value for value in values[::2]] == values[1::2], "a pair is one step"
    tokens = [*shared.here.items(), *shared.there]
    assert TOKENS - killed <= len({*tokens}) == len(tokens), "none is doubled"
    assert all(text == str(token) * 40 for token, text in tokens)
    for number, note in enumerate(notes):
        stored = sorted(key[1] for key in shared.store.keys() if key[0] == number)
        last = note["stored"]
        assert stored == [*range(stored[0], stored[-1] + 1)] if stored else last == 0
        if stored:
            assert stored[-1] in (last, last - 1) and len(stored) >= min(last, KEPT)
            assert len(stored) <= KEPT + 2
        assert all(shared.store[number, n] == payload(n) for n in stored)
    for key, inner in shared.store.items():
        if key[0] == "nested":
            assert inner._check() == [] and inner[0] == payload(5) and inner[1].acquire(False)
            inner[1].release()


def round_of_kills(rng):
    with mp.Manager() as manager:
        shared, end = Shared(manager), mp.Event()
        notes = [Notes() for _ in range(WORKERS)]
        children = [
            mp.Process(target=Worker(number, shared, note, rng.random()).run, args=(end,))
            for number, note in enumerate(notes)
        ]
        for child in children:
            child.start()
        victims = rng.sample(range(WORKERS), rng.randrange(1, WORKERS))
        for victim in victims:
            moment = rng.randrange(1, 400)
            until(lambda v=victim, m=moment: notes[v]["steps"] >= m, "the moment to kill")
            os.kill(children[victim].pid, signal.SIGKILL)
        survivors = [number for number in range(WORKERS) if number not in victims]
        # All have to go on, whatever the dead held.
        goals = {number: notes[number]["steps"] + 100 for number in survivors}
        until(lambda: all(notes[n]["steps"] >= goal for n, goal in goals.items()), "further steps")
        end.set()
        ended(*(children[number] for number in survivors))
        ended(*(children[number] for number in victims), code=-9)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AbandonedLockWarning)
            look(shared, notes, len(victims))


@pytest.mark.timeout(60 if not LONG else 1200)
def test_random_kills():
    print(f"PROCESSION_SEED={SEED}")
    rng = random.Random(SEED)
    round_of_kills(rng)  # makes what is kept
    before = used()
    for number in range(ROUNDS if backends.current.name == backends.ARENA else FAR_ROUNDS):
        try:
            round_of_kills(rng)
        except AssertionError as error:
            raise AssertionError(f"round {number}, PROCESSION_SEED={SEED}: {error}") from error
    until(lambda: wait_in_vain() or not _core.check(), "a sound arena")
    given_back(before, slack=1 << 20)


def wait_in_vain():
    """Who waits for a while takes back what the dead held."""
    with contextlib.suppress(mp.queues.Empty):
        mp.Queue().get(timeout=0.3)


def test_what_holds_without_kills():
    with mp.Manager() as manager:
        shared, end, notes = Shared(manager), mp.Event(), [Notes() for _ in range(2)]
        for number, note in enumerate(notes):
            worker = Worker(number, shared, note, SEED + number)
            steps = iter(range(300))
            end.is_set = lambda steps=steps: next(steps, None) is None
            worker.run(end)
        look(shared, notes, 0)
        assert all(note["steps"] == 300 and note["stored"] > 0 for note in notes)
