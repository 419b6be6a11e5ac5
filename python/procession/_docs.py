"""The text of the documentation, shown by the classes and by the factories alike."""

_COMMON = """
    A message is in the queue when ``put`` returns: there is no feeder thread, errors in pickling
    are raised by ``put`` itself, and a process that ends right after it loses nothing. The queue
    can be passed to a process as an argument, inherited, sent through another queue and handed to a
    pool; it costs no file descriptor, and its memory is freed when the last handle in the family is
    gone.{}

    A process may be killed at any moment: the others go on. What it had put is there; what it had
    already taken is gone with it; nothing arrives twice.
"""
_COMMON_TO_ALL = _COMMON.format("")
_COMMON = _COMMON.format(" Messages of one producer arrive in the order in which it put them.")

_PUT_GET = """
    put(obj, block=True, timeout=None)
        Waits for a free place; raises ``queue.Full`` when there is none in time, ``ValueError``
        when the queue was closed here, ``MemoryError`` when the family's memory limit is reached.
    get(block=True, timeout=None)
        Waits for a message; raises ``queue.Empty`` when there is none in time. A NumPy array
        arrives as a private, writable view of shared memory, which is freed when it is collected.
    put_many(objs, timeout=None, *, block=True), get_many(max=None, timeout=None, *, block=True)
        The same for several messages at once. An exception's ``put`` says how many were put; its
        ``received`` is what was taken before it. ``get_many`` waits for the first only.
    peek(block=True, timeout=None), peek_nowait()
        A copy of what ``get`` would return, which stays in the queue.
    qsize(), empty(), full()
        Exact at the moment of asking.
    shutdown(immediate=False), is_shutdown
        Ends the queue for all processes: ``put`` raises ``ShutDown``, and so does ``get`` when
        nothing is left, which with ``immediate`` is at once. Until then ``for message in q`` goes.
    close(), join_thread(), cancel_join_thread()
        ``close`` ends the use of the queue in this process; the others have nothing to do.

    A time-out counts seconds, a negative one is 0. Ctrl-C ends a wait at once.
"""

_DONE = """
    task_done()
        Says that one message got is done; ``ValueError`` if that was said for all of them already.
    join()
        Waits until every message that was put is done. A consumer that is killed between ``get``
        and ``task_done`` leaves its message undone: nobody can know how far it came.
"""

QUEUE = f"""Queue(maxsize=0, *, maxbytes=0): messages between the processes of one family.

    It holds at most ``maxsize`` messages, and ``maxbytes`` bytes of encoded messages; 0 or less
    means as many as memory allows. A message larger than ``maxbytes`` may be in alone.
{_COMMON}{_PUT_GET}
    With ``redeliver=True`` a message that a process had taken, and not reported by ``task_done``
    when it died, comes back to the front, with a ``delivery_count``: see ``get_delivery``.

    Follows https://docs.python.org/3/library/multiprocessing.html#multiprocessing.Queue

    >>> import procession as mp
    >>> q = mp.Queue()
    >>> child = mp.Process(target=q.put, args=("hello",))
    >>> child.start()
    >>> q.get()
    'hello'
    >>> child.join()
    """

JOINABLE_QUEUE = f"""JoinableQueue(maxsize=0, *, maxbytes=0): a Queue that knows what is done.

    It holds at most ``maxsize`` messages, and ``maxbytes`` bytes, as a ``Queue``.
{_COMMON}{_PUT_GET}{_DONE}
    Follows https://docs.python.org/3/library/multiprocessing.html#multiprocessing.JoinableQueue

    >>> import procession as mp
    >>> q = mp.JoinableQueue()
    >>> q.put("work")
    >>> q.get()
    'work'
    >>> q.task_done()
    >>> q.join()
    """

LIFO_QUEUE = f"""LifoQueue(maxsize=0, *, maxbytes=0): a JoinableQueue, the newest first.

    It holds at most ``maxsize`` messages, and ``maxbytes`` bytes of encoded messages; 0 or less
    means as many as memory allows.
{_COMMON_TO_ALL}{_PUT_GET}{_DONE}
    Follows https://docs.python.org/3/library/queue.html#queue.LifoQueue, between processes.

    >>> import procession as mp
    >>> q = mp.LifoQueue()
    >>> q.put_many(["first", "last"])
    >>> q.get(), q.get()
    ('last', 'first')
    """

