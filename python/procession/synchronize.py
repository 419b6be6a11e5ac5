"""The standard library's ``multiprocessing.synchronize``: the same module under this name."""

import multiprocessing.synchronize
import sys

sys.modules[__name__] = multiprocessing.synchronize
