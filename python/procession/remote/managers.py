"""What a remote context's `Manager()` gives: a manager without a process of its own."""

import os

__all__ = ["RemoteManager"]

# What was made is looked through when it has become so much.
_PRUNE_FROM = 64


def _ended():
    return BrokenPipeError("the manager was shut down")


class RemoteManager:
    """Makes shared objects on a server, with the methods of a `SyncManager`.

    Its objects live as long as some process has one; `shutdown`, or the end of the manager's
    `with`, removes them all: who uses or waits for one then gets a RuntimeError. It need not be
    started. There are no classes to register, for there is no process in which they could run.
    """

    def __init__(self, ctx):
        from .collections import List

        self._ctx = ctx
        self._made = {}  # key → the class, and what it is found with besides
        self._prune_at = _PRUNE_FROM
        # What forked children made, as `_made` has it; it is gone when the manager is shut down.
        self._childrens = List._made(ctx)
        self._process = os.getpid()
        self._is_shut_down = False

    def start(self, initializer=None, initargs=()):
        """Does nothing: it is ready. `initializer` has no process to run in."""
        if initializer is not None:
            raise TypeError(
                "a manager on a server has no process in which an initializer could run"
            )
        self._check()

    def connect(self):
        """Does nothing."""
        self._check()

    def shutdown(self):
        """Removes all that was made. In a child that was forked it does nothing."""
        if self._is_shut_down or self._process != os.getpid():
            return
        self._is_shut_down = True
        server = self._ctx._server
        children_made = self._childrens[:]
        server.destroy(self._childrens._key)
        for key in (*children_made, *self._made):
            server.destroy(key)
        self._made.clear()

    def join(self, timeout=None):
        """Does nothing: there is no process to wait for."""

    @property
    def address(self):
        """The server's, and the prefix, without credentials."""
        return self._ctx.address

    def __enter__(self):
        self._check()
        return self

    def __exit__(self, *exc_info):
        self.shutdown()

    def __repr__(self):
        return f"<RemoteManager on {self.address}>"

    def _check(self):
        if self._is_shut_down:
            raise _ended()

    def _had(self, made):
        if self._process != os.getpid():
            return self._had_in_child(made)
        if len(self._made) >= self._prune_at:
            self._living()
        self._made[made._key] = type(made), made._attach_args()
        return made

    def _had_in_child(self, made):
        try:
            self._childrens.append(made._key)
        except RuntimeError:  # it is gone
            self._ctx._server.destroy(made._key)
            raise _ended() from None
        return made

    def _living(self):
        """Forgets what is gone of what was made here, and returns the rest's keys."""
        for key, (kind, arguments) in list(self._made.items()):
            try:
                kind.__new__(kind)._attach(self._ctx._server, key, *arguments)
            except RuntimeError:
                del self._made[key]
        self._prune_at = max(_PRUNE_FROM, 2 * len(self._made))
        return list(self._made)

    def _number_of_objects(self):
        """How many there are of what was made in this process."""
        return len(self._living())

    def dict(self, /, *args, **kwds):
        """A shared dict, with the methods of a dict and some more."""
        from .collections import Dict

        self._check()
        return self._had(Dict._made(self._ctx, *args, **kwds))

    def list(self, sequence=(), /):
        """A shared list, with the methods of a list and some more."""
        from .collections import List

        self._check()
        return self._had(List._made(self._ctx, sequence))

    def Namespace(self, /, **kwds):
        """A shared object with attributes."""
        from .collections import Namespace

        self._check()
        return self._had(Namespace._made(self._ctx, **kwds))

    def Value(self, typecode, value, lock=True):
        """A shared value, with `value`."""
        from .collections import Value

        self._check()
        return self._had(Value._made(self._ctx, typecode, value))

    def Array(self, typecode, sequence, lock=True):
        """A shared array of numbers, as `array.array` has them."""
        from .collections import Array

        self._check()
        return self._had(Array._made(self._ctx, typecode, sequence))

    def Pool(self, *args, **kwds):
        """A pool of the context, whose workers are where they were started."""
        self._check()
        return self._ctx.Pool(*args, **kwds)


def _maker(name):
    def make(self, *args, **kwds):
        from ._managed import KINDS

        self._check()
        return self._had(KINDS[name]._made(self._ctx, *args, **kwds))

    make.__name__ = name
    make.__qualname__ = f"RemoteManager.{name}"
    make.__doc__ = f"A shared `{name}`, with the methods of a `SyncManager`'s."
    return make


for _name in (
    "Barrier",
    "BoundedSemaphore",
    "Condition",
    "Event",
    "JoinableQueue",
    "Lock",
    "Queue",
    "RLock",
    "Semaphore",
):
    setattr(RemoteManager, _name, _maker(_name))
