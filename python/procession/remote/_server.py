"""Which servers this process has opened, and what all objects on a server have in common.

A *place* is where objects are made: a `RemoteContext` or a remote `Family`. It has `_server`, a
`RemoteServer` of the core's, and `allow_pickle`.
"""

import os
import threading
import weakref

from .._core import RemoteServer
from .._std.context import get_spawning_popen

# Where a process finds the URL, with credentials, of a server whose objects it is sent.
VARIABLE = "PROCESSION_SERVER_URL"

_open = weakref.WeakValueDictionary()  # URL → RemoteServer
_known: dict = {}  # address → the URL by which it was opened last, by this process or its parent
_lock = threading.RLock()


def is_url(name):
    """Whether this names a server, and not a family or start method of this machine."""
    return isinstance(name, str) and "://" in name


def open_server(url):
    """The server of this URL. There is one object for each, as long as somebody has it: an object
    on the server, a context or a family. With it the connections go."""
    server = _open.get(url)
    if server is None:
        with _lock:
            server = _open.get(url)
            if server is None:
                server = _open[url] = RemoteServer(url)
            _known[server.address] = url
    return server


def known():
    """The URLs, with credentials, for a child."""
    return list(_known.values())


def learn(urls):
    """In the child. It connects when it needs to."""
    for url in urls:
        _known.setdefault(RemoteServer.address_of(url), url)


def find_server(address):
    """The server at that address, which this process must know with its credentials."""
    url = _known.get(address)
    if url is None:
        url = os.environ.get(VARIABLE)
        if not url or RemoteServer.address_of(url) != address:
            raise RuntimeError(
                f"this is a handle of an object on {address}, a server that this process has not"
                " opened: handles travel without credentials. Call procession.Family(url) or"
                f" procession.get_context(url) before, or set the environment variable {VARIABLE}"
            )
    return open_server(url)


def _after_fork():
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_after_fork)


def where_to_send(server):
    """How a handle that is being pickled says where its object is."""
    if RemoteServer.current() is server:
        return "here", server.address
    if get_spawning_popen() is not None:
        return "url", server._url  # through a pipe, to a child of this process
    return "at", server.address


def server_at(how, where):
    """The server that such a word names, in the process that unpickles it."""
    if how == "here":
        # Its sender may know it by another address than this process does.
        return RemoteServer.current() or find_server(where)
    return open_server(where) if how == "url" else find_server(where)


def _rebuild(cls):
    return cls.__new__(cls)


class Remote:
    """Mixed into what is on a server, before the native base, which has `_create`, `_find`,
    `_attach`, `_there` and perhaps `_refuse_pickle` and `_plain_only`."""

    @property
    def _server(self):
        return self._there()[0]

    @property
    def _key(self):
        """What names it on its server."""
        return self._there()[1]

    def _begin(self, place, *arguments):
        """Becomes a new object without a name."""
        self._create(place._server, *arguments)
        self._restrict(place.allow_pickle)

    @classmethod
    def _named(cls, place, name, *arguments):
        """The object of that name, which is made if there is none."""
        if not isinstance(name, str):
            raise TypeError(f"a name is a str, not {type(name).__name__}")
        found = cls.__new__(cls)
        found._find(place._server, name, *arguments)
        found._restrict(place.allow_pickle)
        return found

    def _restrict(self, allow_pickle):
        if not allow_pickle and hasattr(self, "_refuse_pickle"):
            self._refuse_pickle()

    # ------------------------------------------------------------ how a handle travels

    def _attach_args(self):
        """What `_attach` needs beside server and key."""
        return ()

    def _extra(self):
        """What else belongs to the handle."""

    def _set_extra(self, extra):
        pass

    def __getstate__(self):
        server, key = self._there(to_send=True)
        plain_only = getattr(self, "_plain_only", False)
        return where_to_send(server), key, self._attach_args(), plain_only, self._extra()

    def __setstate__(self, state):
        where, key, arguments, plain_only, extra = state
        self._attach(server_at(*where), key, *arguments)
        self._restrict(not plain_only)
        self._set_extra(extra)

    def __reduce__(self):
        return _rebuild, (type(self),), self.__getstate__()

    def __repr__(self):
        try:
            server, key = self._there()
        except RuntimeError:
            return f"<{type(self).__name__}, not begun>"
        key = key.removeprefix(f"{server.prefix}:")
        return f"<{type(self).__name__} {key} on {server.address}>"
