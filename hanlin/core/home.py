"""Where Hanlin keeps what it fetched and made: one folder, moved by `HANLIN_HOME`."""

import os
from pathlib import Path


def home() -> Path:
    """`$HANLIN_HOME`, else `$XDG_CACHE_HOME/hanlin`, else `~/.cache/hanlin`. It may not exist yet."""
    if named := os.environ.get("HANLIN_HOME"):
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "hanlin"
