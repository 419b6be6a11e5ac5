"""Pools whose workers are others': on other machines, or of another library's cluster.

    call ─► pieces ─► send ─► … ─► done / part / lost ─► call

A call's items are claimed in pieces as a pool's threads do it (_threadcall.py), but by one thread,
the *sender*, which hands them over to whoever has workers. What became of them is told by any
thread. A piece is *under way* from its claim until its last item has an outcome, and only so many
are, so that a long call does not stand whole on its way.

A crew derives from `FarCrew` and sends; a pool derives from `FarPool`, and has the face of `Pool`.
"""

import functools
import itertools
import threading
import time
import weakref
from collections import deque

from . import _core, _poolview, pool
from ._crew import TERMINATE, Errors, Thread
from ._std import util
from ._std.pool import ExceptionWithTraceback
from ._threadcall import Failure, Many, Single
from ._threadcrew import _PATIENCE, Crew
from ._threadpool import Keeping

# So many pieces are handed over at once at most.
_BATCH = 256


# The outcome of an item whose worker was lost, and which is to be tried again.
LOST = object()


class Piece:
    """Items of a call that go to a worker together."""

    __slots__ = ("call", "first", "items", "losses", "number", "open", "packed")

    def __init__(self, call, first, items):
        self.call, self.first, self.items = call, first, items
        self.number = 0
        self.losses = 0  # of each of its items, so far
        self.packed = None
        self.open = [1]  # how many pieces there are of what was claimed at once

    def again(self, first, items):
        """Some of its items, after one more loss."""
        again = Piece(self.call, first, items)
        again.losses, again.packed, again.open = self.losses + 1, self.packed, self.open
        return again


class _Hand:
    """The sender's, by which calls are claimed: it stands where a thread of a pool would."""

    def __init__(self, crew):
        self._crew = crew

    def do(self, call, first, items):
        return self._crew.claim(Piece(call, first, items))


