"""What the tests of connections use."""

OBJECTS = [None, True, 0, -1, 10**30, 1.5, "text", "\udc80", b"", b"bytes", [1, [2]], {"a": (1,)}]
OBJECTS += [{1, 2}, frozenset("a"), bytearray(b"x"), 1j, range(3), print, OSError(5), "x" * 100_000]


def outcome(use, *arguments):
    """What a call comes to: its result, or its exception."""
    try:
        return "returned", use(*arguments)
    except (TypeError, BufferError):
        return TypeError  # an argument of the wrong type, in the interpreter's words
    except Exception as error:
        return type(error), error.args


def state(end):
    return end.closed, end.readable, end.writable


class Unpicklable:
    def __reduce__(self):
        raise ZeroDivisionError("no")
