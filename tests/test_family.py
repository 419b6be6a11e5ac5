"""Named families: processes that share no ancestor, and what they have by name."""

import os
import pickle
import signal

import pytest
from family_support import START, Program
from support import each_method, ended, until

import procession as mp


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("families")


@pytest.fixture(scope="module")
def own_family(folder):
    """A process leaves its families when it ends: so this one is in one family, and always the same."""
    mp._core.family_fd()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROCESSION_FAMILY_DIR", str(folder))
        family = mp.Family("f")
        yield family
    assert family._check() == []


@pytest.fixture
def family(own_family, folder, monkeypatch):
    monkeypatch.setenv("PROCESSION_FAMILY_DIR", str(folder))
    yield own_family
    for name in own_family.names():
        own_family.remove(name)


@pytest.fixture
def program(request):
    """Starts programs; if the test is in a family itself, in that one."""
    inside = "family" in request.fixturenames
    place = request.getfixturevalue("folder" if inside else "tmp_path")
    programs = []

    def start(text, **options):
        programs.append(Program(place, text, **options))
        return programs[-1]

    yield start
    for each in programs:
        each.kill()


def files(folder):
    return sorted(os.listdir(folder))


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


EIGHT = """
say("ready")
ask()
family = mp.Family("f")
queue = family.queue("q", maxsize=8)
queue.put(os.getpid())
family.dict("d").increment("n")
place = family.barrier("all", 8).wait(20)
say(family.id, queue.qsize(), family.dict("d")["n"], *sorted(family.names().values()))
family.barrier("all", 8).wait(20)
"""


def test_of_eight_that_come_at_once_one_makes_it(program, tmp_path):
    start = START.replace('family = mp.Family("f")', "")
    for _ in range(3):
        programs = [program(EIGHT, start=start) for _ in range(8)]
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
        "while family.stats()['participants'][0]['waiting_on'] is None: time.sleep(0.001)",
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
        queue.put(("child", family.id, mp.Family("f").id))
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


def test_to_a_pool_and_a_selector(family):
    queue = family.queue("results")
    with mp.Pool(2) as pool:
        pool.map(queue.put, range(10))
    assert sorted(queue.get() for _ in range(10)) == list(range(10))
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


# ------------------------------------------------------------ plain data only


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


PICKLES = """
class Trap:
    def __reduce__(self):
        return os.mkdir, ({!r},)
family.queue("q").put(Trap())
family.queue("q").put("plain")
family.dict("d").update(trap=Trap(), plain=1)
family.list("l").extend([Trap(), 2])
family.value("v").value = Trap()
say("done")
ask()
"""


def test_a_stranger_can_run_nothing_here(program, family, tmp_path):
    sprung = tmp_path / "sprung"
    stranger = program(PICKLES.format(str(sprung)))
    assert stranger.line() == "done"
    strict = mp.Family("f", allow_pickle=False)
    assert repr(strict) == "<Family('f', allow_pickle=False)>" and not strict.allow_pickle
    queue, mapping = strict.queue("q"), strict.dict("d")
    values, value = strict.list("l"), strict.value("v")
    reads = (queue.get, lambda: mapping["trap"], lambda: values[0], lambda: value.value, value.get)
    for read in reads:
        with pytest.raises(pickle.UnpicklingError, match="allow_pickle=False"):
            read()
    assert (queue.get(), mapping["plain"], values[1]) == ("plain", 1, 2)
    assert "failed" in str(value) and not sprung.exists()
    for write in (queue.put, values.append, value.set, lambda x: mapping.update(x=x)):
        with pytest.raises(pickle.PicklingError, match="type test_family.Trap"):
            write(Trap(str(sprung)))
    with pytest.raises(pickle.PicklingError, match="type test_family.Trap"):
        strict.value("never made", Trap(str(sprung)))
    assert "never made" not in strict.names()
    value.value = "plain"
    assert family.value("v").value == "plain"
    del mapping["trap"], values[0]


def read_all(family, queue, mapping, values, value, answers):
    for read in (
        lambda: queue.get(timeout=15),
        lambda: mapping["x"],
        lambda: values[0],
        value.get,
        lambda: family.dict("d")["x"],
    ):
        try:
            answers.put(read())
        except pickle.UnpicklingError as error:
            answers.put(type(error).__name__)


@each_method
def test_a_child_is_as_strict(method, family, tmp_path):
    trap = Trap(str(tmp_path / "sprung"))
    family.queue("q").put(trap)
    family.dict("d")["x"] = trap
    family.list("l").insert(0, trap)
    family.value("v").value = trap
    strict = mp.Family("f", allow_pickle=False)
    objects = strict, strict.queue("q"), strict.dict("d"), strict.list("l"), strict.value("v")
    answers = mp.Queue()
    child = mp.get_context(method).Process(target=read_all, args=(*objects, answers))
    child.start()
    ended(child)
    assert answers.get_many() == ["UnpicklingError"] * 5
    assert not (tmp_path / "sprung").exists()


