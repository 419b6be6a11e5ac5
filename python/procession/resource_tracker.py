"""The standard library's ``multiprocessing.resource_tracker``: the same module under this name."""

import multiprocessing.resource_tracker
import sys

sys.modules[__name__] = multiprocessing.resource_tracker
