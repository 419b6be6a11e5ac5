"""Pools whose server refuses: it has no memory, does not answer, forbids something, takes nothing so large."""

import os
import signal
import time

import pytest
from pool_workers import PATIENCE, until, working
from test_remote_pool_chaos import marked, pid_of, sleep

import procession
from procession import ProcessPoolExecutor

pytestmark = pytest.mark.timeout(40)


# What the server refuses.
FORBIDDEN = "taking a task"


def jobs_of(folder, count, seconds):
    return [(str(folder), number, seconds) for number in range(count)]


def runs(folder):
    """The numbers of those jobs that were begun, each as often as it was."""
    return sorted(int(name.partition(".")[0]) for name in os.listdir(folder))


def hears(worker, word):
    """Reads on what it says, up to that word."""
    for line in worker.process.stderr:
        worker.said.append(line)
        if word in line:
            return
    raise AssertionError(f"it ended: {''.join(worker.said)}")


def bytes_of(count):
    return bytes(count)


def test_an_outage_that_is_shorter_than_the_lease_loses_no_task(own_server, tmp_path):
    server = own_server()
    with (
        procession.Pool(backend=server.url("away", lease=60, timeout=60)) as pool,
        working(server.url("away", lease=60, timeout=1), processes=1) as worker,
    ):
        call = pool.map_async(marked, jobs_of(tmp_path, 5, 0.4), chunksize=5)
        until(lambda: runs(tmp_path))
        server.freeze()
        # A part of the chunk can't be told.
        hears(worker, "taking a task")
        server.thaw()
        assert call.get(PATIENCE) == list(range(5))
        assert runs(tmp_path) == list(range(5))


def forbidding(server):
    """A worker's user, and what forbids and allows it to report."""
    server.call("ACL", "SETUSER", "w", "on", ">pw", "~*", "&*", "+@all")

    def allow(yes):
        assert server.call("ACL", "SETUSER", "w", "+rpush" if yes else "-rpush") == b"OK"

    return server.url("rights", lease=60, user="w", password="pw"), allow


def test_what_was_begun_is_not_begun_again_when_it_cannot_be_told(own_server, tmp_path):
    server = own_server()
    url, allow = forbidding(server)
    with procession.Pool(backend=server.url("rights", lease=60)) as pool:
        with working(url, processes=1) as worker:
            call = pool.map_async(marked, jobs_of(tmp_path, 5, 0.4), chunksize=5)
            until(lambda: runs(tmp_path))
            allow(False)
            with working(server.url("rights", lease=60), processes=1):
                hears(worker, FORBIDDEN)
                until(lambda: runs(tmp_path) == list(range(5)))
                hears(worker, FORBIDDEN)
                allow(True)
                assert call.get(PATIENCE) == list(range(5))
        assert runs(tmp_path) == list(range(5))


def test_a_worker_that_is_to_end_tells_first_what_it_has_done(own_server, tmp_path):
    server = own_server()
    url, allow = forbidding(server)
    with procession.Pool(backend=server.url("rights", lease=60)) as pool:
        with working(url, processes=1) as worker:
            allow(False)
            call = pool.map_async(marked, jobs_of(tmp_path, 1, 0))
            hears(worker, FORBIDDEN)
            worker.send(signal.SIGTERM)
            hears(worker, FORBIDDEN)
            hears(worker, FORBIDDEN)
            assert worker.process.poll() is None
            allow(True)
            assert worker.process.wait(PATIENCE) == 0
        assert call.get(PATIENCE) == [0]
        assert runs(tmp_path) == [0]


def test_a_server_without_memory_ends_neither_workers_nor_pools(own_server, tmp_path):
    server = own_server()
    url = server.url("full", lease=60)
    with procession.Pool(backend=url) as pool, working(url, processes=1) as worker:
        call = pool.map_async(marked, jobs_of(tmp_path, 5, 0.4), chunksize=5)
        until(lambda: runs(tmp_path))
        server.call("CONFIG", "SET", "maxmemory", "1")
        hears(worker, "OOM")
        hears(worker, "OOM")
        server.call("CONFIG", "SET", "maxmemory", "0")
        assert call.get(PATIENCE) == list(range(5))
        assert runs(tmp_path) == list(range(5))
        assert worker.process.poll() is None
        assert pool.apply_async(pid_of, (0,)).get(PATIENCE)


def test_a_result_that_is_too_large_for_the_server_is_an_error(own_server):
    server = own_server(options=["--proto-max-bulk-len", "1mb"])
    url = server.url("large", lease=60, timeout=1)
    with procession.Pool(backend=url) as pool, working(url, processes=1):
        with pytest.raises(RuntimeError, match="refused by the server"):
            pool.apply_async(bytes_of, (3 << 20,)).get(PATIENCE)
        assert pool.apply_async(bytes_of, (3,)).get(PATIENCE) == bytes(3)


