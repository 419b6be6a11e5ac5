"""Processes under the three start methods, beside the standard library's and together with them."""

import functools
import multiprocessing
import os
import signal
import sys
import threading
import time

import pytest
from support import METHODS, PATIENCE, each_method, ended, until

import procession as mp
from procession import forkserver
from procession import spawn as procession_spawn


def report(queue):
    me, parent = mp.current_process(), mp.parent_process()
    queue.put(
        {
            "name": me.name,
            "pid": os.getpid(),
            "daemon": me.daemon,
            "parent": (parent.pid, parent.name, parent.is_alive()),
            "method": mp.get_start_method(),
            "same": me is multiprocessing.current_process(),
            "argv": sys.argv,
            "authkey": bytes(me.authkey),
            "path": sys.path,
            "directory": os.getcwd(),
            "children": mp.active_children(),
        }
    )


@each_method
def test_the_life_of_a_process(method):
    context = mp.get_context(method)
    queue = context.Queue()
    process = context.Process(target=report, args=(queue,), name="Ada", daemon=True)
    assert (process.pid, process.exitcode, process.is_alive()) == (None, None, False)
    process.start()
    told = queue.get(timeout=PATIENCE)
    assert told["name"] == "Ada" and told["daemon"] is True and told["same"]
    assert told["pid"] == process.pid == process.ident
    assert told["parent"] == (os.getpid(), mp.current_process().name, True)
    assert told["method"] == method
    assert (told["argv"], told["path"]) == (sys.argv, sys.path)
    assert told["authkey"] == mp.current_process().authkey
    assert told["directory"] == os.getcwd() and told["children"] == []
    assert multiprocessing.connection.wait([process.sentinel], PATIENCE) == [process.sentinel]
    process.join()
    assert process.exitcode == 0 and not process.is_alive()
    process.close()
    with pytest.raises(ValueError, match="process object is closed"):
        process.join()


def leave(way):
    if way == "raise":
        sys.stderr = open(os.devnull, "w")
        raise ZeroDivisionError
    sys.exit(way)


@each_method
@pytest.mark.parametrize("way, code", [(0, 0), (None, 0), (7, 7), ("raise", 1)])
def test_exit_codes(method, way, code):
    process = mp.get_context(method).Process(target=leave, args=(way,))
    process.start()
    ended(process, code=code)


def wait_for_ever(queue):
    queue.put("ready")
    threading.Event().wait()


@each_method
@pytest.mark.parametrize("how, number", [("terminate", 15), ("kill", 9)])
def test_terminate_and_kill(method, how, number):
    context = mp.get_context(method)
    queue = context.Queue()
    process = context.Process(target=wait_for_ever, args=(queue,))
    process.start()
    assert queue.get(timeout=PATIENCE) == "ready"
    assert process.is_alive()
    with pytest.raises(ValueError, match="while it is still running"):
        process.close()
    getattr(process, how)()
    ended(process, code=-number)


@each_method
def test_children_are_everybodys(method):
    queue = mp.Queue()
    process = mp.get_context(method).Process(target=wait_for_ever, args=(queue,))
    process.start()
    assert process in mp.active_children()
    assert process in multiprocessing.active_children()
    process.kill()
    ended(process, code=-9)
    assert process not in multiprocessing.active_children()


@each_method
def test_several_threads_learn_the_exit_code(method):
    context = mp.get_context(method)
    for code in range(5):
        process = context.Process(target=leave, args=(code,))
        process.start()
        seen = []
        threads = [
            threading.Thread(target=lambda: seen.append((process.join(), process.exitcode)))  # noqa: B023
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        # One who comes too late for the kernel's word may see nothing, but nobody sees another.
        assert {exitcode for _, exitcode in seen} <= {code, None}
        assert process.exitcode == code
        process.close()


@each_method
def test_a_signal_handler_asks_in_the_midst_of_asking(method):
    """`exitcode` is asked for again and again by a handler: never is it anything but right."""
    context = mp.get_context(method)
    seen = set()
    process = None
    was = signal.signal(signal.SIGALRM, lambda *_: process and seen.add(process.exitcode))
    try:
        for _ in range(8 if method == "forkserver" else 3):
            process = context.Process(target=leave, args=(7,))
            process.start()
            signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
            while process.exitcode is None:
                pass
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert process.exitcode == 7
            ended(process, code=7)
            process = None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, was)
    assert seen <= {None, 7}


@each_method
def test_join_times_out(method):
    queue = mp.Queue()
    process = mp.get_context(method).Process(target=wait_for_ever, args=(queue,))
    process.start()
    start = time.monotonic()
    process.join(0.1)
    assert 0.1 <= time.monotonic() - start < 2
    assert process.exitcode is None
    process.kill()
    ended(process, code=-9)


def make_closure(x):
    def closure(queue, y):
        queue.put(x + y)

    return closure


