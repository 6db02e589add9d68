"""Memory that was freed goes back to the system at once: what a load left behind shall not count while more is loaded.

The C library keeps freed pieces for the next who asks, in a heap for each thread; between them and what lives nobody
else fits in.
"""

import ctypes
import sys


def give_back() -> bool:
    """Have glibc give back what is free; whether there was any, or could be."""
    if not sys.platform.startswith("linux"):
        return False
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim is not None and bool(trim(0))  # musl has none