@pytest.mark.parametrize("told", [True, False], ids=["it tells", "it forbids to ask"])
def test_a_task_that_is_too_large_for_the_server_is_its_calls_error(own_server, told):
    server = own_server(options=["--proto-max-bulk-len", "1mb"])
    if not told:
        server.call("ACL", "SETUSER", "default", "-config")
    url = server.url("large", lease=60, timeout=60 if told else 1)
    large = bytes(8 << 20)
    said = "8388[0-9]* bytes.*proto-max-bulk-len"
    with procession.Pool(backend=url) as pool, working(url):
        before = pool.apply_async(sleep, (0.3,))
        for _ in range(2):
            failed = pool.apply_async(len, (large,))
            after = pool.apply_async(len, (b"small",))
            with pytest.raises(
                ValueError if told else procession.ServerUnreachableError, match=said
            ):
                failed.get(PATIENCE)
            assert after.get(PATIENCE) == 5
        assert before.get(PATIENCE)
        # Of several items one is too large; and so is a function.
        results = pool.imap(len, [b"1", large, b"333"], chunksize=1)
        assert next(results) == 1
        with pytest.raises(Exception, match=said):
            next(results)
        assert next(results) == 3
        for _ in range(2):
            with pytest.raises(Exception, match="bytes.*proto-max-bulk-len"):
                pool.apply_async(lambda: len(large)).get(PATIENCE)
        assert pool.map(len, [b"", b"1"]) == [0, 1]


def test_a_call_that_finds_no_memory_at_the_server_has_that_for_its_error(own_server):
    server = own_server()
    url = server.url("full", lease=60, timeout=1)
    with procession.Pool(backend=url) as pool, working(url, processes=1):
        assert pool.apply_async(len, (b"",)).get(PATIENCE) == 0
        server.call("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(MemoryError, match="OOM"):
            pool.apply_async(len, (b"1",)).get(PATIENCE)
        with pytest.raises(MemoryError, match="OOM"):
            pool.map_async(len, [b"1"] * 100, chunksize=1).get(PATIENCE)
        server.call("CONFIG", "SET", "maxmemory", "0")
        assert pool.apply_async(len, (b"22",)).get(PATIENCE) == 2


def test_what_was_called_off_leaves_its_room(remote_server):
    url = remote_server.url(lease=2)
    with ProcessPoolExecutor(max_workers=2, backend=url) as executor:
        with pytest.raises(TimeoutError):
            next(executor.map(pid_of, range(10), timeout=0.3))
        with working(url, processes=1):
            assert executor.submit(pid_of, 0).result(PATIENCE)


def test_to_drop_a_call_asks_the_server_nothing(own_server):
    server = own_server()
    pool = procession.Pool(backend=server.url("drop", timeout=5))
    results = pool.imap(pid_of, range(3))
    until(lambda: [key for key in server.keys("drop") if key.endswith(":ready")])
    pool._crew._learnt -= 60  # what is known of the workers is old
    server.freeze()
    began = time.monotonic()
    del results
    assert time.monotonic() - began < 1
    server.thaw()
    pool.terminate()
    pool.join()


def test_a_worker_does_not_keep_all_functions_there_were(remote_server):
    url = remote_server.url(lease=2)
    with procession.Pool(backend=url) as pool, working(url, processes=1) as worker:

        def resident():
            with open(f"/proc/{worker.pid}/statm") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

        def call():
            data = os.urandom(4 << 20)
            assert pool.apply_async(lambda: len(data)).get(PATIENCE) == len(data)

        for _ in range(15):
            call()
        before = resident()
        for _ in range(30):
            call()
        assert resident() - before < 60 << 20


def test_a_pool_that_begins_during_a_beat_goes_on(remote_server):
    """A worker's heartbeat is answered with the pools that there were; one has come since."""
    from procession.remote.worker import Worker

    ended = []

    class Local:
        def __init__(self, key):
            self.key = key
            self.pool = self

        def rows(self):
            return []

        def terminate(self):
            ended.append(self.key)

    options = {"seats": 1, "queue": "q", "name": None, "most": None, "plain_only": False}
    worker = Worker(remote_server.url(), say=print, **options)
    old, young = Local("old"), Local("young")
    worker._locals["old"] = old
    worker._blobs["old", "b"] = b""

    class Session:
        def beat(self, _about):
            worker._locals["young"] = young
            worker._blobs["young", "b"] = b""
            return []

    session, worker._session = worker._session, Session()
    worker.beat()
    session.leave(True)
    assert ended == ["old"] and worker._locals == {"young": young}
    assert list(worker._blobs) == [("young", "b")]
