"""The standard library's ``multiprocessing.managers``: the same module under this name."""

import sys

from ._std import managers as _module

sys.modules[__name__] = _module
