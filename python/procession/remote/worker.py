"""`procession worker`: serves the pools of a server with this machine's processes.

    the server ─► a seat (a thread) ─► this machine's Pool for that pool ─► a process
                      ╰─ what became of each item goes back with the question for the next task

For each pool that it serves a worker has a Pool of its own, with that pool's initializer and
limits: who dies in it, takes too long or cannot be started is seen to there, at once, and one
pool's processes know nothing of another's. A seat has one task at a time. This process unpickles
nothing of what users send: the pools' processes do.

When its lease is over (the machine slept, the network was away), others have its tasks: it ends
what it does, and begins anew.
"""

import json
import os
import select
import signal
import socket
import sys
import threading
import time

from .. import _core, pool
from . import _child, _task
from ._server import open_server

__all__ = ["main"]

# How often it says how it is, and looks whether pools have ended, in seconds.
_BEAT = 1.0
# After so long at one task it says what there is so far.
_PART = 1.0
# After so long it tries a server anew that cannot be reached.
_PAUSE = 1.0

# Outcomes of so many bytes are told although there will be more of the same task.
_MUCH = 64 << 20
# Results of so many bytes may be too much for a server that takes others.
_LARGE = 1 << 16
# So many bytes of functions are kept.
_BLOBS = 32 << 20
# What a server says or does that may be over soon: it is away, without memory, or can't write.
_PASSING = OSError, MemoryError

_RUNNING, _DRAINING, _ENDING = range(3)


class _NotNow(Exception):
    """The server could not be asked."""


class Local:
    """This machine's processes for one pool."""

    def __init__(self, worker, key, options):
        version, prepared, maxtasks, daemon = _task.unpack(options)
        if version != _task.VERSION:
            raise ValueError(f"its owner speaks version {version}, this worker {_task.VERSION}")
        initializer = None
        if prepared is not None:
            initializer = _child.Initializer(worker.url, worker.plain_only, *prepared)
        self.key = key
        self.works = False  # an outcome has come out of it
        self.pool = pool.Pool(
            worker.seats, initializer, (), maxtasks, worker.context, daemon=daemon
        )

    def rows(self):
        return [list(row) for row in self.pool.stats().workers]


