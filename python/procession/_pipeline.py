"""The pipeline of the demo: a reader, workers that count words, and a collector.

    reader ──documents──▶ worker × N ──results──▶ collector (this process)

It takes the module that supplies its processes and queues, so the very same code runs on
Procession and on multiprocessing. Everything that a child runs stands at module level, so all
start methods work. Each stage ends on a sentinel; a stage that fails or dies ends the job with a
`PipelineError`, never with a hang.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing import connection, resource_tracker
from typing import Any

POLL_SECONDS = 0.5  # how often the collector looks whether its children live
BACKLOG = 256  # documents that wait for a worker at most, so that memory stays small

# Upper case to lower case, everything that is no ASCII letter to a space.
_WORDS = bytes(
    c + 32 if 65 <= c <= 90 else c if 97 <= c <= 122 else 32  # A-Z, a-z, others
    for c in range(256)
)


class PipelineError(RuntimeError):
    """A stage of the pipeline failed or died."""


def count_words(document: bytes) -> dict[str, int]:
    """The words of a document: maximal runs of ASCII letters, lower-cased, with their counts."""
    return dict(Counter(document.translate(_WORDS).decode("ascii").split()))


def pass_on(document: bytes) -> dict[str, int]:
    """Does no work on a document, so that a run shows what the messages alone cost."""
    return {"documents": 1, "bytes": len(document)}


def read_file(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def shown(path: str) -> str:
    """A path that can be printed whatever bytes it holds."""
    return os.fsencode(path).decode(errors="replace")


# ---------------------------------------------------------------- what the children run


@contextlib.contextmanager
def _stage(results: Any) -> Iterator[None]:
    """Tells the collector how this child ended. Ctrl-C is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    except Exception:
        results.put(("error", traceback.format_exc()))
    else:
        results.put(("finished", os.getpid()))


def reader(paths: list[str], documents: Any, results: Any, workers: int) -> None:
    """Puts each file's path and bytes, then one sentinel for each worker."""
    with _stage(results):
        for path in paths:
            try:
                data = read_file(path)
            except OSError as error:
                results.put(("unreadable", f"{shown(path)}: {error.strerror}"))
            else:
                documents.put((path, data))
        for _ in range(workers):
            documents.put(None)


def worker(documents: Any, results: Any, work: Callable[[bytes], dict[str, int]]) -> None:
    """Puts a result for each document, until the sentinel."""
    with _stage(results):
        while (document := documents.get()) is not None:
            _path, data = document
            results.put(("result", work(data)))


# ---------------------------------------------------------------- the pipeline


@dataclass
class Outcome:
    """What a run produced, and how long it took from the first start to the last result."""

    counts: Counter[str] = field(default_factory=Counter)
    documents: int = 0
    unreadable: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def messages(self) -> int:
        """Each document is one message to a worker and one back."""
        return 2 * self.documents

    @property
    def messages_per_second(self) -> float:
        return self.messages / self.seconds


def run_single(paths: list[str]) -> Outcome:
    """The same counts by a plain loop: what every pipeline's result is held against."""
    out, began = Outcome(), time.perf_counter()
    for path in paths:
        try:
            data = read_file(path)
        except OSError as error:
            out.unreadable.append(f"{shown(path)}: {error.strerror}")
        else:
            out.documents += 1
            out.counts.update(count_words(data))
    out.seconds = time.perf_counter() - began
    return out


def run_pipeline(
    mp: Any,
    paths: list[str],
    workers: int,
    work: Callable[[bytes], dict[str, int]] = count_words,
    step: Callable[[int], None] = lambda done: None,
) -> Outcome:
    """Runs the pipeline on `mp`: procession, multiprocessing or a context of either.

    `step` is told how many files are done. Raises `PipelineError` if a stage fails or dies.
    """
    began = time.perf_counter()
    documents, results = mp.Queue(BACKLOG), mp.Queue()
    stages = [mp.Process(target=reader, args=(paths, documents, results, workers), name="reader")]
    for number in range(1, workers + 1):
        name = f"worker {number}"
        stages.append(mp.Process(target=worker, args=(documents, results, work), name=name))
    watch, well = _Watch(stages, mp.get_start_method() != "forkserver"), False
    try:
        _start(mp, stages)
        watch.start()
        with watch.heard():
            out = _collect(results, stages, step, watch)
        out.seconds = time.perf_counter() - began
        well = True
        return out
    finally:
        _end(stages, patience=5 if well else 0)
        if watch.ident is not None:
            watch.join()
        documents.close()
        results.close()


