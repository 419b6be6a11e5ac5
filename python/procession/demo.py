"""The main job: the words of a folder's files, counted on Procession and on multiprocessing.

Finds the files, runs the pipeline of `_pipeline` on both in turns, holds every run's counts
against those of a single process, and reports.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from procession._pipeline import (
    Outcome,
    PipelineError,
    count_words,
    pass_on,
    run_pipeline,
    run_single,
    shown,
)

ROUNDS = 3  # runs of a short job, of which the best counts
SHORT_SECONDS = 5  # a job that takes longer in a single process is run once


class FolderError(Exception):
    """The folder cannot be used; the text says why."""


# ---------------------------------------------------------------- files


def default_folder() -> str:
    """The standard library's sources of this interpreter."""
    return sysconfig.get_path("stdlib")


def find_files(folder: str | None) -> list[str]:
    """The regular files below `folder`, sorted; by default the standard library's *.py files.

    Links to folders are not followed, and hidden files are left out. What looks like a file but
    cannot be read is listed too: the reader counts it.
    """
    standard = folder is None
    top = default_folder() if folder is None else folder
    if not os.path.exists(top):
        raise FolderError(f"{shown(top)} does not exist")
    if not os.path.isdir(top):
        raise FolderError(f"{shown(top)} is not a folder")
    skipped = {"site-packages", "dist-packages", "__pycache__"} if standard else set()
    found: list[str] = []
    for here, folders, names in os.walk(top, onerror=_refuse(top)):
        folders[:] = [f for f in folders if f not in skipped and not f.startswith(".")]
        for name in names:
            if name.startswith(".") or (standard and not name.endswith(".py")):
                continue
            path = os.path.join(here, name)
            if _may_be_read(path):
                found.append(path)
    if not found:
        raise FolderError(f"{shown(top)} has no files to read")
    return sorted(found)


def _refuse(top: str) -> Callable[[OSError], None]:
    def on_error(error: OSError) -> None:
        if error.filename == top:
            raise FolderError(f"{shown(top)} cannot be listed: {error.strerror}")
        print(f"procession: left out: {error}", file=sys.stderr)

    return on_error


