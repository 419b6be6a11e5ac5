"""What a pool sends to a cluster's workers, and takes in from them."""

import pickle
import threading
import time
import uuid

from .._crew import TERMINATE, WorkerLostError, _name
from .._farcrew import FarCrew
from .._poolview import WorkerStats
from .._std import util
from .._threadcall import Failure, Single
from . import task

# For so long the number of a cluster's workers is not asked for again.
_SECONDS = 1.0


class Adapter:
    """A cluster. `name` stands in messages; `packs`: what is sent is pickled for it."""

    name = "executor"
    packs = True

    def seats(self):
        """How many things it does at once."""
        raise NotImplementedError

    def submit(self, piece, done):
        """Has `task.work(piece)` done; calls `done(future)` from any thread. Returns the future."""
        raise NotImplementedError

    def result(self, future):
        """Its report, or raises."""
        return future.result()

    def is_loss(self, error):
        """Whether that says that the worker, or its machine, has died."""
        return False

    def says(self, error):
        """What there is to say of such a loss."""
        return str(error) or type(error).__name__

    def cancel(self, future):
        """Nobody wants it."""
        future.cancel()

    def close(self):
        """Ends what was begun for this pool only."""


class Seen:
    """A worker that has done something."""

    def __init__(self, report):
        self.name = f"{report.host}:{report.pid}"
        self.since = time.monotonic() - report.took
        self.tasks = self.items = self.memory = 0
        self.busy = self.coding = 0.0

    def note(self, report, items):
        self.tasks += 1
        self.items += items
        self.busy += report.took
        self.coding += report.coding
        self.memory = report.memory

    def stats(self, now):
        waited = max(0.0, now - self.since - self.busy)
        spent = self.busy, self.coding, waited, self.memory
        return WorkerStats(self.name, "ready", None, 0, 0.0, self.tasks, self.items, *spent)


class Crew(FarCrew):
    """The workers, as their owner sees them: futures that come true."""

    def __init__(self, adapter, processes, initializer, initargs):
        self.adapter = adapter
        self._most = processes
        self._seats, self._asked = processes or max(1, adapter.seats()), time.monotonic()
        self._number = uuid.uuid4().hex
        self._setup = None
        if initializer is not None:
            self._initializer = initializer
            setup = initializer, initargs
            self._setup = task.dumps(setup) if adapter.packs else setup
        self._futures = {}  # by the pieces' numbers
        self._seen = {}
        self._entering = threading.Lock()
        super().__init__()

    # ------------------------------------------------------------ how many

    def seats(self):
        if self._most is None and time.monotonic() - self._asked > _SECONDS:
            self._asked = time.monotonic()
            self._seats = max(1, self.adapter.seats())
        return self._seats

    def room(self):
        """With a number of processes given, so many work; otherwise each has its next at hand."""
        return self._most or 2 * self.seats() + 2

    # ------------------------------------------------------------ on the way there

    def pack_call(self, call):
        call.packed = task.dumps(call.func) if self.adapter.packs else call.func

    def pack(self, piece):
        items = list(piece.items) if type(piece.call) is Single else piece.items
        piece.packed = task.dumps(items) if self.adapter.packs else items

    def send(self, pieces):
        for piece in pieces:
            call = piece.call
            what = task.Piece(
                self._number,
                self._setup,
                call.packed,
                call.name,
                call.mode,
                piece.first,
                len(piece.items),
                piece.packed,
                call.stops,
                piece.losses < call.retries,
                call.timeout,
                self.adapter.name,
                self.adapter.packs,
            )
            try:
                self._submit(piece, what)
            except Exception as error:
                self.broken(f"{self.adapter.name} takes no more tasks ({error})", error)
                return

    def _submit(self, piece, what):
        number = piece.number
        future = self.adapter.submit(what, lambda future: self._came(piece, number, future))
        with self._entering:
            if number in self.under_way:  # it may have come already
                self._futures[number] = future

    def drop(self, pieces):
        for piece in pieces:
            with self._entering:
                future = self._futures.pop(piece.number, None)
            if future is not None:
                self.adapter.cancel(future)

    def shut(self, at_once):
        self.adapter.close()

    # ------------------------------------------------------------ on the way back

    def _came(self, piece, number, future):
        """In a thread of the cluster's own, which is to see no exception."""
        try:
            self._take_in(piece, future)
        except BaseException as error:
            self.broken(f"what {self.adapter.name} gave back is not to be read ({error!r})", error)
        with self._entering:
            self._futures.pop(number, None)

    def _take_in(self, piece, future):
        if piece.number not in self.under_way:
            return
        try:
            report = self.adapter.result(future)
        except BaseException as error:
            self._failed(piece, error)
            return
        outcomes = self._outcomes(report, piece)
        if not report.ready:
            (outcome,) = outcomes
            name, error = _name(self._initializer), outcome.error
            self.broken(f"its initializer {name} failed with {error!r}", error)
            return
        self._note(report, len(outcomes))
        late = next((at for at, one in enumerate(outcomes) if type(one) is task.Late), None)
        if late is not None and piece.losses < piece.call.retries:
            if late:
                self.part(piece, _told(outcomes[:late]))
                self.pack(piece)  # the rest is what is sent again
            self.lost(piece, lambda _: outcomes[late].error)
        else:
            self.done(piece, _told(outcomes))

    def _outcomes(self, report, piece):
        if not self.adapter.packs:
            return report.outcomes
        try:
            return pickle.loads(report.outcomes)
        except Exception as error:
            # At least one value is of a kind that is not to be had here.
            return [task.Failed(error) for _ in range(1 if piece.call.stops else len(piece.items))]

    def _failed(self, piece, error):
        """There is no report."""
        if self.state == TERMINATE:
            return
        call, last = piece.call, piece.first + len(piece.items) - 1
        if not self.adapter.is_loss(error):
            util.debug("a task of %s failed: %r", self.adapter.name, error)
            failures = [Failure(error) for _ in piece.items[: 1 if call.stops else None]]
            self.done(piece, failures)
            return

        def lost(index):
            where = f"{call.name}, item {index}" if index else call.name
            if piece.first != last:
                where += f" (of {piece.first} to {last}, which went together)"
            text = f"{where}: its worker was lost: {self.adapter.says(error)}"
            exception = WorkerLostError(text, call.name, index)
            exception.__cause__ = error
            return exception

        self.lost(piece, lost)

    def _note(self, report, items):
        with self._entering:
            who = report.host, report.pid
            if who not in self._seen:
                self._seen[who] = Seen(report)
            self._seen[who].note(report, items)

    def views(self):
        with self._entering:
            now = time.monotonic()
            return tuple(seen.stats(now) for seen in self._seen.values())


def _told(outcomes):
    return [Failure(one.error) if isinstance(one, task.Failed) else one for one in outcomes]