def _start(mp: Any, stages: list[Any]) -> None:
    """Starts all with Ctrl-C blocked, which children inherit: only the parent reacts to one.

    The forkserver's children have it from their server, which must stay as it is for others.
    """
    blocked = set() if mp.get_start_method() == "forkserver" else {signal.SIGINT}
    if mp.get_start_method() == "spawn":
        resource_tracker.ensure_running()  # its start would unblock Ctrl-C again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    try:
        for stage in stages:
            stage.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _collect(
    results: Any, stages: list[Any], step: Callable[[int], None], watch: _Watch
) -> Outcome:
    out, missing = Outcome(), {stage.pid for stage in stages}
    suspects: set[int] = set()
    while missing:
        try:
            watch.listen()
            try:
                kind, value = results.get(timeout=POLL_SECONDS)
            finally:
                watch.listens = False
        except queue.Empty:
            _check(stages)
            # Gone at the last look already, so that nothing of theirs can be on its way.
            if suspects & missing:
                raise PipelineError("a process of the pipeline ended before its work") from None
            suspects = {stage.pid for stage in stages if stage.exitcode is not None}
            continue
        if kind == "result":
            out.documents += 1
            out.counts.update(value)
        elif kind == "unreadable":
            out.unreadable.append(value)
        elif kind == "finished":
            missing.discard(value)
        else:
            raise PipelineError(f"a process of the pipeline failed:\n{value.rstrip()}")
        step(out.documents + len(out.unreadable))
    return out


def _check(stages: list[Any]) -> None:
    for stage in stages:
        code = stage.exitcode if stage.pid is not None else None
        if code:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit status {code}"
            raise PipelineError(f"the process {stage.name!r} {how}")


class _Watch(threading.Thread):
    """Notices a dead child even while the collector is stuck in half a message of its.

    That can happen to it on multiprocessing, whose queues are pipes. So a thread waits for the
    ends of the children, and knocks at the collector by a signal, which gets into any wait. What it
    raises it raises in that wait only: in the midst of the standard library's question for an exit
    code it would lose the answer, and the child would count as alive for ever.
    """

    def __init__(self, stages: list[Any], knocks: bool) -> None:
        super().__init__(name="watch", daemon=True)
        # A child of the standard library's fork server must not be asked for its exit code by a
        # signal handler that may interrupt the same question.
        self.knocks = knocks
        self.stages = stages
        self.collector = threading.get_ident()
        self.heeds = self.listens = self.knocked = False

    def run(self) -> None:
        alive = {stage.sentinel for stage in self.stages}
        while alive:
            alive -= set(connection.wait(alive))
            signal.pthread_kill(self.collector, signal.SIGCHLD)

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Within this a knock makes the collector look; only a main thread can be interrupted."""
        if not self.knocks or self.collector != threading.main_thread().ident:
            yield
            return
        before = signal.signal(signal.SIGCHLD, self._look)
        self.heeds = self.knocked = True  # a knock may have come before
        try:
            yield
        finally:
            self.heeds = self.listens = False
            signal.signal(signal.SIGCHLD, before)

    def listen(self) -> None:
        """From now on a knock may raise; also one that has come before."""
        self.listens = self.heeds
        if self.knocked:
            self._look()

    def _look(self, *signal_and_frame: object) -> None:
        self.knocked = True
        while self.knocked and self.listens:
            self.knocked = self.listens = False  # nothing interrupts this look, nor the cleaning up
            _check(self.stages)
            self.listens = True


def _end(stages: list[Any], patience: float) -> None:
    started = [stage for stage in stages if stage.pid is not None]
    deadline = time.monotonic() + patience
    for stage in started:
        stage.join(max(0.0, deadline - time.monotonic()))
    for end in ("terminate", "kill"):
        for stage in started:
            if stage.is_alive():
                getattr(stage, end)()
        for stage in started:
            stage.join(2)
