"""Memory that a step frees stays with the process, for the next step to take.

The C library gives large pieces back to the system at once, which brings them anew page by page when the next step asks
for as much: up to an eighth of a step's time. The peak is the same.
"""

import ctypes
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""glibc's names for what `mallopt` sets (malloc.h)."""
NEVER, MOST = -1, 32 << 20
"""Free memory is never given back, and pieces up to the largest that may be are taken from it."""


def keep_freed() -> bool:
    """Tell the C library so, where it is glibc; whether it was told. It holds until the process ends."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl has none
        return False
    return bool(mallopt(TRIM_THRESHOLD, NEVER) and mallopt(MMAP_THRESHOLD, MOST))
