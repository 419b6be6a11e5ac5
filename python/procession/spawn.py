"""The child's side of spawn and forkserver, and what is sent to it.

The boot line of a spawned child is

    import gc; gc.disable(); from procession.spawn import spawn_main; spawn_main(tracker_fd=…, …)

and what it imports at first is kept small (see _lean.py).
Before anything else the child joins the family, so that every handle which it unpickles leads
somewhere. Then it reads three pickles: the code of the main module's file, or None; and, as the
standard library's children do, the preparation data (names, paths, what `__main__` is) and the
Process object.
"""

import _imp
import _signal  # `signal` makes enumerations of all that
import io
import marshal
import os
import pickle
import sys
import types

from . import _family, _member, context, reduction
from ._lean import BOOT
from ._std import displaced, process, resource_tracker, util
from ._std import spawn as _std
from ._std.spawn import (
    WINEXE,
    WINSERVICE,
    get_executable,
    is_forking,
    old_main_modules,
    set_executable,
)

__all__ = [
    "WINEXE",
    "WINSERVICE",
    "freeze_support",
    "get_command_line",
    "get_executable",
    "get_preparation_data",
    "import_main_path",
    "is_forking",
    "old_main_modules",
    "prepare",
    "set_executable",
    "spawn_main",
]


# In the preparation data: the child is to call `install`, before the main module is imported, and
# to import these modules before that.
_INSTALL = "procession_install"
# The URLs of the servers that this process has opened: handles travel without credentials.
_SERVERS = "procession_servers"
# Beside it, in the child: the main module's code.
_CODE = "procession_code"
# Whether this is a child in which SIGINT is blocked, and to be let through when its work begins.
_blocked = False


def freeze_support():
    """Runs the child's part and exits, if this process was started as a child."""
    if is_forking(sys.argv):
        pairs = (argument.split("=") for argument in sys.argv[2:])
        spawn_main(**{name: None if value == "None" else int(value) for name, value in pairs})
        sys.exit()


def get_command_line(**kwds):
    """The command line of a child."""
    if getattr(sys, "frozen", False):
        return [sys.executable, "--multiprocessing-fork", *(f"{k}={v!r}" for k, v in kwds.items())]
    arguments = ", ".join(f"{k}={v!r}" for k, v in kwds.items())
    flags = util._args_from_interpreter_flags()
    return [get_executable(), *flags, "-c", f"{BOOT}{arguments})", "--multiprocessing-fork"]


def encode(popen, process_obj):
    """The message to the child: preparation data and Process object, pickled for `popen`.

    Returns the path of the main module's file as well, or None.
    """
    file = io.BytesIO()
    data = get_preparation_data(process_obj._name)
    context.set_spawning_popen(popen)
    try:
        reduction.dump(data, file)
        reduction.dump(process_obj, file)
    finally:
        context.set_spawning_popen(None)
    return file.getbuffer(), data.get("init_main_from_path")


# What the first pickle is if the child is to compile the main module by itself.
NO_CODE = pickle.dumps(None)
# Its other form says for which interpreter and which source the code is.
_INTERPRETER = sys.version, sys.flags.optimize
_codes: dict = {}  # path → source's hash, pickle; None until there was a second child


def code_for(path):
    """The first pickle, for a child that is about to import this file as its main module.

    The first child compiles the file by itself: it may be the only one, and need not wait for that.
    """
    if path is None:
        return NO_CODE
    if path not in _codes:
        _codes[path] = None
        return NO_CODE
    try:
        source = _source(path)
        if source is None:
            return NO_CODE
        number = _hash(source)
        if _codes[path] is None or _codes[path][0] != number:
            code = marshal.dumps(compile(source, path, "exec", dont_inherit=True))
            _codes[path] = number, pickle.dumps((_INTERPRETER, number, code))
        return _codes[path][1]
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return NO_CODE  # the child meets the same, and shows it


def _hash(source):
    return _imp.source_hash(0, source)  # as files of compiled modules have it


