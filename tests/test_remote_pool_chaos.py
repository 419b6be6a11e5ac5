"""Pools over a server: workers, machines, servers and owners that die."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest
from pool_workers import PATIENCE, until, working

import procession
from procession import BrokenPoolError, WorkerLostError
from procession.remote.worker import Worker

pytestmark = pytest.mark.timeout(90)
LEASE = 1.5


def marked(job):
    """Notes in a folder that it was called, and gives its number."""
    folder, number, seconds = job
    with open(os.path.join(folder, f"{number}.{os.getpid()}.{time.monotonic_ns()}"), "w"):
        time.sleep(seconds)
    return number


def marked_or_kept(job):
    """The same, or not over before there is that file."""
    if len(job) == 3:
        return marked(job)
    path, number = job
    until(lambda: os.path.exists(path), PATIENCE * 2)
    return number


def tries(folder, number):
    """Notes in a folder that it is tried, and says how often it was."""
    with open(os.path.join(folder, str(number)), "ab") as file:
        file.write(b".")
        return file.tell()


def kills_its_process(job):
    tries(*job)
    os.kill(os.getpid(), signal.SIGKILL)


def kills_its_process_at_odds(job):
    """The first two times, for each other number."""
    if tries(*job) <= 2 and job[1] % 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return job[1]


def kills_process_or_worker(job):
    """Its process when it is tried first, and then the worker, by way of its fork server."""
    if tries(*job) > 1:
        with open(f"/proc/{os.getppid()}/stat") as file:
            os.kill(int(file.read().rpartition(")")[2].split()[1]), signal.SIGKILL)
        time.sleep(PATIENCE)
    os.kill(os.getpid(), signal.SIGKILL)


def sleep(seconds):
    time.sleep(seconds)
    return os.getppid()


def pid_of(_):
    return os.getpid()


def pids_of(pool):
    return [int(str(w.pid).rpartition(":")[2]) for w in pool.stats().workers if w.state == "ready"]


def kill_one(pool):
    """Kills a process of the pool's, if one lives that is known: stats may be a second old."""
    for pid in pids_of(pool):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        return True
    return False


@pytest.fixture
def url(remote_server):
    return remote_server.url(lease=LEASE)


def test_processes_that_are_killed_at_random_lose_nothing_with_retries(url, tmp_path):
    dice = random.Random(1)
    enough = tmp_path / "enough"
    jobs = [(str(tmp_path), number, 0.001) for number in range(2000)]
    jobs[1990:] = [(str(enough), number) for number in range(1990, 2000)]
    with working(url, processes=3) as worker, procession.Pool(backend=url) as pool:
        call = pool.map_async(marked_or_kept, jobs, chunksize=5, retries=10)
        killed = 0
        while killed < 8:
            assert not call.ready()
            victims = pids_of(pool)
            if victims:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(dice.choice(victims), signal.SIGKILL)
                    killed += 1
            call.wait(0.05)
        enough.touch()
        assert call.get(PATIENCE) == list(range(2000))
        assert worker.process.poll() is None


def test_without_retries_each_item_is_done_or_lost_and_none_twice(url, tmp_path):
    jobs = [(str(tmp_path), number, 0.002) for number in range(400)]
    with working(url), procession.Pool(backend=url) as pool:
        results = pool.imap(marked, jobs, chunksize=10)
        done, lost = [], []
        for at in range(400):
            if at in (100, 250):
                until(lambda: kill_one(pool))
            try:
                done.append(next(results))
            except WorkerLostError as error:
                assert error.exitcode == -9
                lost.append(error.index)
    runs = [int(name.partition(".")[0]) for name in os.listdir(tmp_path)]
    assert sorted(done + lost) == list(range(400))
    assert len(lost) <= 2
    assert len(runs) == len(set(runs))


def test_losses_of_processes_and_of_workers_count_together(url, tmp_path):
    with procession.Pool(backend=url) as pool, working(url) as one, working(url) as other:
        call = pool.apply_async(kills_process_or_worker, ((str(tmp_path), 1),), retries=2)
        with pytest.raises(WorkerLostError, match="did not renew its lease"):
            call.get(PATIENCE)
        assert (tmp_path / "1").read_bytes() == b"..."
        for worker in (one, other):
            assert worker.process.wait(PATIENCE) == -signal.SIGKILL


