"""The standard library's ``multiprocessing.util``: the same module under this name."""

import multiprocessing.util
import sys

sys.modules[__name__] = multiprocessing.util
