"""What `ProcessPoolExecutor(backend=…)` needs of a pool beyond `Pool`'s own face."""

import sys
from concurrent.futures import CancelledError

from .. import _executor, _threadpool
from .._std.context import TimeoutError
from .._threadcall import Failure
from .pool import RemotePool

# As many workers are supposed to be there when nobody says how many.
FEW = 512


class ApplyResult(_threadpool.ApplyResult):
    @property
    def _job(self):
        return _begun(self)._job


class IMapIterator(_threadpool.IMapIterator):
    @property
    def _job(self):
        return _begun(self)._job

    def _take(self, timeout=None):
        """What is next: (0, result), (1, exception), (2, None) at the end, (3, None) for none."""
        call = self._call
        try:
            try:
                outcome = call.outcomes.popleft()
            except IndexError:
                outcome = call.take(timeout)
        except StopIteration:
            return 2, None
        except TimeoutError:
            return 3, None
        return (1, outcome.error) if type(outcome) is Failure else (0, outcome)

    def _feeder(self):
        return Feeder(_begun(self))


def _begun(result):
    call = getattr(result, "_call", None)
    if call is None:
        raise RuntimeError("the call was not made")
    return call


class Feeder:
    """A call, for who feeds it or may cancel it."""

    def __init__(self, call):
        self._call = call

    def ready(self):
        return self._call.done

    def put(self, items):
        call = self._call
        first = call.known
        call.known += len(items)
        call._fed = getattr(call, "_fed", 0) + 1
        call._pieces.append((first, items))
        call.crew.tokens.put(call)

    def end(self):
        call = self._call
        if call._total < 0:
            call._total = getattr(call, "_fed", 0) + 1
            call._settle_one()

    def cancel(self):
        """Drops what no worker has begun; what is under way is for nobody."""
        call = self._call
        crew = call.crew
        if crew.wins(call):
            call.give_up(CancelledError())
            crew.call_off(call)
            crew._end(call)


class Pool(RemotePool):
    _errors = _executor._Pool._errors
    _Apply, _Ordered = ApplyResult, IMapIterator

    def _begin(self, job, func, items, mode, gather, **options):
        if gather == "ordered":
            options.setdefault("buffer", sys.maxsize)
        return super()._begin(job, func, items, mode, gather, **options)
