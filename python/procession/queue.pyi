from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from queue import Empty as Empty
from queue import Full as Full
from threading import Condition, Lock
from types import GenericAlias
from typing import Any, Generic, TypeVar

from ._core import ShutDown as ShutDown

__all__ = ["Empty", "Full", "LifoQueue", "PriorityQueue", "Queue", "ShutDown", "SimpleQueue"]

_T = TypeVar("_T")
