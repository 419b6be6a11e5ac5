from multiprocessing.process import BaseProcess
from multiprocessing.spawn import (
    WINEXE,
    WINSERVICE,
    get_executable,
    import_main_path,
    is_forking,
    old_main_modules,
    prepare,
    set_executable,
)
from typing import Any

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

def freeze_support() -> None: ...
def get_command_line(**kwds: Any) -> list[str]: ...
def encode(popen: Any, process_obj: BaseProcess) -> memoryview: ...
def get_preparation_data(name: str) -> dict[str, Any]: ...
def spawn_main(
    pipe_handle: int,
    parent_pid: int | None = None,
    tracker_fd: int | None = None,
    family_fd: int | None = None,
) -> None: ...