class Worker:
    """What this process is to the server."""

    def __init__(self, url, *, seats, queue, name, most, plain_only, say):
        from .. import get_context

        self.url = url
        self.seats = seats
        self.plain_only = plain_only
        # Processes that are forked beside threads would have their locks as they were.
        self.context = get_context("forkserver")
        self._queue = queue
        self._name = name
        self._most = most
        self._say = say
        self._host = socket.gethostname()
        self._server = open_server(url)
        self._lock = threading.Lock()
        self._renewing = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._state = _RUNNING
        self._busy = 0
        self._taken = 0
        self._locals = {}
        self._refused = {}
        self._blobs = {}
        self._session = self._enter()

    # ------------------------------------------------------------ its place on the server

    def _enter(self):
        return _core.RemotePoolWorker(self._server, self._queue, [""], self._about())

    def _about(self):
        pools = {}
        for local in list(self._locals.values()):
            try:
                pools[local.key] = local.rows()
            except Exception:
                continue  # it has just ended
        about = {
            "host": self._host,
            "pid": os.getpid(),
            "name": self._name,
            "seats": self.seats,
            "pools": pools,
        }
        return json.dumps(about)

    def _renew(self, session):
        """That worker was taken for dead: what it did is for nobody, and another one begins."""
        with self._renewing:
            # One thread does it for all: of two new workers one would be forgotten, with the
            # tasks that it was given meanwhile.
            if self._session is session and self._state != _ENDING:
                self._begin_anew()

    def _begin_anew(self):
        with self._lock:
            abandoned, self._locals = self._locals, {}
            self._refused.clear()
        self._say("its lease was over: begins anew")
        for local in abandoned.values():
            local.pool.terminate()
        while self._state == _RUNNING:
            try:
                fresh = self._enter()
                break
            except _PASSING as error:
                self._trouble(error)
        else:
            return
        with self._lock:
            self._session = fresh

    def _trouble(self, error):
        self._say(str(error))
        time.sleep(_PAUSE)

    # ------------------------------------------------------------ seats

    def sit(self):
        """A seat: takes tasks, one after the other. A thread.

        What it has to tell it keeps until it is told, whatever the server says meanwhile: nobody
        else will tell of that task as long as this worker lives. So long it counts as busy.
        """
        told, session, refused = [], self._session, 0
        while True:
            if session is not self._session:
                told, session, refused = self._rest(told), self._session, 0
            try:
                if self._state != _RUNNING:
                    if told:
                        session.tell(told)
                    self._rest(told)
                    return
                # It has been told when this returns, and not a minute later.
                task = session.take(told, 0 if told else _BEAT * 60)
            except _core.LeaseLost:
                told = self._rest(told)
                self._renew(session)
                continue
            except Exception as error:  # whatever it is: a seat does not end with what it has
                self._trouble(error)
                refused += 1
                hopeless = isinstance(error, ValueError)  # it is too large, and stays so
                if (hopeless or refused % 3 == 0) and self._tell_without(session, told, error):
                    told, refused = self._rest(told), 0
                continue
            told, refused = self._rest(told), 0
            if task is not None:
                told = self._sit_at(session, *task)

    def _rest(self, told):
        """That has been told, or is nobody's business any more."""
        if told:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()
        return []

    def _tell_without(self, session, told, error):
        """Tells something smaller, if the server might refuse outcomes for their size."""
        if not told or told[0][2] != "done" or len(told[0][3]) < _LARGE:
            return False
        key, task, _, body = told[0]
        first, found = _task.unpack(body)
        text = f"{len(body)} bytes of results were refused by the server: {error}"
        failure = _task.plain_failure(pool.MaybeEncodingError(text, None))
        try:
            session.tell([(key, task, "done", _task.pack([first, [failure] * len(found)]))])
        except (_core.LeaseLost, *_PASSING):
            return False
        return True

    def _sit_at(self, session, key, task, body):
        """Does a task; what is to be told of it. The seat is busy until that was told."""
        with self._changed:
            begins = self._state == _RUNNING and not (self._most and self._taken >= self._most)
            self._busy += 1
            self._taken += begins
            if self._most and self._taken >= self._most and self._state == _RUNNING:
                self._state = _DRAINING
        back = [(key, task, "back", b"")]
        if not begins:
            return back
        try:
            order = _task.unpack(body)
            local = self._ready(session, key, order)
            if local is None:
                return back  # the pool has ended
            job = self._start(local, order)
        except _core.LeaseLost:
            return back  # which nobody will hear
        except _NotNow as error:
            self._trouble(error)
            return back
        except Exception as error:
            return [self._refuse(key, task, error)]
        # From here on it has been begun.
        try:
            return [self._follow(session, local, key, task, order, job)]
        except _core.LeaseLost:
            return back
        except Exception as error:
            self._say(repr(error))
            return [(key, task, "lost", b"")]

    def _ask(self, session, key, blob=""):
        try:
            return session.about(key, blob)
        except _core.LeaseLost:
            raise
        except _PASSING as error:
            raise _NotNow(error) from error

    def _local(self, session, key):
        with self._lock:
            found = self._locals.get(key)
        if found is not None:
            return found
        options, _ = self._ask(session, key)
        with self._lock:
            found = self._locals.get(key)
            if found is None and options is not None and session is self._session:
                found = self._locals[key] = Local(self, key, options)
        return found

    def _blob(self, session, key, name):
        with self._lock:
            found = self._blobs.pop((key, name), None)
        if found is None:
            _, found = self._ask(session, key, name)
        if found is not None:
            with self._lock:
                self._blobs[key, name] = found  # the last one that was used
                while sum(map(len, self._blobs.values())) > _BLOBS and len(self._blobs) > 1:
                    del self._blobs[next(iter(self._blobs))]
        return found

    def _ready(self, session, key, order):
        """What is needed for a task; None if its pool has ended."""
        function = order[6]
        if function[0] == "blob":
            order[6] = "pickle", self._blob(session, key, function[1])
        return self._local(session, key) if order[6][1] is not None else None

    def _start(self, local, order):
        _version, name, _first, mode, flags, timeout, function, items = order
        job = pool.IMapIterator()
        local.pool._begin(
            job,
            _child.Runner(self.url, self.plain_only, *function, mode, flags),
            items,
            pool._MAP,
            "ordered",
            chunk=len(items),
            stop=bool(flags & _task.STOPS),
            name=name,
            timeout=timeout,
            retries=0,  # its owner counts the losses, of all workers
        )
        return job

    def _refuse(self, key, task, error):
        text = str(error).removeprefix("the pool was ended: ")
        return key, task, "refused", _task.pack(f"on {self._host}, {text}")

    def _follow(self, session, local, key, task, order, job):
        """Waits for the outcomes of a task that has been begun; what is to be told at its end."""
        first, count, stops = order[2], len(order[7]), order[4] & _task.STOPS
        found, since, size = [], time.monotonic(), 0
        while True:
            kind, value = job._take(max(0.0, since + _PART - time.monotonic()))
            lost = False
            if kind == 0:
                found.append(bytes(value))
                size += len(found[-1])
            elif kind == 1 and isinstance(value, pool.BrokenPoolError):
                if not local.works:
                    return self._refuse(key, task, value)
                return self._break_off(session, key, task, first, found)
            elif kind == 1:
                found.append(self._failure(value))
                lost = _task.is_lost(found[-1])  # and what follows is done all the same
            if kind in (0, 1):
                local.works = True
            if kind == 2 or len(found) == count or (kind == 1 and stops and not lost):
                return key, task, "done", _task.pack([first, found])
            # A loss counts also if this worker is the next one to die.
            if lost or time.monotonic() - since > _PART or size > _MUCH:
                if found and self._tell_part(session, (key, task, "part"), first, found):
                    first, count, found, size = first + len(found), count - len(found), [], 0
                since = time.monotonic()

    def _tell_part(self, session, what, first, found):
        """Whether it has been told. If not it is, with more, later."""
        try:
            session.tell([(*what, _task.pack([first, found]))])
        except _core.LeaseLost:
            raise
        except (ValueError, *_PASSING) as error:
            self._say(str(error))
            return False
        return True

    def _break_off(self, session, key, task, first, found):
        """The processes are gone: what there is counts, and the rest is lost."""
        while found and not self._tell_part(session, (key, task, "part"), first, found):
            time.sleep(_PAUSE)
        return key, task, "lost", b""

    def _failure(self, error):
        if isinstance(error, _child.Fault):
            return error.args[0]
        if isinstance(error, pool.WorkerLostError):
            return _task.loss_outcome(error, self._host)
        return _task.plain_failure(error)

    # ------------------------------------------------------------ while it runs

    def beat(self):
        """Says how it is; ends what it has for pools that have ended."""
        with self._lock:
            # What comes while the server is asked may be of a pool that is younger than its answer.
            session, locals_, blobs = self._session, dict(self._locals), list(self._blobs)
        try:
            there = set(session.beat(self._about()))
        except _core.LeaseLost:
            self._renew(session)
            return
        except _PASSING as error:
            self._say(str(error))
            return
        ended = [local for key, local in locals_.items() if key not in there]
        with self._lock:
            for local in ended:
                if self._locals.get(local.key) is local:
                    del self._locals[local.key]
            for key in blobs:
                if key[0] not in there:
                    self._blobs.pop(key, None)
        for local in ended:
            local.pool.terminate()

    def drain(self, at_once=False):
        """Takes no more tasks, and ends when those are done that it has, or at once."""
        self._state = max(self._state, _ENDING if at_once else _DRAINING)

    def run(self, stop):
        """Works until it is to end; `stop` is waited for between beats."""
        seats = [threading.Thread(target=self.sit, daemon=True) for _ in range(self.seats)]
        for seat in seats:
            seat.start()
        while self._state == _RUNNING:
            self.beat()
            stop.wait(_BEAT)
        if self._state == _DRAINING:
            self._say("takes no more tasks, and ends when it has done those it has")
        beaten = time.monotonic()
        while self._state == _DRAINING:
            with self._changed:
                if self._busy == 0:
                    break
            if time.monotonic() - beaten > _BEAT:
                self.beat()
                beaten = time.monotonic()
            stop.wait(_BEAT / 10)
        at_once = self._busy > 0
        self._state = _ENDING
        try:
            self._session.leave(at_once)
        except (_core.LeaseLost, *_PASSING) as error:
            self._say(str(error))
        for local in list(self._locals.values()):
            local.pool.terminate()
        return 1 if at_once else 0


