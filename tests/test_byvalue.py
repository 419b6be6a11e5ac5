"""What goes by value, and that nothing else does: `__main__` in all its forms."""

import pickle
import subprocess
import sys
import types

import pytest
from support import PATIENCE, run

import procession as mp
from procession import reduction


class Importable:
    class Inner:
        pass

    def method(self):
        return "method"


def importable():
    return 1


def through(obj):
    data, buffers = reduction.dumps(obj)
    return pickle.loads(data, buffers=buffers)


@pytest.mark.parametrize(
    "obj",
    [Importable, Importable.Inner, importable, Importable.method, pytest.raises, type(None)]
    + [type(...), type(NotImplemented), int, dict.fromkeys, len],
)
def test_importable_ones_go_by_reference(obj):
    data, _ = reduction.dumps(obj)
    assert b"cloudpickle" not in data
    assert pickle.loads(data) == obj


def test_cloudpickle_is_imported_only_when_needed():
    program = """
import sys, procession.reduction as r, decimal
r.dumps([decimal.Decimal(1), decimal.Decimal, len, sys.exit, ValueError("x"), NotImplemented])
assert "cloudpickle" not in sys.modules
r.dumps(lambda: 1)
assert "cloudpickle" in sys.modules
"""
    assert run("-c", program) == ""


def test_without_cloudpickle():
    program = """
import pickle, sys
sys.modules["cloudpickle"] = None
import procession as mp
q = mp.Queue()
try:
    q.put(lambda: 1)
except pickle.PicklingError as error:
    print(error)
q.put(1)
assert q.get() == 1
"""
    assert "needs the package cloudpickle" in run("-c", program)


def test_what_has_no_name():
    double = through(lambda x: 2 * x)
    assert double(4) == 8
    total = 10

    def add(x):
        nonlocal total
        total += x
        return total

    other = through(add)
    assert (other(1), other(1), total) == (11, 12, 10)

    def factorial(n):
        return 1 if n == 0 else n * factorial(n - 1)

    assert through(factorial)(5) == 120

    class Local:
        def __init__(self, value):
            self.value = value

        def get(self):
            return self.value, __class__.__name__

    one, two = through([Local(1), Local(2)])
    assert type(one) is type(two) and two.get() == (2, "Local")
    assert through(Local(3).get)() == (3, "Local")
    assert through({"f": lambda: Importable})["f"]() is Importable


def test_shared_parts_stay_shared():
    cell = [1]
    functions = through([lambda: cell, lambda: cell, cell])
    assert functions[0]() is functions[1]() is functions[2]


def test_a_name_that_is_someone_elses():
    impostor = types.FunctionType(importable.__code__, globals(), "importable")
    impostor.__module__, impostor.__qualname__ = __name__, "importable"
    copy = through(impostor)
    assert copy is not importable and copy() == 1


def test_what_by_value_does_not_help():
    import threading

    lock = threading.Lock()
    with pytest.raises(TypeError, match="lock"):
        through(lambda: lock)
    with pytest.raises((pickle.PicklingError, TypeError)):
        through(types.FunctionType)  # no Python code made this class
    with pytest.raises(TypeError):
        through(sys)


SCRIPT = """
import procession as mp

PATIENCE = 20

class Message:
    def __init__(self, value):
        self.value = value

def serve(requests, answers):
    for obj in iter(requests.get, None):
        if callable(obj):
            answers.put(obj())
        else:
            answers.put((isinstance(obj, Message), type(obj).__module__, obj.value))
            answers.put(obj)

def make():
    return Message("made")

if __name__ == "__main__":
    class Guarded(Message):
        pass

    def guarded():
        return Guarded("guarded")

    for method in mp.get_all_start_methods():
        context = mp.get_context(method)
        requests, answers = context.Queue(), context.Queue()
        process = context.Process(target=serve, args=(requests, answers))
        process.start()
        requests.put(Message(1))
        print(answers.get(timeout=PATIENCE))
        assert type(answers.get(timeout=PATIENCE)) is Message
        requests.put(make)
        assert type(answers.get(timeout=PATIENCE)) is Message
        requests.put(Guarded(2))
        print(answers.get(timeout=PATIENCE))
        assert type(answers.get(timeout=PATIENCE)) is Guarded
        requests.put(guarded)
        assert answers.get(timeout=PATIENCE).value == "guarded"
        requests.put(lambda: make().value)
        assert answers.get(timeout=PATIENCE) == "made"
        requests.put(None)
        process.join()
        assert process.exitcode == 0
        process = context.Process(target=lambda: answers.put(guarded()))
        process.start()
        assert type(answers.get(timeout=PATIENCE)) is Guarded
        process.join()
    from procession.reduction import dumps
    assert b"cloudpickle" not in dumps([Message, make, Message(1)])[0]
"""


