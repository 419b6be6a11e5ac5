"""Every public name of multiprocessing and its modules, with the signature that it has there.

Each Python version compares with its own standard library.
"""

import importlib
import inspect
import multiprocessing
import pkgutil

import pytest

import procession as mp

# Not for this system.
FOREIGN = {"popen_spawn_win32"}
MODULES = [
    module.name
    for module in pkgutil.walk_packages(multiprocessing.__path__)
    if module.name not in FOREIGN
] + ["dummy.connection"]

# Ours take more than theirs, and never less: (class, method): the parameters that are added and can be
# given by position.
WIDER = {
    ("SimpleQueue", "put"): ["block", "timeout"],
    ("SimpleQueue", "get"): ["block", "timeout"],
}
# What pools and their methods take besides, by keyword only.
POOLS = {"Pool", "ThreadPool"}
OF_POOLS = {"timeout", "retries", "progress", "buffersize", "daemon"}
# Called by the language, which does not mind what their parameters are called.
OPERATORS = {"__call__", "__enter__", "__exit__", "__getitem__", "__iter__", "__len__"}


def pair(module):
    return (
        importlib.import_module(f"procession.{module}"),
        importlib.import_module(f"multiprocessing.{module}"),
    )


def exports(module):
    """What a program may import: what stands in `__all__`, or is defined there and is public."""
    names = getattr(module, "__all__", None)
    if names is None:
        names = [
            name
            for name, value in vars(module).items()
            if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
        ]
    return names


NAMES = [(module, name) for module in MODULES for name in exports(pair(module)[1])]


def signature(function):
    try:
        return inspect.signature(function)
    except ValueError:
        return None  # a method of a built-in class that tells nothing


def same(ours, theirs, added=()):
    wanted, found = signature(theirs), signature(ours)
    if wanted is None or found is None:
        return wanted is found
    # What can only be given by its name takes nobody's place.
    by_name = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
    more = [p.name for p in found.parameters.values() if p.kind in by_name]
    added = [*added, *(name for name in more if name not in wanted.parameters)]
    return parameters(found, added) == parameters(wanted)


def parameters(function, left_out=()):
    """But for `self`, which a method of the core's takes by position only, and for `ctx`, which a
    class needs not be given here, since it is what the package's own name stands for as well."""
    return [p for p in function.parameters.values() if p.name not in ("self", "ctx", *left_out)]


def added_to(name, function):
    """What ours takes more than theirs."""
    if name not in POOLS or function is None:
        return ()
    found = function.parameters.values()
    return [p.name for p in found if p.kind is p.KEYWORD_ONLY and p.name in OF_POOLS]


def test_all_modules_are_there():
    assert set(mp._MODULES) == set(MODULES) - {"dummy.connection"}


@pytest.mark.parametrize("name", multiprocessing.__all__)
def test_the_package(name):
    check(getattr(mp, name), getattr(multiprocessing, name))


@pytest.mark.parametrize("module, name", NAMES)
def test_modules(module, name):
    ours, theirs = pair(module)
    check(getattr(ours, name), getattr(theirs, name))


def check(ours, theirs):
    if ours is theirs:
        return
    if isinstance(theirs, type):
        assert isinstance(ours, type)
        assert not issubclass(theirs, BaseException), "exceptions are the same classes"
        check_methods(ours, theirs)
    if callable(theirs):
        added = added_to(ours.__name__, signature(ours))
        assert same(ours, theirs, added), (signature(ours), signature(theirs))
    else:
        assert type(ours) is type(theirs)


def check_methods(ours, theirs):
    different = {}
    for name in dir(theirs):
        if name.startswith("_") and name not in OPERATORS:
            continue
        if not hasattr(ours, name):
            different[name] = "is missing"
            continue
        mine, original = getattr(ours, name), getattr(theirs, name)
        assert callable(mine) == callable(original), name
        added = WIDER.get((ours.__name__, name), ())
        pool = ours.__name__ if ours.__name__ in POOLS else name  # a context has it as a method
        if callable(mine) and pool in POOLS:
            added = added_to(pool, signature(mine))
        if callable(original) and name not in OPERATORS and not same(mine, original, added):
            different[name] = signature(mine), signature(original)
    assert not different


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver", None])
def test_contexts(method):
    check_methods(type(mp.get_context(method)), type(multiprocessing.get_context(method)))


def test_what_the_factories_make():
    """The objects themselves have all that those of the standard library have."""
    context, theirs = mp.get_context(), multiprocessing.get_context()
    for name in ("Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition", "Event"):
        check_methods(type(getattr(context, name)()), type(getattr(theirs, name)()))
    check_methods(type(context.Barrier(1)), type(theirs.Barrier(1)))
    for name in ("Queue", "JoinableQueue", "SimpleQueue"):
        check_methods(type(getattr(context, name)()), type(getattr(theirs, name)()))
    ends = context.Pipe(), theirs.Pipe()
    check_methods(*(type(pipe[0]) for pipe in ends))
    for pipe in ends:
        for end in pipe:
            end.close()
    for arguments in (("i",), ("c",)):
        check_methods(type(context.Value(*arguments)), type(theirs.Value(*arguments)))
    for arguments in (("i", 1), ("c", 1)):
        check_methods(type(context.Array(*arguments)), type(theirs.Array(*arguments)))
