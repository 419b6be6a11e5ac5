"""The standard library's ``multiprocessing.util``: the same module under this name."""

import sys

from ._std import util as _module

sys.modules[__name__] = _module
