"""The standard library's ``multiprocessing.managers``: the same module under this name."""

import multiprocessing.managers
import sys

sys.modules[__name__] = multiprocessing.managers