class FarCrew(Crew):
    """The calls of a pool, and the thread that sends them to workers."""

    here = False
    far = True
    hands = 1  # the sender's
    forked = (
        "this pool belongs to the process that made it, and this one is a fork of that: make a"
        " pool here"
    )
    errors = Errors()
    keeps = None  # what is to live as long as calls may come
    receiver = None  # the thread that takes in results, if it is the crew's own

    def __init__(self):
        super().__init__(None, 1, None, ())
        self.under_way = {}
        self._piece_numbers = itertools.count(1)
        self._outgoing = []
        self._called_off = deque()
        self._hand = _Hand(self)
        self._sender = None
        self._has_shut = False

    # ------------------------------------------------------------ for the one who derives from it

    def seats(self):
        """How many workers there are, so far as is known."""
        return 1

    def room(self):
        """How many pieces may be under way."""
        return max(16, 4 * self.seats())

    def pack_call(self, call):
        """Makes a call's function ready to be sent; raises if it cannot be."""

    def pack(self, piece):
        """Makes a piece ready to be sent; raises if it cannot be."""

    def send(self, pieces):
        """Hands pieces over; of each will be told what became of it."""
        raise NotImplementedError

    def drop(self, pieces):
        """Nobody wants these any more. Returns the numbers of which nothing will be told."""
        return ()

    def shut(self, at_once):
        """The end: in the sender's thread, when nothing more will be sent."""

    def views(self):
        """What the workers do, for `stats`."""
        return ()

    def unserved(self):
        """What its tasks need that none of the workers can do, for `stats`."""
        return ()

    def why(self, error):
        """What is said if it cannot go on because of that."""
        return repr(error)

    # ------------------------------------------------------------ what became of pieces

    def done(self, piece, outcomes):
        """What became of all items of a piece: values, `Failure`s instead of values, or `LOST`."""
        if self._strike_out(piece):
            self._settle_runs(piece, piece.first, piece.items, outcomes, True)

    def part(self, piece, outcomes):
        """What became of the first items of a piece, and never of the last one."""
        if piece.number in self.under_way:
            first, items = piece.first, piece.items
            piece.first, piece.items = first + len(outcomes), items[len(outcomes) :]
            self._settle_runs(piece, first, items, outcomes, False)

    def may_try_again(self, piece):
        return piece.losses < piece.call.retries and not piece.call.given_up

    def _settle_runs(self, piece, first, items, outcomes, last):
        """Items that are lost become pieces of their own; what is between them is settled."""
        lost = [i for i, outcome in enumerate(outcomes) if outcome is LOST]
        self.items_done += len(outcomes) - len(lost)
        piece.open[0] += len(lost) - last
        self._try_again([piece.again(first + i, items[i : i + 1]) for i in lost])
        begin = 0
        for end in [*lost, len(outcomes)]:
            if begin < end:
                whole = last and piece.open[0] == 0
                self._settle(piece.call, first + begin, outcomes[begin:end], whole)
            begin = end + 1

    def _try_again(self, pieces):
        if pieces:
            with self._lock:
                self._again += pieces
            self.tokens.put(_AGAIN)

    def _settle(self, call, first, outcomes, whole):
        if call.given_up:
            return
        if type(call) is Many:
            # It takes a failure as the last outcome, and wants the first one only.
            failed = (n for n, each in enumerate(outcomes, 1) if type(each) is Failure)
            outcomes = outcomes[: next(failed, None)]
        call.settle(first, outcomes, whole)

    def lost(self, piece, error):
        """Nobody knows what became of the rest of a piece; `error(index)` is an item's error."""
        call = piece.call
        if self.may_try_again(piece):
            if self._strike_out(piece):
                self._try_again([piece.again(piece.first, piece.items)])
            return
        last = 1 if call.stops else len(piece.items)
        self.done(piece, [Failure(error(piece.first + i)) for i in range(last)])

    def broken(self, text, cause=None):
        """The workers are not there any more, nor will there be others."""
        with self._lock:
            if self.error is None:
                self.error = self.errors.broken(f"the pool was ended: {text}")
                self.error.__cause__ = cause
        self._break(text, cause)

    def end(self, why, _by=None):
        """Ends it, and what is under way fails."""
        self.broken(why)

    def _strike_out(self, piece):
        with self._changed:
            known = self.under_way.pop(piece.number, None) is not None
            self._changed.notify_all()
        return known

    # ------------------------------------------------------------ the sender

    @property
    def size(self):
        return max(1, self.seats())

    @size.setter
    def size(self, _):
        """It is the number of those who are there."""

    def maintain(self):
        """Has the sender there."""
        self._again = []
        self._sender = Thread.begin(self._send_all)

    def prepare(self, call, mode, retries=0, tells=False, catch=False):
        call.mode, call.retries, call.catch = mode, retries or 0, catch
        call.packed = call.sent = None
        try:
            self.pack_call(call)
            if type(call) is Single:
                call.sent = Piece(call, 0, call.items)
                self.pack(call.sent)
        except Exception as error:
            if tells:
                raise
            call.begin = functools.partial(self._give_up, call, error)

    def _give_up(self, call, error):
        if self.wins(call):
            call.give_up(error)
            self.finish(call)

    def claim(self, piece):
        """A piece was claimed, to be sent soon. False if nothing will be any more."""
        call = piece.call
        if type(call) is Single:
            piece = call.sent
        else:
            try:
                self.pack(piece)
            except Exception as error:
                failures = [Failure(error) for _ in piece.items[: 1 if call.stops else None]]
                call.settle(piece.first, failures, True)
                return True
        return self._enter(piece)

    def _enter(self, piece):
        if len(self._outgoing) >= _BATCH or self._is_full():
            self._flush()
        while not self._find_room(piece):
            if self.state == TERMINATE:
                return False
            self._drop_called_off()
        self._outgoing.append(piece)
        return True

    def _find_room(self, piece):
        """Waits until a piece may be under way. False if there is something else to be done."""
        with self._changed:
            while self._is_full() and self.state != TERMINATE and not self._called_off:
                self._changed.wait(1)  # a collection that ends the pool wakes nobody
            if self.state == TERMINATE or self._is_full():
                return False
            piece.number = next(self._piece_numbers)
            self.under_way[piece.number] = piece
            return True

    def _is_full(self):
        return len(self.under_way) >= self.room()

    def _flush(self):
        pieces, self._outgoing = self._outgoing, []
        pieces = [piece for piece in pieces if not piece.call.given_up or self._forget(piece)]
        if pieces:
            self.send(pieces)

    def _forget(self, piece):
        self._strike_out(piece)

    def _send_all(self):
        try:
            while (call := self.tokens.get()) is not None and self.state != TERMINATE:
                if call is _CALLED_OFF:
                    self._drop_called_off()
                elif call is _AGAIN:
                    with self._lock:
                        again, self._again = self._again, []
                    for piece in again:
                        self._enter(piece)
                else:
                    call.work(self._hand)
                call = None  # nothing is kept alive while it waits
                if self.tokens.empty():
                    self._flush()
        except Exception as error:
            self.broken(self.why(error), error)
        self._finish_off()

    def _finish_off(self):
        self.tokens.put(None)
        try:
            self.shut(self.state == TERMINATE)
        except Exception as error:
            util.debug("the end of a pool was not told to its workers: %r", error)
        self._has_shut = True
        self.keeps = None
        if self.state == TERMINATE:
            self.sweep()
        util.debug("sender exiting")

    def report_callback(self, callback, error):
        """A callback has raised: reported as by a pool of processes."""
        _core.write_unraisable(error, callback)

    # ------------------------------------------------------------ time limits and the end

    def _limit(self, timeout):
        """It is the workers' to look after."""

    def look(self):
        return self.views()

    def sweep(self):
        super().sweep()
        with self._changed:
            pieces = list(self.under_way.values())
            self.under_way.clear()
            self._changed.notify_all()
        self._drop(pieces)

    def _drop(self, pieces):
        if pieces and not self._has_shut:
            struck = set(self.drop(pieces) or ())
            for piece in pieces:
                if piece.number in struck:
                    self._strike_out(piece)

    def join(self):
        super().join()
        self.join_sender()

    def join_sender(self):
        """Waits until whoever has the workers knows of the end."""
        if self._sender is not None and self._sender is not threading.current_thread():
            self._sender.join(_PATIENCE if self.state == TERMINATE else None)

    def call_off(self, call):
        """Drops what is under way of a call whose results nobody wants."""
        with self._changed:
            self._called_off.append(call)
            self._changed.notify_all()
        self.tokens.put(_CALLED_OFF)

    def _drop_called_off(self):
        """In the sender's thread: whoever calls something off does not wait for the workers."""
        while self._called_off:
            call = self._called_off.popleft()
            with self._changed:
                pieces = [piece for piece in self.under_way.values() if piece.call is call]
            self._drop(pieces)


