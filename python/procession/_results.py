"""What a pool's calls return: the core's jobs, under the names of multiprocessing.pool."""

import itertools
import types

from . import _core


class ApplyResult(_core.JobBase):
    """What `apply_async` returns; see multiprocessing.pool.AsyncResult."""

    __class_getitem__ = classmethod(types.GenericAlias)

    def __repr__(self):
        return f"<{type(self).__name__} at {id(self):#x}>"


AsyncResult = ApplyResult


class MapResult(ApplyResult):
    """What `map_async` and `starmap_async` return."""

    _chunksize = 1  # what `_number_left` counts are items


class Chunked:
    """The result of a function which gives those of many items."""

    def get(self, timeout=None):
        return list(itertools.chain.from_iterable(super().get(timeout)))


class _ChunkResult(Chunked, MapResult):
    pass


class IMapIterator(_core.JobBase):
    """What `imap` returns: the results, in the order of the items."""

    def __iter__(self):
        return self

    next = _core.JobBase._next

    def __next__(self):
        return self._next()


class IMapUnorderedIterator(IMapIterator):
    """What `imap_unordered` returns: the results, as they come."""
