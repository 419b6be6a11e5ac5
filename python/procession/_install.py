"""`install()`: Procession in the place of `multiprocessing` and `queue`, also in children.

From then on `multiprocessing` and `multiprocessing.x` in `sys.modules` *are* `procession` and
`procession.x`, and `queue` is `procession.queue`; what is not loaded yet is found by `_Finder` when
somebody imports it. The real modules live on behind `procession._std`, for Procession builds on
them.

What had been imported before counts, too: where a module has, as a global variable of its own, the
very module or function that it got by `import multiprocessing` or `from multiprocessing import x`
(or of `queue`), it gets Procession's instead. Objects that were made before stay what they are, and
so do classes that were derived before, also in children.
"""

import sys
import threading
from importlib import import_module

from . import _std
from ._fallback import OWN

_lock = threading.Lock()
_PACKAGE = __package__


class _Finder:
    """Finds `multiprocessing.x`, which is `procession.x`."""

    leads_astray = True  # the real modules are not to be found with this

    @staticmethod
    def find_spec(fullname, path=None, target=None):
        if not fullname.startswith(f"{_std.STANDARD}."):
            return None
        return _std.AsItIs(lambda: _ours(fullname)).spec(fullname)


def install():
    """Puts Procession in the place of `multiprocessing` and `queue`, for program and children.

    Every `import multiprocessing` gives Procession then, and `import queue` gives
    `procession.queue`, also in libraries (concurrent.futures, logging, joblib, PyTorch), and in
    libraries that were imported before. Children that are started by any
    method do the same before they import the main module. Called again, it does nothing; it cannot
    be undone. Where `procession.native` is False it does nothing at all.

    >>> import procession
    >>> procession.install()
    >>> import multiprocessing
    >>> multiprocessing is procession
    True
    >>> import queue
    >>> queue is procession.queue
    True
    """
    if not sys.modules[_PACKAGE].native:
        return
    with _lock:
        if not installed():
            _install()


def installed():
    """Whether `install` was called in this process, or in one that it was forked from."""
    return _std.displaced()


# The modules that had derived classes of their own from the real ones before `install`. A child
# imports them before it installs, so that the classes are the same there.
derived: list = []


def install_like(names):
    """In a child: does what the parent's `install` did, in the same order."""
    for name in names:
        try:
            import_module(name)
        except ImportError:
            continue  # it was made by the parent in some way of its own
    install()
    derived.extend(name for name in names if name not in derived)


def _find_derived(real):
    bases = {
        id(thing)
        for name, module in real
        for thing in vars(module).values()
        if isinstance(thing, type) and thing.__module__ == name
    }
    ours = (f"{_PACKAGE}.", f"{_std.STANDARD}.", "__main__.", "__mp_main__.")
    for name, module in list(sys.modules.items()):
        space = getattr(module, "__dict__", None)
        if type(space) is not dict or f"{name}.".startswith(ours):
            continue
        for thing in list(space.values()):
            if (
                isinstance(thing, type)
                and thing.__module__ == name
                and any(id(base) in bases for base in type.mro(thing)[1:])
            ):
                derived.append(name)
                break


def _install():
    real = _std.loaded()
    _find_derived(real)
    ours = [(name, _ours(name)) for name, _ in real]
    _std.displace(OWN)
    sys.meta_path.insert(0, _Finder)
    sys.modules.update(ours)
    replacements = {}
    for (_, theirs), (_, mine) in zip(real, ours, strict=True):
        _collect(theirs, mine, replacements)
    from . import queue

    _collect(queue._standard, queue, replacements)
    sys.modules["queue"] = queue
    _repoint(replacements)


def _ours(name):
    """What stands for a module of the standard library; itself, if Procession lacks it."""
    short = name[len(_std.STANDARD) :]
    wanted, real = _PACKAGE + short, _std.__name__ + short
    try:
        module = import_module(wanted)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{wanted}.".startswith(f"{error.name}."):
            raise
        return import_module(real)
    if short[1:] in OWN:
        vars(module).setdefault("__getattr__", lambda attribute: _borrow(module, real, attribute))
    return module


def _borrow(module, real, attribute):
    """What is no public name: libraries know the real module's inner ones, too."""
    if attribute.startswith("__"):
        raise AttributeError(f"module {module.__name__!r} has no attribute {attribute!r}")
    return getattr(import_module(real), attribute)


def _collect(theirs, mine, replacements):
    """Adds what stands for a module, and for what it exports, under the identity of the old."""
    if theirs is mine:
        return
    replacements[id(theirs)] = theirs, mine
    for name in getattr(mine, "__all__", ()):
        old = vars(theirs).get(name)
        new = getattr(mine, name)
        # Only functions and classes: a number may stand in a module for many reasons.
        if callable(old) and old is not new:
            replacements[id(old)] = old, new


def _repoint(replacements):
    """Replaces what modules hold as global variables, but for Procession's and the real ones."""
    modules = list(sys.modules.items())
    spared = {
        id(module)
        for name, module in modules
        if f"{name}.".startswith(f"{_PACKAGE}.") or name == "_queue"  # the C half of `queue`
    }
    for _, module in modules:
        space = getattr(module, "__dict__", None)
        if type(space) is not dict or id(module) in spared or module is _std.package:
            continue
        for key, value in list(space.items()):
            old, new = replacements.get(id(value), (None, None))
            if old is not None and old is value:
                space[key] = new
