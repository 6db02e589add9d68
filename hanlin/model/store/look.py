"""What is in the store: names in, places and manifests out. Reads manifests and sizes; only `verify` reads weights."""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hanlin.core.errors import HanlinError, StoreError, did_you_mean, shown
from hanlin.core.home import expanded
from hanlin.model.store import manifest as manifests
from hanlin.model.store import place
from hanlin.model.store.disk import CHUNK_BYTES
from hanlin.model.store.manifest import Manifest
from hanlin.model.store.progress import Progress
from hanlin.model.store.request import canonical, is_path
from hanlin.model.store.sources.path import used_in_place


@dataclass(frozen=True)
class Stored:
    """One model of the store, as a list shows it."""

    name: str
    path: Path
    """Its folder."""
    manifest: Manifest | None
    """None when the manifest is damaged."""
    used_at: float
    """When it was last resolved, in seconds since 1970."""
    problem: str = ""
    """What is wrong with it, "" for nothing."""

    def as_object(self) -> dict[str, Any]:
        """All of it, as plain values for JSON; times in ISO 8601, UTC."""
        plain: dict[str, Any] = {"name": self.name, "path": str(self.path), "problem": self.problem}
        if self.manifest is None:
            return plain
        manifest = self.manifest
        used_at = datetime.fromtimestamp(self.used_at, UTC).isoformat(timespec="seconds")
        plain |= {"family": manifest.family, "format": "gguf" if manifest.entry else "safetensors"}
        plain |= {"entry": manifest.entry, "bytes": manifest.total_bytes, "source": manifest.source}
        plain |= {"origin": manifest.origin, "revision": manifest.revision, "requested": manifest.requested}
        plain |= {"licence": manifest.licence, "pulled_at": manifest.pulled_at, "used_at": used_at}
        return plain | {"files": [asdict(file) for file in manifest.files]}


def find(name: str) -> Path | None:
    """The folder or .gguf file of a model that is here: a stored name first, then a path. Asks no network.

    Raises:
        StoreError: it is here but damaged, or it is a path where no model lies.
        RefusedError: it is a path to a folder with only pickled weights or links that leave it.
    """
    name = canonical(name)
    found = find_stored(name)
    if found is None and is_path(name):
        return used_in_place(expanded(name))
    return found


def find_stored(name: str) -> Path | None:
    """The folder or .gguf file of a stored model.

    Raises:
        StoreError: it is there but damaged.
    """
    if place.is_outside(name):
        return None
    folder = place.folder(name)
    manifest = manifests.read(folder)
    if manifest is None:
        return None
    manifests.check_sizes(folder, manifest)
    return folder / manifest.entry


def stored() -> list[Stored]:
    """Every model of the store, by name; a damaged one says so."""
    return [_stored(folder) for folder in _folders(place.root())]


def details(name: str) -> Stored:
    """One stored model.

    Raises:
        StoreError: there is none of that name.
    """
    folder = place.folder(canonical(name))
    if not folder.is_dir():
        known = [model.name for model in stored()]
        raise StoreError(f"there is no model {shown(name)} in the store", did_you_mean(name, known))
    return _stored(folder)


def unfinished() -> list[tuple[str, int]]:
    """(name, bytes here) of every pull that has begun and not ended."""
    found = []
    for folder in _folders(place.root() / ".staging"):
        size = sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
        found.append((place.name_of(folder.name), size))
    return found


def verify(name: str) -> Iterator[Progress]:
    """Read every byte of a stored model again and compare it with the manifest's checksums.

    Raises:
        StoreError: there is no such model, or a file cannot be read or is not what it was.
    """
    folder = details(name).path
    manifest = manifests.read(folder)
    assert manifest is not None
    manifests.check_sizes(folder, manifest)
    done = 0
    for file in manifest.files:
        digest = hashlib.sha256()
        try:
            with (folder / file.path).open("rb") as source:
                while chunk := source.read(CHUNK_BYTES):
                    digest.update(chunk)
                    done += len(chunk)
                    yield Progress(file.path, done, manifest.total_bytes)
        except OSError as error:
            raise StoreError(
                f"{folder / file.path} cannot be read: {error.strerror}", "check its permissions"
            ) from None
        if digest.hexdigest() != file.sha256:
            what = f"{folder / file.path} has changed: its sha256 is {digest.hexdigest()}, not {file.sha256}"
            raise StoreError(what, manifests.again(folder))


def _folders(parent: Path) -> list[Path]:
    try:
        return sorted(path for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StoreError(f"{parent} cannot be read: {error.strerror}", "check its permissions") from None


def _stored(folder: Path) -> Stored:
    name, manifest, problem, used_at = place.name_of(folder.name), None, "", 0.0
    try:
        manifest = manifests.read(folder)
        if manifest:
            used_at = (folder / place.MANIFEST).stat().st_mtime
            manifests.check_sizes(folder, manifest)
    except HanlinError as error:
        problem = error.what
    return Stored(manifest.name if manifest else name, folder, manifest, used_at, problem)
