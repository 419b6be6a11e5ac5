"""Multiprocessing on shared memory: ``import procession as mp`` and change nothing else.

The names, signatures and exceptions are those of the standard library's multiprocessing. Queues,
pipes, locks and their kin, shared values, pools and the start of processes are Procession's own;
what it does not replace yet (managers) is the standard library's, made for the same contexts.

``procession.native`` says whether the Rust core is in use. On a system other than Linux it is
False, and everything is the standard library's, so that a program stays portable.

Importing this starts no thread and no process, and writes no file.
"""

import atexit as _atexit
import os as _os
import sys as _sys
import warnings as _warnings

__version__ = "0.1.0"

__all__ = [
    "Array",
    "AuthenticationError",
    "Barrier",
    "BoundedSemaphore",
    "BufferTooShort",
    "Condition",
    "Event",
    "JoinableQueue",
    "Lock",
    "Manager",
    "Pipe",
    "Pool",
    "Process",
    "ProcessError",
    "Queue",
    "RLock",
    "RawArray",
    "RawValue",
    "Semaphore",
    "SimpleQueue",
    "TimeoutError",
    "Value",
    "active_children",
    "allow_connection_pickling",
    "cpu_count",
    "current_process",
    "freeze_support",
    "get_all_start_methods",
    "get_context",
    "get_logger",
    "get_start_method",
    "log_to_stderr",
    "parent_process",
    "reducer",
    "set_executable",
    "set_forkserver_preload",
    "set_start_method",
]

# Served by __getattr__, since what stands in the module's dictionary must stand in __all__ as well,
# and that is exactly multiprocessing's.
_native = _sys.platform == "linux" and _os.environ.get("PROCESSION_FALLBACK") != "1"
_ERRORS = frozenset(
    "CorruptArenaError LayoutError LeaseLost OutcomeUnknownError ServerUnreachableError".split()
)
_OURS = {
    "AbandonedLockWarning": "synchronize",
    "BrokenPoolError": "pool",
    "Family": "family",
    "LifoQueue": "queues",
    "PriorityQueue": "queues",
    "ProcessPoolExecutor": "_executor",
    "register_joblib": "_joblib",
    "TaskTimeoutError": "pool",
    "WorkerLostError": "pool",
    "install": "_install",
}
# Of multiprocessing's own names those that are classes here, and methods there: `Queue[int]` is a
# type. Imported when they are asked for, and kept then.
_CLASSES = dict.fromkeys(["Queue", "JoinableQueue", "SimpleQueue"] if _native else [], "queues")
_MODULES = frozenset(
    "connection context dummy forkserver heap managers pool popen_fork popen_forkserver"
    " popen_spawn_posix process queues reduction resource_sharer resource_tracker shared_memory"
    " sharedctypes spawn synchronize util".split()
)


if _native:
    try:
        from . import _core
    except ImportError as _error:
        raise ImportError(
            f"procession's extension module does not load ({_error}): install a wheel that was"
            f" built for Python {_sys.version_info[0]}.{_sys.version_info[1]} on this system"
        ) from _error
    if _core.debug_build:
        _warnings.warn(
            "procession was built without optimisation: build it in release mode before measuring",
            RuntimeWarning,
            stacklevel=2,
        )
    from . import _member

    # Before whatever the program registers, and so after it.
    _atexit.register(_member.leave)
    if _sys.orig_argv[-1:] == ["--multiprocessing-fork"]:
        from . import _lean

        _lean.begin()
    from .context import _default_context
else:
    from ._fallback import standard_context as _standard_context

    _default_context = _standard_context()
    JoinableQueue = _default_context.JoinableQueue
    Queue = _default_context.Queue
    SimpleQueue = _default_context.SimpleQueue

Array = _default_context.Array
AuthenticationError = _default_context.AuthenticationError
Barrier = _default_context.Barrier
BoundedSemaphore = _default_context.BoundedSemaphore
BufferTooShort = _default_context.BufferTooShort
Condition = _default_context.Condition
Event = _default_context.Event
Lock = _default_context.Lock
Manager = _default_context.Manager
Pipe = _default_context.Pipe
Pool = _default_context.Pool
Process = _default_context.Process
ProcessError = _default_context.ProcessError
RLock = _default_context.RLock
RawArray = _default_context.RawArray
RawValue = _default_context.RawValue
Semaphore = _default_context.Semaphore
TimeoutError = _default_context.TimeoutError
Value = _default_context.Value
active_children = _default_context.active_children
allow_connection_pickling = _default_context.allow_connection_pickling
cpu_count = _default_context.cpu_count
current_process = _default_context.current_process
freeze_support = _default_context.freeze_support
get_all_start_methods = _default_context.get_all_start_methods
get_context = _default_context.get_context
get_logger = _default_context.get_logger
get_start_method = _default_context.get_start_method
log_to_stderr = _default_context.log_to_stderr
parent_process = _default_context.parent_process
reducer = _default_context.reducer
set_executable = _default_context.set_executable
set_forkserver_preload = _default_context.set_forkserver_preload
set_start_method = _default_context.set_start_method

SUBDEBUG = 5
SUBWARNING = 25


def __getattr__(name):
    if name == "native":
        return _native
    if name in _ERRORS and _native:
        return getattr(_core, name)
    if name in _CLASSES or name in _OURS:
        from importlib import import_module

        module = _CLASSES.get(name) or _OURS[name]
        found = getattr(import_module(f"{__name__}.{module}"), name)
        if name in _CLASSES:
            globals()[name] = found
        return found
    if name in _MODULES or name == "queue":
        from importlib import import_module

        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
