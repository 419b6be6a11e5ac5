"""The standard library's ``multiprocessing.shared_memory``: the same module under this name."""

import multiprocessing.shared_memory
import sys

sys.modules[__name__] = multiprocessing.shared_memory
