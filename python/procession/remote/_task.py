"""What a pool's owner and its workers send to each other.

All of it is plain data (MessagePack), so that a worker may be written in any language:

    options   [version, initializer or nil, maxtasksperchild or nil, daemon]
    task      [version, name, first item, mode, flags, timeout or nil, function, [items]]
    function  ["name", "module:qualified.name"], ["pickle", bytes], ["blob", name of a blob of the
              pool's, which is the pickle], or ["served", the name by which somebody serves it]
    report    [the first item, [outcomes]]

Modes are those of _farcrew.py. An item and a value are messages: a byte that says the kind, 1 for
MessagePack. An outcome is bytes: one that says what it is, and the rest:

    v  the message of a value
    f  the message of a pickled exception
    e  plain data: ["module", "name", [arguments] or nil, text, traceback]
    l  plain data: ["lost" | "late", pid, exit code or nil, host, item]; late without an exit code:
       it was told of, and goes on
    u  nothing: the item could not be sent, and its owner knows why

A worker tries nothing again: its owner counts how often an item was lost, wherever that was.
"""

import builtins
import contextlib
import sys

from .. import _byvalue, _core, pool
from .._crew import _how
from .._std.pool import ExceptionWithTraceback, RemoteTraceback

VERSION = 1
# Flags of a task: the first item that fails ends it; whatever is raised is an outcome.
STOPS, CATCHES = 1, 2

# No server takes more at once, as it is set up by default (proto-max-bulk-len).
MOST = (512 << 20) - 1

VALUE, PICKLED, PLAIN, LOST, UNSENT = b"v", b"f", b"e", b"l", b"u"

encode, decode = _core.remote_encode, _core.remote_decode


def pack(obj):
    """Plain data as bytes."""
    message = encode(None, obj)
    if message is None:
        message = encode(None, _apart(obj))
    if message is None:
        raise TypeError(f"{obj!r} is not plain data")
    return message


def _apart(obj):
    """The same, in which nothing is there twice: what is counts as no plain data."""
    if type(obj) in (list, tuple):
        return type(obj)(map(_apart, obj))
    if type(obj) is str:
        return obj.encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass")
    return bytes(bytearray(obj)) if type(obj) is bytes else obj


def unpack(message):
    return decode(None, message)


# ---------------------------------------------------------------- functions


class Named:
    """A function that somebody serves by a name, in whatever language. See `named`."""

    def __init__(self, name):
        if not isinstance(name, str) or not name:
            raise TypeError("a function's name is a str that is not empty")
        self.__qualname__ = name

    def __call__(self, *args, **kwargs):
        raise TypeError(f"{self.__qualname__!r} is served by workers: hand it to a remote pool")

    def __repr__(self):
        return f"named({self.__qualname__!r})"


def named(name):
    """A function that workers serve by this name: what a remote pool's methods take for it.

    >>> pool.apply(named("resize"), (picture, 100))  # doctest: +SKIP
    """
    return Named(name)


def pack_function(func, server, plain_only):
    """What its worker must have, and how it is told the function."""
    if type(func) is Named:
        return func.__qualname__, ("served", func.__qualname__)
    module, name = getattr(func, "__module__", None), getattr(func, "__qualname__", None)
    by_name = isinstance(module, str) and isinstance(name, str)
    if by_name and module not in ("__main__", "__mp_main__") and "<" not in name:
        if _byvalue._pickle_finds(func, module, name):
            return "", ("name", f"{module}:{name}")
    if plain_only:
        raise pool_error(func)
    return "", ("pickle", encode(server, func))


def pool_error(func):
    import pickle

    return pickle.PicklingError(
        f"{func!r} cannot be found by its name in a module, and this pool does not pickle"
        " (allow_pickle=False)"
    )


def load_function(kind, what, server, plain_only):
    """The function, at its worker. `server()` is called if it is needed."""
    if kind == "name":
        module, _, name = what.partition(":")
        __import__(module)
        found = sys.modules[module]
        for part in name.split("."):
            found = getattr(found, part)
        return found
    if kind != "pickle":
        raise LookupError(f"this worker serves no function of the name {what!r}")
    if plain_only:
        raise refusal("functions that are found by their names in a module, and plain data")
    return decode(server(), what)


def refusal(what):
    import pickle

    return pickle.UnpicklingError(f"this worker takes no pickles (--no-pickle), only {what}")


def load_item(message, server, plain_only):
    if message[:1] == b"\x01":
        return decode(None, message)
    if plain_only:
        raise refusal("plain data")
    return decode(server(), message)