PRIORITY_QUEUE = f"""PriorityQueue(maxsize=0, *, maxbytes=0): a JoinableQueue, the lowest first.

    It holds at most ``maxsize`` messages, and ``maxbytes`` bytes of encoded messages; 0 or less
    means as many as memory allows. Of equal
    messages that one is taken first which was put first.

    Numbers, strings, bytes and tuples of these (and None) are ordered by what they are worth,
    without being looked at again. Anything else, also a list, and a tuple with something else in
    it, is compared by its own ``<`` in the process that puts: slower, for each put unpickles some
    of those that are there, and so does every other put while such a one is in the queue. What
    ``<`` raises, ``put`` raises, and the queue is as it was; nothing is locked while it runs.
{_COMMON_TO_ALL}{_PUT_GET}{_DONE}
    Follows https://docs.python.org/3/library/queue.html#queue.PriorityQueue, between processes.

    >>> import procession as mp
    >>> q = mp.PriorityQueue()
    >>> q.put_many([(2, "later"), (1, "soon"), (1.5, "then")])
    >>> [q.get()[1] for _ in range(3)]
    ['soon', 'then', 'later']
    """

SIMPLE_QUEUE = f"""SimpleQueue(): a queue of messages with as few methods as possible.
{_COMMON}
    put(obj)
        Never waits; raises ``MemoryError`` when the family's memory limit is reached.
    get()
        Waits for a message. Ctrl-C ends the wait at once.
    empty()
        Exact at the moment of asking.
    close()
        Gives the queue back; using it here afterwards is an ``OSError``.

    Follows https://docs.python.org/3/library/multiprocessing.html#multiprocessing.SimpleQueue

    >>> import procession as mp
    >>> q = mp.SimpleQueue()
    >>> q.put("hello")
    >>> q.get()
    'hello'
    """

_ENDS = """
    The messages go through shared memory; a pair of sockets says who lives. An end is closed when
    its last copy is: by ``close``, or by the end of the process that has it, however that comes.
    What was sent before can still be received. An end can be passed to a process as an argument,
    inherited, and sent through a queue or another connection (then the sender must live until it is
    fetched). Any number of threads may use one end; each message goes to one of them.

    send(obj)
        Sends an object. Waits while 16,384 messages or 2 MiB are under way; a longer message
        waits until it is received. Raises ``BrokenPipeError`` when the other end is closed,
        ``MemoryError`` when the family's memory limit is reached; errors in pickling leave the pipe
        as it was.
    recv()
        Waits for an object; raises ``EOFError`` when nothing is left and the other end is closed. A
        NumPy array arrives as a private, writable view of shared memory.
    send_bytes(buf, offset=0, size=None), recv_bytes(maxlength=None), recv_bytes_into(buf, offset=0)
        The same with bytes, which are copied in once and out once. What is longer than
        ``maxlength`` is an ``OSError`` and ends the receiving; what does not fit into ``buf`` is a
        ``BufferTooShort`` that has the message in its ``args``.
    poll(timeout=0.0)
        Whether there is something to receive, or the end; waits at most ``timeout`` seconds, for
        ever if it is None.
    fileno()
        A descriptor for ``select``, ``selectors`` and ``asyncio``: readable as long as ``poll()``
        is true. Who never asks for it pays nothing for it.
    close(), closed, readable, writable
        A use after ``close`` is an ``OSError``, and so is one in a direction that the end has not.

    Ctrl-C ends a wait at once.
"""

CONNECTION = f"""One end of a pipe, or a connection over a socket; made by Pipe, Listener, Client.

    ``Connection(fd)`` takes a descriptor over: that of a pipe's end, or any other one, over which
    it speaks the standard library's protocol.
{_ENDS}
    Follows https://docs.python.org/3/library/multiprocessing.html#connection-objects
    """

