"""Which class a `Pool` is whose workers are not its own processes: others' start them."""


def become(pool, *arguments, executor, backend, **options):
    """Makes a new `Pool` one that has the same face, over an executor or over a server."""
    from .pool import Pool

    if type(pool) is not Pool:
        raise TypeError(
            f"{type(pool).__name__} starts its workers itself; only Pool itself does not"
        )
    if executor is not None and backend is not None:
        raise ValueError("a pool has either an executor or a backend")
    if executor is not None:
        from ._outer import OuterPool as kind

        options["executor"] = executor
    else:
        from .remote.pool import RemotePool as kind

        options["backend"] = backend
    pool.__class__ = kind
    kind.__init__(pool, *arguments, **options)