@pytest.mark.parametrize("stops", [True, False], ids=["map", "imap"])
def test_an_item_is_tried_so_often_and_not_more(url, tmp_path, stops):
    with procession.Pool(backend=url) as pool, working(url):
        jobs = [(str(tmp_path), number) for number in range(7)]
        make = pool.map if stops else pool.imap
        done = make(kills_its_process_at_odds, jobs, chunksize=7, retries=2)
        assert list(done) == list(range(7))
        runs = [len((tmp_path / str(number)).read_bytes()) for number in range(7)]
        assert runs == [1, 3] * 3 + [1]
        with pytest.raises(WorkerLostError, match="kills_its_process"):
            list(make(kills_its_process, [(str(tmp_path), "last")], retries=2))
        assert (tmp_path / "last").read_bytes() == b"..."


def test_a_machine_that_is_lost_is_told_after_its_lease(url):
    with procession.Pool(backend=url) as pool:
        with working(url, processes=1) as worker:
            call = pool.apply_async(sleep, (60,))
            until(lambda: [w for w in pool.stats().workers if w.task == "sleep"])
            began = time.monotonic()
            worker.kill()
            with pytest.raises(WorkerLostError, match="lease") as caught:
                call.get(PATIENCE)
        # It is known when the lease is over, and the owner looks each third of one.
        assert time.monotonic() - began < 3 * LEASE
        assert caught.value.pid == worker.pid
        assert os.uname().nodename in str(caught.value)


def test_another_machine_takes_over(url, tmp_path):
    jobs = [(str(tmp_path), number, 0.01) for number in range(200)]
    with procession.Pool(backend=url) as pool, working(url):
        with working(url) as victim:
            until(lambda: len(pool.stats().workers) == 4)
            call = pool.map_async(marked, jobs, chunksize=2, retries=3)
            until(lambda: len(os.listdir(tmp_path)) > 20)
            victim.kill()
            assert call.get(PATIENCE) == list(range(200))
        until(lambda: len(pool.stats().workers) == 2)


def test_a_worker_that_slept_longer_than_its_lease_counts_for_nothing(url, tmp_path):
    jobs = [(str(tmp_path), number, 0.3) for number in range(4)]
    with procession.Pool(backend=url) as pool, working(url, processes=1) as sleeper:
        call = pool.map_async(marked, jobs, chunksize=1, retries=3)
        until(lambda: os.listdir(tmp_path))
        os.kill(sleeper.pid, signal.SIGSTOP)
        with working(url, processes=1):
            assert call.get(PATIENCE) == [0, 1, 2, 3]
            os.kill(sleeper.pid, signal.SIGCONT)
            # It comes back, as another one.
            until(lambda: len(pool.stats().workers) == 2)
            assert pool.map(pid_of, range(8), chunksize=1)


def test_the_server_is_started_anew_under_it(own_server, tmp_path):
    server = own_server(durable=True)
    url = server.url("again", lease=20)
    jobs = [(str(tmp_path), number, 0.005) for number in range(300)]
    with working(url), procession.Pool(backend=url) as pool:
        call = pool.map_async(marked, jobs, chunksize=3)
        for share in (50, 150):
            until(lambda share=share: len(os.listdir(tmp_path)) > share)
            server.restart()
        assert call.get(PATIENCE * 2) == list(range(300))
    runs = [int(name.partition(".")[0]) for name in os.listdir(tmp_path)]
    assert sorted(runs) == list(range(300))


def test_a_server_that_stays_away_breaks_the_pool(own_server):
    server = own_server()
    url = server.url("gone", lease=1, timeout=1)
    pool = procession.Pool(backend=url)
    call = pool.apply_async(abs, (1,))
    server.kill()
    with pytest.raises(BrokenPoolError, match="cannot be used any more"):
        call.get(PATIENCE)
    pool.terminate()
    pool.join()


OWNER = """
import sys, time
import procession
from test_remote_pool_chaos import sleep

if __name__ == "__main__":
    pool = procession.Pool(backend=sys.argv[1])
    calls = [pool.apply_async(sleep, (60,)) for _ in range(20)]
    pool.apply_async(print, ())
    while not [w for w in pool.stats().workers if w.task == "sleep"]:
        time.sleep(0.01)
    print("ready", flush=True)
    time.sleep(60)
"""


def start_owner(url, tmp_path):
    (tmp_path / "owner.py").write_text(OWNER)
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(__file__)}
    command = [sys.executable, str(tmp_path / "owner.py"), url]
    owner = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert owner.stdout.readline() == "ready\n"
    return owner


def test_an_owner_that_is_killed_leaves_nothing(url, tmp_path, remote_server):
    with working(url, processes=1) as worker:
        owner = start_owner(url, tmp_path)
        owner.kill()
        owner.communicate()
        until(lambda: not [key for key in remote_server.keys() if ":a:" in key])
        # And what was done for it is ended: the one process is free for others.
        with procession.Pool(backend=url) as pool:
            assert pool.apply_async(abs, (-3,)).get(PATIENCE) == 3
        assert worker.end() == 0


