"""Queues on a server while producers, consumers and the server are killed and cables are cut: an account of all.

The consumers write down what they get, the producers what was confirmed; in the end the sums must be right.
"""

import time
from collections import Counter

import pytest
from chaos_support import Scene
from support import LONG

BATCH = 50
PRODUCERS = 3
ROOM = 2000  # so that there are producers as long as there are consumers


class Account:
    """What the producers know of their messages."""

    def __init__(self, scene):
        self.tried, self.confirmed, self.perhaps = set(), set(), set()
        sets = {"T": self.tried, "P": self.confirmed, "U": self.perhaps}
        for kind, number, first, n in scene.lines("produce"):
            first, n = int(first), int(n)
            sets[kind].update(f"{number},{i}" for i in range(first, first + n))


def trouble(scene, kinds, size, role, consumers):
    """Does one evil after the other, each when so many bytes more have been written down by consumers."""
    step = size // (len(kinds) + 1)
    for i, kind in enumerate(kinds, 1):
        scene.until(lambda i=i: scene.bytes_of(role) >= i * step, f"progress before {kind}")
        if kind == "producer":
            alive = [w for w in scene.workers if w.role == "produce" and w.process.poll() is None]
            victim = scene.random.choice(alive)
            victim.kill()
            # Another one, with another number, puts what that one has not.
            *place, redeliver, each, batch, number = victim.place
            each -= sum(int(words[3]) for words in victim.lines() if words[0] == "P")
            scene.start(*place, redeliver, each, batch, number + PRODUCERS)
        elif kind == "slow":
            for host in scene.hosts:
                host.slow(delay=0.002, loss=0.01)
            time.sleep(2)
            for host in scene.hosts:
                host.slow()
        else:
            scene.befall(kind, consumers)


def finish(scene, queue, consumers):
    for worker in scene.workers:
        if worker.role == "produce" and not worker.killed:
            worker.end()
    scene.until(lambda: queue.empty(), "the queue's end")
    for worker in consumers:
        worker.ask()
    for worker in consumers:
        worker.end()


@pytest.mark.timeout(400)
def test_without_redelivery_only_what_the_killed_had_is_lost():
    each = 100_000 // PRODUCERS + 1
    with Scene(hosts=2, lease=20, timeout=60) as scene:
        queue = scene.family.queue("q", ROOM)
        for number in range(PRODUCERS):
            scene.start(number % 2, "produce", 0, each, BATCH, number)
        consumers = [scene.start(host, "consume", BATCH) for host in (0, 1)]
        # Some eight bytes for each message.
        evils = ["kill", 1.5, "server", "slow", "producer", "kill", 3, "server"]
        trouble(scene, evils, PRODUCERS * each * 7, "consume", consumers)
        finish(scene, queue, consumers)
        account = Account(scene)
        got = Counter(name for words in scene.lines("consume") for name in words[1:])
        assert not account.perhaps
        assert set(got.values()) == {1}, "some were got twice"
        assert set(got) <= account.tried
        lost = account.confirmed - set(got)
        assert len(lost) <= 2 * BATCH, f"{len(lost)} were lost with two consumers"
        # Of a killed producer's last call perhaps nobody was told.
        assert len(set(got) - account.confirmed) <= BATCH
        assert len(account.confirmed) >= PRODUCERS * each
        assert scene.family.remove("q")
        scene.until(lambda: scene.left() == [], "what was left on the server")


@pytest.mark.timeout(400)
def test_with_redelivery_nothing_is_lost_and_what_comes_twice_says_so():
    each = (100_000 if LONG else 30_000) // PRODUCERS
    with Scene(hosts=2, lease=2, timeout=60) as scene:
        queue = scene.family.queue("q", ROOM, redeliver=True)
        for number in range(PRODUCERS):
            scene.start(number % 2, "produce", 1, each, BATCH, number)
        consumers = [scene.start(host, "deliver") for host in (0, 1, 0)]
        # A cut of three seconds outlasts the lease, one of a second does not.
        evils = ["kill", 1, "server", "slow", "producer", "kill", 3, "server"]
        trouble(scene, evils, PRODUCERS * each * 18, "deliver", consumers)
        finish(scene, queue, consumers)
        assert queue.in_flight() == 0
        queue.join()
        account = Account(scene)
        assert len(account.confirmed | account.perhaps) >= PRODUCERS * each
        taken, done, rest = {}, Counter(), set()
        for kind, name, *count in scene.lines("deliver"):
            if kind == "T":
                taken.setdefault(name, []).append(int(count[0]))
            elif kind == "D":
                done[name] += 1
            else:
                rest.add(name)
        assert set(done.values()) == {1}, "some were done twice"
        assert set(taken) <= account.tried
        assert account.confirmed <= set(taken), "some were lost"
        for name, counts in taken.items():
            # The first time it says so, each time after it another number.
            assert len(set(counts)) == len(counts), (name, counts)
            assert name in done or name in rest or name in in_hands(scene), name
        assert scene.family.remove("q")
        scene.until(lambda: scene.left() == [], "what was left on the server")


def in_hands(scene):
    """What killed consumers had taken last: perhaps they had said that it was done."""
    last = {}
    for log in scene.folder.glob("deliver-*"):
        for line in log.read_text().splitlines():
            last[log] = line.split()
    return {words[1] for words in last.values() if words[0] == "T"}
