from .._core import LeaseLost as LeaseLost
from .._core import OutcomeUnknownError as OutcomeUnknownError
from .._core import ServerUnreachableError as ServerUnreachableError
from .context import RemoteContext as RemoteContext
from .family import Family as Family

__all__ = ["Family", "LeaseLost", "OutcomeUnknownError", "RemoteContext", "ServerUnreachableError"]
