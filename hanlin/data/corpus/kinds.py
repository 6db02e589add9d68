"""Which kind of document a file's ending means."""

from functools import cache

from hanlin.core.plugins import find, names

FOLDER = "hanlin.data.documents"


@cache
def kinds() -> dict[str, str]:
    """Ending → kind: {".html": "html", …}."""
    return {ending: name for name in names(FOLDER) for ending in getattr(find(FOLDER, name), "SUFFIXES", ())}