def _may_be_read(path: str) -> bool:
    """False for pipes, sockets and devices, which could block the reader for ever."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return True  # a dangling link, say: the reader will tell


# ---------------------------------------------------------------- the report


class Progress:
    """A bar on stderr, if that is a terminal."""

    WIDTH = 40

    def __init__(self, label: str, total: int) -> None:
        self.label, self.total = label, total
        self.drawn = 0.0
        self.shows = sys.stderr.isatty()

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if self.shows and (now - self.drawn > 0.05 or done == self.total):
            self.drawn = now
            full = self.WIDTH * done // self.total
            bar = "█" * full + "░" * (self.WIDTH - full)
            line = f"\r{self.label:<28} {bar} {done:>6,}/{self.total:,}"
            print(line, end="", file=sys.stderr, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self.shows:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


@dataclass
class Side:
    """One implementation, with the runs of both jobs on it."""

    name: str
    mp: Any
    counting: list[Outcome] = field(default_factory=list)
    passing: list[Outcome] = field(default_factory=list)

    def run(self, paths: list[str], workers: int) -> None:
        """Runs the job, and the same with workers that pass each document on without counting."""
        for label, work, runs in (
            ("counting", count_words, self.counting),
            ("passing on", pass_on, self.passing),
        ):
            with Progress(f"{self.name}: {label}", len(paths)) as step:
                runs.append(run_pipeline(self.mp, paths, workers, work, step))

    @property
    def job(self) -> Outcome:
        """The quickest run of the job."""
        return min(self.counting, key=lambda run: run.seconds)

    @property
    def transport(self) -> Outcome:
        """The quickest run without the counting."""
        return min(self.passing, key=lambda run: run.seconds)

    def agrees(self, single: Outcome) -> bool:
        """Whether every run found what the single process did."""
        return all(
            run.counts == single.counts and run.documents == single.documents
            for run in self.counting
        ) and all(run.counts["documents"] == single.documents for run in self.passing)

    def as_dict(self) -> dict[str, Any]:
        return {
            "seconds": self.job.seconds,
            "messages": self.job.messages,
            "messages_per_second": self.job.messages_per_second,
            "pass_on_seconds": self.transport.seconds,
            "pass_on_messages_per_second": self.transport.messages_per_second,
        }


def compare(sides: list[Side], paths: list[str], workers: int, rounds: int) -> None:
    """Runs the sides in turns, so that neither always goes first."""
    for number in range(rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            side.run(paths, workers)


def _table(single: Outcome, ours: Side, theirs: Side) -> Iterator[str]:
    def row(label: str, x: float, y: float, ratio: float, digits: int) -> str:
        return f"{label:<42} {x:>12,.{digits}f} {y:>16,.{digits}f} {ratio:>7.2f}x"

    job = theirs.job.seconds / ours.job.seconds
    transport = theirs.transport.seconds / ours.transport.seconds
    yield f"{'':<42} {ours.name:>12} {theirs.name:>16} {'ratio':>8}"
    yield row("the job, seconds", ours.job.seconds, theirs.job.seconds, job, 2)
    yield row(
        "the job, messages per second",
        ours.job.messages_per_second,
        theirs.job.messages_per_second,
        job,
        0,
    )
    yield row(
        "without the counting, messages per second",
        ours.transport.messages_per_second,
        theirs.transport.messages_per_second,
        transport,
        0,
    )
    yield f"{'in a single process, seconds':<42} {single.seconds:>12,.2f}"


def _report(folder: str, workers: int, single: Outcome, ours: Side, theirs: Side) -> None:
    size = ours.transport.counts["bytes"] / 1e6
    print(f"{single.documents:,} files, {size:,.1f} MB, in {shown(folder)}; {workers} workers")
    if single.unreadable:
        print(f"{len(single.unreadable)} could not be read, the first: {single.unreadable[0]}")
    print()
    for word, count in top_words(single.counts):
        print(f"  {word:<20} {count:>12,}")
    print()
    print("The counts equal those of a single process.")
    print()
    for line in _table(single, ours, theirs):
        print(line)
    print(f"The best of {len(ours.counting)} runs each, taken in turns.")


def top_words(counts: Counter[str]) -> list[tuple[str, int]]:
    """The ten most frequent words, equal counts in the order of the alphabet."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:10]


def main(folder: str | None, workers: int, as_json: bool, method: str | None) -> int:
    """Runs the demo and prints its report. Returns the exit status."""
    import procession
    from procession import _std as multiprocessing  # the real one, also after install()

    ours = Side("procession", procession.get_context(method))
    theirs = Side("multiprocessing", multiprocessing.get_context(method))
    try:
        paths = find_files(folder)
        single = run_single(paths)
        rounds = ROUNDS if single.seconds < SHORT_SECONDS else 1
        compare([ours, theirs], paths, workers, rounds)
    except FolderError as error:
        print(f"procession: {error}", file=sys.stderr)
        return 2
    except PipelineError as error:
        print(f"procession: {error}", file=sys.stderr)
        return 1
    wrong = [side.name for side in (ours, theirs) if not side.agrees(single)]
    folder = default_folder() if folder is None else folder
    if as_json:
        report = {
            "folder": shown(folder),
            "files": single.documents,
            "unreadable": single.unreadable,
            "bytes": ours.transport.counts["bytes"],
            "workers": workers,
            "top": top_words(ours.job.counts),
            "equal": not wrong,
            "single_process_seconds": single.seconds,
            "native": procession.native,
            "procession": ours.as_dict(),
            "multiprocessing": theirs.as_dict(),
            "ratio": theirs.job.seconds / ours.job.seconds,
            "pass_on_ratio": theirs.transport.seconds / ours.transport.seconds,
        }
        print(json.dumps(report, indent=2))
    elif not wrong:
        _report(folder, workers, single, ours, theirs)
    if wrong:
        names = " and ".join(wrong)
        print(
            f"procession: the counts of {names} differ from those of a single process"
            " (or the files changed meanwhile)",
            file=sys.stderr,
        )
        return 1
    return 0
