"""Where Hanlin keeps what it fetched and made: one folder, moved by `HANLIN_HOME`."""

import os
from pathlib import Path

from hanlin.core.errors import ConfigError


def home() -> Path:
    """`$HANLIN_HOME`, else `$XDG_CACHE_HOME/hanlin`, else `~/.cache/hanlin`. It may not exist yet.

    Raises:
        ConfigError: it begins with the home of a user who has none.
    """
    named = os.environ.get("HANLIN_HOME")
    path = named or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "hanlin")  # noqa: PTH118
    return expanded(path)


def expanded(path: str) -> Path:
    """A path as the user wrote it, with a leading `~` or `~user` read as that home.

    Raises:
        ConfigError: that user has no home.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ConfigError(f"{path} begins with a home that does not exist", "write the path from / on") from None
