"""A stored model's manifest.json: what it is, where it came from, and the checksum of each file."""

import hashlib
import json
import re
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

from hanlin.core.errors import RefusedError, StoreError, shown
from hanlin.core.run import replacing
from hanlin.model.store.place import MANIFEST, inside, name_of

MOST_BYTES = 16 << 20
FORMAT = 1
"""Of the file; another number means that another Hanlin wrote it."""

# Dataclasses and not Settings: every command reads a manifest, and pydantic takes 20 ms to build as many classes.


@dataclass(frozen=True, kw_only=True)
class Kept:
    """One file of a stored model."""

    path: str
    """Relative to the model's folder, with `/` between the parts."""
    bytes: int
    """Its size."""
    sha256: str
    """Of its content, in hexadecimal digits."""


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """What a source delivered."""

    source: str
    """The kind of source: hub, pypi or path."""
    origin: str
    """The name by which that source knows it."""
    files: tuple[Kept, ...]
    """Every file, checked."""
    entry: str
    """The .gguf file that is the model; "" when the folder is."""
    revision: str | None = None
    """The commit or version it is pinned to, where the source has such a thing."""
    licence: str | None = None
    """As the source states it."""


@dataclass(frozen=True, kw_only=True)
class Manifest(Fetched):
    """A stored model."""

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
    if folder.is_symlink():
        fix = f"name the folder it leads to, or drop the link: hanlin rm {name_of(folder.name)}"
        raise StoreError(f"{folder} is a link that leads out of the store", fix)
    try:
        with path.open("rb") as source:
            return _parsed(json.loads(source.read(MOST_BYTES)))
    except (FileNotFoundError, NotADirectoryError):
        if folder.is_dir():
            raise StoreError(f"{folder} has no {MANIFEST}: it is not a stored model", again(folder)) from None
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}", "check its permissions") from None
    except (ValueError, TypeError, RecursionError, RefusedError) as error:
        raise StoreError(f"{path} is damaged: {getattr(error, 'what', error)}", again(folder)) from None


def write(folder: Path, manifest: Manifest) -> None:
    """Put the manifest into the folder, whole or not at all."""
    with replacing(folder / MANIFEST) as sink:
        sink.write(json.dumps({"format": FORMAT, **asdict(manifest)}, ensure_ascii=False, indent=1).encode())


def _parsed(plain: Any) -> Manifest:
    """The manifest that plain values spell; ValueError or TypeError where they spell none."""
    if not isinstance(plain, Mapping) or not isinstance(plain.get("files"), list):
        raise ValueError("it is no manifest")
    if plain.get("format") != FORMAT:
        raise ValueError(f"its format is {shown(plain.get('format'))}, and this Hanlin reads {FORMAT}")
    files = []
    for entry in plain["files"]:
        file = _typed(Kept(**entry))
        inside(file.path, MANIFEST)
        if file.bytes < 0 or not re.fullmatch("[0-9a-f]{64}", file.sha256):
            raise ValueError(f"{shown(file.path)} has no size or checksum")
        files.append(file)
    values: dict[str, Any] = {**plain, "files": tuple(files)}
    del values["format"]
    found = _typed(Manifest(**values))
    if found.entry and found.entry not in {file.path for file in files}:
        raise ValueError(f"{shown(found.entry)} is none of its files")
    return found


def _typed(value: Any) -> Any:
    """The value itself, when each plain field has the type that its class declares."""
    for name, hint in get_type_hints(type(value)).items():
        kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        found = getattr(value, name)
        if all(isinstance(kind, type) for kind in kinds) and type(found) not in kinds:
            raise TypeError(f"{name} is {shown(found)}")
    return value


def check_sizes(folder: Path, manifest: Manifest) -> None:
    """Compare each file's size with the manifest: one look per file, nothing read.

    Raises:
        StoreError: a file is missing, is a link, or has another size.
    """
    for file in manifest.files:
        path = folder / file.path
        try:
            found = path.lstat()
        except OSError as error:
            raise StoreError(f"{path} is gone: {error.strerror}", again(folder)) from None
        if not stat.S_ISREG(found.st_mode):
            raise StoreError(f"{path} is no longer a file, but may lead out of the store", again(folder))
        if found.st_size != file.bytes:
            raise StoreError(f"{path} has {found.st_size:,} bytes instead of {file.bytes:,}", again(folder))


def kept(folder: Path, path: str) -> Kept:
    """The record of a file that lies in the folder, its content read once."""
    with (folder / path).open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
        return Kept(path=path, bytes=source.tell(), sha256=digest)


def again(folder: Path) -> str:
    """The fix for a stored model that is damaged."""
    return f"fetch it again: hanlin pull {name_of(folder.name)} --force, or drop it: hanlin rm {name_of(folder.name)}"
