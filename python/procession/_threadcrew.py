"""The threads of a `ThreadPool`.

A thread settles what it has done with the call itself (_threadcall.py): so nothing is between a
call and the threads but a queue of *tokens*. A token is a call, and has one thread look what there
is to do for it; None has all threads end.

Two more threads come when they are needed: the *teller* runs callbacks, one after the other, and
the *watch* looks after time limits. A thread cannot be killed: one whose item takes too long is
left behind, and another takes its place.

A crew knows nothing of its pool, so that a pool nobody refers to is collected, and ends. A call
keeps it, as long as somebody may wait for that.
"""

import itertools
import os
import queue
import threading
import time
import weakref
from collections import Counter

from ._crew import (
    _PATIENCE,
    CLOSE,
    RUN,
    TERMINATE,
    BrokenPoolError,
    TaskTimeoutError,
    Thread,
    _name,
)
from ._std import util
from ._threadcall import Failure, Many, Single, Stream, run

LEFT = "left behind"
_numbers = itertools.count(1)
_crews: weakref.WeakSet = weakref.WeakSet()


class Worker:
    """A thread of the pool, and what it is at."""

    def __init__(self, crew):
        self.crew = crew
        self.thread = None
        self.state = "starting"
        self.lock = threading.Lock()
        self.call = None
        self.first = 0
        self.items = self.outcomes = ()
        self.since = None  # it is at an item, of which somebody may look at the clock
        self.began = 0.0
        self.items_done = self.tasks_done = 0
        self.busy = 0.0
        self.born = time.monotonic()

    def main(self, initializer, initargs):
        crew = self.crew
        try:
            if initializer is not None:
                initializer(*initargs)
        except BaseException as error:
            crew.not_ready(self, error)
            return
        crew.ready(self)
        tokens = crew.tokens
        while (call := tokens.get()) is not None and crew.state != TERMINATE:
            if not call.work(self):
                self.rest(self.began)
                return
            call = None  # nothing is kept alive while it waits
        tokens.put(None)  # for the others
        if crew.state == TERMINATE:
            crew.sweep()
        util.debug("worker exiting")

    def do(self, call, first, items):
        """Does a piece of a call. False if this thread was left behind meanwhile."""
        self.first, self.items, self.outcomes = first, items, (outcomes := [])
        self.since = self.began = began = time.monotonic()
        self.call = call
        if call.timeout is None:
            if len(items) == 1:
                try:
                    outcomes.append(call.one(items[0]))
                except BaseException as error:
                    outcomes.append(Failure(error))
            else:
                run(call, items, outcomes)
        elif not self._do_by_the_clock(call, items, outcomes):
            return False
        self.rest(began)
        self.tasks_done += 1
        self.items_done += len(outcomes)
        call.settle(first, outcomes, True)
        return True

    def _do_by_the_clock(self, call, items, outcomes):
        for item in items:
            self.since = time.monotonic()
            try:
                one = [call.one(item)]
            except BaseException as error:
                one = [Failure(error)]
            with self.lock:
                if self.state == LEFT:
                    return False
                self.since = None
                outcomes += one
            if call.stops and type(one[0]) is Failure:
                break
        return True

    def rest(self, began):
        self.call = None
        self.items = self.outcomes = ()
        self.busy += time.monotonic() - began

    def condemn(self, now):
        """If its item is over its time: what is to be done without it, once."""
        with self.lock:
            call, since = self.call, self.since
            if call is None or call.timeout is None or since is None or now - since < call.timeout:
                return None
            self.state = LEFT
            return call, self.first, self.items, self.outcomes

    def at(self):
        """Its call, the item, since when it has been at its chunk, and since when at the item."""
        call, began = self.call, self.began
        return call, self.first + len(self.outcomes), began, self.since or began

    def deadline(self):
        call, since = self.call, self.since
        if call is None or call.timeout is None or since is None:
            return float("inf")
        return since + call.timeout


