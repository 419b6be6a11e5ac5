"""The standard library's ``multiprocessing.pool``: the same module under this name."""

import multiprocessing.pool
import sys

sys.modules[__name__] = multiprocessing.pool
