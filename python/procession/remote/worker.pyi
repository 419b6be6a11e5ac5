__all__ = ["main"]

def main(
    url: str,
    *,
    processes: int | None,
    queue: str,
    name: str | None,
    max_tasks: int | None,
    no_pickle: bool,
) -> int: ...
