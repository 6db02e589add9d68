"""A stored model's manifest.json: what it is, where it came from, and the checksum of each file."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from hanlin.core.errors import StoreError
from hanlin.core.run import replacing
from hanlin.core.settings import Settings
from hanlin.model.store.place import MANIFEST, name_of

MOST_BYTES = 16 << 20


class Kept(Settings):
    """One file of a stored model."""

    path: str
    """Relative to the model's folder, with `/` between the parts."""
    bytes: Annotated[int, Field(ge=0)]
    """Its size."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """Of its content, in hexadecimal digits."""


class Fetched(Settings):
    """What a source delivered."""

    source: str
    """The kind of source: hub, pypi or path."""
    origin: str
    """The name by which that source knows it."""
    files: tuple[Kept, ...]
    """Every file, checked."""
    entry: str = ""
    """The .gguf file that is the model; "" when the folder is."""
    revision: str | None = None
    """The commit or version it is pinned to, where the source has such a thing."""
    licence: str | None = None
    """As the source states it."""


class Manifest(Fetched):
    """A stored model."""

    format: Literal[1] = 1
    """Of this file; another number means a newer Hanlin wrote it."""
    name: str
    """In the store."""
    requested: str
    """What was asked for."""
    family: str
    """The architecture that its config or GGUF header names."""
    pulled_at: str
    """When, as ISO 8601 in UTC."""

    @property
    def total_bytes(self) -> int:
        """All files together."""
        return sum(file.bytes for file in self.files)


def read(folder: Path) -> Manifest | None:
    """The manifest in a model's folder, or None when there is no model.

    Raises:
        StoreError: it is there and cannot be read, or is not what we write.
    """
    path = folder / MANIFEST
    try:
        with path.open("rb") as source:
            return Manifest.model_validate(json.loads(source.read(MOST_BYTES)))
    except (FileNotFoundError, NotADirectoryError):
        if folder.is_dir():
            raise StoreError(f"{folder} has no {MANIFEST}: it is not a stored model", again(folder)) from None
        return None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        what = f"{path} is damaged: {'.'.join(str(part) for part in first['loc'])}: {first['msg'].lower()}"
        raise StoreError(what, again(folder)) from None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}", "check its permissions") from None
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path} is damaged: {error}", again(folder)) from None


def write(folder: Path, manifest: Manifest) -> None:
    """Put the manifest into the folder, whole or not at all."""
    with replacing(folder / MANIFEST) as sink:
        sink.write(manifest.model_dump_json(indent=1).encode())


def check_sizes(folder: Path, manifest: Manifest) -> None:
    """Compare each file's size with the manifest: a stat per file, nothing read.

    Raises:
        StoreError: a file is missing or has another size.
    """
    for file in manifest.files:
        path = folder / file.path
        try:
            found = path.stat().st_size
        except OSError as error:
            raise StoreError(f"{path} is gone: {error.strerror}", again(folder)) from None
        if found != file.bytes:
            raise StoreError(f"{path} has {found:,} bytes instead of {file.bytes:,}", again(folder))


def kept(folder: Path, path: str) -> Kept:
    """The record of a file that lies in the folder, its content read once."""
    with (folder / path).open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
        return Kept(path=path, bytes=source.tell(), sha256=digest)


def again(folder: Path) -> str:
    """The fix for a stored model that is damaged."""
    return f"fetch it again: hanlin pull {name_of(folder.name)} --force, or drop it: hanlin rm {name_of(folder.name)}"
