from typing import Any

from .pool import ApplyResult as ApplyResult
from .pool import AsyncResult as AsyncResult
from .pool import IMapIterator as IMapIterator
from .pool import IMapUnorderedIterator as IMapUnorderedIterator
from .pool import MapResult as MapResult

class Chunked:
    def get(self, timeout: float | None = None) -> list[Any]: ...
