"""Files in, hashes of their content out. Size and time of change only save reading a file again, never decide alone."""

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import orjson

from hanlin.core.errors import DataError, HanlinError
from hanlin.core.home import home
from hanlin.core.run import replacing
from hanlin.data.opened import File

BLOCK_BYTES = 1 << 22
MOST_KNOWN = 200_000


def hashed(files: Sequence[File]) -> list[str]:
    """A hash of each file's content.

    Raises:
        DataError: a file cannot be read.
    """
    index = home() / "tokens" / "hashes.json"
    known = _known(index)
    found, is_new = [], False
    for file in files:
        try:
            about = file.path.stat()
            mark = f"{file.path.resolve()}|{about.st_size}|{about.st_mtime_ns}|{about.st_ino}"
            if mark not in known:
                known[mark], is_new = _hash(file.path), True
        except OSError as error:
            raise DataError(f"{file.name} cannot be read: {error.strerror}", "check its path and rights") from None
        found.append(known[mark])
    if is_new:
        try:
            index.parent.mkdir(parents=True, exist_ok=True)
            with replacing(index) as sink:
                sink.write(orjson.dumps(dict(list(known.items())[-MOST_KNOWN:])))
        except (OSError, HanlinError):  # the index saves time, no more
            return found
    return found


def _known(index: Path) -> dict[str, str]:
    try:
        known = orjson.loads(index.read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _hash(path: Path) -> str:
    whole = blake2b(digest_size=16)
    with path.open("rb") as source:
        while block := source.read(BLOCK_BYTES):
            whole.update(block)
    return whole.hexdigest()
