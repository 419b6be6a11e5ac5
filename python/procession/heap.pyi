from ._core import SharedMemoryBase
from ._family import Travels

__all__ = ["BufferWrapper"]

class BufferWrapper(Travels, SharedMemoryBase):
    def __init__(self, size: int) -> None: ...
    def create_memoryview(self) -> memoryview: ...
