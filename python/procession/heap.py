"""The standard library's ``multiprocessing.heap``: the same module under this name."""

import multiprocessing.heap
import sys

sys.modules[__name__] = multiprocessing.heap
