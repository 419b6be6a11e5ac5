"""A server's objects from Python against redis-py: with the same EVALSHA commands, and with plain ones.

    valkey-server --port 7777 --save "" &
    pip install redis; python bench/remote.py redis://127.0.0.1:7777 [ROUNDS [OPERATIONS]]

As crates/procession/examples/remote_speed.rs: commands are learnt by MONITOR, the three take turns, and a
ratio is that of the rates in one round: median (least-most). Above 1 Procession is faster.
"""

import itertools
import statistics
import sys
import time

import redis

import procession

PREFIX = "procession-bench"
TEXT = "x" * 100
NUMBERS = itertools.count(1)


def learn(client, step):
    """The commands about objects that one step sends."""
    found = []
    with client.monitor() as monitor:
        step()
        client.echo("that is all")
        for said in monitor.listen():
            if "that is all" in said["command"]:
                return found
            if said["client_type"] != "lua" and f"{PREFIX}:n:" in said["command"]:
                found.append(said["command"])


class Same:
    """Sends the same script with the same keys and arguments, and each time another number."""

    def __init__(self, client, keys, sha, arguments):
        self.client, self.sha, self.keys = client, sha, keys
        self.arguments = arguments

    def __call__(self):
        arguments = self.arguments
        if arguments[-4]:
            arguments = [*arguments[:-5], "98", next(NUMBERS), *arguments[-3:]]
        self.client.evalsha(self.sha, len(self.keys), *self.keys, *arguments)


def same(client, step):
    step()
    (command,) = learn(client, step)
    words = command.split(" ")  # nothing in them has blanks
    keys = int(words[2])
    # Bytes stand in MONITOR's lines as \\x and two digits.
    arguments = [word.encode().decode("unicode_escape").encode("latin-1") for word in words[3 + keys :]]
    return Same(client, words[3 : 3 + keys], words[1], arguments)


def rate(step, steps):
    began = time.perf_counter()
    for _ in range(steps):
        step()
    return steps / (time.perf_counter() - began)


def measure(name, each, before, ours, theirs, plain, rounds, steps):
    rates = [[], [], []]
    for round in range(rounds + 1):
        for which in (round % 3, (round + 1) % 3, (round + 2) % 3):
            before(steps * each)
            found = rate((ours, theirs, plain)[which], steps) * each
            if round:
                rates[which].append(found)
    shown = [f"{statistics.median(one):>10.0f}" for one in rates]
    for other in 2, 1:
        ratios = sorted(a / b for a, b in zip(rates[0], rates[other], strict=True))
        text = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"
        shown.insert(other + 1, f"{text:>20}")
    print(f"{name:<18}", *shown)


def main(url, rounds=7, steps=500):
    rounds, steps = int(rounds), int(steps)
    client = redis.Redis.from_url(url, decode_responses=True)
    binary = redis.Redis.from_url(url)
    family = procession.Family(f"{url}?prefix={PREFIX}")
    queue, mapping = family.queue("queue"), family.dict("dict")
    mapping["key"] = TEXT
    client.hset("plain:h", "key", TEXT)

    def nothing(_):
        pass

    def fill(count):
        queue.put_many([TEXT] * (2 * count + 10))
        client.rpush("plain", *[TEXT] * (2 * count + 10))

    def drain(_):
        while not queue.empty():
            queue.get_many(1000)
        client.delete("plain")

    def write():
        mapping["key"] = TEXT

    fill(10)
    many = [TEXT] * 100
    print(f"{'operation':<18} {'ours/s':>10} {'same/s':>10} {'to same':>20} {'plain/s':>10} {'to plain':>20}")
    for name, each, before, ours, plain in [
        ("put", 1, drain, lambda: queue.put(TEXT), lambda: client.rpush("plain", TEXT)),
        ("get", 1, fill, queue.get, lambda: client.lpop("plain")),
        ("put_many(100)", 100, drain, lambda: queue.put_many(many), lambda: client.rpush("plain", *many)),
        ("get_many(100)", 100, fill, lambda: queue.get_many(100), lambda: client.lpop("plain", 100)),
        ("dict set", 1, nothing, write, lambda: client.hset("plain:h", "key", TEXT)),
        ("dict get", 1, nothing, lambda: mapping["key"], lambda: client.hget("plain:h", "key")),
    ]:
        drain(0)
        fill(200)
        theirs = same(binary, ours)
        drain(0)
        measure(name, each, before, ours, theirs, plain, rounds, max(1, steps // min(each, 10)))
    drain(0)
    client.delete("plain", "plain:h")
    for name in "queue", "dict":
        family.remove(name)
    family.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
