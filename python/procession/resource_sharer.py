"""The standard library's ``multiprocessing.resource_sharer``: the same module under this name."""

import multiprocessing.resource_sharer
import sys

sys.modules[__name__] = multiprocessing.resource_sharer
