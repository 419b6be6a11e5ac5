from collections.abc import Callable, Iterable
from typing import Any

from ..pool import Pool

__all__ = ["RemotePool", "named"]

class _Named:
    def __init__(self, name: str) -> None: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

def named(name: str) -> _Named: ...

class RemotePool(Pool):
    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: Any = None,
        *,
        backend: str | None = None,
        queue: str = "default",
        allow_pickle: bool = True,
        timeout: float | None = None,
        retries: int = 0,
        daemon: bool = True,
        executor: None = None,
    ) -> None: ...
