"""`Pool` whose workers are on any machine: who runs `procession worker` with the same server.

    pieces ─► tasks on the server ─► a worker ─► reports on the server ─► done / part / lost

The face is `Pool`'s, and calls are kept as those of any pool with workers elsewhere (_farcrew.py).
What is sent is in _task.py; the steps on the server are the core's (remote/pool).
"""

import hashlib
import json
import os
import threading
import time
import weakref
from collections import OrderedDict

from .. import _core, _docs, pool
from .._crew import TERMINATE, Errors, Thread, _name
from .._farcrew import LOST, FarCrew, FarPool
from .._poolview import WorkerStats
from .._std import util
from .._threadcall import Failure
from . import _task
from ._server import open_server
from ._task import named

__all__ = ["RemotePool", "named"]

# A function whose pickle is longer is sent once, and not with each task.
_LONG = 1024
# So many of these are kept on the server.
_BLOBS = 16
# So many bytes at most are under way.
_MUCH = 64 << 20
# No server can be set up to take less at once. What is more goes alone, and fails alone.
_SURE = 1 << 20
# So long what is known of the workers is good enough, in seconds.
_FRESH = 1.0


class Crew(FarCrew):
    """The calls of a pool, and its side of the server."""

    def __init__(self, server, name, options, plain_only, limit, errors):
        super().__init__()
        self.errors = errors
        self._server = server
        self._plain_only = plain_only
        self._limit_of_pieces = limit
        self._loaded = _task.Loaded(server, plain_only, errors)
        self._blobs = OrderedDict()  # name → the calls that need it
        self._bytes = 0
        self._owner = _core.RemotePoolOwner(server, name, _task.pack(options))
        self._key = self._owner.key
        self._learn(self._owner.workers)
        self._starting = threading.Lock()

    # ------------------------------------------------------------ the workers

    def _learn(self, workers):
        self._workers = [json.loads(worker) for worker in workers]
        self._learnt = time.monotonic()

    def _look(self, fresh=_FRESH):
        owner = self._owner
        if time.monotonic() - self._learnt > fresh and owner is not None:
            self._learn(owner.sweep())
        return self._workers

    def seats(self):
        """How many processes there are; without any, as many as one machine might have."""
        there = sum(worker["seats"] for worker in self._workers) or os.cpu_count() or 1
        return there if self._limit_of_pieces is None else min(there, self._limit_of_pieces)

    @property
    def size(self):
        try:
            self._look()
        except (OSError, MemoryError, RuntimeError):
            self._learnt = time.monotonic()  # it is but for the size of chunks
        return max(1, self.seats())

    @size.setter
    def size(self, _):
        """It is the number of those who are there."""

    def room(self):
        return super().room() if self._limit_of_pieces is None else self._limit_of_pieces

    def _is_full(self):
        return bool(self.under_way) and (self._bytes >= _MUCH or super()._is_full())

    def views(self):
        found = []
        try:
            workers = self._look(0)
        except (OSError, MemoryError, RuntimeError):
            workers = self._workers
        for worker in workers:
            where = f"{worker['host']}:"
            rows = worker["pools"].get(self._key, [])
            found += [WorkerStats(f"{where}{row[0]}", *row[1:]) for row in rows]
            for seat in range(len(rows), worker["seats"]):
                name = f"{where}{worker['pid']}/{seat}"
                found.append(WorkerStats(name, "idle", None, 0, 0.0, 0, 0, 0.0, 0.0, 0.0, 0))
        return found

    def unserved(self):
        with self._lock:
            needs = {piece.packed[0] for piece in self.under_way.values()}
        for worker in self._workers:
            needs.difference_update(worker.get("serves", [""]))
        return tuple(need or "functions of Python" for need in sorted(needs))

    def why(self, error):
        return f"its server cannot be used any more ({error})"

    # ------------------------------------------------------------ there

    def pack_call(self, call):
        need, function = _task.pack_function(call.func, self._server, self._plain_only)
        blob = None
        if function[0] == "pickle" and len(function[1]) > _LONG:
            blob = hashlib.sha256(function[1]).hexdigest()[:32], function[1]
            function = "blob", blob[0]
        flags = (_task.STOPS if call.stops else 0) | (_task.CATCHES if call.catch else 0)
        head = [_task.VERSION, call.name, 0, call.mode, flags, call.timeout, function]
        call.packed = need, head, blob

    def pack(self, piece):
        """An item that cannot be sent has its exception for an outcome; the others are."""
        call, server, plain_only = piece.call, self._server, self._plain_only
        encode, items = _task.encode, []
        errors = {}
        for item in piece.items:
            try:
                message = encode(None, item)
                if message is None:
                    message = encode(server, item, plain_only)
            except Exception as error:
                if len(piece.items) == 1:
                    raise
                errors[piece.first + len(items)] = error
                message = b""
            items.append(message)
        need, head, blob = call.packed
        body = [*head, items]
        body[2] = piece.first
        body = _task.pack(body)
        size = max(len(body), len(blob[1]) if blob else 0)
        if size > _task.MOST:
            raise ValueError(
                f"a server does not take {size} bytes at once: its proto-max-bulk-len is 512 MiB"
            )
        piece.packed = need, body, blob, errors

    def _enter(self, piece):
        if piece.losses:
            self._repack(piece)
        entered = super()._enter(piece)
        if entered:
            with self._lock:
                self._bytes += len(piece.packed[1])
        return entered

    def _repack(self, piece):
        """What is tried again are those items that have no outcome."""
        need, body, blob, errors = piece.packed
        task = _task.unpack(body)
        at = piece.first - task[2]
        task[2], task[7] = piece.first, task[7][at : at + len(piece.items)]
        piece.packed = need, _task.pack(task), blob, errors

    def _strike_out(self, piece):
        known = super()._strike_out(piece)
        if known:
            with self._lock:
                self._bytes -= len(piece.packed[1])
        return known

    def send(self, pieces):
        self._receive_from_now_on()
        together, size = [], 0
        for piece in pieces:
            own = self._size(piece)
            if together and size + own > _SURE:
                self._put(together, size)
                together, size = [], 0
            together.append(piece)
            size += own
        if together:
            self._put(together, size)

    def _size(self, piece):
        """How many bytes are to be sent for it."""
        _need, body, blob, _errors = piece.packed
        return len(body) + (0 if blob is None or blob[0] in self._blobs else len(blob[1]))

    def _put(self, pieces, size):
        tasks, blobs = [], []
        for piece in pieces:
            need, body, blob, _errors = piece.packed
            tasks.append((piece.number, need, body))
            if blob is not None:
                name, content = blob
                calls = self._blobs.get(name)
                if calls is None:
                    calls = self._blobs[name] = weakref.WeakSet()
                    blobs.append((name, content))
                calls.add(piece.call)
                self._blobs.move_to_end(name)
        unused = self._unused_blobs()
        try:
            self._owner.put(tasks, blobs, unused)
        except (ValueError, MemoryError, OSError) as error:
            for name, _content in blobs:
                del self._blobs[name]
            for name in unused:
                self._blobs[name] = weakref.WeakSet()
                self._blobs.move_to_end(name, last=False)
            self._refused(pieces, size, error)

    def _refused(self, pieces, size, error):
        """The server does not take these: so they have failed, and the pool goes on.

        Who does not answer at all has perhaps cut the line because it was too much.
        """
        if isinstance(error, _core.ServerUnreachableError):
            if size <= _SURE:
                raise error
            self._owner.sweep()  # raises what ends the pool, if it is away
            self._owner.cancel([piece.number for piece in pieces])
        for piece in pieces:
            count = 1 if piece.call.stops else len(piece.items)
            self.done(piece, [Failure(error) for _ in range(count)])

    def _unused_blobs(self):
        names = []
        if len(self._blobs) > _BLOBS:
            for name, calls in list(self._blobs.items())[:-_BLOBS]:
                if all(call.done for call in calls):
                    del self._blobs[name]
                    names.append(name)
        return names

    def drop(self, pieces):
        owner = self._owner
        if owner is not None and self.state != TERMINATE:
            return owner.cancel([piece.number for piece in pieces])
        return ()

    # ------------------------------------------------------------ and back

    def _receive_from_now_on(self):
        if self.receiver is None:
            with self._starting:
                if self.receiver is None:
                    self.receiver = Thread.begin(self._receive)

    def _receive(self):
        """The thread that takes what workers report."""
        owner = self._owner
        try:
            while owner is not None and not self._ends:
                for report in owner.results():
                    self._take_in(*report)
                    report = None  # its bytes are not kept while it waits
        except Exception as error:
            if not self._ends:
                self.broken(self.why(error), error)

    _ends = False

    def _take_in(self, kind, number, body, worker):
        if kind == "broken":
            self.broken(_task.unpack(body))
            return
        with self._lock:
            piece = self.under_way.get(number)
        if piece is None:
            return
        if kind in ("lost", "left", "forgotten"):
            self.lost(piece, lambda index: self._lost_with(piece.call, index, kind, worker))
            return
        first, found = _task.unpack(body)
        # A part may have been told twice: what is known already counts once.
        found, first = found[piece.first - first :], piece.first
        outcomes = [self._outcome(piece, first + i, outcome) for i, outcome in enumerate(found)]
        if kind == "done":
            self.done(piece, outcomes)
        elif outcomes:
            self.part(piece, outcomes)

    def _outcome(self, piece, index, outcome):
        if outcome[:1] == _task.UNSENT:
            return Failure(piece.packed[3].get(index) or RuntimeError("an item was not sent"))
        if self.may_try_again(piece) and _task.is_lost(outcome):
            return LOST
        good, value = self._loaded.load(outcome, piece.call, index)
        return value if good else Failure(value)

    def _lost_with(self, call, index, kind, worker):
        about = json.loads(worker) if worker else {}
        pid, host = about.get("pid"), about.get("host")
        where = f"{call.name}, item {index}" if index else call.name
        who = f"its worker {pid} on {host}" if pid else "its worker"
        lost = f"did not renew its lease of {self._server.lease:g} s: it died or was cut off"
        how = {
            "left": f"{who} was stopped in the midst of it",
            "lost": f"{who} {lost}",
            "forgotten": "the server was restored to an earlier state, in which it is not known",
        }
        text = f"{where}: {how[kind]}"
        return self.errors.lost(text, call.name, index, pid, None)

    # ------------------------------------------------------------ the end

    def shut(self, at_once):
        self._ends = True
        owner = self._owner
        try:
            owner.end()
        finally:
            # A pool that has ended keeps no connection.
            self._owner = self._server = self._loaded = None