PIPE = f"""Pipe(duplex=True): returns the two ends of a new pipe, which are Connection objects.

    Both send and receive; if ``duplex`` is false, the first only receives and the second only
    sends.
{_ENDS}
    Follows https://docs.python.org/3/library/multiprocessing.html#multiprocessing.Pipe

    >>> import procession as mp
    >>> here, there = mp.Pipe()
    >>> child = mp.Process(target=there.send, args=("hello",))
    >>> child.start()
    >>> here.recv()
    'hello'
    >>> child.join()
    >>> there.close()
    >>> here.recv()
    Traceback (most recent call last):
    EOFError
    """

_PLACE = """
    It is a place in shared memory, without a descriptor or a name: any number of them may exist,
    and a handle may go to any process of the family as an argument, to a pool, or in a message.
"""

_ACQUIRE = """
    acquire(block=True, timeout=None)
        Returns whether it was had. Waits if ``block`` is true, at most ``timeout`` seconds; a
        negative time-out is 0, None is no limit. Ctrl-C ends a wait at once.
"""

_ABANDONED = """
    If the process that holds it is killed or crashes, the next ``acquire``, or one that waits
    already, has it within half a second and issues ``AbandonedLockWarning`` (pid, process name, how
    it died). A process that is stopped keeps what it holds.
"""

LOCK = f"""Lock(): a lock that one thread of one process holds at a time.
{_PLACE}{_ACQUIRE}    release()
        Any process may release it; ``ValueError`` if nobody holds it.
{_ABANDONED}    If its process ends with exit code 0 it stays held, as in the standard library.
    Follows https://docs.python.org/3/library/multiprocessing.html#multiprocessing.Lock

    >>> import procession as mp
    >>> lock = mp.Lock()
    >>> with lock:
    ...     lock.acquire(block=False)
    False
    """

RLOCK = f"""RLock(): a lock that its holder may take again.

    It is free when it was released as often as it was acquired. Its holder is one thread of one
    process.
{_PLACE}{_ACQUIRE}    release()
        ``AssertionError`` if this thread does not hold it.
{_ABANDONED}    If its process ends with exit code 0 it is free.
    Follows https://docs.python.org/3/library/multiprocessing.html#multiprocessing.RLock

    >>> import procession as mp
    >>> lock = mp.RLock()
    >>> with lock, lock:
    ...     print(lock)
    <RLock(MainProcess, 2)>
    """

_PERMITS = """
    Permits that a process had when it died are not given back: nobody can know what they meant.
"""

SEMAPHORE = f"""Semaphore(value=1): a number of permits, of which each ``acquire`` takes one.
{_PLACE}{_ACQUIRE}    release()
        Adds a permit, whoever took it. get_value() says how many there are.
{_PERMITS}    Follows https://docs.python.org/3/library/multiprocessing.html#multiprocessing.Semaphore

    >>> import procession as mp
    >>> permits = mp.Semaphore(2)
    >>> permits.acquire(), permits.acquire(), permits.acquire(block=False)
    (True, True, False)
    """

BOUNDED_SEMAPHORE = f"""BoundedSemaphore(value=1): a semaphore that never has more than `value`.
{_PLACE}{_ACQUIRE}    release()
        Gives a permit back; ``ValueError`` if none is missing.
{_PERMITS}    Follows
    https://docs.python.org/3/library/multiprocessing.html#multiprocessing.BoundedSemaphore

    >>> import procession as mp
    >>> mp.BoundedSemaphore(1).release()
    Traceback (most recent call last):
    ...
    ValueError: semaphore or lock released too many times
    """

CONDITION = f"""Condition(lock=None): a lock, and a list of those who wait to be notified.

    Without a ``lock`` it makes an RLock. ``wait``, ``wait_for``, ``notify`` and ``notify_all`` need
    it held: ``AssertionError`` otherwise.
{_PLACE}
    A notification that went to a process which was then killed goes to another one that waits.
    Those beyond 102 who wait at once may be woken without one: use ``wait_for``, or a loop.
    Follows https://docs.python.org/3/library/multiprocessing.html#multiprocessing.Condition

    >>> import procession as mp
    >>> ready = mp.Condition()
    >>> with ready:
    ...     ready.wait(timeout=0.01)
    False
    """

