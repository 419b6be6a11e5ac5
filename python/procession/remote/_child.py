"""What runs in the processes of a worker: the functions that users have sent.

Items come as messages and values go as messages: the worker itself takes none of them apart.
"""

import functools

from .. import pool
from . import _task
from ._server import open_server


class Fault(Exception):
    """The outcome of an item that has failed, on its way to the worker."""


@functools.cache
def _server(url):
    """The server, for handles of objects there. Few messages have one."""
    return open_server(url)


class Initializer:
    """A pool's initializer, as each process calls it."""

    def __init__(self, url, plain_only, kind, what, arguments, name):
        self._parts = url, plain_only, kind, what, arguments
        self.__qualname__ = name

    def __reduce__(self):
        url, plain_only, kind, what, arguments = self._parts
        return Initializer, (url, plain_only, kind, what, arguments, self.__qualname__)

    def __call__(self):
        url, plain_only, kind, what, arguments = self._parts
        server = functools.partial(_server, url)
        function = _task.load_function(kind, what, server, plain_only)
        function(*_task.load_item(arguments, server, plain_only))


class Runner:
    """A call's function, as each process calls it with items."""

    def __init__(self, url, plain_only, kind, what, mode, flags):
        self._parts = url, plain_only, kind, what, mode, flags
        self._server = functools.partial(_server, url)
        self._function = None

    def __reduce__(self):
        # A function that is found by its name is the same for all tasks; any other comes fresh to
        # each, as to the processes of a pool of one machine.
        return _runner if self._parts[2] == "name" else Runner, self._parts

    def __call__(self, message):
        _url, plain_only, kind, what, mode, flags = self._parts
        catches = bool(flags & _task.CATCHES)
        how = self._server, plain_only, catches
        if not message:
            raise Fault(_task.UNSENT)
        try:
            if self._function is None:
                self._function = _task.load_function(kind, what, self._server, plain_only)
            item = _task.load_item(message, self._server, plain_only)
        except Exception as error:
            raise Fault(_task.failure_outcome(error, *how)) from None
        try:
            value = _call(self._function, mode, item)
        except BaseException as error:
            if not _task.is_outcome(error, catches):
                raise
            raise Fault(_task.failure_outcome(error, *how)) from None
        try:
            return _task.value_outcome(value, self._server, plain_only)
        except BaseException as error:
            if not _task.is_outcome(error, catches):
                raise
            raise Fault(_task.unsent_outcome(error, value, *how)) from None


def _call(function, mode, item):
    if mode == pool._MAP:
        return function(item)
    if mode == pool._STAR:
        return function(*item)
    args, kwargs = item
    return function(*args, **kwargs)


@functools.lru_cache(maxsize=64)
def _runner(*parts):
    """The one that this process has for that call, with its function."""
    return Runner(*parts)
