"""What a worker has to tell of a task, and how much of it a server takes at once."""

from .. import _core
from . import _task

# No server can be set up to take less; so this much needs no asking.
_LEAST = 1 << 20
# The longest argument, and all that was sent and not yet run.
_SETTINGS = b"proto-max-bulk-len", b"client-query-buffer-limit"
# What is sent beside the outcomes, at most.
_BESIDE = 4096
# How long a server is asked for its settings, in seconds.
_PATIENCE = 2.0


class Limit:
    """How much a server takes at once, as far as it says so. It is asked when there is much."""

    def __init__(self, url, address):
        self._url = url
        self._address = address
        self._known = None

    def forget(self):
        """It may be otherwise by now."""
        self._known = None

    def refuses(self, size):
        """Why so many bytes are too much for it, or None."""
        if size + _BESIDE < _LEAST:
            return None
        most, setting = self._takes()
        if size + _BESIDE > most:
            self.forget()  # it may have been set up anew
            most, setting = self._takes()
        if size + _BESIDE <= most:
            return None
        return (
            f"the server at {self._address} does not take {size} bytes at once: its {setting} is"
            f" {most}"
        )

    def _takes(self):
        if self._known is None:
            self._known = self._ask()
        return self._known or (_task.MOST, "proto-max-bulk-len")

    def _ask(self):
        """The least of its settings; None if it could not be asked, or does not say."""
        found = [(_task.MOST, "proto-max-bulk-len")]
        try:
            probe = _core.Probe(self._url, _PATIENCE)
            for setting in _SETTINGS:
                answer = probe.ask([b"CONFIG", b"GET", setting])
                if isinstance(answer, list) and len(answer) > 1:
                    found.append((int(answer[1]), setting.decode()))
        except (OSError, ValueError):
            return None
        return min(found)


class Report:
    """The outcomes of a task's items that were not told yet."""

    def __init__(self, order, limit):
        self.first, self.count = order[2], len(order[7])
        self.found, self.size = [], 0
        self._catches = bool(order[4] & _task.CATCHES)
        self._limit = limit

    def fitting(self, outcome):
        """The outcome, or the one that it is too large for the server; and whether it is that."""
        why = self._limit.refuses(len(outcome))
        if why is None:
            return outcome, False
        return _task.too_large_outcome(why, len(outcome), self._catches), True

    def is_full(self, outcome):
        """Whether what there is has to be told before that one."""
        bytes_ = self.size + len(outcome) + 8 * len(self.found)
        return bool(self.found) and self._limit.refuses(bytes_) is not None

    def add(self, outcome):
        self.found.append(outcome)
        self.size += len(outcome)

    @property
    def is_whole(self):
        return len(self.found) == self.count

    def body(self):
        return _task.pack([self.first, self.found])

    def told(self):
        """It has been."""
        self.first += len(self.found)
        self.count -= len(self.found)
        self.found, self.size = [], 0
