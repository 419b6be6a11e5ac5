"""A queue goes anywhere in its family: as an argument, by fork, in another queue, to a pool."""

import ast
import functools
import gc
import multiprocessing
import os
import pickle
import sys

import backends
import pytest
from support import METHODS, PATIENCE, each_method, ended, run

import procession as mp
from procession import _core, queues

pytestmark = pytest.mark.both_backends(workers=2)

each_kind = pytest.mark.parametrize("kind", ["Queue", "JoinableQueue", "SimpleQueue"])


def echo(inbox, outbox):
    outbox.put(("echo", inbox.get(), type(inbox).__name__))


@each_method
@each_kind
def test_as_an_argument(method, kind):
    context = mp.get_context(method)
    inbox, outbox = getattr(context, kind)(), context.Queue()
    process = context.Process(target=echo, args=(inbox,), kwargs={"outbox": outbox})
    process.start()
    inbox.put("hello")
    assert outbox.get(timeout=PATIENCE) == ("echo", "hello", kind)
    ended(process)


@each_method
def test_a_queue_of_another_context(method):
    queue = mp.get_context("fork").Queue()
    process = mp.get_context(method).Process(target=queue.put, args=(1,))
    process.start()
    assert queue.get(timeout=PATIENCE) == 1
    ended(process)


@each_method
def test_nothing_but_the_child_holds_it(method):
    """The parent lets go of the queue before the child has unpickled it."""
    context = mp.get_context(method)
    outbox = context.Queue()
    inbox = context.Queue()
    inbox.put("left there")
    process = context.Process(target=echo, args=(inbox, outbox))
    process.start()
    del inbox
    gc.collect()
    assert outbox.get(timeout=PATIENCE)[1] == "left there"
    ended(process)


@each_kind
def test_by_os_fork(kind):
    queue, answer = getattr(mp, kind)(), mp.Queue()
    queue.put("from the parent")
    pid = os.fork()
    if pid == 0:
        try:
            answer.put(queue.get())
        finally:
            os._exit(0)
    assert answer.get(timeout=PATIENCE) == "from the parent"
    assert os.waitpid(pid, 0) == (pid, 0)


def grandparent(depth, queue):
    if depth == 0:
        queue.put(mp.current_process().name)
        return
    process = mp.Process(target=grandparent, args=(depth - 1, queue), name=f"depth {depth - 1}")
    process.start()
    ended(process)


@each_method
def test_to_grandchildren(method):
    context = mp.get_context(method)
    queue = context.Queue()
    process = context.Process(target=grandparent, args=(2, queue))
    process.start()
    assert queue.get(timeout=PATIENCE) == "depth 0"
    ended(process)


def serve(requests):
    """Answers each request over the queue that came with it."""
    while (request := requests.get()) is not None:
        number, answers = request
        answers.put(number * 2)


@each_method
def test_inside_another_queue(method):
    context = mp.get_context(method)
    requests = context.Queue()
    server = context.Process(target=serve, args=(requests,))
    server.start()
    for number in range(20):
        answers = context.SimpleQueue()
        requests.put((number, answers))
        assert answers.get() == number * 2
    requests.put(None)
    ended(server)


def make_queue(outer, where):
    inner = mp.get_context(where).Queue()
    inner.put("inside")
    outer.put([inner, {"again": inner}])


@each_method
def test_a_message_keeps_the_queue_in_it(method):
    context = mp.get_context(method)
    outer = context.Queue()
    maker = context.Process(target=make_queue, args=(outer, backends.current.url))
    maker.start()
    ended(maker)
    inner, again = outer.get(timeout=PATIENCE)
    assert inner is again["again"]
    assert inner.get(timeout=PATIENCE) == "inside"


@pytest.mark.of_the_arena("the arena's memory")
def test_queues_in_unread_messages_go_with_them():
    # In a family of its own: what another test's dead had may go at any moment.
    code = """
import procession as mp
from procession import _core
counts = [_core.stats()["queues"]]
outer = mp.Queue()
for _ in range(10):
    outer.put(mp.Queue())
counts.append(_core.stats()["queues"])
del outer
counts.append(_core.stats()["queues"])
print(counts)
"""
    assert run("-c", code) == "[0, 11, 0]\n"


def test_in_itself():
    queue = mp.Queue()
    queue.put(queue)
    twin = queue.get()
    twin.put("one")
    assert queue.get() == "one"


def set_up(queue):
    global inherited
    inherited = queue


def use_inherited(number):
    inherited.put(number)


def use_argument(queue, number):
    queue.put(number)


@each_method
@pytest.mark.parametrize("way", ["initargs", "argument", "partial"])
def test_to_a_pool(method, way):
    context = mp.get_context(method)
    queue = context.Queue()
    if way == "initargs":
        with context.Pool(2, set_up, (queue,)) as pool:
            pool.map(use_inherited, range(10))
    else:
        with context.Pool(2) as pool:
            if way == "argument":
                pool.starmap(use_argument, [(queue, number) for number in range(10)])
            else:
                pool.map(functools.partial(use_argument, queue), range(10))
    assert sorted(queue.get(timeout=PATIENCE) for _ in range(10)) == list(range(10))


