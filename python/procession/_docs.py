"""The text of the documentation, shown by the classes and by the factories alike."""

_COMMON = """
    A message is in the queue when ``put`` returns: there is no feeder thread, errors in pickling
    are raised by ``put`` itself, and a process that ends right after it loses nothing. The queue
    can be passed to a process as an argument, inherited, sent through another queue and handed to a
    pool; it costs no file descriptor, and its memory is freed when the last handle in the family is
    gone. Messages of one producer arrive in the order in which it put them.

    A process may be killed at any moment: the others go on. What it had put is there; what it had
    already taken is gone with it; nothing arrives twice.
"""

_PUT_GET = """
    put(obj, block=True, timeout=None)
        Waits for a free place; raises ``queue.Full`` when there is none in time, ``ValueError``
        when the queue was closed here, ``MemoryError`` when the family's memory limit is reached.
    get(block=True, timeout=None)
        Waits for a message; raises ``queue.Empty`` when there is none in time. A NumPy array
        arrives as a private, writable view of shared memory, which is freed when it is collected.
    put_many(objs, ...), get_many(max=None, ...)
        The same for several messages at once.
    qsize(), empty(), full()
        Exact at the moment of asking.
    close(), join_thread(), cancel_join_thread()
        ``close`` ends the use of the queue in this process; the others have nothing to do.

    A time-out counts seconds, a negative one is 0. Ctrl-C ends a wait at once.
"""

QUEUE = f"""Queue(maxsize=0): a queue of messages between the processes of one family.

    It holds at most ``maxsize`` messages; 0 or less means as many as memory allows.
{_COMMON}{_PUT_GET}
    Follows https://docs.python.org/3/library/multiprocessing.html#multiprocessing.Queue

    >>> import procession as mp
    >>> q = mp.Queue()
    >>> child = mp.Process(target=q.put, args=("hello",))
    >>> child.start()
    >>> q.get()
    'hello'
    >>> child.join()
    """

JOINABLE_QUEUE = f"""JoinableQueue(maxsize=0): a Queue whose messages are ticked off when done.

    It holds at most ``maxsize`` messages; 0 or less means as many as memory allows.
{_COMMON}{_PUT_GET}
    task_done()
        Says that one message got is done; ``ValueError`` if that was said for all of them already.
    join()
        Waits until every message that was put is done. A consumer that is killed between ``get``
        and ``task_done`` leaves its message undone: nobody can know how far it came.

    Follows https://docs.python.org/3/library/multiprocessing.html#multiprocessing.JoinableQueue

    >>> import procession as mp
    >>> q = mp.JoinableQueue()
    >>> q.put("work")
    >>> q.get()
    'work'
    >>> q.task_done()
    >>> q.join()
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
        Sends an object. Waits while 16,384 messages or 2 MiB are under way (one message alone may
        be of any size). Raises ``BrokenPipeError`` when the other end is closed, ``MemoryError``
        when the family's memory limit is reached; errors in pickling leave the pipe as it was.
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