def make_class():
    class Local(mp.Process):
        def __init__(self, queue):
            super().__init__()
            self.queue = queue

        def run(self):
            self.queue.put(type(self).__name__)

    return Local


@each_method
def test_targets_that_have_no_name(method):
    context = mp.get_context(method)
    queue = context.Queue()
    targets = [
        (lambda: queue.put(1), ()),
        (lambda q, x=2: q.put(x), (queue,)),
        (make_closure(2), (queue, 1)),
        (functools.partial(lambda q, y: q.put(y), queue, y=4), ()),
        (functools.partial(make_closure(3), queue), (2,)),
    ]
    for number, (target, args) in enumerate(targets, 1):
        process = context.Process(target=target, args=args)
        process.start()
        assert queue.get(timeout=PATIENCE) == number
        ended(process)


@each_method
def test_a_local_subclass_of_process(method):
    mp.set_start_method(method, force=True)
    try:
        queue = mp.Queue()
        process = make_class()(queue)
        process.start()
        assert queue.get(timeout=PATIENCE) == "Local"
        ended(process)
    finally:
        mp.set_start_method(None, force=True)


def use_everything(lock, semaphore, event, condition, barrier, value, array, connection, queue):
    with lock, semaphore, condition:
        value.value += 1
        array[0] = 7
        condition.notify()
    barrier.wait(PATIENCE)
    event.set()
    connection.send("sent")
    queue.put("put")


@each_method
def test_what_the_standard_library_makes(method):
    """Its locks and shared values are made for our contexts, and pass to our processes."""
    context = mp.get_context(method)
    lock, semaphore, event = context.Lock(), context.BoundedSemaphore(2), context.Event()
    condition, barrier = context.Condition(), context.Barrier(2)
    value, array = context.Value("i", 1), context.Array("d", 3)
    here, there = context.Pipe()
    queue = context.Queue()
    process = context.Process(
        target=use_everything,
        args=(lock, semaphore, event, condition, barrier, value, array, there, queue),
    )
    process.start()
    barrier.wait(PATIENCE)
    assert event.wait(PATIENCE)
    assert here.recv() == "sent"
    assert queue.get(timeout=PATIENCE) == "put"
    ended(process)
    assert (value.value, array[0]) == (2, 7)
    here.close()
    there.close()


def square(x):
    return x * x


@each_method
def test_pool_and_manager(method):
    context = mp.get_context(method)
    with context.Pool(2) as pool:
        assert pool.map(square, range(10)) == [x * x for x in range(10)]
    with context.Manager() as manager:
        shared = manager.list([1, 2])
        shared.append(3)
        assert list(shared) == [1, 2, 3]


def test_contexts():
    for method in METHODS:
        context = mp.get_context(method)
        assert isinstance(context, multiprocessing.context.BaseContext)
        assert isinstance(context, type(multiprocessing.get_context(method)))
        assert context.get_start_method() == method
        assert context.get_context() is context
        assert context.get_context("fork") is mp.get_context("fork")
        assert issubclass(context.Process, multiprocessing.process.BaseProcess)
        with pytest.raises(ValueError, match="^cannot set start method of concrete context$"):
            context.set_start_method("fork")
    with pytest.raises(ValueError, match="^cannot find context for 'nonsense'$"):
        mp.get_context("nonsense")
    assert issubclass(mp.Process, multiprocessing.process.BaseProcess)
    assert mp.reducer is multiprocessing.reducer
    assert mp.cpu_count() == multiprocessing.cpu_count()


@pytest.fixture
def undecided():
    """No start method was set so far; what the test sets is undone."""
    was = multiprocessing.get_start_method(allow_none=True)
    mp.set_start_method(None, force=True)
    yield
    mp.set_start_method(None, force=True)
    if was is not None:
        mp.set_start_method(was)


def test_start_methods(undecided):
    default = multiprocessing.context._default_context._default_context._name
    assert mp.get_all_start_methods() == multiprocessing.get_all_start_methods()
    assert mp.get_start_method(allow_none=True) is None
    with pytest.raises(ValueError, match="cannot find context for 'nonsense'"):
        mp.set_start_method("nonsense")
    assert mp.get_start_method() == default
    with pytest.raises(RuntimeError, match="^context has already been set$"):
        mp.set_start_method("fork")
    mp.set_start_method("forkserver", force=True)
    assert mp.get_start_method() == "forkserver"
    assert mp.get_context() is mp.get_context("forkserver")
    mp.set_start_method(None, force=True)
    assert mp.get_start_method(allow_none=True) is None


def test_the_start_method_is_the_standard_librarys(undecided):
    """As for a program that had only replaced its import: concurrent.futures shall follow."""
    mp.set_start_method("spawn")
    assert multiprocessing.get_start_method() == "spawn"
    with pytest.raises(RuntimeError):
        multiprocessing.set_start_method("fork")
    multiprocessing.set_start_method("forkserver", force=True)
    assert mp.get_start_method() == "forkserver"
    assert mp.get_context() is mp.get_context("forkserver")