def get_preparation_data(name):
    """What a child has to know of this process before it can unpickle the Process object."""
    data = _std.get_preparation_data(name)
    path = data.get("init_main_from_path")
    if path is not None and not os.path.exists(path):
        del data["init_main_from_path"]  # "<stdin>" and the like: nothing that could be run again
    if displaced():
        data[_INSTALL] = _installation().derived
    if (servers := sys.modules.get(f"{__package__}.remote._server")) is not None:
        data[_SERVERS] = servers.known()
    return data


def prepare(data):
    """Makes this process what the preparation data says."""
    data = dict(data)
    path, code = data.pop("init_main_from_path", None), data.pop(_CODE, None)
    if servers := data.pop(_SERVERS, None):
        from .remote._server import learn

        learn(servers)
    _std.prepare(data)
    if path is not None:
        _import_file(path, code)


def import_main_path(main_path):
    """Imports a file as the main module, unless it is that already."""
    _import_file(main_path, None)


def _import_file(main_path, compiled):
    current = sys.modules["__main__"]
    if getattr(current, "__file__", None) == main_path:
        return
    source = _source(main_path)
    if source is None:
        _std.import_main_path(main_path)
        return
    # As there, but without `runpy` and all that it imports.
    if compiled is not None and compiled[:2] == (_INTERPRETER, _hash(source)):
        code = marshal.loads(compiled[2])
    else:
        code = compile(source, main_path, "exec", dont_inherit=True)
    old_main_modules.append(current)
    main = types.ModuleType("__mp_main__")
    main.__file__, main.__package__ = main_path, ""
    vars(main)["__cached__"] = None
    before = sys.modules.get("__mp_main__"), sys.argv[0]
    sys.modules["__mp_main__"], sys.argv[0] = main, main_path
    try:
        exec(code, vars(main))
    except BaseException:
        sys.modules["__mp_main__"] = before[0]
        raise
    finally:
        sys.argv[0] = before[1]
    sys.modules["__main__"] = main


def _source(path):
    """The text of a script; None for what is run in another way, or not at all."""
    name, _ = os.path.splitext(os.path.basename(path))
    if name == "ipython" or not os.path.isfile(path):
        return None
    with io.open_code(path) as file:
        source = file.read()
    return None if b"\0" in source else source  # a zip application, or compiled


def import_main_name(name):
    """The same for a module that is run by its name."""
    _std._fixup_main_from_name(name)


def spawn_main(pipe_handle, parent_pid=None, tracker_fd=None, family_fd=None, unblock=0):
    """Runs what comes over the pipe, and exits. `unblock`: SIGINT was blocked for the start."""
    assert is_forking(sys.argv), "Not forking"
    if (lean := sys.modules.get(f"{__package__}._lean")) is not None:
        lean.end()
    if family_fd is not None:
        _family.attach(family_fd)
    resource_tracker._resource_tracker._fd = tracker_fd
    _member.will_exit()
    global _blocked
    _blocked = bool(unblock)
    sys.exit(_main(pipe_handle, os.dup(pipe_handle)))


def _main(fd, parent_sentinel):
    current = process.current_process()
    with open(fd, "rb") as pipe:
        # Whoever starts a process while __main__ is being imported is told what idiom is missing.
        current._inheriting = True
        try:
            code = pickle.load(pipe)
            data = pickle.load(pipe)
            if _INSTALL in data:
                install_like(data.pop(_INSTALL))
            prepare({**data, _CODE: code})
            process_obj = pickle.load(pipe)
        finally:
            del current._inheriting
    if _blocked:
        _take_interrupts()
    return process_obj._bootstrap(parent_sentinel)


def block_interrupts():
    """Has SIGINT wait until the process object begins."""
    global _blocked
    _signal.pthread_sigmask(_signal.SIG_BLOCK, [_signal.SIGINT])
    _blocked = True


def leave_interrupts_blocked():
    """What is being unpickled lets SIGINT through itself."""
    global _blocked
    _blocked = False


def _take_interrupts():
    try:
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, [_signal.SIGINT])
    except KeyboardInterrupt:
        # It has not begun with anything that the user could want to know.
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
        os.kill(os.getpid(), _signal.SIGINT)


def _installation():
    from . import _install

    return _install


def install_like(names):
    """Calls `install` as the parent has done it."""
    _installation().install_like(names)