def test_a_script(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    assert run(script).splitlines() == [
        "(True, '__main__', 1)",
        "(True, '__main__', 2)",
        "(True, '__mp_main__', 1)",
        "(True, '__main__', 2)",  # by value, its base by reference
        "(True, '__mp_main__', 1)",
        "(True, '__main__', 2)",
    ]


# A program that a spawned child cannot import: what notebooks, `python -c` and pipes are.
NOTEBOOK = """
import procession as mp

PATIENCE = 20

class Message:
    def __init__(self, value):
        self.value = value

def helper():
    return "helped"

def serve(requests, answers):
    for obj in iter(requests.get, None):
        answers.put((isinstance(obj, Message), obj.value if isinstance(obj, Message) else obj()))

for method in mp.get_all_start_methods():
    context = mp.get_context(method)
    requests, answers = context.Queue(), context.Queue()
    process = context.Process(target=serve, args=(requests, answers))
    process.start()
    for obj in Message(1), helper, Message(2), lambda: helper() + "!":
        requests.put(obj)
        print(answers.get(timeout=PATIENCE))
    requests.put(None)
    process.join()
    assert process.exitcode == 0
    answers.put(Message(3))
    assert type(answers.get()) is Message
    process = context.Process(target=lambda: answers.put(Message(4)))
    process.start()
    assert type(answers.get(timeout=PATIENCE)) is Message
    process.join()
"""
ANSWERS = ["(True, 1)", "(False, 'helped')", "(True, 2)", "(False, 'helped!')"] * 3


def test_a_program_on_the_command_line():
    assert run("-c", NOTEBOOK).splitlines() == ANSWERS


def test_a_program_from_standard_input():
    assert run("-", stdin=NOTEBOOK).splitlines() == ANSWERS


def test_the_main_module_of_a_package(tmp_path):
    package = tmp_path / "some_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(NOTEBOOK)
    assert run("-m", "some_package", env={"PYTHONPATH": str(tmp_path)}).splitlines() == ANSWERS


def test_a_folder_as_program(tmp_path):
    (tmp_path / "__main__.py").write_text(NOTEBOOK)
    assert run(tmp_path).splitlines() == ANSWERS


def test_a_module_as_program(tmp_path):
    (tmp_path / "some_module.py").write_text(SCRIPT)
    lines = run("-m", "some_module", env={"PYTHONPATH": str(tmp_path)}).splitlines()
    assert len(lines) == 6


def test_an_interactive_session():
    session = NOTEBOOK.replace("\n\n", "\n").replace("\nclass", "\n\nclass")
    for word in ("class", "def", "for method"):
        session = session.replace(f"\n{word}", f"\n\n{word}")
    session = "import sys; sys.ps1 = sys.ps2 = ''\n" + session + "\n\n"
    done = subprocess.run(
        [sys.executable, "-i", "-q", "-W", "error"],
        input=session,
        capture_output=True,
        text=True,
        timeout=45,
    )
    assert done.stdout.splitlines() == ANSWERS, done.stderr


REDEFINED = """
import os
import procession as mp

requests, answers = mp.Queue(), mp.Queue()
def before(): return "before"
def changed(): return "old"
pid = os.fork()
if pid == 0:
    try:
        changed()
        for obj in iter(requests.get, None):
            answers.put((obj(), obj is before, obj is changed))
    finally:
        os._exit(0)
def after(): return "after " + before()
old = changed
def changed(): return "new"
for obj in before, after, changed, changed, None:
    requests.put(obj)
for _ in range(4):
    print(*answers.get(timeout=20))
os.waitpid(pid, 0)
"""


@pytest.mark.parametrize("how", ["script", "command"])
def test_defined_or_changed_after_a_fork(tmp_path, how):
    (tmp_path / "script.py").write_text(REDEFINED)
    arguments = [tmp_path / "script.py"] if how == "script" else ["-c", REDEFINED]
    assert run(*arguments).splitlines() == [
        "before True False",
        "after before False False",
        "new False False",
        "new False False",
    ]


UNHASHABLE = """
import os, procession as mp
class Meta(type):
    def __eq__(self, other):
        return NotImplemented
class Odd(metaclass=Meta):
    value = 1
q = mp.Queue()
pid = os.fork()
if pid == 0:
    q.put(Odd)
    os._exit(0)
print(q.get(timeout=20).value)
os.waitpid(pid, 0)
"""


def test_a_class_that_cannot_have_a_token():
    assert run("-c", UNHASHABLE) == "1\n"


def test_without_a_guard(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import procession as mp\n"
        "process = mp.get_context('spawn').Process(target=print)\n"
        "process.start()\n"
        "process.join()\n"
        "assert process.exitcode == 1\n"
    )
    assert 'if __name__ == "__main__":' in run(script).replace("'", '"')


def test_patience_is_the_scripts():
    assert f"PATIENCE = {PATIENCE}" in SCRIPT and f"PATIENCE = {PATIENCE}" in NOTEBOOK
    assert mp.native
