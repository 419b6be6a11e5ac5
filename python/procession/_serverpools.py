"""What `procession doctor redis://…` says of pools: who is there to work, and what nobody does.

The keys are those of the core's `remote/lua/pool_common.lua`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

from ._doctor import Finding
from ._serverlook import Refused, Server, ok, warning

_BOARD = b"pools%3A"
_SPAN = 1 << 40  # a task's number has its place above, by what it needs
_MOST = 100  # boards that are looked at


def pools(server: Server) -> Iterator[Finding]:
    try:
        names = server.ask("ZRANGE", f"{server.prefix}:names", 0, -1)
        boards = [name for name in names if name.startswith(_BOARD)]
        for name in boards[:_MOST]:
            yield _board(server, f"{server.prefix}:n:{name.decode()}", name[len(_BOARD) :].decode())
    except Refused:
        return  # "prefix" says what is missing


def _board(server: Server, key: str, queue: str) -> Finding:
    there: set[str] = set()
    workers = seats = 0
    for worker in _workers(server, key):
        can = server.ask("HGET", key, b"can:" + worker)
        about = server.ask("HGET", f"{key}:workers", worker)
        workers += 1
        seats += json.loads(about or b"{}").get("seats", 0)
        there.update(json.loads(can or b'[""]'))
    waiting: Counter[str] = Counter()
    for pool in server.ask("HKEYS", f"{key}:pools"):
        for need, count in _ready(server, pool):
            waiting[need] += count
    queue = queue.replace("%3A", ":").replace("%25", "%")
    found = f"{workers} workers, {seats} seats; {sum(waiting.values())} tasks wait"
    unserved = sorted(need for need in waiting if need not in there)
    if not unserved:
        return ok(f"pools of {queue!r}", found)
    named = [f"{waiting[need]} for {need or 'functions of Python'}" for need in unserved]
    advice = "procession worker URL" + ("" if queue == "default" else f" --queue {queue}")
    if unserved[0]:
        advice = f"a worker that serves {', '.join(unserved)}"
    elif unserved[1:]:
        advice += f", and a worker that serves {', '.join(unserved[1:])}"
    found += f", {', '.join(named)}, which nobody who is there can do"
    return warning(f"pools of {queue!r}", found, advice)


def _workers(server: Server, key: str) -> Iterator[bytes]:
    for worker in server.ask("HKEYS", f"{key}:workers"):
        client = worker.partition(b"/")[0].decode()
        if server.ask("EXISTS", f"{server.prefix}:client:{client}"):
            yield worker


def _ready(server: Server, pool: bytes) -> Iterator[tuple[str, int]]:
    """What tasks that nobody has need, and how many there are of each kind."""
    places = {0: ""}
    for field in server.ask("HKEYS", pool):
        if field.startswith(b"need:"):
            place = int(server.ask("HGET", pool, field) or 0)
            places[place] = field[len(b"need:") :].decode(errors="replace")
    for place, need in places.items():
        bounds = place * _SPAN, f"({(place + 1) * _SPAN}"
        if count := server.ask("ZCOUNT", pool + b":ready", *bounds):
            yield need, count
