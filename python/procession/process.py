"""The standard library's ``multiprocessing.process``: the same module under this name."""

import multiprocessing.process
import sys

sys.modules[__name__] = multiprocessing.process
