"""The standard library's ``multiprocessing.pool``: the same module under this name."""

import sys

from ._std import pool as _module

sys.modules[__name__] = _module
