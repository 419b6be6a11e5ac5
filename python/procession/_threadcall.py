"""One call of a `ThreadPool`, from its items to its results.

`Single` has one item, `Many` has them in a list and gives all results at once; a `Stream` gives
them one by one, and takes in no more items than there is room for. If those come out of an
iterator, a thread of the call's own feeds them. Items are numbered in their order, and worked at in
*pieces*: some that follow each other. What becomes of one is a value, or a `Failure`.

Threads of a pool do not wait for one another. So there are no locks where each item passes: what
several threads change is a queue, a deque, a list that grows or a counter, of which each operation
is one step. What the garbage collector may run (`IMapIterator.__del__`) takes no lock.
"""

import threading
import time
from collections import deque
from itertools import count, islice, starmap
from queue import Empty, SimpleQueue

from . import pool
from ._std.context import TimeoutError

_NOTHING = object()
_numbers = count()


class Failure:
    """Stands in a list of outcomes for a value that is not there."""

    __slots__ = ("error",)

    def __init__(self, error):
        # It begins in the user's function, not in the pool's.
        traceback = error.__traceback__
        self.error = error.with_traceback(traceback and traceback.tb_next)


class Call:
    """What all calls have: an end, which one thread brings about."""

    stops = False  # after a failure the rest of the piece is skipped

    def __init__(self, crew, func, mode, name, timeout, callback, error_callback):
        self.crew, self.func, self.name = crew, func, name
        self.one = _ONE[mode](func)
        self.bulk = starmap if mode == pool._STAR else map
        self.timeout = timeout
        self.callback, self.error_callback = callback, error_callback
        self.kept = None  # the pool, while somebody may wait for it
        self.failure = None
        self.given_up = self.done = False
        self._signal = SimpleQueue()

    @property
    def _job(self):
        """Its number, which few ask for."""
        return vars(self).setdefault("_number", next(_numbers))

    @property
    def _number_left(self):
        _, outcomes, known = self.progress()
        return 0 if self.done else known - outcomes

    def ready(self):
        return self.done

    def value(self):
        return None

    def conclude(self):
        """All outcomes are there."""
        if self.crew.wins(self):
            self.crew.finish(self)

    def give_up(self, error):
        """What is not there will not come. Only for the one who has won."""
        self.failure, self.given_up = error, True

    def end(self):
        self.kept, self.done = None, True
        self._signal.put(None)

    def wait(self, timeout):
        if (
            (self.callback is not None or self.error_callback is not None)
            and not self.done
            and self.crew.is_teller()
        ):
            # A callback waits for another one, which runs in the same thread.
            self.crew.tell_until(self, timeout)
        if not self.done:
            try:
                self._signal.get(timeout=None if timeout is None else max(0, timeout))
            except Empty:
                pass
            finally:
                if self.done:
                    self._signal.put(None)  # for the next one who waits
        return self.done

    def lift(self):
        """No bounds count any more."""

    def renew(self):
        """In a fork child: those who had its locks are not there."""
        self._signal = SimpleQueue()


class Single(Call):
    """A call with one item, which is a tuple and a dict of arguments."""

    def __init__(self, crew, func, items, mode, **options):
        super().__init__(crew, func, mode, **options)
        self.items = items
        self._outcome = None

    def begin(self):
        self.crew.tokens.put(self)

    def work(self, worker):
        items = self.items
        return items is None or worker.do(self, 0, items)

    def settle(self, _first, outcomes, _whole):
        self.items = None
        (outcome,) = outcomes
        if self.crew.wins(self):
            if type(outcome) is Failure:
                self.failure = outcome.error
            else:
                self._outcome = outcome
            self.crew.finish(self)

    def give_up(self, error):
        super().give_up(error)
        self.items = None

    def value(self):
        return self._outcome

    def progress(self):
        return 1, int(self.done), 1


