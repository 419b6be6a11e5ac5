from multiprocessing import reducer as reducer
from multiprocessing.context import (
    AuthenticationError as AuthenticationError,
)
from multiprocessing.context import (
    BufferTooShort as BufferTooShort,
)
from multiprocessing.context import (
    ProcessError as ProcessError,
)
from multiprocessing.context import (
    TimeoutError as TimeoutError,
)
from multiprocessing.process import (
    active_children as active_children,
)
from multiprocessing.process import (
    current_process as current_process,
)
from multiprocessing.process import (
    parent_process as parent_process,
)
from typing import Final

from ._core import CorruptArenaError as CorruptArenaError
from ._core import LayoutError as LayoutError
from ._core import LeaseLost as LeaseLost
from ._core import OutcomeUnknownError as OutcomeUnknownError
from ._core import ServerUnreachableError as ServerUnreachableError
from ._executor import ProcessPoolExecutor as ProcessPoolExecutor
from ._install import install as install
from ._joblib import register_joblib as register_joblib
from .context import Process as Process
from .context import _default_context
from .family import Family as Family
from .pool import BrokenPoolError as BrokenPoolError
from .pool import TaskTimeoutError as TaskTimeoutError
from .pool import WorkerLostError as WorkerLostError
from .queues import JoinableQueue as JoinableQueue
from .queues import LifoQueue as LifoQueue
from .queues import PriorityQueue as PriorityQueue
from .queues import Queue as Queue
from .queues import SimpleQueue as SimpleQueue

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

native: Final[bool]
__version__: Final[str]
SUBDEBUG: Final = 5
SUBWARNING: Final = 25

Array = _default_context.Array
Barrier = _default_context.Barrier
BoundedSemaphore = _default_context.BoundedSemaphore
Condition = _default_context.Condition
Event = _default_context.Event
Lock = _default_context.Lock
Manager = _default_context.Manager
Pipe = _default_context.Pipe
Pool = _default_context.Pool
RLock = _default_context.RLock
RawArray = _default_context.RawArray
RawValue = _default_context.RawValue
Semaphore = _default_context.Semaphore
Value = _default_context.Value
allow_connection_pickling = _default_context.allow_connection_pickling
cpu_count = _default_context.cpu_count
freeze_support = _default_context.freeze_support
get_all_start_methods = _default_context.get_all_start_methods
get_context = _default_context.get_context
get_logger = _default_context.get_logger
get_start_method = _default_context.get_start_method
log_to_stderr = _default_context.log_to_stderr
set_executable = _default_context.set_executable
set_forkserver_preload = _default_context.set_forkserver_preload
set_start_method = _default_context.set_start_method