@each_method
def test_to_the_standard_librarys_own_pool(method):
    queue = mp.Queue()
    with multiprocessing.get_context(method).Pool(2, set_up, (queue,)) as pool:
        pool.map(use_inherited, range(4))
        pool.starmap(use_argument, [(queue, number) for number in range(4, 8)])
    assert sorted(queue.get(timeout=PATIENCE) for _ in range(8)) == list(range(8))


@each_method
def test_to_the_standard_librarys_own_process(method):
    context = multiprocessing.get_context(method)
    one, two = mp.Queue(), mp.Queue()
    process = context.Process(target=echo, args=(one, two))
    process.start()
    one.put("hello")
    assert two.get(timeout=PATIENCE)[1] == "hello"
    ended(process)


def receive(connection, queue):
    connection.recv().put("through the pipe")
    queue.put("done")


def tell_family(shared, told):
    with open("/proc/self/maps") as maps:
        files = {line.split()[4] for line in maps if "/memfd:procession" in line}
    told.send((_core.family_id(), len(files)))


@pytest.mark.of_the_arena("the arena's file")
@pytest.mark.parametrize(
    "kind", ["Lock", "RLock", "Event", "Condition", "Barrier", "Value", "Queue"]
)
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_stranger_is_of_the_family_of_what_it_is_given(method, kind):
    context = multiprocessing.get_context(method)
    shared = getattr(mp, kind)(*{"Barrier": (1,), "Value": ("i",)}.get(kind, ()))
    here, there = context.Pipe()
    process = context.Process(target=tell_family, args=(shared, there))
    process.start()
    assert here.poll(PATIENCE) and here.recv() == (_core.family_id(), 1)
    ended(process)


@each_method
def test_through_a_pipe(method):
    context = mp.get_context(method)
    queue, done = context.Queue(), context.Queue()
    here, there = context.Pipe()
    process = context.Process(target=receive, args=(there, done))
    process.start()
    here.send(queue)
    assert queue.get(timeout=PATIENCE) == "through the pipe"
    assert done.get(timeout=PATIENCE) == "done"
    ended(process)
    here.close()
    there.close()


@each_method
def test_through_a_manager(method):
    context = mp.get_context(method)
    queue = context.Queue()
    with context.Manager() as manager:
        shared = manager.dict(queue=queue)
        shared["queue"].put("stored")
    assert queue.get(timeout=PATIENCE) == "stored"


class Labelled(queues.Queue):
    def __init__(self, label, *, ctx):
        super().__init__(3, ctx=ctx)
        self.label = label
        self.private = open(os.devnull)

    def __getstate__(self):
        return (*super().__getstate__(), self.label)

    def __setstate__(self, state):
        *state, self.label = state
        super().__setstate__(state)


def read_label(queue, answers):
    answers.put((type(queue).__name__, queue.label, queue.get(), hasattr(queue, "private")))


@each_method
def test_a_subclass_with_a_state_of_its_own(method):
    context = mp.get_context(method)
    queue, answers = Labelled("a label", ctx=context), context.Queue()
    queue.put(1)
    process = context.Process(target=read_label, args=(queue, answers))
    process.start()
    answer = answers.get(timeout=PATIENCE)
    assert answer == ("Labelled", "a label", 1, method == "fork")
    ended(process)
    queue._ignore_epipe = True
    twin = pickle.loads(pickle.dumps(queue))
    assert twin.label == "a label" and twin._ignore_epipe is True and twin._maxsize == 3
    queue.private.close()


def test_bytes_of_another_pickler_are_weak():
    queue = mp.Queue()
    data = pickle.dumps(queue)
    assert len(data) < (200 if backends.current.url is None else 300)
    twin = pickle.loads(data)
    twin.put(1)
    assert queue.get() == 1
    del queue, twin
    with pytest.raises(RuntimeError):
        pickle.loads(data)


@pytest.mark.of_the_arena("the family, which descendants are in")
def test_a_descendant_that_someone_else_started():
    queue = mp.Queue()
    run("-c", f"import pickle; pickle.loads({pickle.dumps(queue)!r}).put('from afar')")
    assert queue.get(timeout=PATIENCE) == "from afar"


@pytest.mark.of_the_arena("the family, which strangers are not in")
def test_outside_the_family():
    foreign = run("-c", "import pickle, procession as mp; print(pickle.dumps(mp.Queue()))")
    with pytest.raises(RuntimeError):
        pickle.loads(ast.literal_eval(foreign))
    text = run("-c", f"import pickle; pickle.loads({foreign})", code=1)
    assert text.splitlines()[-1].startswith("RuntimeError: ")


@pytest.mark.of_the_arena("the arena's memory")
def test_no_descriptor_and_little_memory_each():
    before = len(os.listdir("/proc/self/fd"))
    many = [mp.Queue() for _ in range(2000)]
    for number, queue in enumerate(many):
        queue.put(number)
    assert len(os.listdir("/proc/self/fd")) <= before + 1
    assert [queue.get() for queue in many] == list(range(2000))


@pytest.mark.of_the_arena("the list of tests")
def test_every_start_method_is_tested():
    assert METHODS == multiprocessing.get_all_start_methods()
    assert sys.platform == "linux"
