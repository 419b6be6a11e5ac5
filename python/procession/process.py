"""The standard library's ``multiprocessing.process``: the same module under this name."""

import sys

from ._std import process as _module

sys.modules[__name__] = _module