# ---------------------------------------------------------------- outcomes


def value_outcome(value, server, plain_only):
    """The outcome that is a value. Raises what pickle says of it."""
    message = encode(None, value)
    return VALUE + (encode(server(), value, plain_only) if message is None else message)


def is_outcome(error, catches):
    """Whether an exception is one; what is not ends the process."""
    return isinstance(error, Exception) or (catches and not isinstance(error, KeyboardInterrupt))


def failure_outcome(error, server, plain_only, catches=False):
    """The outcome that is an exception, with its traceback as text."""
    if plain_only:
        return plain_failure(error)
    try:
        return _pickled_failure(error, server)
    except BaseException as problem:
        if not is_outcome(problem, catches):
            raise
        return unsent_outcome(problem, error, server, plain_only, catches)


def unsent_outcome(problem, thing, server, plain_only, catches):
    """The outcome of a value or an exception that cannot be sent, as in a pool of one machine: a
    `MaybeEncodingError`, or, of a call that catches, what was raised by the pickling."""
    if catches:
        with contextlib.suppress(Exception):  # what cannot be sent either is told by its text
            return plain_failure(problem) if plain_only else _pickled_failure(problem, server)
    unsent = pool.MaybeEncodingError(problem, thing)
    if plain_only:
        return plain_failure(unsent)
    return _pickled_failure(unsent.with_traceback(problem.__traceback__), server)


def _pickled_failure(error, server):
    # Its traceback begins in the user's code, not in the worker's.
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__package__") == __package__:
        trace = trace.tb_next
    wrapped = ExceptionWithTraceback(error, trace or error.__traceback__)
    return PICKLED + encode(server(), wrapped)


def plain_failure(error):
    import traceback

    kind = type(error)
    text = "".join(traceback.format_exception(kind, error, error.__traceback__))
    arguments = list(error.args)
    try:
        pack(arguments)
    except TypeError:
        arguments = None
    return PLAIN + pack((kind.__module__, kind.__qualname__, arguments, str(error), text))


def loss_outcome(error, host):
    """The outcome of an item whose process has died, or was ended since it took too long."""
    kind = "late" if isinstance(error, pool.TaskTimeoutError) else "lost"
    return LOST + pack((kind, error.pid, error.exitcode, host, error.index))


def is_lost(outcome):
    """Whether its process has died at it. One that took too long is not tried again."""
    return outcome[:1] == LOST and unpack(outcome[1:])[0] == "lost"


class Loaded:
    """Outcomes as their owner has them."""

    def __init__(self, server, plain_only, errors):
        self._server = server
        self._plain_only = plain_only
        self._errors = errors

    def load(self, outcome, call, index):
        """`(True, value)` or `(False, exception)`."""
        kind, message = outcome[:1], outcome[1:]
        try:
            if kind == VALUE:
                return True, decode(self._server, message, self._plain_only)
            if kind == PICKLED:
                error = decode(self._server, message, self._plain_only)
                return False, error if isinstance(error, BaseException) else TypeError(repr(error))
        except BaseException as error:  # of the unpickling: it is the item's, and no one else's
            return False, error
        if kind == PLAIN:
            return False, plain_error(*unpack(message))
        return False, self.loss(call, index, *unpack(message)[:4])

    def loss(self, call, index, kind, pid, exitcode, host):
        name = call.name
        where = f"{name}, item {index}" if index else name
        worker = f"{pid} on {host}"
        if kind == "late":
            text = f"{where}: no result after {call.timeout:g} s, and its worker {worker}"
            # A thread of a worker that is not Python's has no exit code.
            text += " was ended" if exitcode is not None else " cannot end it: it still runs there"
            return self._errors.late(text, name, index, pid, exitcode)
        text = f"{where}: its worker {worker} {_how(exitcode)}"
        return self._errors.lost(text, name, index, pid, exitcode)


def plain_error(module, name, arguments, text, trace):
    """An exception that was told as plain data: of its own class if that is one of Python's."""
    kind = getattr(builtins, name, None) if module == "builtins" else None
    error = None
    if isinstance(kind, type) and issubclass(kind, Exception) and arguments is not None:
        try:
            error = kind(*arguments)
        except Exception:
            error = None
    if error is None:
        error = RuntimeError(f"{module}.{name}: {text}" if module else text)
    error.__cause__ = RemoteTraceback(f'\n"""\n{trace}"""')
    return error
