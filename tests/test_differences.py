"""What is not as in multiprocessing: the lines of docs/differences.md that no other test shows."""

import multiprocessing
import os
import re
import stat
import sys
import threading
import time
from pathlib import Path

import pytest
from backend_differences import DIFFERENCES
from support import PATIENCE, ended, run

import procession as mp
from procession import connection, forkserver, reduction


def test_what_arrives_is_what_was_put():
    q = mp.Queue()
    items = [1]
    q.put(items)
    items.append(2)
    assert q.get() == [1]


def put_and_cancel(q):
    for number in range(1000):
        q.put((number, b"x" * 1000))
    q.cancel_join_thread()


def test_cancel_join_thread_loses_nothing():
    q = mp.Queue()
    child = mp.Process(target=put_and_cancel, args=(q,))
    child.start()
    ended(child)
    assert [number for number, _ in q.get_many()] == list(range(1000))


def test_a_large_maxsize():
    assert mp.Queue(2**40)._maxsize == 2**40
    with pytest.raises(OverflowError):
        multiprocessing.Queue(2**40)


def test_nothing_of_a_feeder_thread():
    q = mp.Queue()
    before = threading.active_count()
    q.put(1)
    assert threading.active_count() == before
    for name in ("_buffer", "_thread", "_notempty", "_feed"):
        assert not hasattr(q, name)
    assert q._ignore_epipe is False
    assert q.get() == 1


@pytest.mark.parametrize("duplex", [True, False])
def test_both_kinds_of_pipes_are_sockets(duplex):
    ends = connection.Pipe(duplex)
    for end in ends:
        assert stat.S_ISSOCK(os.fstat(end.fileno()).st_mode)
        end.close()


def hold_open(reader, told):
    told.put(reader.recv())
    threading.Event().wait()


def test_a_streaming_sender_hears_of_a_killed_reader_soon():
    told = mp.Queue()
    reader, writer = mp.Pipe(duplex=False)
    child = mp.Process(target=hold_open, args=(reader, told))
    child.start()
    reader.close()
    writer.send("first")
    assert told.get(timeout=PATIENCE) == "first"
    child.kill()
    ended(child, code=-9)
    start = time.monotonic()
    with pytest.raises(BrokenPipeError):
        while True:
            writer.send("into the blue")
    assert time.monotonic() - start < 1
    writer.close()


def send_and_end(conn):
    with open(os.devnull) as file:
        reduction.send_handle(conn, file.fileno(), os.getppid())


def test_a_descriptor_needs_its_sender():
    here, there = mp.Pipe()
    child = mp.Process(target=send_and_end, args=(there,))
    child.start()
    ended(child)
    with pytest.raises(OSError):
        reduction.recv_handle(here)
    here.close()
    there.close()


def release(lock, told):
    told.put(lock.acquire(False))
    lock.release()


def test_many_who_wait_are_woken_at_least():
    condition, woken = mp.Condition(), mp.Semaphore(0)

    def wait():
        with condition:
            woken.release()
            condition.wait()
        woken.release()

    threads = [threading.Thread(target=wait) for _ in range(150)]
    for thread in threads:
        thread.start()
        assert woken.acquire(timeout=PATIENCE)
    with condition:
        assert condition._waiting() == 102
        condition.notify(3)
    for _ in range(3 + 48):
        assert woken.acquire(timeout=PATIENCE)
    with condition:
        assert condition._waiting() == 99
        condition.notify_all()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_lock_of_another_context(method):
    lock, told = mp.get_context("fork").Lock(), mp.Queue()
    lock.acquire()
    child = mp.get_context(method).Process(target=release, args=(lock, told))
    child.start()
    assert told.get(timeout=PATIENCE) is False
    ended(child)
    assert lock.acquire(False)


def test_the_fork_server_has_no_address():
    forkserver.ensure_running()
    assert forkserver._forkserver._forkserver_address is None


BARRIER = """
import os, signal, threading
import procession as mp

signal.signal(signal.SIGINT, signal.default_int_handler)
barrier = mp.Barrier(3)

seen = []

def other():
    try:
        barrier.wait()
    except threading.BrokenBarrierError:
        seen.append("broken")

def interrupt():
    while barrier.n_waiting < 2:
        os.sched_yield()
    os.kill(os.getpid(), signal.SIGINT)

threads = [threading.Thread(target=target) for target in (other, interrupt)]
for thread in threads:
    thread.start()
try:
    barrier.wait()
except KeyboardInterrupt:
    seen.append("interrupted")
for thread in threads:
    thread.join()
print(*sorted(seen), barrier.broken)
"""


def test_ctrl_c_breaks_a_barrier():
    assert run("-c", BARRIER) == "broken interrupted True\n"


NAMES = """
import os, tempfile
import procession as mp
from multiprocessing import resource_tracker

made = [mp.Lock(), mp.RLock(), mp.Semaphore(), mp.Event(), mp.Condition(), mp.Barrier(2)]
made += [mp.Queue(), mp.Pipe(), mp.Value("i"), mp.Array("d", 100_000)]
assert resource_tracker._resource_tracker._pid is None
assert "tempdir" not in mp.current_process()._config
for descriptor in os.listdir("/proc/self/fd"):
    try:
        target = os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        continue
    assert not target.startswith(("/dev/shm", tempfile.gettempdir() + "/pym")), target
"""


def test_nothing_has_a_name():
    assert run("-c", NAMES) == ""


def test_locked():
    for lock in (mp.Lock(), mp.RLock()):
        assert lock.locked() is False
        with lock:
            assert lock.locked() is True
        assert lock.locked() is False
    if sys.version_info < (3, 14):
        assert not hasattr(multiprocessing.Lock(), "locked")


ATTACH = """
import sys
from procession.shared_memory import SharedMemory

block = SharedMemory(sys.argv[1])
block.buf[0] += 1
block.close()
"""


def test_attaching_to_shared_memory_removes_nothing(tmp_path):
    """A stranger's end neither removes it nor warns. `run` waits for the stranger's tracker as well."""
    from procession.shared_memory import SharedMemory

    script = tmp_path / "attach.py"
    script.write_text(ATTACH)
    block = SharedMemory(create=True, size=10)
    try:
        for _ in range(2):
            assert run(script, block.name) == ""
        assert block.buf[0] == 2
        assert os.path.exists(f"/dev/shm/{block.name}")
    finally:
        block.close()
        block.unlink()


def test_what_cannot_hold_over_a_network_is_documented():
    """Each difference has its line, and each line's test is one."""
    page = (Path(__file__).parent.parent / "docs/differences.md").read_text()
    section = page.partition("## Over a network\n")[2].partition("\n## ")[0]
    documented = {f"{file}::{name}" for file, name in re.findall(r"`([\w/.]+)::(\w+)`", section)}
    assert documented == {test.partition("[")[0] for test in DIFFERENCES}
