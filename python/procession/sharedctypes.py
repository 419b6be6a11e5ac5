"""The standard library's ``multiprocessing.sharedctypes``: the same module under this name."""

import multiprocessing.sharedctypes
import sys

sys.modules[__name__] = multiprocessing.sharedctypes
