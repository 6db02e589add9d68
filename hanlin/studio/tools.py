"""What the studio needs from rooms to its right, given to it as functions by whoever opens it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Tools:
    """Each is slow, and called in a thread."""

    anatomy: Callable[[str, Path], dict[str, Any]]
    """(name, folder or file) → what `hanlin show --json` says."""
    doctor: Callable[[bool], dict[str, Any]]
    """Whether to measure speeds → what `hanlin doctor --json` says."""
    verb: tuple[str, ...]
    """The beginning of a command line; `(*verb, "train", "run.toml")` trains in a process of its own."""
    rows: Callable[[Any, int], str]
    """(a run file's settings, how many) → the page that `hanlin train RUN --show N --html` writes."""