def test_the_executable(tmp_path):
    wrapper = tmp_path / "python"
    wrapper.write_text(f'#!/bin/sh\nMARK=seen exec "{sys.executable}" "$@"\n')
    wrapper.chmod(0o755)
    context = mp.get_context("spawn")
    queue = context.Queue()
    was = procession_spawn.get_executable()
    context.set_executable(str(wrapper))
    try:
        process = context.Process(target=put_environment, args=(queue, "MARK"))
        process.start()
        assert queue.get(timeout=PATIENCE) == "seen"
        ended(process)
    finally:
        context.set_executable(was)


def put_environment(queue, name):
    queue.put(os.environ.get(name))


def test_the_boot_line():
    command = procession_spawn.get_command_line(tracker_fd=1, pipe_handle=2, family_fd=3)
    assert command[-3] == "-c" and command[-1] == "--multiprocessing-fork"
    assert command[-2] == (
        "import gc; gc.disable(); from procession.spawn import spawn_main;"
        " spawn_main(tracker_fd=1, pipe_handle=2, family_fd=3)"
    )
    assert procession_spawn.is_forking(["x", "--multiprocessing-fork"])


def test_a_frozen_program(monkeypatch):
    """freeze_support() runs the child's part, from the command line that a frozen parent wrote."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    command = procession_spawn.get_command_line(tracker_fd=1, pipe_handle=2, family_fd=None)
    ran = []
    monkeypatch.setattr(procession_spawn, "spawn_main", lambda **kwds: ran.append(kwds))
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit):
        mp.freeze_support()
    assert ran == [{"tracker_fd": 1, "pipe_handle": 2, "family_fd": None}]
    monkeypatch.setattr(sys, "argv", ["program"])
    assert mp.freeze_support() is None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_forkserver_is_started_again(number):
    context = mp.get_context("forkserver")
    pids = []
    for _ in range(3):
        process = context.Process(target=square, args=(1,))
        process.start()
        ended(process)
        pids.append(forkserver._forkserver._forkserver_pid)
        os.kill(pids[-1], number)
    assert len(set(pids)) == 3


def test_a_process_whose_forkserver_is_killed():
    context = mp.get_context("forkserver")
    queue = context.Queue()
    process = context.Process(target=wait_for_ever, args=(queue,))
    process.start()
    assert queue.get(timeout=PATIENCE) == "ready"
    os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)
    process.join(PATIENCE)
    assert process.exitcode == 255  # nobody can know
    os.kill(process.pid, signal.SIGKILL)
    process.close()


def test_the_forkserver_ignores_ctrl_c():
    context = mp.get_context("forkserver")
    forkserver.ensure_running()
    pid = forkserver._forkserver._forkserver_pid
    until(lambda: ignores_sigint(pid), "the server's set-up")
    os.kill(pid, signal.SIGINT)
    process = context.Process(target=square, args=(1,))
    process.start()
    ended(process)
    assert forkserver._forkserver._forkserver_pid == pid


def ignores_sigint(pid):
    with open(f"/proc/{pid}/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    return bool(int(fields["SigIgn"], 16) & 1 << signal.SIGINT - 1)


def put_modules(queue, *names):
    queue.put([name in sys.modules for name in names])


def test_preload():
    context = mp.get_context("forkserver")
    with pytest.raises(TypeError, match="module_names must be a list of strings"):
        context.set_forkserver_preload([1])
    queue = context.Queue()
    was = forkserver._forkserver._preload_modules
    for preload, found in [(["colorsys", "no_such_module"], True), ([], False)]:
        forkserver._forkserver._stop()
        context.set_forkserver_preload(preload)
        try:
            process = context.Process(target=put_modules, args=(queue, "colorsys"))
            process.start()
            assert queue.get(timeout=PATIENCE) == [found]
            ended(process)
        finally:
            context.set_forkserver_preload(was)
    forkserver._forkserver._stop()


def test_too_many_descriptors():
    with pytest.raises(ValueError, match="^too many fds$"):
        forkserver.connect_to_new_process(list(range(250)))


@each_method
def test_no_descriptor_is_lost(method):
    """Neither here nor in the children."""
    context = mp.get_context(method)
    queue = context.Queue()
    counts = []
    for _ in range(6):
        process = context.Process(target=put_descriptors, args=(queue,))
        process.start()
        theirs = queue.get(timeout=PATIENCE)
        ended(process)
        counts.append((theirs, len(os.listdir("/proc/self/fd"))))
    assert len(set(counts[1:])) == 1, counts


def put_descriptors(queue):
    queue.put(len(os.listdir("/proc/self/fd")))


def test_a_process_that_cannot_be_pickled():
    queue = mp.Queue()
    for method in ("spawn", "forkserver"):
        process = mp.get_context(method).Process(target=queue.put, args=(threading.Lock(),))
        with pytest.raises(TypeError):
            process.start()
        assert multiprocessing.context.get_spawning_popen() is None
