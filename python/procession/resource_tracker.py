"""The standard library's ``multiprocessing.resource_tracker``: the same module under this name."""

import sys

from ._std import resource_tracker as _module

sys.modules[__name__] = _module