# ------------------------------------------------------------ names


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a b", "ä", "x" * 101, "a\0b", "a\n"])
def test_what_a_family_cannot_be_called(name, tmp_path, monkeypatch):
    monkeypatch.setenv("PROCESSION_FAMILY_DIR", str(tmp_path))
    with pytest.raises(ValueError, match="can't be called"):
        mp.Family(name)
    assert files(tmp_path) == []


def test_a_name_is_a_text():
    for name in (None, b"jobs", 1):
        with pytest.raises(TypeError):
            mp.Family(name)


def test_names_inside(family):
    assert family.names() == {}
    for name in ("", "with spaces", "ключ", "a/b", "x" * 5000):
        family.queue(name).put(name)
        assert family.queue(name).get() == name
        assert family.remove(name) and not family.remove(name)
    with pytest.raises(UnicodeEncodeError):
        family.queue("\udc80")
    family.event("second"), family.queue("first")
    assert list(family.names().items()) == [("second", "event"), ("first", "queue")]


def test_what_is_removed_lives_on_where_it_is_had(family):
    old = family.queue("q")
    old.put("old")
    assert family.remove("q")
    new = family.queue("q")
    assert new.empty() and old.get() == "old"
    new.put("new")
    del new
    assert family.queue("q").get() == "new"


DISAGREEMENTS = [
    (lambda f: f.queue("x", 3), lambda f: f.queue("x", 4), ValueError, "capacity 3, and not 4"),
    (lambda f: f.queue("x", 3), lambda f: f.queue("x", 0), ValueError, "not without bound"),
    (lambda f: f.queue("x"), lambda f: f.queue("x", 4), ValueError, "without bound, and not 4"),
    (lambda f: f.queue("x"), lambda f: f.joinable_queue("x"), TypeError, "no joinable_queue"),
    (lambda f: f.queue("x"), lambda f: f.lock("x"), TypeError, '"x" is a queue, and no lock'),
    (lambda f: f.rlock("x"), lambda f: f.lock("x"), TypeError, "is a rlock"),
    (lambda f: f.value("x"), lambda f: f.list("x"), TypeError, "is a value"),
    (lambda f: f.barrier("x", 2), lambda f: f.barrier("x", 3), ValueError, "parties 2, and not 3"),
    (
        lambda f: f.bounded_semaphore("x", 2),
        lambda f: f.bounded_semaphore("x", 3),
        ValueError,
        "maximum 2, and not 3",
    ),
]


@pytest.mark.parametrize("made, asked, error, text", DISAGREEMENTS)
def test_disagreements(made, asked, error, text, family):
    made(family)
    with pytest.raises(error, match=text):
        asked(family)
    made(family)


NONSENSE = [
    (lambda f: f.queue("y", "many"), TypeError),
    (lambda f: f.semaphore("y", -1), ValueError),
    (lambda f: f.semaphore("y", 2**31), ValueError),
    (lambda f: f.bounded_semaphore("y", 1.5), TypeError),
    (lambda f: f.barrier("y", 0), ValueError),
    (lambda f: f.barrier("y", 65536), ValueError),
    (lambda f: f.queue(None), TypeError),
    (lambda f: f.value("y", lambda: open("nothing")) and f.list("y"), TypeError),
]


@pytest.mark.parametrize("ask, error", NONSENSE)
def test_nonsense(ask, error, family):
    with pytest.raises(error):
        ask(family)


def test_a_closed_family_object(family):
    with mp.Family("f") as used:
        queue = used.queue("q")
        assert (used.name, used.id) == ("f", family.id) and repr(used) == "<Family('f')>"
    uses = [
        lambda: used.queue("q"),
        lambda: used.joinable_queue("j"),
        lambda: used.condition("c"),
        lambda: used.barrier("b", 1),
        lambda: used.dict("d"),
        lambda: used.value("v"),
        used.names,
        used.stats,
        used.__enter__,
        lambda: used.remove("q"),
        lambda: pickle.dumps(used),
    ]
    for use in uses:
        with pytest.raises(ValueError, match="closed"):
            use()
    used.close()
    assert repr(used) == "<Family('f'), closed>" and used.name == "f"
    queue.put("lives on")
    assert family.queue("q").get() == "lives on"


def test_a_file_that_is_no_meeting_place(tmp_path, monkeypatch):
    monkeypatch.setenv("PROCESSION_FAMILY_DIR", str(tmp_path))
    place = tmp_path / f"procession-{os.getuid()}.odd"
    place.mkdir()
    with pytest.raises(OSError, match=r"procession-\d+\.odd"):
        mp.Family("odd")
    monkeypatch.setenv("PROCESSION_FAMILY_DIR", str(tmp_path / "missing"))
    with pytest.raises(OSError, match="missing.*PROCESSION_FAMILY_DIR"):
        mp.Family("odd")
