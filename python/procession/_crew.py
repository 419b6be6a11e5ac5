"""The workers of a pool as their owner sees them, and the thread that sees that they are there.

    starting ──► ready ──► leaving      an orderly life
        ╰──────────┴── killed ──► buried by the owner, replaced by another in the same seat

A `Crew` knows nothing of its `Pool`, so that a pool nobody refers to is collected, and ends. What
runs in a worker is in _worker.py.
"""

import os
import signal
import threading
import time
import warnings

from ._lifeline import Lifeline
from ._std import util
from ._std.connection import wait
from ._worker import Seat, work

RUN = "RUN"
CLOSE = "CLOSE"
TERMINATE = "TERMINATE"

# A worker that was told to end by SIGTERM and does not is killed after so many seconds.
_PATIENCE = 5.0
# Where workers do not come up, others are started after pauses from the first to the second number
# of seconds. So often in a row is none started, with none that works, until the pool gives up.
_FIRST_PAUSE, _LAST_PAUSE = 0.02, 5.0
_STARTS = 10
# How often a limit on the time of tasks is looked after: this part of it, within bounds.
_PART, _SHORTEST, _LONGEST = 0.1, 0.01, 0.25
# A process that ends closes its descriptors first; so long after that it can be waited for.
_MOMENT = 0.0001


class BrokenPoolError(RuntimeError):
    """The pool has ended and does nothing more; the text says why."""


class WorkerLostError(RuntimeError):
    """The process died that ran this task.

    Attributes: `task` (the function's name), `index` (which item of the call), `pid`, `exitcode`
    (as in `Process.exitcode`: negative for a signal; None if it is not known) and `signal`.
    """

    def __init__(self, message, task=None, index=None, pid=None, exitcode=None):
        super().__init__(message, task, index, pid, exitcode)
        self.task, self.index, self.pid, self.exitcode = task, index, pid, exitcode

    def __reduce__(self):
        # With two built-in ancestors pickle would ask the wrong one of them.
        return type(self), self.args

    def __str__(self):
        return self.args[0]

    @property
    def signal(self):
        return -self.exitcode if self.exitcode is not None and self.exitcode < 0 else None


class TaskTimeoutError(WorkerLostError, TimeoutError):
    """The task took longer than its `timeout`; its worker was ended. Attributes as there."""


class Errors:
    """The classes of what a pool raises: an executor has its own, which are these as well."""

    def __init__(self, broken=BrokenPoolError, lost=WorkerLostError, late=TaskTimeoutError):
        self.broken, self.lost, self.late = broken, lost, late

    def of(self, task, index, pid, exitcode, timeout):
        """The exception of an item whose worker has ended. Called by the core."""
        where = f"{task}, item {index}" if index else task
        if timeout is not None:
            text = f"{where}: no result after {timeout:g} s, and its worker {pid} was ended"
            return self.late(text, task, index, pid, exitcode)
        text = f"{where}: its worker {pid} {_how(exitcode)}"
        return self.lost(text, task, index, pid, exitcode)


def _how(exitcode):
    if exitcode is None:
        return "died"
    if exitcode >= 0:
        return f"exited with code {exitcode}"
    try:
        return f"was killed by {signal.Signals(-exitcode).name}"
    except ValueError:
        return f"was killed by signal {-exitcode}"


class Thread(threading.Thread):
    """A thread of the pool's. `threading` does not bear Ctrl-C in its start, so that waits."""

    def __init__(self, target, *args):
        super().__init__(target=target, args=args, daemon=True)

    def start(self):
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def run(self):
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        super().run()

    @classmethod
    def begin(cls, target, *args):
        thread = cls(target, *args)
        thread.start()
        return thread


