"""The standard library's ``multiprocessing.dummy``: the same module under this name."""

import sys

from .._std import dummy as _module

sys.modules[__name__] = _module
sys.modules[f"{__name__}.connection"] = _module.connection
