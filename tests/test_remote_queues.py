"""Queues on a server: what is not said of them by the tests that they share with those at home."""

import pickle
import signal
import subprocess
import sys
import threading
import time

import pytest
from support import PATIENCE, ended, run

import procession as mp
from procession.remote import queues


@pytest.fixture
def context(remote_server):
    return mp.get_context(remote_server.url(lease=1, keep=1))


@pytest.fixture
def family(remote_server):
    with mp.Family(remote_server.url(lease=1)) as family:
        yield family
        for name in family.names():
            family.remove(name)


KINDS = ["Queue", "JoinableQueue", "LifoQueue", "PriorityQueue", "SimpleQueue"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_factories_make_what_their_names_say(context, kind):
    q = getattr(context, kind)()
    assert type(q) is getattr(queues, kind)
    q.put((1, "one"))
    assert q.get() == (1, "one")
    assert type(q)[int].__origin__ is type(q)


def test_orders(context):
    for kind, expected in [
        ("Queue", [2, 1, 3]),
        ("LifoQueue", [3, 1, 2]),
        ("PriorityQueue", [1, 2, 3]),
    ]:
        q = getattr(context, kind)()
        q.put_many([2, 1, 3])
        assert q.get_many() == expected


def test_a_name_leads_to_the_same_queue(family):
    jobs = family.queue("jobs", 5)
    jobs.put("work")
    again = family.queue("jobs")
    assert again._maxsize == 5
    assert again.get(timeout=PATIENCE) == "work"
    assert family.names() == {"jobs": "queue"}
    assert family.stats()["objects"] == 1
    assert [one["name"] for one in family.stats()["participants"]] != []


def test_a_name_of_something_else(family):
    family.lifo_queue("a:b% c")
    with pytest.raises(TypeError, match="is a lifo_queue, and no queue"):
        family.queue("a:b% c")
    family.queue("bounded", 3)
    with pytest.raises(ValueError, match='"bounded" has capacity 3, and not 4'):
        family.queue("bounded", 4)
    with pytest.raises(ValueError, match="has capacity 3, and not without bound"):
        family.queue("bounded", 0)


def test_what_was_removed_is_gone(family):
    jobs = family.joinable_queue("jobs")
    jobs.put(1)
    assert family.remove("jobs") is True
    assert family.remove("jobs") is False
    with pytest.raises(RuntimeError, match="is gone"):
        jobs.put(1)
    with pytest.raises(RuntimeError, match="is gone"):
        jobs.get(timeout=PATIENCE)
    assert family.joinable_queue("jobs").qsize() == 0


def test_a_closed_family_gives_nothing(remote_server):
    family = mp.Family(remote_server.url())
    with family:
        pass
    for use in (family.names, lambda: family.queue("x"), lambda: family.lock("x"), family.stats):
        with pytest.raises(ValueError, match="no object can be had by it any more"):
            use()


@pytest.mark.parametrize("obj", [3j, {"f": len}, [object()]])
def test_plain_data_only(context, obj):
    q = context.Queue()
    with pytest.raises(pickle.PicklingError, match="plain data only"):
        q.put(obj)
    with pytest.raises(pickle.PicklingError, match="plain data only"):
        q.put_many([1, obj])
    assert q.get_many() == [1]


def test_what_others_pickle_is_not_unpickled(remote_server):
    url = remote_server.url(lease=1, keep=1)
    theirs = mp.Family(url, allow_pickle=True).queue("mixed")
    family = mp.Family(url)
    ours = family.queue("mixed")
    theirs.put(3j)
    with pytest.raises(pickle.UnpicklingError):
        ours.peek()
    assert theirs.get() == 3j
    theirs.put_many([1, 3j, 2])
    with pytest.raises(pickle.UnpicklingError) as caught:
        ours.get_many()
    assert caught.value.received == [1]
    assert ours.get() == 2
    family.remove("mixed")


def test_what_is_of_this_machine_can_not_go_to_a_server(remote_server):
    q = mp.get_context(remote_server.url(lease=1, keep=1), allow_pickle=True).Queue()
    for obj in (mp.Queue(), mp.Lock(), mp.Value("i", 1)):
        with pytest.raises(pickle.PicklingError, match="in this machine's shared memory"):
            q.put([obj])
    assert q.empty()


def test_a_priority_queue_says_what_it_can_not_order(context):
    q = context.PriorityQueue()
    with pytest.raises(TypeError, match="this set is not"):
        q.put({1})
    for unordered in ({}, None, float("nan"), ({}, 1), (({"a": 1}, 1), 1)):
        with pytest.raises(TypeError, match="whose first part says the order"):
            q.put(unordered)
    q.put((1, "a"))
    assert q.get() == (1, "a")


def test_what_has_no_order_comes_in_the_order_of_arrival(context):
    q = context.PriorityQueue()
    jobs = [{"job": 3}, {2: 2}, {4}, {"job": 0}]
    q.put((2, "b", jobs[0]))
    q.put((1, jobs[0], 9))
    q.put((1, jobs[1], 1))  # what is behind it does not count either
    q.put_many([(0, ("x", jobs[2]), 7), (1,), (1, jobs[3]), (2, "a", jobs[1]), (1, jobs[0])])
    with pytest.raises(TypeError):
        q.put(
            (1, "a")
        )  # a text is nothing that has no order: as Python, which compares no dict to it
    assert q.peek() == (0, ("x", jobs[2]), 7)
    assert q.get_many(2) == [(0, ("x", jobs[2]), 7), (1,)]
    assert q.get_many() == [
        (1, jobs[0], 9),
        (1, jobs[1], 1),
        (1, jobs[3]),
        (1, jobs[0]),
        (2, "a", jobs[1]),
        (2, "b", jobs[0]),
    ]


def test_lists_are_ordered_as_tuples(context):
    q = context.PriorityQueue()
    q.put_many([[2, {}], [1, [3, 1]], [1, [2, 9]], (1, [2, 8])])
    assert q.get_many() == [(1, [2, 8]), [1, [2, 9]], [1, [3, 1]], [2, {}]]


def test_errors_of_batches_say_how_far_they_came(context):
    q = context.Queue(3)
    with pytest.raises(queues.Full, match="3 objects were put, then the queue was full") as caught:
        q.put_many(range(5), block=False)
    assert caught.value.put == 3
    with pytest.raises(queues.Full, match="0 objects were put") as caught:
        q.put_many([5, 6], timeout=0.01)
    assert caught.value.put == 0
    assert q.get_many(2) == [0, 1]
    assert q.get_many() == [2]
    many = list(range(5000))
    unbounded = context.Queue()
    unbounded.put_many(many)
    assert unbounded.get_many() == many


def test_a_batch_that_can_not_be_sent_puts_what_comes_before(context):
    q = context.Queue()
    with pytest.raises(pickle.PicklingError) as caught:
        q.put_many(iter([1, 2, 3j, 4]))
    assert caught.value.put == 2
    assert q.get_many() == [1, 2]


def test_a_redelivering_queue(context):
    q = context.Queue(redeliver=True)
    q.put_many(["a", "b"])
    assert (q.get(), q.delivery_count) == ("a", 1)
    q.task_done()
    with pytest.raises(ValueError, match="this thread has nothing in flight"):
        q.task_done()
    delivery = q.get_delivery()
    assert (delivery.item, delivery.count, delivery.number) == ("b", 1, 1)
    (row,) = q.in_flights()
    assert (row.number, row.delivery_count) == (1, 1)
    delivery.give_back()
    with pytest.raises(ValueError, match="not in flight"):
        delivery.done()
    with q.get_delivery() as item:
        assert (item, q.in_flight()) == ("b", 1)
    q.join()
    plain = context.Queue()
    with pytest.raises(AttributeError):
        plain.task_done  # noqa: B018
    with pytest.raises(ValueError, match="redeliver=True"):
        plain.in_flight()


def take_and_die(q):
    q.get()
    signal.raise_signal(signal.SIGKILL)


def test_what_the_dead_had_comes_back_with_the_end_of_their_lease(context):
    q = context.Queue(redeliver=True)
    q.put("work")
    child = mp.Process(target=take_and_die, args=(q,))
    child.start()
    ended(child, code=-signal.SIGKILL)
    assert q.get(timeout=PATIENCE) == "work"
    assert q.delivery_count == 2
    q.task_done()


def test_shutdown_ends_waits_in_other_threads(context):
    q = context.Queue(1)
    raised = []

    def wait():
        try:
            q.get()
        except queues.ShutDown as error:
            raised.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    q.shutdown()
    thread.join(PATIENCE)
    assert raised
    assert q.is_shutdown
    assert list(q) == []


def test_a_queue_that_is_closed_here(context):
    q = context.Queue()
    q.close()
    with pytest.raises(ValueError, match="is closed"):
        q.put(1)
    q.join_thread()
    simple = context.SimpleQueue()
    simple.close()
    with pytest.raises(OSError, match="handle is closed"):
        simple.get()


def test_nobody_waits_longer_than_asked(context):
    q = context.Queue()
    began = time.monotonic()
    with pytest.raises(queues.Empty):
        q.get(timeout=0.05)
    assert 0.05 <= time.monotonic() - began < PATIENCE
    with pytest.raises(queues.Empty):
        q.get(timeout=-1)
    with pytest.raises(queues.Empty):
        q.get_nowait()


def test_a_server_that_is_restarted_is_found_again_by_who_does_not_wait(own_server):
    server = own_server(durable=True)
    family = mp.Family(server.url("p", timeout=20))
    q = family.queue("q")
    q.put(1)
    server.kill()
    server.restart()
    assert q.qsize() == 1
    assert q.get_nowait() == 1


INTERRUPTED = """
import os, signal, sys, threading, time
import procession as mp

url, how = sys.argv[1:]
q = mp.get_context(url).Queue(1)
print("ready", flush=True)
sys.stdin.readline()  # what is to be in the way is so by now
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
began = time.monotonic()
try:
    {"get": q.get, "qsize": q.qsize, "put": lambda: q.put(1), "join": lambda: q._join()}[how]()
    print("done")
except KeyboardInterrupt:
    print("interrupted", time.monotonic() - began < 4)
except BaseException as error:
    print(repr(error))
"""


@pytest.mark.parametrize("evil", ["none", "freeze", "kill"])
@pytest.mark.parametrize("how", ["get", "qsize"])
def test_ctrl_c_ends_a_wait_and_an_outage(own_server, evil, how):
    if (evil, how) == ("none", "qsize"):
        how = "join"
    server = own_server()
    url = server.url("p", lease=5, timeout=30)
    code = INTERRUPTED if how != "join" else INTERRUPTED.replace("began =", "q.put(1); began =")
    child = subprocess.Popen(
        [sys.executable, "-c", code, url, how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout.readline() == "ready\n"
        if evil != "none":
            getattr(server, evil)()
        said = child.communicate("\n", timeout=PATIENCE)[0]
    if evil == "freeze":
        server.thaw()
    if how == "join":
        # Nothing is counted in a plain queue, so there is nothing to wait for.
        assert said in ("done\n", "interrupted True\n")
    else:
        assert said == "interrupted True\n"


def test_an_unreachable_server_is_named(own_server):
    server = own_server(password="geheim")
    url = server.url("p", timeout=0.5)
    q = mp.get_context(url).Queue()
    server.kill()
    began = time.monotonic()
    for use in (q.qsize, lambda: q.put(1), q.get, lambda: mp.Family(url + "&keep=77")):
        with pytest.raises(mp.ServerUnreachableError) as caught:
            use()
        assert f"127.0.0.1:{server.port}" in str(caught.value)
        assert "geheim" not in str(caught.value)
        assert isinstance(caught.value, ConnectionError)
    assert time.monotonic() - began < PATIENCE


def test_threads_share_a_queue(context):
    q = context.Queue(10)

    def put(part):
        for number in range(100):
            q.put((part, number))

    threads = [threading.Thread(target=put, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    got = [q.get(timeout=PATIENCE) for _ in range(400)]
    for thread in threads:
        thread.join(PATIENCE)
    for part in range(4):
        assert [number for p, number in got if p == part] == list(range(100))


def test_importing_the_package_does_not_import_what_is_remote():
    code = (
        "import sys, procession as mp; mp.Queue(); print([n for n in sys.modules if 'remote' in n])"
    )
    assert run("-c", code) == "[]\n"


AT_THE_END = """
import ctypes, signal, sys, threading
import procession

queue = procession.Family(sys.argv[1]).queue("the end")
threading.Thread(target=queue.get, daemon=True).start()
# The process goes on when the interpreter has ended, for longer than that thread looks for signals.
libc = ctypes.CDLL(None)
libc.__cxa_atexit(libc.pause, None, None)
signal.signal(signal.SIGALRM, signal.SIG_DFL)
signal.alarm(2)
"""


def test_a_daemons_thread_waits_when_the_interpreter_has_ended(family, remote_server):
    command = [sys.executable, "-c", AT_THE_END, remote_server.url(lease=1)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGALRM, "", "")
