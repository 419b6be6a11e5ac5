"""The standard library's ``multiprocessing.resource_sharer``: the same module under this name."""

import sys

from ._std import resource_sharer as _module

sys.modules[__name__] = _module