def _join(crew):
    crew = crew()
    if crew is not None:
        crew.join_sender()


# A token: pieces are to be sent again.
_AGAIN = object()
# A token: calls were called off.
_CALLED_OFF = object()


class FarPool(Keeping):
    """The face of `Pool`, with workers elsewhere."""

    _maxtasksperchild = None

    @property
    def _processes(self):
        return self._crew.size

    @property
    def _worker_handler(self):
        return self._crew._sender

    @property
    def _result_handler(self):
        """The thread that runs callbacks; without any, the one that takes in results."""
        return self._crew._teller or self._crew.receiver or self._crew._sender

    @property
    def _task_handler(self):
        return self._crew._sender

    @property
    def _taskqueue(self):
        return _poolview.Waiting(lambda: self._crew.tokens.qsize())

    def _set_up(self, crew, timeout=None, retries=0):
        """Has the crew begin."""
        self._state = pool.INIT
        self._pool = []
        self._timeout, self._retries = timeout, retries
        self._since = time.monotonic()
        self._crew = crew
        crew.maintain()
        # The first when nobody refers to it, the second at the program's end.
        self._terminate = util.Finalize(self, crew.disband, exitpriority=15)
        util.Finalize(crew, _join, args=(weakref.ref(crew),), exitpriority=14)
        self._state = pool.RUN

    def __del__(self):
        """It ends by itself."""

    def _more(self, retries, tells, catch):
        retries = self._retries if retries is None else retries
        return {"retries": retries, "tells": tells, "catch": catch}

    def stats(self):
        """What the workers do: a `PoolStats`, which prints as a table."""
        crew = self._crew
        workers = tuple(crew.views())
        with crew._lock:
            calls, tasks = len(crew.open), len(crew.under_way)
        return _poolview.PoolStats(
            workers,
            calls,
            tasks,
            crew.items_done,
            sum(w.busy for w in workers),
            sum(w.coding for w in workers),
            sum(w.waited for w in workers),
            crew.items_done / max(time.monotonic() - self._since, 1e-9),
            crew.unserved(),
        )


# ---------------------------------------------------------------- at the workers


def carry_out(func, mode, items, stops):
    """Calls `func` with items, in a worker: `(True, value)` or `(False, exception)` for each.

    `stops`: the first that fails is the last.
    """
    outcomes = []
    for item in items:
        try:
            if mode == pool._APPLY:
                value = func(*item[0], **item[1])
            elif mode == pool._STAR:
                value = func(*item)
            else:
                value = func(item)
            outcomes.append((True, value))
        except Exception as error:
            outcomes.append((False, ExceptionWithTraceback(error, error.__traceback__)))
            if stops:
                break
    return outcomes


def outcomes(found):
    """What `carry_out` gave, at its owner: as `done` and `part` take it."""
    return [value if good else Failure(value) for good, value in found]