class Many(Call):
    """A call whose results come together."""

    def __init__(self, crew, func, items, mode, *, chunk, stops, **options):
        super().__init__(crew, func, mode, **options)
        self.items = items
        self.known = len(items)
        self.chunk = chunk
        self.stops = stops
        self._claims = count(0, chunk)
        self._again = deque()
        self._values = [None] * self.known
        self._failures = []
        self._pieces = -(-self.known // chunk) if chunk else 0
        self._settled = []  # as long as there are pieces that are done

    def begin(self):
        if self._pieces == 0:
            self.callback = None  # as the standard library has it
            self.conclude()
        for _ in range(min(self.crew.hands, self._pieces)):
            self.crew.tokens.put(self)

    def work(self, worker):
        """Does as much as there is. False if the thread was left behind meanwhile."""
        items, chunk = self.items, self.chunk
        if chunk == 1 and self.timeout is None and self.crew.here:
            return items is None or self._work_item_by_item(worker, items)
        while not self.given_up:
            if self._again:
                try:
                    first, piece = self._again.popleft()
                except IndexError:
                    continue
            else:
                first = next(self._claims)
                if first >= self.known or items is None:
                    return True
                piece = items[first : first + chunk]
            if not worker.do(self, first, piece):
                return False
        return True

    def _work_item_by_item(self, worker, items):
        one, values, known, settled = self.one, self._values, self.known, self._settled
        clock = time.monotonic
        worker.first, worker.began, worker.call = 0, clock(), self
        began = worker.began
        for at in self._claims:
            if at >= known or self.given_up:
                break
            worker.first, worker.since = at, clock()
            try:
                values[at] = one(items[at])
            except BaseException as error:
                self._failures.append((at, Failure(error)))
            worker.items_done += 1
            settled.append(None)
            if len(settled) == known:
                self.conclude()
        worker.tasks_done += 1
        worker.rest(began)
        return True

    def put_back(self, first, items):
        """Items of a piece that are to be worked at after all."""
        self._again.append((first, items))

    def settle(self, first, outcomes, whole):
        """Notes what became of items. `whole`: that was all of the piece, or what is left of it.

        A failure is the last, since the others are skipped then.
        """
        if type(outcomes[-1]) is Failure:
            self._failures.append((first + len(outcomes) - 1, outcomes[-1]))
        else:
            self._values[first : first + len(outcomes)] = outcomes
        if whole:
            self._settled.append(None)
            if len(self._settled) == self._pieces:
                self.conclude()

    def conclude(self):
        if self.crew.wins(self):
            self.items = None
            if self._failures:
                self.failure = min(self._failures, key=lambda failure: failure[0])[1].error
            self.crew.finish(self)

    def give_up(self, error):
        super().give_up(error)
        self.items = None

    def value(self):
        return self._values

    def progress(self):
        done = min(len(self._settled) * self.chunk, self.known)
        return self.known, done, self.known


class Stream(Call):
    """A call whose results are taken one by one."""

    def __init__(self, crew, func, items, mode, *, chunk, buffer, ordered, **options):
        super().__init__(crew, func, mode, **options)
        self.items = items
        self.known = 0 if items is None else len(items)
        self.chunk = min(chunk, buffer)
        self._buffer = buffer
        self._ordered = ordered
        self._free = False  # what was done needs no room
        self._abandoned = False  # nobody will take results
        # Intake.
        self._changed = threading.Condition()
        self._hungry = False  # the feeding thread waits
        self._pieces = deque()
        self._next = 0
        # How many pieces there are in all. To feed is one more: so the last is settled when the
        # number is known.
        self._total = -1 if items is None else -(-self.known // self.chunk)
        self._settled = count(1)
        # Results: what came, what of it may be taken, and how many that were and are.
        self._came = SimpleQueue()
        self._sorting = threading.Lock()
        self.outcomes, self._early = deque(), {}
        self._at = 0
        self._over = False
        self._wants_room = False  # more items would come

    def begin(self):
        if self._total == 0:
            self.conclude()
        elif self._total > 0:
            self._dispatch()

    def work(self, worker):
        """Does the next piece; all that is in its list, if no bounds count."""
        while not self.given_up:
            self._call_feeder()
            try:
                (first, items), has_token = self._pieces.popleft(), True
            except IndexError:
                if not self._free or (claim := self._claim()) is None:
                    return True
                (first, items), has_token = claim, False
            if not worker.do(self, first, items):
                return False
            if has_token or not self._free:
                self._call_feeder()  # other calls have their turn: an iterable may have no end
                return True
        return True

    def _call_feeder(self):
        if self._free and self._hungry and not self._is_full():
            with self._changed:
                self._changed.notify_all()

    def put_back(self, first, items):
        self._pieces.append((first, items))

    # ------------------------------------------------------------ intake

    def _dispatch(self):
        """Items that are in a list: as many as there is room for."""
        with self._changed:
            bound = self._taken() + self._buffer
            while self._end_of_next() <= bound and (piece := self._claim()):
                self._pieces.append(piece)
                self.crew.tokens.put(self)
            self._wants_room = self._next < self.known

    def _claim(self):
        with self._changed:
            first, end, items = self._next, self._end_of_next(), self.items
            if items is None or first == end:
                return None
            self._next = end
            return first, items[first:end]

    def _end_of_next(self):
        return min(self._next + self.chunk, self.known)

    def feed(self, iterable):
        """Takes items out of an iterable as long as there are, and is room. A thread of its own."""
        pieces = first = room = 0
        chunk, tokens = self.chunk, self.crew.tokens
        try:
            items = iter(iterable)
            while not self.given_up:
                if room < chunk:
                    room = self._room()
                    continue
                if not (piece := list(islice(items, chunk))):
                    break
                pieces += 1
                self._pieces.append((first, piece))
                first += len(piece)
                room -= len(piece)
                self.known = first
                tokens.put(self)
                piece = None
        except BaseException as error:
            # It stands where the next result would have; an unfilled piece goes with it.
            self.known = first + 1
            self._came.put((first, [Failure(error)]))
        self._total = pieces + 1
        self._settle_one()

    def _room(self):
        """Waits for room for a piece, and says how much there is."""
        if self._is_full():
            with self._changed:
                self._hungry = self._wants_room = True
                while self._is_full():
                    self._changed.wait()
                self._hungry = self._wants_room = False
        return self._space()

    def _is_full(self):
        return self._space() < self.chunk and not self.given_up

    def _space(self):
        # Results that nobody takes are no reason to wait; what waits for a thread is.
        under_way = len(self._pieces) * self.chunk if self._free else self.known - self._taken()
        return self._buffer - under_way

    def lift(self):
        self._free = True
        with self._changed:
            self._changed.notify_all()
        self._call_threads()

    def abandon(self):
        self._free = self._abandoned = True
        self._call_threads()

    def _call_threads(self):
        for _ in range(self.crew.hands):
            self.crew.tokens.put(self)

    # ------------------------------------------------------------ results

    def settle(self, first, outcomes, whole):
        if not self._abandoned:
            self._came.put((first, outcomes))
        if whole:
            self._settle_one()

    def _settle_one(self):
        if next(self._settled) == self._total:
            self.conclude()

    def conclude(self):
        if self.crew.wins(self):
            self.items = None
            self._came.put(None)
            self.crew.finish(self)

    def give_up(self, error):
        super().give_up(error)
        self.items = None
        self._came.put((None, [Failure(error)]))
        self._came.put(None)
        with self._changed:
            self._changed.notify_all()

    def take(self, timeout):
        """The next outcome, if it is not ready; StopIteration, TimeoutError if there is none."""
        if timeout is None:
            with self._sorting:
                return self._take(self._came.get)
        deadline = time.monotonic() + timeout
        if not self._sorting.acquire(timeout=max(0, timeout)):
            raise TimeoutError
        try:
            return self._take(lambda: self._came.get(timeout=max(0, deadline - time.monotonic())))
        except Empty:
            raise TimeoutError from None
        finally:
            self._sorting.release()

    def _take(self, get):
        ready = self.outcomes
        while True:
            try:
                outcome = ready.popleft()
            except IndexError:
                outcome = _NOTHING
            if self._wants_room:
                self._make_room()
            if outcome is not _NOTHING:
                return outcome
            if self._over:
                raise StopIteration
            if (came := get()) is None:
                self._over = True
            elif self._ordered and came[0] is not None:
                self._sort(*came)
            else:
                ready += came[1]  # first, so that no more seem to be taken than are
                self._at += len(came[1])

    def _sort(self, first, outcomes):
        if first != self._at:
            self._early[first] = outcomes
            return
        while self._early and (more := self._early.pop(first + len(outcomes), None)):
            outcomes += more
        self.outcomes += outcomes
        self._at += len(outcomes)

    def _taken(self):
        return self._at - len(self.outcomes)

    def _make_room(self):
        """Has more items come, if there is not much under way."""
        under_way = (self.known if self._hungry else self._next) - self._taken()
        if under_way > self._buffer // 2:
            return
        if self._hungry:
            with self._changed:
                self._changed.notify_all()
        else:
            self._dispatch()

    def progress(self):
        return self.known, self._taken(), self.known

    def renew(self):
        super().renew()
        self._changed = threading.Condition()
        self._sorting = threading.Lock()
        self._came = SimpleQueue()


# How an item becomes the function's arguments: by the mode of the call.
_ONE = {
    pool._APPLY: lambda func: lambda item: func(*item[0], **item[1]),
    pool._MAP: lambda func: func,
    pool._STAR: lambda func: lambda item: func(*item),
}


def run(call, items, outcomes):
    """Calls the function with items, and appends to `outcomes` as they come: a loop in C."""
    rest = iter(items)
    while len(outcomes) < len(items):
        try:
            outcomes.extend(call.bulk(call.func, rest))
            if len(outcomes) == len(items):
                return
            raise StopIteration  # by the function: `extend` took it for the end
        except BaseException as error:
            outcomes.append(Failure(error))
        if call.stops:
            return
