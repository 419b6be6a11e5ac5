"""How a pool is seen: `stats()`, the bar of `progress=`, and what programs look at inside."""

import os
import sys
import time
from collections.abc import Mapping
from typing import NamedTuple

from ._std import pool as theirs
from ._std.context import TimeoutError

_PAGE = os.sysconf("SC_PAGE_SIZE")
# How often a bar is drawn anew while nobody takes results.
_TICK = 0.1


class WorkerStats(NamedTuple):
    """What one worker does.

    `memory` is bytes; seconds are `age`, how long it has been at its item, `busy`, of that
    `coding`, which is unpacking tasks and packing results, and `waited`.
    """

    pid: int
    state: str
    task: str
    item: int
    age: float
    tasks: int
    items: int
    busy: float
    coding: float
    waited: float
    memory: int

    def __str__(self):
        return (
            f"{self.pid:>7} {self.state:<8} {self.items:>9} items {self.busy:>9.2f} s"
            f" {self.memory / 2**20:>8.1f} MiB  {_at(self)}"
        )


class ThreadStats(NamedTuple):
    """What one thread does.

    Seconds are `age`, how long it has been at its item (at its chunk, if the call has no time
    limit), `busy` and `waited`.
    """

    name: str
    state: str
    task: str
    item: int
    age: float
    tasks: int
    items: int
    busy: float
    waited: float

    def __str__(self):
        return (
            f"{self.name} {self.state:<11} {self.items:>9} items {self.busy:>9.2f} s  {_at(self)}"
        )


def _at(worker):
    if worker.task is None:
        return "idle"
    return f"{worker.task}[{worker.item}] for {worker.age:.1f} s"


class PoolStats(NamedTuple):
    """What a pool does. `throughput` is items a second since it was made.

    `unserved` is of a pool whose workers are elsewhere: what its tasks need that nobody who is
    there can do. They wait for a worker who can.
    """

    workers: tuple
    calls: int
    tasks: int
    items: int
    busy: float
    coding: float
    waited: float
    throughput: float
    unserved: tuple = ()

    def __str__(self):
        lines = [
            f"{len(self.workers)} workers, {self.calls} calls and {self.tasks} tasks under way,"
            f" {self.items} items done ({self.throughput:.1f}/s),"
            f" {self.busy:.2f} s at work ({self.coding:.2f} s of it coding),"
            f" {self.waited:.2f} s waiting"
        ]
        lines += [f"  {worker}" for worker in self.workers]
        if self.unserved:
            lines.append(f"  nobody who is there can do: {', '.join(self.unserved)}")
        return "\n".join(lines)


NOTHING = PoolStats((), 0, 0, 0, 0.0, 0.0, 0.0, 0.0)


def stats(core, since):
    """What a pool that was made at `since` does at this moment."""
    (calls, tasks, items), views = core._look()
    workers = tuple(
        WorkerStats(
            pid, phase, task, item, age / 1e3, *counts, *(ns / 1e9 for ns in spent), _rss(pid)
        )
        for (phase, pid, task, item, age), counts, spent in views
    )
    return PoolStats(
        workers,
        calls,
        tasks,
        items,
        sum(w.busy for w in workers),
        sum(w.coding for w in workers),
        sum(w.waited for w in workers),
        items / max(time.monotonic() - since, 1e-9),
    )


def of_threads(crew, since):
    """The same for a pool of threads."""
    workers = tuple(map(_of_thread, crew.look()))
    items = crew.items_done + sum(w.items for w in workers if w.state != "left behind")
    return PoolStats(
        workers,
        len(crew.open),
        sum(w.task is not None for w in workers),
        items,
        sum(w.busy for w in workers),
        0.0,
        sum(w.waited for w in workers),
        items / max(time.monotonic() - since, 1e-9),
    )


def _of_thread(worker):
    call, item, began, since = worker.at()
    now = time.monotonic()
    busy = worker.busy + (now - began if call else 0.0)
    return ThreadStats(
        worker.thread.name,
        worker.state,
        call and call.name,
        item if call else None,
        now - since if call else 0.0,
        worker.tasks_done,
        worker.items_done,
        busy,
        max(0.0, now - worker.born - busy),
    )


def _rss(pid):
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return 0


# ---------------------------------------------------------------- progress


class _Line:
    """A bar for those who have no tqdm: one line of text."""

    def __init__(self, total):
        self.n, self.total = 0, total
        self._drawn = 0.0

    def update(self, count):
        self.n += count
        now = time.monotonic()
        if now - self._drawn >= _TICK or self.n == self.total:
            self._drawn = now
            self._draw()

    def _draw(self, end=""):
        of = "" if self.total is None else f"/{self.total}"
        sys.stderr.write(f"\r{self.n}{of}{end}")
        sys.stderr.flush()

    def close(self):
        self._draw("\n")


def bar(progress, total):
    """A bar for `progress=True`; or the one that was given."""
    if progress is not True:
        if progress.total is None and total is not None:
            progress.total = total
        return progress
    try:
        from tqdm.auto import tqdm  # type: ignore[import-untyped]
    except ImportError:
        return _Line(total)
    return tqdm(total=total)


def watch(job, progress, total):
    """Waits until a job is over, and shows how far it is."""
    shown, drawn = bar(progress, total), 0
    try:
        while True:
            over = job.ready()
            done = total if over else job._progress()[1]
            shown.update(done - drawn)
            drawn = done
            if over:
                return
            job.wait(_TICK)
    finally:
        shown.close()


class Followed:
    """The results of `imap`, which count themselves as they are taken."""

    def __init__(self, results, shown):
        self._results = results
        self._shown = shown

    def __iter__(self):
        return self

    def __next__(self):
        return self.next()

    def next(self, timeout=None):
        try:
            result = self._results.next(timeout)
        except StopIteration:
            self.close()
            raise
        except TimeoutError:
            raise  # it comes later
        except Exception:
            self._count()
            raise
        self._count()
        return result

    def _count(self):
        if self._shown is not None:
            self._shown.update(1)

    def close(self):
        """Nobody wants to see more."""
        shown, self._shown = self._shown, None
        if shown is not None:
            shown.close()

    __del__ = close

    def __getattr__(self, name):
        return getattr(self._results, name)


def follow(results, progress, total):
    """The results of a call, with a bar."""
    return Followed(results, bar(progress, total))


# ---------------------------------------------------------------- what programs look at


class Calls(Mapping):
    """`Pool._cache`: the calls under way, by their numbers."""

    def __init__(self, calls):
        self._calls = calls

    def __len__(self):
        return len(self._calls())

    def __iter__(self):
        return iter([call._job for call in self._calls()])

    def __getitem__(self, number):
        for call in self._calls():
            if call._job == number:
                return call
        raise KeyError(number)


class Waiting:
    """`Pool._taskqueue`: the calls some of whose items are not on their way to workers."""

    def __init__(self, qsize):
        self.qsize = qsize

    def empty(self):
        return self.qsize() == 0

    def put(self, item):
        raise RuntimeError(
            "nothing can be put into a pool of Procession but by its methods: where a patch"
            " (istarmap, say) does, use imap with a function that takes one tuple"
        )


def mode(mapper):
    """How functions are called by a mapper of the standard library's; None for another."""
    return {theirs.mapstar: 1, theirs.starmapstar: 2}.get(mapper)
