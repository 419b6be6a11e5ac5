"""`SharedMemory` and `ShareableList`: the standard library's, but that they end when they should.

The names are its names, in /dev/shm, so that other programs can attach to them, and the reverse.
What differs is who answers for a segment. In the standard library it is everybody who attaches
(before Python 3.13 there is no choice): a program that only looks on deletes it at its end, with a
warning. Here:

- who creates a segment registers it with the resource tracker, so that it is removed when the
  creator's tree of processes has ended, however it ended;
- who attaches registers nothing: its end removes nothing, and warns of nothing;
- whoever removes a segment takes it off the list of its own tree; and at its end the creator takes
  off what strangers have removed, or removed and made anew. (If it is killed first, the tracker
  tells that it missed the segment.)
"""

import errno
import mmap
import os
import sys
from types import FunctionType

from ._std import resource_tracker, util
from ._std import shared_memory as _std
from ._std.shared_memory import _make_filename

__all__ = ["ShareableList", "SharedMemory"]

_KIND = "shared_memory"


class _Default(int):
    """True, where nobody has said so: signatures show it as what it stands for."""

    def __repr__(self):
        return "True"


_BY_DEFAULT = _Default(True)

# What this process created and answers for: name → device and inode.
_created: dict = {}
_answering = None  # the pid in which the end is prepared for


class SharedMemory(_std.SharedMemory):
    """A block of shared memory with a name, which any program of this user may attach to.

    It lives until somebody calls `unlink`, or the tree of processes that created it has ended.
    Who attaches is not answerable for it, unless it says `track=True`; with `track=False` nobody
    is: then it stays until `unlink`. (`track` is for Python 3.13 or newer.) See
    https://docs.python.org/3/library/multiprocessing.shared_memory.html

    >>> from procession.shared_memory import SharedMemory
    >>> block = SharedMemory(create=True, size=16)
    >>> same = SharedMemory(block.name)
    >>> same.buf[0] = 7
    >>> block.buf[0]
    7
    >>> same.close()
    >>> block.close()
    >>> block.unlink()
    """

    if sys.version_info >= (3, 13):

        def __init__(self, name=None, create=False, size=0, *, track=_BY_DEFAULT):
            self._open(name, create, size, track)

    else:

        def __init__(self, name=None, create=False, size=0):
            self._open(name, create, size, _BY_DEFAULT)

    def _open(self, name, create, size, track):
        if not size >= 0:
            raise ValueError("'size' must be a positive integer")
        if create and size == 0:
            raise ValueError("'size' must be a positive number different from zero")
        if name is None and not create:
            raise ValueError("'name' can only be None if create=True")
        self._track = bool(track)
        if create:
            self._flags = os.O_CREAT | os.O_EXCL | os.O_RDWR
            self._create(name, size)
        else:
            self._name = f"/{name}"
            self._fd = _std._posixshmem.shm_open(self._name, self._flags, mode=self._mode)
            if track is True:  # asked for in so many words: then this program answers for it, too
                resource_tracker.register(self._name, _KIND)
        try:
            self._size = os.fstat(self._fd).st_size
            self._mmap = mmap.mmap(self._fd, self._size)
        except BaseException:
            if create:
                self.unlink()
            raise
        self._buf = memoryview(self._mmap)

    def _create(self, name, size):
        """Makes the segment of a name, or of a new one, and registers it."""
        while True:
            self._name = _make_filename() if name is None else f"/{name}"
            if name is None:
                self._register()  # first: nobody else has this name, and a kill may come between
            try:
                self._fd = _std._posixshmem.shm_open(self._name, self._flags, mode=self._mode)
                break
            except OSError as error:
                if name is None:
                    _forget(self._name)
                    if error.errno == errno.EEXIST:
                        continue
                raise
        try:
            if name is not None:
                self._register()
            os.ftruncate(self._fd, size)
            if self._track:
                status = os.fstat(self._fd)
                _created[self._name] = status.st_dev, status.st_ino
        except BaseException:
            self.unlink()
            raise

    def _register(self):
        if self._track and _can_be_told(self._name):
            _prepare_for_the_end()
            resource_tracker.register(self._name, _KIND)

    def unlink(self):
        """Removes the name. The memory lives as long as somebody is attached to it.

        FileNotFoundError if somebody has removed it already.
        """
        try:
            _std._posixshmem.shm_unlink(self._name)
        finally:
            _created.pop(self._name, None)
            _forget(self._name)


def _can_be_told(name):
    """Whether the tracker's protocol, one line of ASCII with colons, has room for the name."""
    return name.isascii() and not {":", "\n", "\r"}.intersection(name) and len(name) < 256


def _forget(name):
    """Takes a segment off the list of this tree, on which it need not be."""
    if resource_tracker._resource_tracker._fd is not None and _can_be_told(name):
        # Registered first: for the tracker complains of what it does not know.
        resource_tracker.register(name, _KIND)
        resource_tracker.unregister(name, _KIND)


def _prepare_for_the_end():
    global _answering
    if _answering != os.getpid():
        # A forked child answers for nothing of its parent's, and its exit functions are its own.
        _answering = os.getpid()
        _created.clear()
        util.Finalize(None, _forget_what_is_gone, exitpriority=0)


def _forget_what_is_gone():
    """At the end: forgets what others have removed. What is left is the tracker's to remove."""
    for name, identity in list(_created.items()):
        try:
            fd = _std._posixshmem.shm_open(name, os.O_RDONLY, mode=0)
        except FileNotFoundError:
            _forget(name)
        except OSError:
            continue
        else:
            status = os.fstat(fd)
            os.close(fd)
            if identity != (status.st_dev, status.st_ino):
                _forget(name)


def _with_ours(method):
    """A method of the standard library's whose `SharedMemory` is the one above."""
    space = {**vars(_std), "SharedMemory": SharedMemory}
    copy = FunctionType(method.__code__, space, method.__name__, method.__defaults__)
    copy.__kwdefaults__ = method.__kwdefaults__
    return copy


class ShareableList(_std.ShareableList):
    """A list of numbers, strings, bytes and None in a block of shared memory, `shm`.

    Its length and the room of each item are those that it is made with. See
    https://docs.python.org/3/library/multiprocessing.shared_memory.html

    >>> from procession.shared_memory import ShareableList
    >>> numbers = ShareableList([1, 2.5, "three", None])
    >>> same = ShareableList(name=numbers.shm.name)
    >>> same[2] = "3"
    >>> list(numbers)
    [1, 2.5, '3', None]
    >>> same.shm.close()
    >>> numbers.shm.close()
    >>> numbers.shm.unlink()
    """

    __init__ = _with_ours(_std.ShareableList.__init__)


def __getattr__(name):
    return getattr(_std, name)