EVENT = f"""Event(): a flag that processes wait for.

    ``set``, ``clear``, ``is_set``; ``wait(timeout=None)`` returns whether it was set. Who waits is
    let through by a ``set`` even if a ``clear`` follows at once.
{_PLACE}
    Follows https://docs.python.org/3/library/multiprocessing.html#multiprocessing.Event

    >>> import procession as mp
    >>> ready = mp.Event()
    >>> child = mp.Process(target=ready.set)
    >>> child.start()
    >>> ready.wait()
    True
    >>> child.join()
    """

BARRIER = f"""Barrier(parties, action=None, timeout=None): lets go when so many processes are there.

    ``wait(timeout=None)`` returns a number from 0 on, another one to each; the last to come calls
    ``action`` first. It breaks, which raises ``threading.BrokenBarrierError`` in all who wait, if
    one waits longer than ``timeout`` seconds, the action raises, somebody calls ``reset`` or
    ``abort``, or a process that waits dies. ``parties``, ``n_waiting`` and ``broken`` say how it
    stands.
{_PLACE}
    Follows https://docs.python.org/3/library/multiprocessing.html#multiprocessing.Barrier

    >>> import procession as mp
    >>> barrier = mp.Barrier(2)
    >>> child = mp.Process(target=barrier.wait)
    >>> child.start()
    >>> barrier.wait() in (0, 1)
    True
    >>> child.join()
    """

POOL = """Worker processes that calls are distributed to.

    processes
        How many; by default as many as there are processors.
    initializer, initargs
        Each worker calls initializer(*initargs) when it starts.
    maxtasksperchild
        After so many tasks a worker is replaced by a fresh one.
    timeout
        Seconds that an item of a call may take, where the call does not say it: after them its
        worker is ended and it raises TaskTimeoutError.
    retries
        How often an item is tried again whose worker died, where the call does not say it. Without,
        it raises WorkerLostError.
    daemon
        False: workers may have children of their own.

    When a worker dies, exactly the item fails that it was at; all else goes on, and another worker
    takes its place. Follows
    https://docs.python.org/3/library/multiprocessing.html#multiprocessing.pool.Pool

    >>> import procession as mp
    >>> with mp.Pool(2) as pool:
    ...     pool.map(abs, range(-2, 2))
    [2, 1, 0, 1]
    """

REMOTE_POOL = """Worker processes on any machines, that calls are distributed to over a server.

    Workers are there where somebody runs `procession worker` with the same address; without any
    that can do them, calls wait (stats().unserved).

    processes
        How many tasks at most are at workers at once; by default as many as there are workers.
    backend
        The server: redis://host, and what else procession.Family takes.
    queue
        Which workers: those that were started with the same --queue.
    allow_pickle
        False: functions are found by their names in a module, and all else is plain data. To
        unpickle is to run what the sender wants: by default, who may write to the server may run
        whatever he wants at the workers, and in this process.

    Everything else as Pool's, but that `initializer` is called by the processes that each machine
    has for this pool. When a whole machine is lost, its items raise WorkerLostError (or are tried
    again, with retries) as soon as its lease is over. An item is tried retries + 1 times at most,
    wherever it was lost: in a process that died, or with a machine.

    >>> import procession
    >>> with procession.Pool(backend="redis://localhost") as pool:
    ...     pool.map(abs, [-1, 2, -3])
    [1, 2, 3]
    """

THREAD_POOL = """Threads that calls are distributed to: a Pool's interface, without processes.

    processes
        How many threads; by default as many as there are processors.
    initializer, initargs
        Each thread calls initializer(*initargs) when it starts. If that fails again and again, the
        pool ends with BrokenPoolError.
    timeout
        Seconds that an item of a call may take, where the call does not say it: after them it
        raises TaskTimeoutError. A thread cannot be killed: it goes on, and another one takes its
        place.
    retries
        Without effect: no thread is lost.

    Objects are handed over themselves, not copies. Callbacks run one after the other, in a thread
    of their own. A call that waits in one of the pool's threads for another call of the same pool
    needs a thread that is free. Follows
    https://docs.python.org/3/library/multiprocessing.html#multiprocessing.pool.ThreadPool

    >>> from procession.pool import ThreadPool
    >>> with ThreadPool(2) as pool:
    ...     pool.map(abs, range(-2, 2))
    [2, 1, 0, 1]
    """

