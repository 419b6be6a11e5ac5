"""Memory for shared ctypes objects: a piece of the arena for each, and no files.

`BufferWrapper(size)` is the memory itself: a buffer of `size` zero bytes that may go to any process
of the family, which then sees the same bytes. It lives as long as a handle to it anywhere.
"""

import sys

from ._core import SharedMemoryBase
from ._family import Travels

__all__ = ["BufferWrapper"]


class BufferWrapper(Travels, SharedMemoryBase):
    """Shared memory of `size` bytes.

    >>> from procession.heap import BufferWrapper
    >>> BufferWrapper(3).create_memoryview().tolist()
    [0, 0, 0]
    """

    def __init__(self, size):
        if size < 0:
            raise ValueError(f"Size {size:n} out of range")
        if sys.maxsize <= size:
            raise OverflowError(f"Size {size:n} too large")
        self._create(size)

    def create_memoryview(self):
        """Returns a writable view of the bytes."""
        return memoryview(self)


def __getattr__(name):
    # Arena and Heap, of which Procession has no need.
    from ._std import heap

    return getattr(heap, name)
