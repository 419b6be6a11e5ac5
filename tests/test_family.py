"""Named families: processes that share no ancestor, and what they have by name."""

import os
import signal

import pytest
from family_support import JOIN, START, files
from support import each_method, ended, until

import procession as mp

pytestmark = [pytest.mark.both_backends(workers=2), pytest.mark.timeout(60)]

# ------------------------------------------------------------ strangers

KINDS = {
    "queue": (
        "family.queue('x').put([1, 'two'])",
        "assert family.queue('x').get() == [1, 'two']",
    ),
    "joinable_queue": (
        "family.joinable_queue('x').put(1); family.joinable_queue('x').join()",
        "q = family.joinable_queue('x'); q.get(); q.task_done()",
    ),
    "lock": (
        "family.lock('x').acquire(); family.event('taken').set(); family.event('seen').wait();"
        " family.lock('x').release()",
        "family.event('taken').wait(); assert not family.lock('x').acquire(False);"
        " family.event('seen').set(); assert family.lock('x').acquire()",
    ),
    "rlock": (
        "lock = family.rlock('x'); lock.acquire(); lock.acquire(); family.event('taken').set();"
        " family.event('seen').wait(); lock.release(); lock.release()",
        "family.event('taken').wait(); assert not family.rlock('x').acquire(False);"
        " family.event('seen').set(); assert family.rlock('x').acquire()",
    ),
    "semaphore": (
        "family.semaphore('x', 0).acquire()",
        "family.semaphore('x', 0).release()",
    ),
    "bounded_semaphore": (
        "s = family.bounded_semaphore('x', 2); s.acquire(); family.event('taken').set()",
        "family.event('taken').wait(); s = family.bounded_semaphore('x')\n"
        "assert s.get_value() == 1; s.release()\n"
        "try: s.release()\n"
        "except ValueError: say('no more than 2')",
    ),
    "event": ("family.event('x').wait()", "family.event('x').set()"),
    "condition": (
        "c = family.condition('x')\n"
        "with c: family.event('there').set(); say(c.wait(20))",
        "family.event('there').wait()\nwith family.condition('x') as c: family.condition('x').notify()",
    ),
    "barrier": ("say(family.barrier('x', 2).wait(20) < 2)", "family.barrier('x', 2).wait(20)"),
    "dict": ("family.dict('x')['key'] = {1}", "assert family.dict('x').wait_for('key', 20) == {1}"),
    "list": (
        "family.list('x').append((1, 2)); family.event('there').set()",
        "family.event('there').wait(); assert family.list('x')[:] == [(1, 2)]",
    ),
    "value": (
        "family.value('x', 20).value += 1; family.event('there').set()",
        "family.event('there').wait(); assert family.value('x', 5).get() == 21",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_strangers_share(kind, program, tmp_path):
    here, there = KINDS[kind]
    end = "\nfamily.barrier('end', 2).wait(20)\nsay(family.names()['x'])"
    one, other = program(here + end), program(there + end)
    for each in (one, other):
        assert each.rest().endswith(f"{kind}\n")
    assert files(tmp_path) == []


EIGHT = f"""
say("ready")
ask()
{JOIN}
queue = family.queue("q", maxsize=8)
queue.put(os.getpid())
family.dict("d").increment("n")
place = family.barrier("all", 8).wait(20)
say(family.id, queue.qsize(), family.dict("d")["n"], *(family.names()[name] for name in ("all", "d", "q")))
family.barrier("all", 8).wait(20)
"""


@pytest.mark.parametrize("_time", range(3))
def test_of_eight_that_come_at_once_one_makes_it(_time, program, tmp_path):
    programs = [program(EIGHT, start=START.replace(JOIN, "")) for _ in range(8)]
    assert [each.line() for each in programs] == ["ready"] * 8
    for each in programs:
        each.tell()
    said = {each.rest() for each in programs}
    assert len(said) == 1, said
    assert said.pop().split()[1:] == ["8", "8", "barrier", "dict", "queue"]
    assert files(tmp_path) == []


def test_a_family_goes_on_without_its_maker(program, tmp_path):
    maker = program("family.queue('q').put('kept'); say(family.id); ask()")
    made = maker.line()
    other = program("say(family.id); ask(); say(family.queue('q').get())")
    assert other.line() == made
    maker.tell()
    maker.rest()
    third = program(
        "say(family.id); family.dict('d')['k'] = 1; ask(); say(family.queue('q').qsize())"
    )
    assert third.line() == made
    other.tell()
    assert other.rest() == "kept\n"
    third.tell()
    assert third.rest() == "0\n"
    assert files(tmp_path) == []


# ------------------------------------------------------------ death

HOLDER = """
lock, queue = family.lock("lock"), family.queue("q")
lock.acquire()
queue.put("before")
say("held")
{}
"""
HEIR = """
import warnings
lock, queue = family.lock("lock"), family.queue("q")
say("there")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    assert lock.acquire(timeout=15)
say([type(each.message).__name__ for each in caught], caught[0].message.pid)
lock.release()
queue.put("after")
say(queue.get(), queue.get())
"""


@pytest.mark.parametrize(
    "how", ["ask()", "family.event('never').wait()", "family.queue('n').get()"]
)
def test_the_others_go_on_when_one_is_killed(how, program, tmp_path):
    holder = program(HOLDER.format(how))
    assert holder.line() == "held"
    heir = program(HEIR)
    assert heir.line() == "there"
    holder.kill()
    assert heir.line() == f"['AbandonedLockWarning'] {holder.pid}"
    assert heir.rest() == "before after\n"
    assert files(tmp_path) == []


def test_when_all_were_killed_the_next_one_starts_afresh(program, tmp_path):
    killed = [program("family.queue('q').put(1); say(family.id); ask()") for _ in range(2)]
    ids = {each.line() for each in killed}
    assert len(ids) == 1
    for each in killed:
        each.kill()
    assert files(tmp_path) == [f"procession-{os.getuid()}.f"]
    after = program("say(family.id, family.names()); family.queue('q', 1).put(2)")
    new, names = after.rest().split()
    assert new not in ids and names == "{}"
    assert files(tmp_path) == []


ENDS = {
    "at its end": ("pass", 0),
    "exit": ("sys.exit(3)", 3),
    "exception": ("raise LookupError", 1),
    "a thread in get": (
        "import threading\n"
        "threading.Thread(target=family.queue('q').get, daemon=True).start()\n"
        "def waits(): return [p for p in family.stats()['participants']\n"
        "    if p['pid'] == os.getpid() and p['waiting_on'] is not None]\n"
        "while not waits(): time.sleep(0.001)",
        0,
    ),
    "a child that fails": (
        "child = mp.get_context('fork').Process(target=sys.exit, args=(7,))\n"
        "child.start(); child.join(); assert child.exitcode == 7",
        0,
    ),
    "a child that stays longer": (
        "child = os.fork()\nif child == 0: family.queue('q').get(); sys.exit()\n"
        "family.queue('q').put(1)",
        0,
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_nothing_is_left(end, program, tmp_path):
    text, code = ENDS[end]
    program(text).rest(code)
    until(lambda: files(tmp_path) == [], "the end of the family")


def test_a_lock_held_at_a_clean_end_stays_held(program):
    waiter = program("lock = family.lock('x'); say('there'); ask(); say(lock.acquire(timeout=0.2))")
    assert waiter.line() == "there"
    program("family.lock('x').acquire()").rest()
    waiter.tell()
    assert waiter.rest() == "False\n"


def hold_and_die(lock):
    lock.acquire()
    os.kill(os.getpid(), signal.SIGKILL)


@each_method
def test_of_a_killed_child_more_is_known(method, family):
    lock = family.lock(f"held, {method}")
    child = mp.get_context(method).Process(target=hold_and_die, args=(lock,), name="Clumsy")
    child.start()
    ended(child, code=-signal.SIGKILL)
    with pytest.warns(
        mp.AbandonedLockWarning, match=r"\(Clumsy\).* was killed by SIGKILL"
    ) as caught:
        assert lock.acquire(timeout=15)
    assert caught[0].message.exitcode == -signal.SIGKILL
    lock.release()


def test_ctrl_c_ends_a_wait(program, family):
    waiting = program(
        "queue = family.queue('q')\n"
        "try: queue.get()\n"
        "except KeyboardInterrupt: say('interrupted', queue.empty())\n"
        "queue.put('still of use'); say(queue.get())"
    )

    def waits():
        there = {each["pid"]: each["waiting_on"] for each in family.stats()["participants"]}
        return there.get(waiting.pid) is not None

    until(waits, "the program in get")
    os.kill(waiting.pid, signal.SIGINT)
    assert waiting.rest() == "interrupted True\nstill of use\n"


# ------------------------------------------------------------ children, handles


def use_all(family, queue, numbers, values, value, lock, condition):
    with lock, condition:
        queue.put(("child", family.id, mp.Family(family.name).id))
        numbers.increment("n")
        values.append(os.getpid())
        value.value += 1
        condition.notify()


@each_method
def test_children_are_handed_what_has_a_name(method, family):
    queue, lock, condition = family.queue("q"), family.lock("l"), family.condition("c")
    numbers, values, value = family.dict("d"), family.list("v"), family.value("n", 1)
    arguments = (family, queue, numbers, values, value, lock, condition)
    before = value.value
    child = mp.get_context(method).Process(target=use_all, args=arguments)
    with condition:
        child.start()
        assert condition.wait(30)
    ended(child)
    assert queue.get() == ("child", family.id, family.id)
    assert numbers["n"] == len(values) == value.value - before


def test_a_forked_child_is_a_member(family):
    queue, answers = family.queue("to"), family.queue("from")
    pid = os.fork()
    if pid == 0:
        try:
            answers.put((queue.get(timeout=15), family.id, family.queue("new").qsize()))
        finally:
            os._exit(0)
    queue.put("hello")
    assert answers.get(timeout=15) == ("hello", family.id, 0)
    os.waitpid(pid, 0)


def test_to_a_pool(family):
    queue = family.queue("results")
    with mp.Pool(2) as pool:
        pool.map(queue.put, range(10))
    assert sorted(queue.get() for _ in range(10)) == list(range(10))


def test_to_a_selector(family):
    queue = family.queue("results")
    assert not mp.connection.wait([queue._reader], 0)
    queue.put(1)
    assert mp.connection.wait([queue._reader], 15) == [queue._reader]
    queue.get()


def test_an_answer_to_a_queue_without_a_name(program, family):
    server = program("question, answers = family.queue('ask').get(); answers.put(question * 2)")
    answers = mp.Queue()  # of this process's own family
    family.queue("ask").put((21, answers))
    assert answers.get(timeout=15) == 42
    assert server.rest() == ""


def fill(queue):
    queue.put(queue.qsize())


def test_what_has_a_name_goes_through_what_has_none(family):
    passing = mp.Queue()
    passing.put([family.queue("q"), family.dict("d"), family.lock("l")])
    queue, mapping, lock = passing.get()
    with lock:
        queue.put("through a queue")
        mapping["key"] = 1
    assert (family.queue("q").get(), family.dict("d")["key"]) == ("through a queue", 1)
    with mp.Manager() as manager:
        shared = manager.dict(queue=queue)
        shared["queue"].put("through a dict")
        assert queue.get() == "through a dict"
    with mp.Pool(1) as pool:
        pool.map(fill, [queue, queue])
    assert sorted(queue.get_many()) == [0, 1]
    assert mp._core.check() == []


@pytest.mark.of_the_arena("two families: a context without a name is in none of its own elsewhere")
def test_a_message_does_not_keep_what_is_of_another_family(family):
    queue, kept = family.queue("weak"), family.dict("weak dict")
    passing = mp.Queue()
    queue.put(passing)
    kept["passing"] = passing
    kept["own"] = family.queue("own")
    queue.get().put(1)
    assert passing.get() == 1
    queue.put(passing)
    del passing
    for use in (queue.get, lambda: kept["passing"]):
        with pytest.raises(RuntimeError, match="gone"):
            use()
    family.remove("own")
    kept["own"].put("that of its own it keeps")
    assert kept["own"].get() == "that of its own it keeps"
    assert mp._core.check() == []
    kept.clear()
