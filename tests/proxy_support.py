"""A man in the middle: stands between clients and a server, and cuts, delays, swallows and garbles.

Clients speak RESP and wait for each reply before the next call, so one thread for each connection sees
whole commands go up and whatever comes back go down.
"""

import select
import socket
import ssl
import threading

PASS = "pass"
CUT_BEFORE = "cut before"  # the server never sees the call
CUT_AFTER = "cut after"  # the server has carried it out; the reply is lost with the connection
HANG = "hang"  # carried out; the reply never comes, and the connection stays
GARBAGE = "garbage"  # carried out; something else comes instead of the reply
LATE = "late"  # the connection breaks; the call arrives when `Proxy.deliver` lets it
ACTIONS = [CUT_BEFORE, CUT_AFTER, HANG, GARBAGE]
SCRIPTS = (b"EVALSHA", b"EVAL", b"FCALL")


def first_command(data):
    """The words of the first whole command in `data` and its length, or None if it is not whole yet."""
    end = data.find(b"\r\n")
    if end < 0:
        return None
    if data[:1] != b"*":
        return data[:end].split(), end + 2
    words, at = [], end + 2
    for _ in range(int(data[1:end])):
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        start = end + 2
        at = start + int(data[at + 1 : end]) + 2
        if at > len(data):
            return None
        words.append(bytes(data[start : at - 2]))
    return words, at


class Once:
    """Does something at the nth script that goes up, and nothing to the others."""

    def __init__(self, nth, action, commands=SCRIPTS):
        self.left, self.action, self.commands = nth, action, commands
        self.seen = 0
        self.done = threading.Event()
        self._mutex = threading.Lock()

    def __call__(self, words):
        if words[0].upper() not in self.commands:
            return PASS
        with self._mutex:
            self.seen += 1
            if self.seen != self.left:
                return PASS
        self.done.set()
        return self.action


class Often:
    """Does something at every script of which `random` says so, with a random one of the actions."""

    def __init__(self, random, share, actions=(CUT_BEFORE, CUT_AFTER), commands=SCRIPTS):
        self.random, self.share, self.actions, self.commands = random, share, actions, commands
        self.done = 0
        self._mutex = threading.Lock()

    def __call__(self, words):
        if words[0].upper() not in self.commands:
            return PASS
        with self._mutex:
            if self.random.random() >= self.share:
                return PASS
            self.done += 1
            return self.random.choice(self.actions)


class Proxy:
    """Listens on a port of its own; `judge(words)` says what happens to each call."""

    def __init__(self, target, judge=None, context=None):
        self.target, self.judge, self._context = target, judge, context
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=500)
        self.port = self._listener.getsockname()[1]
        self._open = set()
        self._mutex = threading.Lock()
        self._flows, self._refuses, self._ended = threading.Event(), False, False
        self._flows.set()
        self._delivers, self.arrived = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.end()

    # From outside

    def cut(self):
        """Breaks all connections that there are; returns how many."""
        with self._mutex:
            ends = list(self._open)
        for end in ends:
            _shut(end)
        return len(ends) // 2

    def refuse(self):
        """Breaks all connections, and each new one at once."""
        self._refuses = True
        self.cut()

    def accept(self):
        self._refuses = False

    def stall(self):
        """Nothing goes through any more; connections stay."""
        self._flows.clear()

    def flow(self):
        self._flows.set()

    def deliver(self):
        """Lets the late calls arrive; returns when the server has answered the first of them."""
        self._delivers.set()
        assert self.arrived.wait(20)

    def end(self):
        self._ended = True
        self._delivers.set()
        _shut(self._listener)
        self._listener.close()
        self.flow()
        self.refuse()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()

    # Inside

    def _accept(self):
        while True:
            try:
                client, _address = self._listener.accept()
            except OSError:
                return
            if self._ended or self._refuses:
                client.close()
                continue
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads = [t for t in self._threads if t.is_alive()] + [thread]
            thread.start()

    def _serve(self, client):
        try:
            if self._context:
                client = self._context.wrap_socket(client, server_side=True)
            server = _connected(self.target)
        except OSError:
            client.close()
            return
        with self._mutex:
            self._open |= {client, server}
        try:
            if not self._refuses:
                self._pump(client, server)
        except (OSError, ValueError):
            pass  # either side has gone
        finally:
            with self._mutex:
                self._open -= {client, server}
            client.close()
            server.close()

    def _pump(self, client, server):
        data, fate = bytearray(), PASS
        while True:
            ready = _ready(client, server)
            self._flows.wait()
            if server in ready:
                came = server.recv(1 << 16)
                if not came or fate == CUT_AFTER:
                    return
                if fate == GARBAGE:
                    client.sendall(b"?!\x00 no reply at all\r\n" * 3)
                elif fate != HANG:
                    client.sendall(came)
            if client in ready:
                came = client.recv(1 << 16)
                if not came:
                    return
                data += came
                while fate == PASS and (found := first_command(data)):
                    words, length = found
                    fate = self.judge(words) if self.judge else PASS
                    if isinstance(fate, float):
                        # Threads of other connections go on meanwhile.
                        threading.Event().wait(fate)
                        fate = PASS
                    if fate == CUT_BEFORE:
                        return
                    if fate == LATE:
                        client.close()
                        self._delivers.wait()
                        server.sendall(data[:length])
                        server.recv(1 << 16)
                        self.arrived.set()
                        return
                    server.sendall(data[:length])
                    del data[:length]


def _connected(target):
    if isinstance(target, tuple):
        return socket.create_connection(target)
    server = socket.socket(socket.AF_UNIX)
    server.connect(str(target))
    return server


def _ready(client, server):
    if isinstance(client, ssl.SSLSocket) and client.pending():
        return [client]
    return select.select([client, server], [], [])[0]


def _shut(end):
    try:
        # Not an SSL socket's own, which would take the cipher away from under its thread.
        socket.socket.shutdown(end, socket.SHUT_RDWR)
    except OSError:
        pass
