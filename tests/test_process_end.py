"""How a child ended is known, whatever gets in between."""

import os
import signal
import sys

import pytest
from support import PATIENCE, each_method, until

import procession as mp


@each_method
def test_an_end_is_not_lost_to_an_exception_in_between(method):
    """As a signal handler may raise one: between the two lines that ask and that store."""
    process = mp.get_context(method).Process(target=sys.exit, args=(3,))
    process.start()
    interrupted = []

    def interrupt(frame, event, argument):
        if event == "line" and frame.f_code.co_name in ("_ask", "_read_code", "poll", "_reap"):
            line = frame.f_code, frame.f_lineno
            if line not in interrupted:
                interrupted.append(line)
                raise KeyboardInterrupt
        return interrupt

    def ask():
        before = sys.gettrace()
        sys.settrace(interrupt)
        try:
            return process.exitcode
        except KeyboardInterrupt:
            return None
        finally:
            sys.settrace(before)

    until(lambda: ask() is not None, "the exit code")
    assert process.exitcode == 3 and len(interrupted) > 5
    assert process not in mp.active_children()
    process.join()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_status_that_somebody_else_took(method):
    process = mp.get_context(method).Process(target=os.getpid)
    process.start()
    os.waitpid(process.pid, 0)
    process.join()
    assert (
        process.exitcode == 255 and not process.is_alive() and process not in mp.active_children()
    )


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_ignored_ends_of_children(method):
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        process = mp.get_context(method).Process(target=os.getpid)
        process.start()
        process.join(PATIENCE)
        assert process.exitcode == 255 and not process.is_alive()
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_forked_child_knows_nothing_of_its_siblings_end():
    sibling = mp.get_context("fork").Process(target=signal.pause)
    sibling.start()
    answers = mp.Queue()
    child = mp.get_context("fork").Process(target=lambda: answers.put(sibling.exitcode))
    child.start()
    assert answers.get(timeout=PATIENCE) is None
    sibling.kill()
    for process in (sibling, child):
        process.join()
    assert (sibling.exitcode, child.exitcode) == (-9, 0)
