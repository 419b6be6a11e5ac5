from multiprocessing.process import BaseProcess
from multiprocessing.spawn import (
    WINEXE,
    WINSERVICE,
    get_executable,
    is_forking,
    old_main_modules,
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
def prepare(data: dict[str, Any]) -> None: ...
def import_main_path(main_path: str) -> None: ...
def import_main_name(name: str) -> None: ...
def get_command_line(**kwds: Any) -> list[str]: ...
def encode(popen: Any, process_obj: BaseProcess) -> memoryview: ...
def get_preparation_data(name: str) -> dict[str, Any]: ...
def spawn_main(
    pipe_handle: int,
    parent_pid: int | None = None,
    tracker_fd: int | None = None,
    family_fd: int | None = None,
    unblock: int = 0,
) -> None: ...
