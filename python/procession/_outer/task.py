"""What is done in a worker: a piece of a call, in order, with an outcome for each item.

It comes and goes as bytes, so that functions travel as they do at home, whatever the cluster's own
pickling knows. An outcome is a value, or a `Failed` with an exception, each of which is packed for
itself: for there are some that cannot be unpickled.
"""

import os
import pickle
import socket
import threading
import time
from typing import Any, NamedTuple

from .. import pool as _pool
from .._crew import TaskTimeoutError, WorkerLostError
from .._poolview import _rss
from .._std.pool import ExceptionWithTraceback, MaybeEncodingError

_PROTOCOL = 5
_HOST = socket.gethostname()

# By pool: what its initializer raised in this process, or None.
_initialized: dict = {}
_initializing = threading.Lock()


class Piece(NamedTuple):
    """What a worker is asked to do. `func`, `items` and `setup` are pickled if `packed`."""

    pool: str
    setup: Any  # the initializer and its arguments
    func: Any
    name: str
    mode: int
    first: int
    count: int
    items: Any
    stops: bool  # at a failure
    stops_late: bool  # at what takes too long, for the rest is to be tried again with it
    timeout: float | None
    cluster: str
    packed: bool


class Report(NamedTuple):
    """What it says. `outcomes` is pickled if the piece was."""

    host: str
    pid: int
    took: float
    coding: float  # seconds of it for unpickling and pickling
    memory: int
    ready: bool  # if not, the only outcome is how the initializer failed
    outcomes: Any


class Failed:
    """An outcome that is no value."""

    late = False

    def __init__(self, error):
        self.error = error

    def __reduce__(self):
        return _failed, (type(self), _pack_error(self.error))


class Late(Failed):
    late = True


def _pack_error(error):
    try:
        packed = dumps(ExceptionWithTraceback(error, error.__traceback__))
        pickle.loads(packed)  # what cannot be loaded here cannot be loaded by its owner
        return packed
    except Exception as why:
        return pickle.dumps(MaybeEncodingError(why, error), _PROTOCOL)


def _failed(kind, packed):
    try:
        return kind(pickle.loads(packed))
    except Exception as why:  # its owner lacks what the worker has
        return kind(why)


def dumps(thing):
    """By value what the other side may not have: whatever comes out of `__main__`."""
    import cloudpickle

    return cloudpickle.dumps(thing, _PROTOCOL)


def work(piece):
    """Does a piece, and says what became of it."""
    clock = time.perf_counter
    began, coding = clock(), 0.0
    outcomes = _initialize(piece)
    ready = outcomes is None
    if ready:
        loading = clock()
        call = _load_call(piece)
        coding = clock() - loading
        outcomes = call if type(call) is list else _do_all(piece, *call)
    if piece.packed:
        packing = clock()
        outcomes = _pack(outcomes)
        coding += clock() - packing
    pid = os.getpid()
    return Report(_HOST, pid, clock() - began, coding, _rss(pid), ready, outcomes)


def _initialize(piece):
    if piece.setup is None:
        return None
    with _initializing:
        if piece.pool not in _initialized:
            _initialized[piece.pool] = None
            try:
                initializer, arguments = _load(piece, piece.setup)
                initializer(*arguments)
            except Exception as error:
                _initialized[piece.pool] = error
        error = _initialized[piece.pool]
    return None if error is None else [Failed(error)]


def _load(piece, thing):
    return pickle.loads(thing) if piece.packed else thing


def _load_call(piece):
    """How an item is called, and the items; a list of outcomes, if they cannot be had."""
    try:
        return _one(_load(piece, piece.func), piece.mode), _load(piece, piece.items)
    except Exception as error:
        return [Failed(error) for _ in range(1 if piece.stops else piece.count)]


def _do_all(piece, call, items):
    outcomes: list = []
    for item in items:
        outcome = _do(piece, call, item, piece.first + len(outcomes))
        outcomes.append(outcome)
        if isinstance(outcome, Failed) and (piece.stops or (outcome.late and piece.stops_late)):
            break
    return outcomes


def _one(func, mode):
    if mode == _pool._APPLY:
        return lambda item: func(*item[0], **item[1])
    return (lambda item: func(*item)) if mode == _pool._STAR else func


def _do(piece, call, item, index):
    try:
        if piece.timeout is None:
            return call(item)
        return _do_in_time(piece, call, item, index)
    except Exception as error:
        return Failed(error)
    except BaseException as error:  # it would have ended a worker of the pool's own
        where = _where(piece.name, index)
        text = f"{where}: its worker {_here()} was to end by {error!r}, and is {piece.cluster}'s"
        return Failed(WorkerLostError(text, piece.name, index, os.getpid()))


def _do_in_time(piece, call, item, index):
    """In a thread, for it must be left behind where it takes too long."""
    outcome: list = []

    def run():
        try:
            outcome.append(call(item))
        except BaseException as error:
            outcome.append(Failed(error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(piece.timeout)
    if not outcome:
        text = (
            f"{_where(piece.name, index)}: no result after {piece.timeout:g} s; it is still running"
            f" in {_here()}, a worker of {piece.cluster}'s, which the pool cannot end"
        )
        return Late(TaskTimeoutError(text, piece.name, index, os.getpid()))
    if isinstance(outcome[0], Failed):
        raise outcome[0].error
    return outcome[0]


def _where(name, index):
    return f"{name}, item {index}" if index else name


def _here():
    return f"{_HOST}:{os.getpid()}"


def _pack(outcomes):
    try:
        return dumps(outcomes)
    except Exception:
        return dumps([_packable(outcome) for outcome in outcomes])


def _packable(outcome):
    try:
        dumps(outcome)
    except Exception as why:
        return Failed(MaybeEncodingError(why, outcome))
    return outcome
