"""What the tests of dicts and lists on a server share."""

import dataclasses
import gc

import procession
from procession import _core


@dataclasses.dataclass(frozen=True)
class Odd:
    """A key that only `==` finds."""

    number: float


class Same:
    """Of one hash, and equal if the names are."""

    def __init__(self, name):
        self.name = name

    def __hash__(self):
        return 1

    def __eq__(self, other):
        return isinstance(other, Same) and self.name == other.name


def place_at(remote_server, allow_pickle=True):
    """Where a fixture's objects are made; they are removed at its end."""
    place = procession.get_context(remote_server.url(lease=3), allow_pickle=allow_pickle)
    yield place
    gc.collect()
    # What others may have had stays for a while.
    for base in {":".join(key.split(":")[:3]) for key in remote_server.keys() if ":a:" in key}:
        place._server.destroy(base)
    del place
    gc.collect()
    _core.leave_servers(1.0)