class Crew:
    """The threads of a pool, and its calls."""

    here = True  # who claims items works at them himself
    forked = "the pool's threads are not in this process, {}: it was forked"

    @property
    def hands(self):
        """How many threads take tokens."""
        return self.size

    def __init__(self, start, size, initializer, initargs):
        self.size = size
        self.state = RUN
        self.error = None
        self._broken = False
        self.tokens = queue.SimpleQueue()
        self.threads = []  # the pool's `_pool`
        self.workers = []
        self.left = []  # those left behind that still run
        # The calls that lack outcomes, and those of whose end somebody is to be told. To take a
        # call out of the first is to win the right to end it.
        self.open = {}
        self.untold = {}
        self.idle = threading.Event()  # it is closed, and all is done
        self.items_done = 0  # by those that are no more
        self._start = start
        self._arguments = initializer, initargs
        self._failures = 0
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._limits = Counter()  # the calls' time limits
        self._watch = None
        self._due = 0.0  # when the watch looks next
        self._tellings = queue.SimpleQueue()
        self._teller = None
        _crews.add(self)

    # ------------------------------------------------------------ threads come and go

    def maintain(self):
        """Has as many threads there as there are to be."""
        with self._lock:
            while len(self.workers) < self.size and self.state != TERMINATE:
                self._hire()

    def _hire(self):
        worker = Worker(self)
        worker.thread = thread = self._start(target=worker.main, args=self._arguments)
        thread.name = f"ThreadPoolWorker-{next(_numbers)}"
        thread.daemon = True
        thread.start()
        self.workers.append(worker)
        self.threads.append(thread)
        util.debug("added worker")

    def _dismiss(self, worker):
        if worker in self.workers:
            self.workers.remove(worker)
            self.threads.remove(worker.thread)
            self.items_done += worker.items_done

    def ready(self, worker):
        with self._lock:
            self._failures = 0
            worker.state = "ready"

    def not_ready(self, worker, error):
        """A thread's initializer has failed: another one tries it, so and so often."""
        with self._lock:
            self._dismiss(worker)
            self._failures += 1
            if self._failures < max(3, 2 * self.size):
                self._replace()
                return
            if any(other.state == "ready" for other in self.workers):
                raise error  # the others do without it
        self._break(
            f"the pool was ended: {self._failures} times in a row a worker failed in its"
            f" initializer {_name(self._arguments[0])}; the last one with {error!r}",
            error,
        )

    def _replace(self):
        if self.state == TERMINATE or self.idle.is_set():
            return
        try:
            self._hire()
        except RuntimeError as error:  # no more threads may be started
            if not self.workers:
                self._break(f"the pool was ended: no thread is left ({error})", error)

    def _break(self, text, cause):
        if self.error is None:
            self.error = BrokenPoolError(text)
            self.error.__cause__ = cause
        self._broken = True
        self.state = TERMINATE
        self.sweep()
        self.disband()

    # ------------------------------------------------------------ calls

    def begin(
        self,
        pool,
        result,
        func,
        items,
        mode,
        gather,
        *,
        name,
        timeout,
        chunk=1,
        stop=False,
        buffer=0,
        callback=None,
        error_callback=None,
        **more,
    ):
        """Begins a call; False if the pool has ended."""
        make = Many
        options = {
            "name": name,
            "timeout": timeout,
            "callback": callback,
            "error_callback": error_callback,
        }
        if gather == "one":
            make = Single
        elif gather == "list":
            options["chunk"] = -(-len(items) // (4 * self.size)) if chunk is None else chunk
            options["stops"] = stop
        else:
            make = Stream
            options.update(chunk=chunk or 1, buffer=buffer, ordered=gather == "ordered")
        result._call = call = make(self, func, items, mode, **options)
        self.prepare(call, mode, **more)
        if items is None:
            result._pool = pool  # if the results are forgotten, the pool may be, too
        else:
            call.kept = pool
        if callback is not None or error_callback is not None:
            self.untold[call] = None
            with self._lock:
                self._teller = self._teller or Thread.begin(self._tell)
        if timeout is not None:
            self._limit(timeout)
        self.open[call] = None
        if self.state != RUN:
            if self.wins(call):
                self._end(call)
            return False
        call.begin()
        return True

    def prepare(self, call, mode):
        """What else a call needs; what this raises is raised by the pool's method."""

    def wins(self, call):
        """Whether it is this caller who ends the call: one is."""
        if self.open.pop(call, self) is self:
            return False
        if call.timeout is not None:
            with self._lock:
                self._limits[call.timeout] -= 1
        return True

    def finish(self, call):
        """Ends a call; tells before, if somebody wants to be told."""
        told = call.callback if call.failure is None else call.error_callback
        if told is None:
            self._end(call)
            return
        self._tellings.put(call)

    def _end(self, call):
        self.untold.pop(call, None)
        call.end()
        if self.state == CLOSE:
            self._retire_if_idle()

    def _tell(self):
        while (call := self._tellings.get()) is not None:
            self._tell_one(call)
            call = None

    def _tell_one(self, call):
        try:
            if call.failure is None:
                call.callback(call.value())
            else:
                call.error_callback(call.failure)
        except BaseException as error:
            # The result is there all the same.
            told = call.callback if call.failure is None else call.error_callback
            self.report_callback(told, error)
        self._end(call)

    def report_callback(self, _callback, error):
        """A callback has raised: reported as the end of a thread is."""
        threading.excepthook(
            threading.ExceptHookArgs(
                (type(error), error, error.__traceback__, threading.current_thread())
            )
        )

    def is_teller(self):
        return threading.current_thread() is self._teller

    def tell_until(self, awaited, timeout):
        """A callback waits for a call that has one as well: does what comes before it."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not awaited.done:
            try:
                rest = None if deadline is None else max(0, deadline - time.monotonic())
                call = self._tellings.get(timeout=rest)
            except queue.Empty:
                return
            if call is None:
                self._tellings.put(None)
                return
            self._tell_one(call)

    # ------------------------------------------------------------ time limits

    def _limit(self, timeout):
        with self._lock:
            self._limits[timeout] += 1
            if self._watch is None:
                self._watch = Thread.begin(self._look_after)
            elif time.monotonic() + timeout < self._due:
                self._changed.notify_all()

    def _look_after(self):
        """The thread that looks after time limits, as long as a call has one.

        Whoever is not at an item now cannot be late before the shortest limit has passed.
        """
        while True:
            with self._lock:
                self._limits += Counter()  # drops those that nobody has
                if not self._limits or self.state == TERMINATE:
                    self._watch = None
                    return
                now = time.monotonic()
                workers = list(self.workers)
                self._due = min([now + min(self._limits), *(w.deadline() for w in workers)])
                if self._due > now:
                    self._changed.wait(self._due - now)
                    continue
            for worker in workers:
                self._leave_behind(worker, now)

    def _leave_behind(self, worker, now):
        condemned = worker.condemn(now)
        if condemned is None:
            return
        call, first, items, outcomes = condemned
        with self._lock:
            self._dismiss(worker)
            self.left = [*self.look(), worker][len(self.workers) :]
            self._replace()
        item, done = first + len(outcomes), len(outcomes) + 1
        where = f"{call.name}, item {item}" if item else call.name
        error = TaskTimeoutError(
            f"{where}: no result after {call.timeout:g} s; its thread {worker.thread.name}"
            " cannot be ended: it is still running, and another has taken its place",
            call.name,
            item,
        )
        if done < len(items):
            call.put_back(first + done, items[done:])
        self.tokens.put(call)  # it would have gone on
        call.settle(first, [*outcomes, Failure(error)], done == len(items))

    def look(self):
        """The workers, and those left behind that still run."""
        with self._lock:
            self.left = [worker for worker in self.left if worker.thread.is_alive()]
            return [*self.workers, *self.left]

    # ------------------------------------------------------------ the end

    def close(self):
        """No more calls are made: ends when all is done."""
        if self.state == RUN:
            self.state = CLOSE
        for call in list(self.open):
            call.lift()
        if self.state == CLOSE:
            self._retire_if_idle()

    def change(self):
        """The pool is collected: its finalizer ends the threads."""

    def _retire_if_idle(self):
        if self.open or self.untold:
            return
        self.tokens.put(None)
        self._tellings.put(None)
        with self._lock:
            self._changed.notify_all()
        self.idle.set()

    def disband(self):
        """Has all threads end, without a lock: the garbage collector may call it anywhere."""
        self.state = TERMINATE
        self.tokens.put(None)
        self._tellings.put(None)

    def sweep(self):
        """Ends the calls of a pool that has ended. If it broke, those who want to are told."""
        error = self.error or BrokenPoolError("the pool was terminated")
        for call in list(self.open):
            if self.wins(call):
                call.give_up(error)
                if self._broken:
                    self.finish(call)
                else:
                    self._end(call)
        for call in () if self._broken else list(self.untold):
            self._end(call)
        with self._lock:
            self._changed.notify_all()
        self.idle.set()

    def join(self):
        """Waits for the threads' end; after `terminate` not for those that are at an item."""
        me = threading.current_thread()
        helpers = [self._teller, self._watch]
        if self.state == CLOSE:
            if me is self._teller or me in self.threads:
                raise RuntimeError("a pool's own thread cannot wait for its end")
            self.idle.wait()
        deadline = time.monotonic() + _PATIENCE
        for thread in [*self.threads, *helpers]:
            if thread is not None and thread is not me:
                thread.join(max(0, deadline - time.monotonic()))

    def after_fork(self):
        """In a fork child, where none of the threads is."""
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self.idle = threading.Event()
        self.state = TERMINATE
        self.error = BrokenPoolError(self.forked.format(os.getpid()))
        for call in [*self.open, *self.untold]:
            call.renew()
        self.sweep()


def _after_fork():
    for crew in list(_crews):
        crew.after_fork()


os.register_at_fork(after_in_child=_after_fork)