class RemotePool(FarPool):
    __doc__ = _docs.REMOTE_POOL
    __module__ = pool.__name__

    _errors = Errors()

    def __init__(
        self,
        processes=None,
        initializer=None,
        initargs=(),
        maxtasksperchild=None,
        context=None,
        *,
        backend=None,
        queue="default",
        allow_pickle=True,
        timeout=None,
        retries=0,
        daemon=True,
        executor=None,
    ):
        pool._checked(1 if processes is None else processes, initializer, maxtasksperchild)
        server = open_server(backend)
        self._maxtasksperchild = maxtasksperchild
        prepared = None
        if initializer is not None:
            _need, function = _task.pack_function(initializer, server, not allow_pickle)
            arguments = tuple(initargs)
            message = _task.encode(None, arguments)
            if message is None:
                message = _task.encode(server, arguments, not allow_pickle)
            prepared = [*function, message, _name(initializer)]
        options = [_task.VERSION, prepared, maxtasksperchild, bool(daemon)]
        crew = Crew(server, queue, options, not allow_pickle, processes, self._errors)
        self._address = server.address
        self._set_up(crew, timeout, retries)
        util.debug("a pool on %s", server.address)

    def __repr__(self):
        return (
            f"<{type(self).__module__}.{type(self).__qualname__}"
            f" state={self._state} on {self._address}>"
        )
