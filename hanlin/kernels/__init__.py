"""Native products: weights in, packed for this machine; rows in, their products out. Nothing about models.

Without a compiler at installation there is no library; `missing()` says so, and everything runs on torch's operations.
"""

from hanlin.kernels.library import PATHS, VARIABLE, choose, missing, path, share_threads
from hanlin.kernels.packed import Packed, Rows, quantised, turned

__all__ = ["PATHS", "VARIABLE", "Packed", "Rows", "choose", "missing", "path", "quantised", "share_threads", "turned"]
