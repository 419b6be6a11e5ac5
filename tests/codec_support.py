"""What the codec's tests share: a bare queue, random objects, and what it is that must come out."""

import pickle
import random
import struct

from procession import _core

LONG = 64  # strings of this length on keep their identity within a message
BUILTINS = (list, tuple, dict, set, frozenset)


class Queue(_core.QueueBase):
    """The native queue, bare."""

    def __init__(self, maxsize=0):
        self._create(maxsize)

    def __reduce__(self):
        return attached, (self._handle(),)


def attached(handle):
    queue = Queue.__new__(Queue)
    queue._attach(handle)
    return queue


def structure(obj):
    """Types, values, order and which parts are one and the same object, as a comparable value."""
    numbers = {}

    def walk(obj):
        kind = type(obj)
        if isinstance(obj, BUILTINS) or kind in (str, bytes) and len(obj) >= LONG:
            if obj != ():
                if id(obj) in numbers:
                    return ("again", numbers[id(obj)])
                numbers[id(obj)] = len(numbers)
        if isinstance(obj, dict):
            return (kind, [(walk(key), walk(value)) for key, value in obj.items()])
        if isinstance(obj, BUILTINS):
            return (kind, [walk(item) for item in obj])
        if kind is float:
            return (kind, struct.pack("d", obj))
        return (kind, obj)

    return walk(obj)


def round_trip(obj):
    return _core.decode(_core.encode(obj))


def through_queue(obj):
    queue = Queue()
    queue.put(obj)
    result = queue.get()
    queue._drop()
    return result


def check(obj):
    """Both ways give what pickle gives."""
    wanted = structure(pickle.loads(pickle.dumps(obj, 5)))
    assert structure(round_trip(obj)) == wanted
    assert structure(through_queue(obj)) == wanted


class Maker:
    """Random objects, with shared parts and cycles."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.made = []

    def scalar(self):
        pick = self.random.randrange
        return self.random.choice(
            [
                lambda: None,
                lambda: bool(pick(2)),
                lambda: pick(-200, 300),
                lambda: self.random.getrandbits(pick(70)) * (1 - 2 * pick(2)),
                lambda: self.random.uniform(-1e9, 1e9),
                lambda: "".join(chr(pick(1, pick(2, 0xD800))) for _ in range(pick(100))),
                lambda: self.random.choice(["id", "name", "value", "a" * 70]),
                lambda: bytes(pick(256) for _ in range(pick(100))),
            ]
        )()

    def hashable(self, depth):
        if depth and self.random.random() < 0.2:
            items = [self.hashable(depth - 1) for _ in range(self.random.randrange(3))]
            return self.random.choice([tuple, frozenset])(items)
        return self.scalar()

    def object(self, depth=4):
        if self.made and self.random.random() < 0.04:
            return self.random.choice(self.made)
        if depth == 0 or self.random.random() < 0.3:
            return self.scalar()
        size = self.random.randrange(6)
        kind = self.random.choice(BUILTINS)
        if kind is list:
            obj = []
            self.made.append(obj)
            obj.extend(self.object(depth - 1) for _ in range(size))
        elif kind is dict:
            obj = {}
            self.made.append(obj)
            for _ in range(size):
                obj[self.hashable(2)] = self.object(depth - 1)
        elif kind is tuple:
            obj = tuple(self.object(depth - 1) for _ in range(size))
        else:
            obj = kind(self.hashable(2) for _ in range(size))
        if self.random.random() < 0.5:
            self.made.append(obj)
        return obj
