"""The standard library's ``multiprocessing.connection``: the same module under this name."""

import multiprocessing.connection
import sys

sys.modules[__name__] = multiprocessing.connection
