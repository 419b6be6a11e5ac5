"""The standard library in Procession's place, where the Rust core does not run."""

import importlib
import sys
import warnings

# The modules that the package has of its own: under their names stand the standard library's.
# The others stand for the standard library's anyway.
OWN = (
    "connection",
    "context",
    "dummy",
    "forkserver",
    "heap",
    "managers",
    "pool",
    "popen_fork",
    "popen_forkserver",
    "popen_spawn_posix",
    "queues",
    "reduction",
    "shared_memory",
    "sharedctypes",
    "spawn",
    "synchronize",
)


def standard_context():
    """Puts the standard library's modules into the package; returns its default context."""
    for name in OWN:
        try:
            module = importlib.import_module(f"multiprocessing.{name}")
        except ImportError:
            continue  # this system has no such start method
        sys.modules[f"{__package__}.{name}"] = module
    if sys.platform == "linux":
        reason = "PROCESSION_FALLBACK=1 is set"
    else:
        reason = f"its core runs on Linux, and this is {sys.platform}"
    warnings.warn(
        f"procession hands out the standard library's multiprocessing: {reason}",
        UserWarning,
        stacklevel=3,
    )
    return sys.modules["multiprocessing.context"]._default_context
