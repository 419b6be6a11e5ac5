"""The text of the documentation of locks and their kin on a server."""

from .._docs import _ACQUIRE, _PERMITS

_ON_SERVER = """
    It is on a Valkey or Redis server, for processes on any machines, and goes anywhere as an
    argument, through a queue, or by its name. Every method may raise ``ServerUnreachableError``.
"""

_LEASED = """    check()
        ``LeaseLost`` if this thread had it and has lost it.
    token
        The number of this thread's hold, greater than that of every one before, or None: what the
        lock protects can refuse who comes late with a smaller one.

    It is held while the holder's process renews its lease. If it is killed, stopped or cut off for
    that long, the next ``acquire`` succeeds, with an ``AbandonedLockWarning``, and who has lost it
    gets ``LeaseLost`` from ``release``, at the end of its ``with``, and from ``check``.
"""

LOCK = f"""Lock(): a lock that one thread of one process on one machine holds at a time.
{_ON_SERVER}
{_ACQUIRE}    release()
        Anybody may release it; ``ValueError`` if nobody holds it.
{_LEASED}
    >>> import procession
    >>> lock = procession.get_context("redis://localhost").Lock()
    >>> with lock:
    ...     first = lock.token
    >>> with lock:
    ...     lock.token > first
    True
    """

RLOCK = f"""RLock(): a lock that its holder, one thread of one process, may take again.
{_ON_SERVER}
{_ACQUIRE}    release()
        ``AssertionError`` if this thread does not hold it.
{_LEASED}    """

SEMAPHORE = f"""Semaphore(value=1): a number of permits, of which each ``acquire`` takes one.
{_ON_SERVER}
{_ACQUIRE}    release()
        Adds a permit, whoever took it. get_value() says how many there are.
{_PERMITS}    """

BOUNDED_SEMAPHORE = f"""BoundedSemaphore(value=1): one that never has more than `value`.
{_ON_SERVER}
{_ACQUIRE}    release()
        Gives a permit back; ``ValueError`` if none is missing.
{_PERMITS}    """

CONDITION = f"""Condition(lock=None): a lock, and a list of those who wait to be notified.

    Without a ``lock`` it makes an RLock; one that is given must be on the same server. ``wait``,
    ``wait_for``, ``notify`` and ``notify_all`` need it held: ``AssertionError`` otherwise.
{_ON_SERVER}
    ``notify(n)`` wakes exactly ``n``, those first who have waited longest. A notification that went
    to a process whose lease ran out before it had the lock again goes to another one that waits.
    """

EVENT = f"""Event(): a flag that processes wait for.

    ``set``, ``clear``, ``is_set``; ``wait(timeout=None)`` returns whether it was set. Who waits is
    let through by a ``set`` even if a ``clear`` follows at once.
{_ON_SERVER}    """

BARRIER = f"""Barrier(parties, action=None, timeout=None): lets go when so many are there.

    ``wait(timeout=None)`` returns a number from 0 on, another one to each; the last to come calls
    ``action`` first. It breaks, which raises ``threading.BrokenBarrierError`` in all who wait, if
    one waits longer than ``timeout`` seconds, the action raises, somebody calls ``reset`` or
    ``abort``, or the lease of one runs out who waits.
{_ON_SERVER}    """
