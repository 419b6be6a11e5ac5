from collections.abc import Sequence
from multiprocessing import forkserver as _std

__all__ = [
    "connect_to_new_process",
    "ensure_running",
    "get_inherited_fds",
    "set_forkserver_preload",
]

MAXFDS_TO_SEND: int

class ForkServer(_std.ForkServer):
    def connect_to_new_process(self, fds: Sequence[int]) -> tuple[int, int, int]: ...  # type: ignore[override]
    def ensure_running(self) -> None: ...

def main(
    server_fd: int,
    family_fd: int,
    preload: Sequence[str],
    main_path: str | None = None,
    sys_path: Sequence[str] | None = None,
    main_name: str | None = None,
    install: list[str] | None = None,
) -> None: ...
def read_signed(fd: int) -> int: ...
def signed(data: bytes | bytearray) -> int: ...
def write_signed(fd: int, n: int) -> None: ...

_forkserver: ForkServer
ensure_running = _forkserver.ensure_running
get_inherited_fds = _forkserver.get_inherited_fds
connect_to_new_process = _forkserver.connect_to_new_process
set_forkserver_preload = _forkserver.set_forkserver_preload