class Crew:
    """The workers, as their owner sees them."""

    far = False  # they are processes of this one

    def __init__(self, core, start, processes, initializer, initargs, maxtasks, daemon, errors):
        self.core = core
        self.errors = errors
        self.workers = []
        self.state = RUN
        self.error = None
        # What is to live as long as somebody sees to the workers.
        self.keeps = None
        self._start = start
        self._processes = processes
        self._arguments = initializer, initargs, maxtasks
        self._daemon = daemon
        self._lock = threading.RLock()
        # In a row; when the next worker may be started; and whether somebody was told.
        self._failures, self._not_before, self._warned = 0, 0.0, False
        self._lifeline = Lifeline()
        self._reader, self._writer = os.pipe()
        self._closing = util.Finalize(self, util.close_fds, (self._reader, self._writer))

    def change(self, state=None):
        """Has the thread look again."""
        if state is not None:
            self.state = state
        try:
            os.write(self._writer, b".")
        except OSError:
            pass  # it has ended

    # ------------------------------------------------------------ workers come and go

    def maintain(self):
        """Buries who has ended, and starts others in their places."""
        with self._lock:
            for worker in [w for w in self.workers if w.exitcode is not None]:
                self._bury(worker)
            self.populate()

    def populate(self):
        """Starts a worker for each empty seat, side by side."""
        with self._lock:
            if time.monotonic() < self._not_before:
                return
            self._not_before = 0.0
            taken = {worker._seat for worker in self.workers}
            free = [index for index in range(self._processes) if index not in taken]
            # Ctrl-C in the midst of a start would be told by each worker, and of no interest. They
            # take it as soon as they are at their work.
            masked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
            try:
                self._start_all(free, signal.SIGINT not in masked)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, masked)

    def _start_all(self, seats, unblock):
        # All are made ready first: after a fork whatever this process writes to is copied.
        for worker in [self._recruit(index, unblock) for index in seats]:
            if self.state == TERMINATE:
                break
            worker.start()
            self.workers.append(worker)
            util.debug("added worker")

    def _recruit(self, index, unblock):
        seat = Seat(self.core, index, self._lifeline, unblock)
        worker = self._start(target=work, args=(seat, *self._arguments))
        worker._seat = index
        worker.name = worker.name.replace("Process", "PoolWorker")
        worker.daemon = self._daemon
        return worker

    def _bury(self, worker):
        util.debug("cleaning up worker %d", worker._seat)
        worker.join()
        self.workers.remove(worker)
        phase = self.core._bury(worker._seat, worker.pid, worker.exitcode, self.errors.of)
        if phase in ("ready", "leaving"):
            self._failures, self._not_before = 0, 0.0
            return
        initializer = self._arguments[0]
        where = f"in its initializer {_name(initializer)}" if initializer else "as it started"
        self._has_failed(f"a worker died {where}; the last one {_how(worker.exitcode)}")

    def _has_failed(self, what, most=3):
        """A worker did not come up: others are to come later, or the pool ends."""
        self._failures += 1
        most = max(most, 2 * self._processes)
        if self._failures < most or self.error is not None:
            return
        text = f"{self._failures} times in a row {what}"
        if not any(self.core._phase(other._seat) == "ready" for other in self.workers):
            self.end(text)
            return
        # The others can do the work.
        excess = min(self._failures - most, 10)
        self._not_before = time.monotonic() + min(_FIRST_PAUSE * 2**excess, _LAST_PAUSE)
        if not self._warned:
            self._warned = True
            warnings.warn(f"a pool has too few workers: {text}", RuntimeWarning, stacklevel=2)

    def end(self, why, by="terminate"):
        """Ends the pool, which is broken, and its workers `by` that method of theirs."""
        if self.error is None:
            self.error = self.errors.broken(f"the pool was ended: {why}")
        self.change(TERMINATE)
        self.core._stop(self.error, True)
        with self._lock:
            for worker in self.workers:
                getattr(worker, by)()

    # ------------------------------------------------------------ threads

    def tend(self):
        """The thread that sees to the workers."""
        try:
            self._tend()
        finally:
            self.keeps = None
        util.debug("worker handler exiting")

    def _tend(self):
        while self.state == RUN or (self.state == CLOSE and not self.core._is_idle()):
            try:
                self.maintain()
            except Exception as error:  # the system's limits, as a rule
                with self._lock:
                    pause = min(_FIRST_PAUSE * 2**self._failures, _LAST_PAUSE)
                    self._not_before = time.monotonic() + pause
                    self._has_failed(f"no worker could be started ({error!r})", _STARTS)
            self._sleep()
            for index, pid in self.core._overdue():
                self._kill(index, pid)
        if self.state == CLOSE:
            self.core._close()
            self._see_off()
            if self.state == CLOSE:
                self.core._stop(self.errors.broken("the pool was closed"))

    def _see_off(self):
        """Waits until all have ended that were told so."""
        while self.workers and self.state == CLOSE:
            self._sleep()
            with self._lock:
                for worker in [w for w in self.workers if w.exitcode is not None]:
                    worker.join()
                    self.workers.remove(worker)

    def _sleep(self):
        timeout = self.core._shortest_timeout()
        if timeout is not None:
            timeout = min(max(timeout * _PART, _SHORTEST), _LONGEST)
        elif self.state == CLOSE:
            timeout = _LONGEST
        if self._not_before:
            pause = max(0, self._not_before - time.monotonic())
            timeout = pause if timeout is None else min(timeout, pause)
        sentinels = [worker.sentinel for worker in list(self.workers)]
        ready = wait([self._reader, *sentinels], timeout)
        if self._reader in ready:
            os.read(self._reader, 4096)
        elif ready:
            time.sleep(_MOMENT)

    def _kill(self, index, pid):
        with self._lock:
            for worker in self.workers:
                if worker._seat == index and worker.pid == pid:
                    worker.kill()

    def serve(self):
        """The thread that takes in results, when no other does, and runs the callbacks."""
        try:
            self.core._serve()
        except Exception as error:
            # What it takes in is not what workers write.
            self.end(repr(error))
            self.core._serve()
        util.debug("result handler exiting")

    # ------------------------------------------------------------ the end

    def terminate(self, *threads):
        """Ends it all, at once."""
        error = self.error or self.errors.broken("the pool was terminated")
        self.change(TERMINATE)
        self.core._stop(error)
        with self._lock:
            workers = list(self.workers)
            for worker in workers:
                if worker.exitcode is None:
                    worker.terminate()
        self._join_all(workers)
        for thread in threads:
            if thread is not threading.current_thread() and thread.ident is not None:
                thread.join()

    def disband(self):
        """Ends the workers of a pool that could not be made."""
        for worker in self.workers:
            if worker.exitcode is None:
                worker.terminate()
        for worker in self.workers:
            worker.join()

    @staticmethod
    def _join_all(workers):
        deadline = time.monotonic() + _PATIENCE
        for worker in workers:
            worker.join(max(0, deadline - time.monotonic()))
            if worker.exitcode is None:
                worker.kill()
                worker.join()


def _name(function):
    return getattr(function, "__qualname__", None) or repr(function)


def _checked(processes, initializer, maxtasksperchild=None):
    """How many workers there are to be; complains as the standard library does."""
    if processes is None:
        processes = _cpu_count()
    if processes < 1:
        raise ValueError("Number of processes must be at least 1")
    if maxtasksperchild is not None and (
        not isinstance(maxtasksperchild, int) or maxtasksperchild <= 0
    ):
        raise ValueError("maxtasksperchild must be a positive int or None")
    if initializer is not None and not callable(initializer):
        raise TypeError("initializer must be a callable")
    return processes


def _cpu_count():
    count = getattr(os, "process_cpu_count", os.cpu_count)
    return count() or 1
