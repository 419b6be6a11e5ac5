"""The standard library's ``multiprocessing.dummy``: the same module under this name."""

import multiprocessing.dummy.connection
import sys

sys.modules[__name__] = multiprocessing.dummy
sys.modules[f"{__name__}.connection"] = multiprocessing.dummy.connection
