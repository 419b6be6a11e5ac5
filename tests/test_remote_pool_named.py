"""Pools over a server beside workers of other languages, which serve functions by their names."""

import contextlib
import json

import pytest
from pool_workers import PATIENCE, until, working
from test_remote_pool import fail_to_start, square

import procession
from procession import BrokenPoolError, TaskTimeoutError, _core, _serverdoctor
from procession.remote import _task
from procession.remote._server import open_server
from procession.remote.pool import named

pytestmark = pytest.mark.timeout(60)


@contextlib.contextmanager
def serving(url, *names):
    """A worker that serves these and nothing else, as one in Rust does. It takes when it is told to."""
    about = {"host": "there", "pid": 7, "seats": 1, "pools": {}, "serves": names}
    worker = _core.RemotePoolWorker(open_server(url), "default", names, json.dumps(about))
    try:
        yield worker
    finally:
        worker.leave(False)


def answer(worker, outcome):
    """Takes a task and says that of its only item."""
    pool, task, body = worker.take([], PATIENCE)
    first = _task.unpack(body)[2]
    worker.tell([(pool, task, "done", _task.pack([first, [outcome]]))])


@pytest.fixture
def url(remote_server):
    return remote_server.url(lease=2)


def of_pools(url, queue="default"):
    """What the doctor says of them, after some seconds at most."""
    findings = {finding.name: finding for finding in _serverdoctor.examine(url)}
    return findings[f"pools of {queue!r}"]


def test_what_nobody_can_do_who_is_there_waits_and_is_seen(url):
    with procession.Pool(backend=url) as pool, serving(url, "resize") as worker:
        call = pool.apply_async(square, (3,))
        until(lambda: of_pools(url).status == "warning")
        assert pool.stats().unserved == ("functions of Python",)
        assert "nobody who is there can do: functions of Python" in str(pool.stats())
        found = of_pools(url)
        assert found.found.startswith("1 workers, 1 seats; 1 tasks wait, 1 for functions of Python")
        assert found.advice == "procession worker URL"
        other = pool.apply_async(named("resize"), (1,))
        answer(worker, _task.VALUE + _task.encode(None, 5))
        assert other.get(PATIENCE) == 5
        assert not call.ready()
        with working(url):
            assert call.get(PATIENCE) == 9
            assert pool.stats().unserved == ()
            missing = pool.apply_async(named("shout"), ("a",))
            until(lambda: pool.stats().unserved == ("shout",))
            until(lambda: of_pools(url).advice == "a worker that serves shout")
            assert not missing.ready()


def test_without_workers_the_same_is_said(url):
    with procession.Pool(backend=url, queue="a:%b") as pool:
        assert pool.stats().unserved == ()
        pool.apply_async(square, (3,))
        until(lambda: of_pools(url, "a:%b").status == "warning")
        assert of_pools(url, "a:%b").advice == "procession worker URL --queue a:%b"
        assert pool.stats().unserved == ("functions of Python",)


def test_who_serves_other_functions_is_no_hope_for_a_pool_that_cannot_begin(url):
    with serving(url, "resize"), working(url):
        with procession.Pool(None, fail_to_start, backend=url) as pool:
            with pytest.raises(BrokenPoolError, match="fail_to_start"):
                pool.apply_async(square, (1,)).get(PATIENCE)


def test_a_thread_that_takes_too_long_is_told_of(url):
    with procession.Pool(backend=url) as pool, serving(url, "wait") as worker:
        call = pool.apply_async(named("wait"), (1,), timeout=0.5)
        late = ("late", 7, None, "there", 0)
        answer(worker, _task.LOST + _task.pack(late))
        with pytest.raises(TaskTimeoutError) as caught:
            call.get(PATIENCE)
    said = "wait: no result after 0.5 s, and its worker 7 on there cannot end it"
    assert str(caught.value).startswith(said)
    assert (caught.value.pid, caught.value.exitcode) == (7, None)