class _Stop:
    """What the main thread waits for: any signal ends the wait.

    The interpreter itself writes to the pipe. A handler in Python runs in the main thread only,
    which may just be on its way into the wait.
    """

    def __init__(self):
        self._reader, writer = os.pipe()
        os.set_blocking(writer, False)
        os.set_blocking(self._reader, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def wait(self, timeout):
        if select.select([self._reader], [], [], timeout)[0]:
            os.read(self._reader, 4096)


def main(url, *, processes, queue, name, max_tasks, no_pickle):
    """The command; returns its exit status."""
    stop = _Stop()

    def say(text):
        print(f"procession worker: {text}", file=sys.stderr, flush=True)

    if not no_pickle:
        say(
            "runs whatever those send who may write to the server (--no-pickle: only functions"
            " that are found by their names, with plain data)"
        )
    # Users' modules are found as by a program that is started here.
    sys.path.insert(0, os.getcwd())
    try:
        worker = Worker(
            url,
            seats=processes,
            queue=queue,
            name=name,
            most=max_tasks,
            plain_only=no_pickle,
            say=say,
        )
    except (ValueError, OSError) as error:
        say(str(error))
        return 2
    signals = 0

    def on_signal(number, _frame):
        nonlocal signals
        signals += 1
        worker.drain(at_once=number == signal.SIGINT or signals > 1)

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    say(f"{processes} processes for pools of the queue {queue!r} on {worker._server.address}")
    return worker.run(stop)
