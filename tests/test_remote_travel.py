"""Handles of objects on a server, on their way to other processes; and where credentials are."""

import logging
import os
import pickle
import subprocess
import sys

import pytest
from support import PATIENCE, each_method, ended

import procession as mp
from procession.remote import _server

SECRET = "geheim-%40-word"  # as it stands in a URL
PLAIN = "geheim-@-word"


@pytest.fixture
def context(remote_server):
    return mp.get_context(remote_server.url(lease=1, keep=1), allow_pickle=True)


def answer(asked, answered):
    answered.put(("answer", asked.get(timeout=PATIENCE)))


@each_method
def test_arguments_of_a_process(context, method):
    asked, answered = context.Queue(), context.JoinableQueue()
    child = mp.get_context(method).Process(target=answer, args=(asked, answered))
    child.start()
    asked.put("question")
    assert answered.get(timeout=PATIENCE) == ("answer", "question")
    ended(child)


@each_method
def test_a_context_and_a_family_travel(remote_server, method):
    url = remote_server.url(lease=1, keep=1)
    family = mp.Family(url)
    child = mp.get_context(method).Process(
        target=use_places, args=(mp.get_context(url).get_context("spawn"), family)
    )
    child.start()
    q = family.queue("told")
    assert q.get(timeout=PATIENCE) == [1, "spawn", False]
    ended(child)
    family.remove("told")


def use_places(context, family):
    q = context.Queue()
    q.put(1)
    said = [q.get(), context.get_start_method(), family.allow_pickle]
    family.queue("told").put(said)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_arguments_of_a_pool_s_function(context, method):
    q = context.Queue()
    with mp.get_context(method).Pool(2) as pool:
        pool.starmap(put, [(q, i) for i in range(10)])
    assert sorted(q.get_many()) == list(range(10))


def put(q, obj):
    q.put(obj)


def test_a_handle_in_a_message(context):
    outer, inner = context.Queue(), context.PriorityQueue(2)
    inner.put(2)
    outer.put({"queue": inner})
    del inner
    got = outer.get()["queue"]
    assert (type(got).__name__, got._maxsize, got.get()) == ("PriorityQueue", 2, 2)


def test_a_restricted_handle_stays_restricted(remote_server):
    url = remote_server.url(lease=1, keep=1)
    outer, inner = mp.get_context(url, allow_pickle=True).Queue(), mp.get_context(url).Queue()
    outer.put(inner)
    with pytest.raises(pickle.PicklingError):
        outer.get().put(3j)


def test_a_child_that_is_forked_has_its_own_connections(context, remote_server):
    q, done = context.Queue(), context.Queue()
    before = context._server.stats()["participants"]
    children = [mp.get_context("fork").Process(target=answer, args=(q, done)) for _ in range(3)]
    for child in children:
        child.start()
    q.put_many(range(3))
    got = sorted(done.get(timeout=PATIENCE) for _ in children)
    assert got == [("answer", number) for number in range(3)]
    ended(*children)
    # They have left by themselves, and have not ended their parent's life.
    after = context._server.stats()["participants"]
    assert [one["id"] for one in after] == [one["id"] for one in before]


STRANGER = """
import os, pickle, sys
import procession as mp
stream = bytes.fromhex(sys.argv[1])
if len(sys.argv) > 2:
    mp.Family(sys.argv[2])
try:
    print(pickle.loads(stream).get(timeout=9))
except RuntimeError as error:
    print(error)
"""


def stranger(q, *arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-c", STRANGER, pickle.dumps(q).hex(), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, **environment},
    )
    return done.stdout


def test_who_does_not_know_the_server_is_told_so(context, remote_server):
    q = context.Queue()
    q.put_many(["first", "second"])
    url = remote_server.url(lease=1, keep=1)
    said = stranger(q)
    assert "handles travel without credentials" in said
    assert context.address in said
    assert "procession.Family(url)" in said
    assert stranger(q, url) == "first\n"
    assert stranger(q, PROCESSION_SERVER_URL=url) == "second\n"
    assert "a server that this process has not opened" in stranger(
        q, PROCESSION_SERVER_URL=remote_server.server.url("another")
    )


def test_the_same_server_by_another_address(remote_server):
    url = remote_server.url(lease=1, keep=1)
    other = url.replace("127.0.0.1", "localhost")
    assert other != url
    here = mp.Family(url, allow_pickle=True).queue("way")
    there = mp.Family(other, allow_pickle=True)
    inner = mp.get_context(url).Queue()
    here.put(inner)
    got = there.queue("way").get(timeout=PATIENCE)
    assert (got._server.address, got._key) == (there.name, inner._key)
    there.remove("way")


def test_a_child_of_the_standard_library(context):
    import multiprocessing

    q = context.Queue()
    child = multiprocessing.get_context("spawn").Process(target=put, args=(q, "theirs"))
    child.start()
    assert q.get(timeout=PATIENCE) == "theirs"
    child.join(PATIENCE)
    assert child.exitcode == 0
    child.close()


def test_credentials_are_nowhere(own_server, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    server = own_server(password=PLAIN)
    url = server.url("p", timeout=1)
    assert SECRET in url
    context = mp.get_context(url, allow_pickle=True)
    family = mp.Family(url)
    q, manager = context.Queue(), context.Manager()
    outer = family.queue("outer")
    outer.put(1)
    kept = context.Queue()
    kept.put([q, context])
    things = [context, family, q, outer, manager, kept, q._server, family.stats(), family.names()]
    shown = [repr(thing) + str(thing) for thing in things]
    pickled = [pickle.dumps(thing) for thing in (context, family, q, outer)]
    wire = server.wire()
    wire.call("AUTH", PLAIN)
    keys = sorted(server.keys("p"))
    stored = [wire.call("DUMP", key) for key in keys]
    wire.close()
    errors = []
    wrong = [
        url.replace("redis://", "http://"),
        url + "&lese=1",
        url.replace(SECRET, SECRET + "x"),
        url.replace(f":{server.port}", ":1"),
    ]
    for text in wrong:
        with pytest.raises((ValueError, OSError)) as caught:
            mp.Family(text)
        errors.append(str(caught.value) + repr(caught.value))
    server.kill()
    for use in (q.get, family.names, lambda: family.queue("x")):
        with pytest.raises(mp.ServerUnreachableError) as caught:
            use()
        errors.append(str(caught.value) + repr(caught.value))
    written = "".join(capfd.readouterr()) + caplog.text
    for secret in (SECRET, PLAIN):
        for text in [*shown, *errors, written]:
            assert secret not in text
        for data in [*pickled, *stored]:
            assert secret.encode() not in data


def test_a_wrong_password_is_a_permission_error(own_server):
    server = own_server(password="right")
    with pytest.raises(PermissionError, match="refused"):
        mp.Family(server.url("p", password="wrong"))


@pytest.mark.parametrize(
    "name", ["http://x", "redis://", "redis://h?lease=no", "unix://", "redis://h/one", "valkey:// "]
)
def test_what_is_no_address(name):
    for way in (mp.Family, mp.get_context, mp.get_context("fork").get_context):
        with pytest.raises(ValueError, match="no address of a server"):
            way(name)


def test_one_server_for_each_address(remote_server):
    url = remote_server.url(lease=1, keep=1)
    first, second = mp.Family(url), mp.get_context(url)
    assert first._server is second._server
    assert len(remote_server.keys()) == 1  # one client
    q = second.Queue()
    del first, second
    q.put(1)
    assert len(_server._open) >= 1
    del q
    assert remote_server.left() == []
