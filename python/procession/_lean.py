"""Keeps a spawned child from importing what it may never use.

The standard library's modules import at their top what few of their functions need: `subprocess`,
`runpy`, `socket`, all of `pickle`. That is a third of a child's start. While they are imported in a
child, *stand-ins* are in `sys.modules` under these names, with the few things that are asked for at
once; afterwards they are gone from there, and whoever holds one reaches the real module through it,
which is imported then.

`BOOT` is the first part of the child's program. The collector rests until all is imported, and what
came with it is then beyond its reach (`gc.freeze`): it would only look at it again and again, the
last time at the child's end.
"""

import gc
import sys
from importlib import import_module
from types import ModuleType

BOOT = "import gc; gc.disable(); from procession.spawn import spawn_main; spawn_main("

_stand_ins: dict = {}


class _StandIn(ModuleType):
    """Hands on what it is asked for; what it has of its own is there for the imports only."""

    def __getattr__(self, attribute):
        module = import_module(self.__name__)
        if module is self:
            raise AttributeError(f"{self.__name__!r} has no {attribute!r} yet")
        return getattr(module, attribute)


def _args_from_interpreter_flags():
    import subprocess

    return subprocess._args_from_interpreter_flags()


class _Socket:
    sendmsg = None


def begin():
    """Puts the stand-ins up, if this is a child that has just begun.

    Not if it is `site` that imports Procession, in such a child: then the collector still runs.
    """
    if gc.isenabled() or "multiprocessing" in sys.modules or BOOT not in "".join(sys.orig_argv):
        return
    import _pickle

    early = {
        "pickle": vars(_pickle),
        "runpy": {},
        "socket": {"CMSG_LEN": None, "SCM_RIGHTS": None, "socket": _Socket},
        "subprocess": {"_args_from_interpreter_flags": _args_from_interpreter_flags},
    }
    for name, attributes in early.items():
        if name not in sys.modules:
            _stand_ins[name] = sys.modules[name] = _StandIn(name)
            for attribute, value in attributes.items():
                if not attribute.startswith("__"):
                    setattr(_stand_ins[name], attribute, value)


def end():
    """Takes them down, before the child does anything."""
    for name, stand_in in _stand_ins.items():
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]
    if "socket" in _stand_ins:
        del _stand_ins["socket"].CMSG_LEN, _stand_ins["socket"].SCM_RIGHTS
        del _stand_ins["socket"].socket
        sys.meta_path.insert(0, _SocketWatch)
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


class _SocketWatch:
    """Sees `socket` being imported. The reducer for sockets is registered for the real class then,
    as it would have been at first."""

    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        if fullname != "socket":
            return None
        for finder in sys.meta_path:
            spec = None if finder is cls else finder.find_spec(fullname, path, target)
            if spec is not None:
                spec.loader = cls(spec.loader)
                return spec
        return None

    def __init__(self, loader):
        self._loader = loader

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def exec_module(self, module):
        if _SocketWatch in sys.meta_path:
            sys.meta_path.remove(_SocketWatch)
        module.__loader__ = module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        from ._std import reduction

        reducers = reduction.ForkingPickler._extra_reducers
        reducers[module.socket] = reducers.pop(_Socket)
