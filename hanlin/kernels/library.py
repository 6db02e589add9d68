"""The native library: found beside this file, opened once, told how many threads and which instructions to use."""

import ctypes
import functools
import os
import re
from pathlib import Path

from hanlin.core.errors import ConfigError
from hanlin.core.machine import allowed_cores

PATHS = ("avx512vnni", "avx2vnni", "avx2", "portable")
"""Sets of instructions, best first."""
VARIABLE = "HANLIN_KERNELS"
"""Names one of them, or "off"."""
LONG, PLACE = ctypes.c_int64, ctypes.c_void_p
CALLS = {
    "hanlin_block_bytes": ([PLACE], LONG),
    "hanlin_apply": ([PLACE, PLACE, LONG, LONG, PLACE, LONG, PLACE], None),
    "hanlin_choose": ([ctypes.c_char_p], ctypes.c_int),
    "hanlin_lend": ([PLACE], None),
    "hanlin_lay": ([PLACE, LONG, LONG, ctypes.c_int, ctypes.c_int, PLACE], None),
    "hanlin_lay_floats": ([PLACE, LONG, LONG, LONG, PLACE], None),
    "hanlin_multiply": ([PLACE, PLACE, PLACE, LONG, PLACE], None),
    "hanlin_pack": ([PLACE, LONG, ctypes.c_int, LONG, LONG, PLACE, PLACE], None),
    "hanlin_path": ([], ctypes.c_char_p),
    "hanlin_quantise": ([PLACE, LONG, PLACE], None),
    "hanlin_set_threads": ([ctypes.c_int], None),
    "hanlin_survey": ([PLACE, LONG, LONG, LONG, PLACE, PLACE], None),
    "hanlin_turn": ([PLACE, LONG, LONG, LONG, PLACE], None),
    "hanlin_unembed": ([PLACE, PLACE, LONG, LONG, PLACE], None),
    "hanlin_walk": ([PLACE, PLACE, PLACE], None),
}


@functools.cache
def opened() -> ctypes.CDLL | str:
    """The library, or why there is none."""
    wish = os.environ.get(VARIABLE, "")
    if wish == "off":
        return f"{VARIABLE} is off"
    found = sorted(Path(__file__).parent.glob("_native*.*"))
    if not found:
        return "they were not built: there was no C++ compiler when Hanlin was installed"
    try:
        library = ctypes.CDLL(str(found[0]))
        for name, (takes, gives) in CALLS.items():
            call = getattr(library, name)
            call.argtypes, call.restype = takes, gives
    except (OSError, AttributeError) as error:
        return f"{found[0].name} is of another version or machine: {error}"
    library.hanlin_set_threads(allowed_cores().count)
    if wish:
        _choose(library, wish)
    return library


def missing() -> str | None:
    """Why there are no native kernels; None if there are."""
    found = opened()
    return found if isinstance(found, str) else None


def library() -> ctypes.CDLL:
    """The library.

    Raises:
        ConfigError: there is none.
    """
    found = opened()
    if isinstance(found, str):
        raise ConfigError(f"there are no native kernels: {found}", "install a C++ compiler, then Hanlin again")
    return found


def path() -> str:
    """Which instructions are used: one of `PATHS`."""
    return library().hanlin_path().decode()


def choose(name: str) -> None:
    """Use these instructions from now on; "" for the best there are.

    Raises:
        ConfigError: there are none of this name, or not on this processor.
    """
    _choose(library(), name)


def _choose(found: ctypes.CDLL, name: str) -> None:
    said = found.hanlin_choose(name.encode())
    if said == 1:
        raise ConfigError(f"{name} is no set of instructions", f"one of {', '.join(PATHS)}")
    if said == 2:
        raise ConfigError(f"this processor has no {name}", f"one of {', '.join(PATHS[PATHS.index(name) + 1 :])}")


def share_threads() -> bool:
    """Compute on the threads of the OpenMP that torch brought, where that is GNU's; whether it is.

    Two pools would wait for each other's cores: an OpenMP thread spins for a while after each of torch's operations.
    """
    try:
        maps = Path("/proc/self/maps").read_text()
    except OSError:
        return False
    found = re.search(r"(/\S*libgomp\S*)", maps)
    if found is None:
        return False
    parallel = getattr(ctypes.CDLL(found[1]), "GOMP_parallel", None)
    if parallel is None:
        return False
    library().hanlin_lend(ctypes.cast(parallel, PLACE))
    return True