EXECUTOR = """The interface of concurrent.futures.ProcessPoolExecutor, over a Pool.

    A worker that dies takes the one call with it that it ran, whose future has a WorkerLostError
    (which is a BrokenProcessPool as well); the executor goes on. Workers start with the first call.
    `timeout` (seconds), `retries` and `daemon` are a Pool's; so are `backend`, `queue` and
    `allow_pickle`, for workers on any machines (see docs/guide/remote.md).

    >>> import procession as mp
    >>> with mp.ProcessPoolExecutor(2) as executor:
    ...     executor.submit(pow, 2, 10).result()
    1024
    """

_REMOTE = """
    A message is on the server when ``put`` returns. The queue can be passed to a process as an
    argument, inherited, and sent through another queue of the server (``allow_pickle=True``). One
    without a name lives as long as some process has it, and then for the address's ``keep``.

    A process may be killed and a connection may break at any moment: the others go on, and nothing
    is lost or arrives twice. What a process had taken is gone with it. {}
    See docs/guide/remote.md.
"""
_REMOTE_PUT_GET = """
    put, get, put_many, get_many, peek, qsize, empty, full, shutdown, close, aget, aput
        As of the queue in shared memory; each is one round trip to the server, or waits there.
        ``ServerUnreachableError`` when the server does not answer for the address's ``timeout``.
"""
REMOTE_QUEUE = f"""Queue(maxsize=0, *, maxbytes=0, redeliver=False): messages by way of a server.
{_REMOTE.format("With ``redeliver=True`` it comes back, see ``get_delivery``.")}{_REMOTE_PUT_GET}
    >>> import procession
    >>> ctx = procession.get_context("redis://localhost")
    >>> queue = ctx.Queue(maxsize=2)
    >>> queue.put("hello")
    >>> queue.get()
    'hello'
    """
REMOTE_JOINABLE_QUEUE = f"""JoinableQueue(maxsize=0, *, maxbytes=0): on a server, and it counts.
{_REMOTE.format("")}{_REMOTE_PUT_GET}{_DONE}
    >>> import procession
    >>> ctx = procession.get_context("redis://localhost")
    >>> queue = ctx.JoinableQueue()
    >>> queue.put("work")
    >>> queue.get()
    'work'
    >>> queue.task_done()
    >>> queue.join()  # all is done
    """
REMOTE_LIFO_QUEUE = f"""LifoQueue(maxsize=0, *, maxbytes=0): one on a server, the newest first.
{_REMOTE.format("")}{_REMOTE_PUT_GET}{_DONE}
    >>> import procession
    >>> ctx = procession.get_context("redis://localhost")
    >>> queue = ctx.LifoQueue()
    >>> queue.put_many([1, 2, 3])
    >>> queue.get()
    3
    """
REMOTE_PRIORITY_QUEUE = f"""PriorityQueue(maxsize=0, *, maxbytes=0): one on a server, by worth.

    It takes what its bytes can order: numbers, strings, bytes, and tuples and lists that begin with
    one; else TypeError. What has no order in a tuple, as the job in ``(1, {{"job": 2}})``, is equal
    so far: it and what follows it do not count, equals come in the order of arrival, and Python
    compares nothing.
{_REMOTE.format("")}{_REMOTE_PUT_GET}{_DONE}
    >>> import procession
    >>> ctx = procession.get_context("redis://localhost")
    >>> queue = ctx.PriorityQueue()
    >>> queue.put_many([(2, "later"), (1, "now")])
    >>> queue.get()
    (1, 'now')
    """
REMOTE_SIMPLE_QUEUE = f"""SimpleQueue(): a queue of messages by way of a server.
{_REMOTE.format("")}{_REMOTE_PUT_GET}
    >>> import procession
    >>> ctx = procession.get_context("redis://localhost")
    >>> queue = ctx.SimpleQueue()
    >>> queue.put("hello")
    >>> queue.get()
    'hello'
    """
