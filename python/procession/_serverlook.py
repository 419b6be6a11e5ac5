"""What `procession doctor` looks at a server with: one connection, and what was learnt by it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ._doctor import Finding

TIMEOUT = 10.0


@dataclass
class ServerFinding(Finding):
    loses: str = ""  # what would be lost, and when


def ok(name: str, found: str, loses: str = "") -> Finding:
    return ServerFinding(name, "ok", found, loses=loses)


def warning(name: str, found: str, advice: str, loses: str = "") -> Finding:
    return ServerFinding(name, "warning", found, advice, loses)


def problem(name: str, found: str, advice: str, loses: str = "") -> Finding:
    return ServerFinding(name, "problem", found, advice, loses)


class Refused(Exception):
    """The server answered with an error, whose first word is `code`."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code} {text}".strip())
        self.code = code


class Server:
    """A connection, and what was learnt by it."""

    def __init__(self, url: str) -> None:
        from . import _core

        parts = urlsplit(url)
        self.url = url
        self.scheme, self.host = parts.scheme, parts.hostname or ""
        self.password = parts.password is not None
        self._probe = _core.Probe(url, TIMEOUT)
        self.prefix, self.lease = self._probe.prefix, self._probe.lease
        self.info: dict[str, str] = {}

    @property
    def local(self) -> bool:
        """Whether nobody on a network can listen."""
        if self.scheme == "unix" or self.scheme.endswith("+unix") or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return str(self._probe)  # without what is secret

    def ask(self, *words: str | bytes | int) -> Any:
        sent = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        answer = self._probe.ask(sent)
        if isinstance(answer, tuple):
            raise Refused(*answer)
        return answer

    def learn(self) -> None:
        for line in self.ask("INFO").decode(errors="replace").splitlines():
            name, colon, value = line.partition(":")
            if colon and not line.startswith("#"):
                self.info[name] = value

    def number(self, name: str) -> int:
        try:
            return int(self.info.get(name, ""))
        except ValueError:
            return 0

    def config(self, name: str) -> str | None:
        """A setting; None if it is not to be seen, as managed servers have it."""
        try:
            answer = self.ask("CONFIG", "GET", name)
        except Refused:
            return None
        return answer[1].decode(errors="replace") if len(answer) > 1 else None


def rights(server: Server) -> str:
    groups = "+@read +@write +@scripting +@pubsub +@connection +time +info"
    return f"ACL SETUSER NAME on >PASSWORD ~{server.prefix}:* &{server.prefix}:* {groups}"
