"""The standard library's multiprocessing, whatever stands under its name just now.

`from ._std import util` and `from ._std.connection import wait` are the real modules, before and
after `install()` has put Procession's in their place. Each is loaded when it is asked for, and
there is one of each only: what runs here shares its processes, loggers and finalizers with it.

After `install()` the real modules must go on to work with one another. So they get a new parent,
this module: their relative imports, also the late ones inside functions, lead here. Their own names
stay, and so do those of their classes; but a class that can no longer be found under its name,
since Procession's stands there, takes this module's (`procession._std.queues.Queue`), so that its
pickles say where it is, in every process.
"""

import multiprocessing as package
import sys
from importlib import import_module as _import_module
from types import FunctionType as _FunctionType
from types import ModuleType as _ModuleType

STANDARD = "multiprocessing"
_HERE = f"{__name__}."
_ModuleSpec = type(__spec__)
__path__: list = []  # a package: its modules are found by _Finder

# Of a module of which all but these is the same in Procession's: found there under its own name.
# What a manager's server and its clients write to one another names it so, whoever they are.
_REPLACED = {"managers": ("BaseManager", "SharedMemoryManager", "SyncManager")}

_own: tuple = ()  # the modules of which Procession has its own
_displaced = False


def __getattr__(name):
    return getattr(package, name)


class _Finder:
    """Finds the modules of this package, which are the standard library's."""

    @staticmethod
    def find_spec(fullname, path=None, target=None):
        if not fullname.startswith(_HERE):
            return None
        name = STANDARD + "." + fullname[len(_HERE) :]
        loader = _Late(name) if _displaced else AsItIs(lambda: _import_module(name))
        return loader.spec(fullname)


class AsItIs:
    """A loader of a module that is there, or is imported in its own way: it stays as it is."""

    def __init__(self, load):
        self._load = load

    def spec(self, fullname):
        return _ModuleSpec(fullname, self)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        sys.modules[module.__spec__.name] = self._load()


class _Late:
    """Loads a real module when another stands under its name."""

    def __init__(self, name):
        self._name = name

    def spec(self, fullname):
        parent, _, _ = fullname.rpartition(".")
        real = _find(self._name, sys.modules[parent].__path__ or package.__path__)
        self._real = real
        self._adopted = _adopted(real, fullname)
        return _ModuleSpec(fullname, self)

    def create_module(self, spec):
        module = _ModuleType(self._name)
        module.__package__ = self._adopted.parent
        module.__file__ = self._real.origin
        module.__cached__ = self._real.cached
        module.__loader__ = self._real.loader
        if self._real.submodule_search_locations is not None:
            module.__path__ = self._real.submodule_search_locations
        return module

    def exec_module(self, module):
        module.__spec__ = self._adopted
        self._real.loader.exec_module(module)
        _name_anew(module)


def _find(name, path):
    for finder in sys.meta_path:
        spec = None if getattr(finder, "leads_astray", False) else finder.find_spec(name, path)
        if spec is not None:
            return spec
    raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _adopted(spec, fullname):
    """A module's spec, with its parent here."""
    adopted = _ModuleSpec(fullname, spec.loader, origin=spec.origin)
    adopted.submodule_search_locations = spec.submodule_search_locations
    adopted.cached = spec.cached
    adopted.has_location = spec.has_location
    return adopted


def displace(own):
    """Makes the real modules independent of their names. `own` says which names become others'."""
    global _own, _displaced
    _own, _displaced = own, True
    for name, module in loaded():
        fullname = __name__ + name[len(STANDARD) :]
        sys.modules[fullname] = sys.modules[__name__] if module is package else module
        module.__spec__ = _adopted(module.__spec__, fullname)
        module.__package__ = module.__spec__.parent
        _name_anew(module)


def displaced():
    """Whether Procession stands under the standard names, in this process."""
    return _displaced


def loaded():
    """The names and the modules of the standard library's that are loaded, before `displace`."""
    names = [name for name in sys.modules if f"{name}.".startswith(f"{STANDARD}.")]
    return [(name, sys.modules[name]) for name in names]


def _name_anew(module):
    short = module.__name__[len(STANDARD) + 1 :]
    if short not in _own:
        return
    for name, thing in list(vars(module).items()):
        if name not in _REPLACED.get(short, (name,)):
            continue
        if isinstance(thing, type | _FunctionType) and thing.__module__ == module.__name__:
            thing.__module__ = _HERE + short


sys.meta_path.insert(0, _Finder)
