"""docs/remote-keys.md: a client that knows no more than what stands there shares a queue."""

import re
import threading
import time
from pathlib import Path

import pytest
from remote_support import Server, find
from support import PATIENCE, until

import procession

DOCUMENT = Path(__file__).parents[1] / "docs/remote-keys.md"

pytestmark = [
    pytest.mark.timeout(40),
    pytest.mark.skipif(not DOCUMENT.exists(), reason="without the documentation"),
    pytest.mark.skipif(not find(), reason="neither redis-server nor valkey-server is there"),
]

# MessagePack, as its specification has it.
PLAIN = [
    (b"\x01\xa2hi", "hi"),
    (b"\x01\x2a", 42),
    (b"\x01\xc0", None),
    (b"\x01\xcb\x3f\xf8\0\0\0\0\0\0", 1.5),
    (b"\x01\xc4\x02\0\xff", b"\0\xff"),
    (b"\x01\x82\xa1a\x93\x01\x02\x03\xa1b\xc3", {"a": [1, 2, 3], "b": True}),
]


class Client:
    """One in another language: scripts and the names of keys, out of the document."""

    def __init__(self, server, prefix, name):
        self._server, self._prefix = server, prefix
        key = f"{prefix}:n:{name.replace('%', '%25').replace(':', '%3A')}"
        self._keys = [key, f"{key}:items", f"{key}:getters", f"{key}:putters"]
        self._put, self._get = re.findall(r"```lua\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)

    def put(self, message):
        return self._server.call("EVAL", self._put, "4", *self._keys, self._prefix, message)

    def get(self):
        return self._server.call("EVAL", self._get, "4", *self._keys, self._prefix)


@pytest.fixture(params=sorted(find()))
def server(request):
    with Server(request.param, unix=True) as server:
        yield server


@pytest.fixture
def family(server):
    with procession.Family(server.url("a*b", lease=30)) as family:
        yield family


def test_messages_in_both_directions(server, family):
    queue = family.queue("from: 100%")
    client = Client(server, "a*b", "from: 100%")
    for message, value in PLAIN:
        assert client.put(message) == 1
        assert queue.get(timeout=PATIENCE) == value
        queue.put(value)
        assert client.get() == message
    assert client.get() == 0
    queue.put_many([value for _, value in PLAIN])
    assert [client.get() for _ in PLAIN] == [message for message, _ in PLAIN]


def test_what_is_counted_stays_right(server, family):
    queue = family.queue("bounded", 2)
    client = Client(server, "a*b", "bounded")
    assert [client.put(b"\x01\x01") for _ in range(3)] == [1, 1, 0]
    assert queue.full() and queue.qsize() == 2
    with pytest.raises(procession.queues.Full):
        queue.put(3, block=False)
    assert client.get() == b"\x01\x01" and queue.qsize() == 1
    queue.put(3, block=False)
    assert [queue.get(block=False) for _ in range(2)] == [1, 3]
    assert server.call("HGET", "a*b:n:bounded", "bytes") == b"0"
    queue.shutdown()
    assert client.put(b"\x01\x01") == -1 == client.get()


def test_who_waits_is_woken(server, family):
    """Long before it would look again: a third of its lease is ten seconds."""
    queue = family.queue("jobs", 1)
    client = Client(server, "a*b", "jobs")
    got = []
    thread = threading.Thread(target=lambda: got.append(queue.get(timeout=PATIENCE)))
    thread.start()
    until(lambda: server.call("ZCARD", "a*b:n:jobs:getters") == 1, "the waiter")
    began = time.monotonic()
    assert client.put(b"\x01\xa2hi") == 1
    thread.join(PATIENCE)
    assert got == ["hi"]
    queue.put(1)
    thread = threading.Thread(target=lambda: queue.put(2, timeout=PATIENCE))
    thread.start()
    until(lambda: server.call("ZCARD", "a*b:n:jobs:putters") == 1, "the waiter")
    assert client.get() == b"\x01\x01"
    thread.join(PATIENCE)
    assert time.monotonic() - began < 8
    assert client.get() == b"\x01\x02"


def test_a_queue_that_the_other_one_made(server, family):
    server.call("HSETNX", "a*b:n:made", "kind", "queue")
    parts = ("parts", "items,getters,putters,joiners", "maxsize", "0", "maxbytes", "0")
    server.call("HSET", "a*b:n:made", *parts)
    server.call("ZADD", "a*b:names", "1", "made")
    client = Client(server, "a*b", "made")
    assert client.put(b"\x01\x07") == 1
    assert family.queue("made").get(timeout=PATIENCE) == 7
    assert "made" in family.names()


def test_pickles_are_refused_unless_asked_for(server, family):
    queue = family.queue("strange")
    Client(server, "a*b", "strange").put(b"\x02" + b"\x80\x05K\x01.")
    with pytest.raises(Exception, match="allow_pickle"):
        queue.get(timeout=PATIENCE)


def test_the_document_names_every_kind_and_part():
    sources = Path(__file__).parents[1] / "crates/procession/src/remote"
    if not sources.is_dir():
        pytest.skip("without the sources")
    text = DOCUMENT.read_text()
    kinds = set()
    for source in sources.rglob("*.rs"):
        if source.name != "tests.rs":
            kinds |= set(re.findall(r'Kind\s*\{\s*name: "(\w+)"', source.read_text()))
    assert {"queue", "lock", "dict"} <= kinds
    assert all(f"`{kind}`" in text for kind in kinds), kinds
