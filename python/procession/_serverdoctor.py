"""`procession doctor redis://…`: what a server offers, and which of its settings would lose data.

A finding is `ok`, a `warning` (something may be lost, or is slower than it could be, in a case that
it names), or a `problem`: it does not work, or loses data in everyday use. What can be tried is
tried; the few keys that this takes are below the prefix, are deleted, and would be gone after some
seconds. What the server does not let one look at is said to be unknown, never taken for well.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from statistics import median

from ._doctor import Finding, report, size
from ._serverlook import Refused, Server, ok, problem, rights, warning
from ._serverpools import pools
from ._serverrights import permissions

LEAST_VERSION = {"redis": (6, 2), "valkey": (7, 2)}
PINGS = 20
SLOW = 0.05  # seconds for a round trip
SKEW = 1.0
NEARLY_FULL = 0.8
PATIENCE = 2.0  # for counting keys
EVERYTHING = "everything: queues, locks, dicts, tasks under way"


def _unseen(setting: str) -> str:
    return f"{setting} unknown: CONFIG GET is forbidden here"


# ---------------------------------------------------------------- what it is


def identity(server: Server) -> Iterator[Finding]:
    info = server.info
    kind = "valkey" if "valkey_version" in info else "redis"
    text = info.get(f"{kind}_version", "0")
    least = LEAST_VERSION[kind]
    version = tuple(int(part) if part.isdigit() else 0 for part in text.split(".")[:2])
    if version >= least:
        yield ok("version", f"{kind} {text}")
    else:
        wanted = ".".join(map(str, least))
        yield problem("version", f"{kind} {text}", f"install {kind} {wanted} or newer")
    mode = info.get("server_mode", info.get("redis_mode", "standalone"))
    if mode == "standalone" and info.get("cluster_enabled", "0") == "0":
        yield ok("mode", "standalone")
    else:
        advice = "give the address of one server: clusters and sentinels are not supported"
        yield problem("mode", mode, advice)
    if server.number("loading") or server.number("async_loading"):
        advice = "wait until it has loaded its data"
        yield problem("loading", f"{info.get('loading_loaded_perc', '?')} %", advice)


def safety(server: Server) -> Iterator[Finding]:
    encrypted = server.scheme in ("rediss", "valkeys")
    if encrypted:
        yield ok("connection", "TLS")
    elif server.local:
        yield ok("connection", "on this machine")
    else:
        what = "the password and all messages" if server.password else "all messages"
        yield warning(
            "connection",
            f"{what} cross the network in the clear",
            "rediss://, with tls-port on the server",
        )
    if server.password:
        yield ok("user", _user(server))
    elif server.local:
        yield ok("user", f"{_user(server)}, without a password, on this machine")
    else:
        yield warning(
            "user",
            "no password: whoever reaches the port may read and change everything",
            "requirepass, or a user of its own: " + rights(server),
        )


def _user(server: Server) -> str:
    try:
        return str(server.ask("ACL", "WHOAMI").decode(errors="replace"))
    except Refused:
        return "unknown"


# ---------------------------------------------------------------- what would lose data


def persistence(server: Server) -> Iterator[Finding]:
    if server.number("aof_enabled"):
        yield _append_only(server)
    else:
        yield _snapshots(server)
    if server.info.get("aof_last_write_status", "ok") != "ok":
        loses = "what is put from now on; the server refuses to write until it can"
        yield problem("append-only file", "cannot be written", "free its disk", loses)
    if server.info.get("rdb_last_bgsave_status", "ok") != "ok":
        stops = server.config("stop-writes-on-bgsave-error")
        loses = "what has changed since the last snapshot that was written, at a restart"
        found = "the last one failed"
        if stops != "no":
            found += "; the server refuses to write until one succeeds"
            found += "" if stops else " (unless stop-writes-on-bgsave-error is no)"
        yield problem("snapshot", found, "see the server's log: disk, dir, memory to fork", loses)


def _append_only(server: Server) -> Finding:
    policy = server.config("appendfsync")
    found = f"append-only file, appendfsync {policy}"
    if policy == "always":
        return ok("persistence", found)
    advice = "appendfsync always, if that is too much"
    if policy is None:
        loses = "about a second of messages, if the machine crashes, unless appendfsync is always"
        return warning("persistence", f"append-only file; {_unseen('appendfsync')}", advice, loses)
    if policy == "everysec":
        return ok("persistence", found, "up to two seconds of messages, if the machine crashes")
    loses = "what the kernel has not written yet, often half a minute, if the machine crashes"
    return warning("persistence", found, "appendfsync everysec, or always", loses)


def _snapshots(server: Server) -> Finding:
    save = server.config("save")
    if save == "":
        loses = f"{EVERYTHING}, at each restart of the server"
        return warning("persistence", "none", "appendonly yes", loses)
    ago = max(0, int(time.time()) - server.number("rdb_last_save_time"))
    changes = server.number("rdb_changes_since_last_save")
    found = f"snapshots only (save {save}); the last {ago} s ago, {changes} changes since"
    if save is None:
        found = f"no append-only file; {_unseen('save')}; {changes} changes since the last snapshot"
    loses = "what has changed since the last snapshot, if the server is killed or the machine fails"
    return warning("persistence", found, "appendonly yes", loses)


def memory(server: Server) -> Iterator[Finding]:
    most, used = server.number("maxmemory"), server.number("used_memory")
    policy = server.info.get("maxmemory_policy") or server.config("maxmemory-policy")
    limit = size(most) if most else "no limit"
    if policy is None:
        loses = "whatever the server throws away when its memory is full"
        yield warning("eviction", "maxmemory-policy unknown", "maxmemory-policy noeviction", loses)
    elif policy == "noeviction":
        yield ok("eviction", policy)
    elif most:
        which = "any key" if policy.startswith("allkeys") else "keys with a time to live"
        loses = f"{which}, without a word, when {size(most)} are full: messages, locks, leases"
        yield problem("eviction", policy, "maxmemory-policy noeviction", loses)
    else:
        loses = "nothing as long as maxmemory is 0, as now"
        yield warning("eviction", policy, "maxmemory-policy noeviction", loses)
    if most and used > NEARLY_FULL * most:
        loses = "nothing, but put and the like fail when it is full"
        yield warning("memory", f"{size(used)} used, {limit}", "raise maxmemory", loses)
    else:
        yield ok("memory", f"{size(used)} used, {limit}")


def replication(server: Server) -> Iterator[Finding]:
    if server.info.get("role") == "slave":
        primary = f"{server.info.get('master_host')}:{server.info.get('master_port')}"
        advice = f"give the address of the primary, {primary}"
        if server.number("slave_read_only"):
            yield problem("replication", f"a read-only replica of {primary}", advice)
        else:
            loses = "whatever is written here, at the next synchronisation"
            yield problem("replication", f"a replica of {primary}", advice, loses)
        return
    replicas = server.number("connected_slaves")
    if replicas == 0:
        yield ok("replication", "none")
        return
    least = server.config("min-replicas-to-write")
    if least is None:
        found = f"{replicas} replicas; {_unseen('min-replicas-to-write')}"
    else:
        found = f"{replicas} replicas, min-replicas-to-write {least}"
    # Replication never waits: those numbers bound what is lost, and cannot make it nothing.
    loses = "what was not yet replicated, at a failover: also locks, which two may then hold"
    if least in (None, "0"):
        advice = "min-replicas-to-write 1 and a small min-replicas-max-lag bound it"
        yield warning("replication", found, advice, loses)
    else:
        lag = server.config("min-replicas-max-lag")
        yield ok("replication", f"{found}, min-replicas-max-lag {lag} s", loses)


# ---------------------------------------------------------------- how it fares


def speed(server: Server) -> Iterator[Finding]:
    took, skews = [], []
    for _ in range(PINGS):
        start, clock = time.perf_counter(), time.time()
        seconds, micros = (int(part) for part in server.ask("TIME"))
        took.append(time.perf_counter() - start)
        skews.append(seconds + micros / 1e6 - (clock + took[-1] / 2))
    middle, worst = median(took), max(took)
    found = f"{middle * 1e3:.2f} ms, at worst {worst * 1e3:.2f} ms"
    if worst > server.lease / 3:
        loses = "locks and messages in flight, whose lease is over before it can be renewed"
        yield problem("round trip", found, "a longer lease=, or a nearer server", loses)
    elif middle > SLOW:
        advice = "put_many and get_many take one for many messages; or a nearer server"
        yield warning("round trip", found, advice)
    else:
        yield ok("round trip", found)
    skew = median(skews)
    found = f"{abs(skew):.3f} s {'ahead of' if skew > 0 else 'behind'} this machine's"
    if abs(skew) > SKEW:
        loses = "nothing: leases count by the server's clock; but times in logs do not agree"
        yield warning("clock", found, "have both set their clocks by NTP", loses)
    else:
        yield ok("clock", found)


def limits(server: Server) -> Iterator[Finding]:
    connected, most = server.number("connected_clients"), server.number("maxclients")
    if not most:
        most = int(server.config("maxclients") or 0)
    found = f"{connected} of {most or 'an unknown number'}"
    if most and connected > NEARLY_FULL * most:
        advice = "raise maxclients: a process takes one and one for each thread that works"
        yield warning("connections", found, advice)
    else:
        yield ok("connections", found)
    idle = server.config("timeout")
    if idle not in (None, "0") and float(idle or 0) < server.lease:
        loses = "nothing, but connections are made anew all the time"
        yield warning("idle connections", f"cut after {idle} s", "timeout 0", loses)
    threshold = server.config("busy-reply-threshold") or server.config("lua-time-limit")
    if threshold is not None:
        yield ok("scripts' time", f"others are told BUSY after {threshold} ms of one script")


def content(server: Server) -> Iterator[Finding]:
    prefix = server.prefix
    try:
        named = server.ask("ZCARD", f"{prefix}:names")
        clients = objects = 0
        cursor, deadline = b"0", time.monotonic() + PATIENCE
        while True:
            pattern = _literal(prefix) + ":*"
            cursor, keys = server.ask("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)
            for key in keys:
                rest = key[len(prefix.encode()) + 1 :]
                clients += rest.startswith(b"client:")
                objects += rest.startswith(b"a:") and rest.count(b":") == 1
            if cursor == b"0" or time.monotonic() > deadline:
                break
    except Refused as refused:
        yield warning("prefix", f"{prefix}: cannot be looked at: {refused}", rights(server))
        return
    found = f"{prefix}: {named} named and {objects} other objects, {clients} clients alive"
    yield ok("prefix", found if cursor == b"0" else f"{found}, of a part of the keys")


def _literal(prefix: str) -> str:
    return "".join("\\" + char if char in "*?[]\\^" else char for char in prefix)


# ---------------------------------------------------------------- the report


def main(url: str, as_json: bool) -> int:
    """Prints the findings. Returns the exit status: 1 if something stands in the way."""
    try:
        findings = examine(url)
    except ValueError as error:
        print(f"procession: {where(url)}: {error}", file=sys.stderr)
        return 2
    return report(findings, as_json)


def examine(url: str) -> list[Finding]:
    """All findings, in the order in which they are shown. ValueError: this is no address."""
    start = time.perf_counter()
    try:
        server = Server(url)
    except PermissionError as error:
        return [problem("reachable", f"it answers, and refuses: {error}", _mend(str(error)))]
    except ConnectionError as error:
        advice = "is it started? Do bind, protected-mode and firewalls let this machine in?"
        return [problem("reachable", f"no: {error}", advice)]
    took = (time.perf_counter() - start) * 1000
    findings = [ok("reachable", f"{server} answers after {took:.1f} ms")]
    try:
        server.learn()
        parts = [identity, safety, permissions, persistence, memory, replication]
        for part in [*parts, speed, limits, content, pools]:
            findings += part(server)
    except Refused as refused:
        advice = _mend(str(refused)) or rights(server)
        findings.append(problem("answers", f"refused: {refused}", advice))
    except ConnectionError as error:
        findings.append(problem("answers", f"it stopped to answer: {error}", "see its log"))
    return findings


def _mend(refusal: str) -> str:
    if "BUSY" in refusal:
        return "SCRIPT KILL, or wait: the script that runs is none of Procession's, which are short"
    if any(code in refusal for code in ("NOAUTH", "WRONGPASS", "AuthenticationFailed")):
        return "the user and the password, as in redis://user:password@host"
    return "" if "NOPERM" in refusal else "see its log"


def where(url: str) -> str:
    """The address without what is secret, also if it is no URL: what follows the last @."""
    scheme, there, rest = url.partition("://")
    rest = rest if there else url
    shown = rest.rpartition("@")[2].partition("?")[0].partition("#")[0]
    return f"{scheme}://{shown}" if there and "@" not in scheme else shown
