"""Names of families and in them, and families that accept plain data only."""

import os
import pickle

import pytest
from family_support import files
from support import each_method, ended

import procession as mp

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
        with pytest.raises(pickle.PicklingError, match="type test_family_names.Trap"):
            write(Trap(str(sprung)))
    with pytest.raises(pickle.PicklingError, match="type test_family_names.Trap"):
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