def test_ctrl_c_ends_an_owner_and_its_tasks(url, tmp_path, remote_server):
    with working(url, processes=1) as worker:
        owner = start_owner(url, tmp_path)
        owner.send_signal(signal.SIGINT)
        _, errors = owner.communicate(timeout=PATIENCE)
        assert owner.returncode == -signal.SIGINT
        assert "KeyboardInterrupt" in errors
        assert not [key for key in remote_server.keys() if ":a:" in key]
        with procession.Pool(backend=url) as pool:
            assert pool.apply_async(abs, (-3,)).get(PATIENCE) == 3
        assert worker.end() == 0


def test_sigterm_lets_a_worker_finish_what_it_has(url, tmp_path):
    enough = tmp_path / "enough"
    with procession.Pool(backend=url) as pool, working(url, processes=1) as worker:
        first = pool.apply_async(marked_or_kept, ((str(enough), 1),))
        rest = pool.apply_async(sleep, (0,))
        until(lambda: [w for w in pool.stats().workers if w.task == "marked_or_kept"])
        worker.send(signal.SIGTERM)
        worker.listen("takes no more tasks")
        enough.touch()
        assert worker.process.wait(PATIENCE) == 0
        assert first.get(PATIENCE) == 1
        assert not rest.ready()
        with working(url):
            assert rest.get(PATIENCE)


class Delayed:
    """A worker's session. When a task comes its worker is told to drain, before a seat knows of the task."""

    def __init__(self, worker, until_it_has_left):
        self._worker, self._session = worker, worker._session
        self._left = threading.Event()
        self._waits = until_it_has_left

    def __getattr__(self, name):
        return getattr(self._session, name)

    def take(self, *told):
        task = self._session.take(*told)
        if task is not None:
            self._worker.drain()
            if self._waits:
                assert self._left.wait(PATIENCE)
        return task

    def leave(self, begun):
        self._session.leave(begun)
        self._left.set()


@pytest.mark.parametrize("has_left", [False, True], ids=["is there", "has left"])
def test_what_is_taken_as_a_worker_drains_is_done_by_another(url, tmp_path, has_left):
    said = []
    with procession.Pool(backend=url) as pool:
        draining = Worker(
            url, seats=1, queue="default", name="", most=0, plain_only=False, say=said.append
        )
        draining._session = Delayed(draining, has_left)
        call = pool.apply_async(marked, ((str(tmp_path), 0, 0),))
        assert draining.run(threading.Event()) == 0
        assert not call.ready()
        with working(url):
            assert call.get(PATIENCE) == 0
    assert len(os.listdir(tmp_path)) == 1
    assert not any("lost" in text for text in said), said


def test_workers_that_come_and_go_do_everything_once(url, tmp_path):
    jobs = [(str(tmp_path), number, 0.003) for number in range(400)]
    with procession.Pool(backend=url) as pool:
        call = pool.map_async(marked, jobs, chunksize=1)
        with working(url) as first, working(url) as second:
            until(lambda: len(os.listdir(tmp_path)) > 30)
            assert first.end() == 0
            until(lambda: len(os.listdir(tmp_path)) > 90)
            assert second.end() == 0
        assert not call.ready()
        with working(url):
            assert call.get(PATIENCE) == list(range(400))
    runs = [int(name.partition(".")[0]) for name in os.listdir(tmp_path)]
    assert sorted(runs) == list(range(400))


def test_ctrl_c_ends_a_worker_at_once(url):
    with procession.Pool(backend=url) as pool, working(url, processes=1) as worker:
        call = pool.apply_async(sleep, (60,))
        until(lambda: [w for w in pool.stats().workers if w.task == "sleep"])
        assert worker.end(signal.SIGINT) == 1
        with pytest.raises(WorkerLostError, match="was stopped in the midst of it"):
            call.get(PATIENCE)


def test_a_worker_ends_after_its_tasks(url):
    with procession.Pool(backend=url) as pool, working(url, "--max-tasks", "3") as worker:
        call = pool.map_async(pid_of, range(5), chunksize=1)
        assert worker.process.wait(PATIENCE) == 0
        assert not call.ready()
        with working(url):
            assert len(call.get(PATIENCE)) == 5


def test_ctrl_c_ends_a_wait(url):
    with procession.Pool(backend=url) as pool:
        call = pool.apply_async(abs, (1,))
        timer = threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT])
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            call.get(PATIENCE)
        timer.join()
