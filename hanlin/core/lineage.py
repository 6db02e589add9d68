"""Where an artefact comes from: its own hash and its parents' in, `lineage.json` beside it out, and back as a tree.

    data ─▶ tokenizer ─▶ checkpoint ─▶ adapter ─▶ export

A record holds its parents' records whole, so the tree is there when a parent has been moved away or deleted. The hash
of a file is its SHA-256; that of a folder is the SHA-256 of its files' names and hashes, in the order of their names.
What is said about an artefact afterwards (its lineage, certificate and card) is no part of it.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from hanlin.core.errors import DataError, StoreError, shown
from hanlin.core.run import replacing

LINEAGE = "lineage.json"
ABOUT = (LINEAGE, "certificate.json", "README.md")
"""Files that speak of the artefact they lie beside."""
MOST_FILES = 1000
"""Files of a folder whose hashes are kept one by one, to name the one that changed."""
DEEPEST = 50
CHANGED = "changed after its own lineage was written"

Standing = Literal["unchanged", "changed", "gone", "unknown"]


@dataclass(frozen=True)
class Lineage:
    """An artefact and what it was made from."""

    name: str
    """What its children call it: "base", "data.train[0]", "model"."""
    hash: str
    """SHA-256 of its content, in hexadecimal digits."""
    kind: str = ""
    """data, tokenizer, checkpoint, adapter, export; empty if nobody said."""
    path: str = ""
    """Where it lay when this was written, seen from the artefact's folder; empty if only the hash is known."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """More about how it was made; plain JSON."""
    files: Mapping[str, str] = field(default_factory=dict)
    """File → hash, of a folder."""
    parents: tuple["Lineage", ...] = ()


@dataclass(frozen=True)
class Checked:
    """An artefact held against the disk."""

    lineage: Lineage
    standing: Standing
    """unknown: there is no path to look at."""
    changed: tuple[str, ...] = ()
    """What differs: files that changed, went or came."""
    parents: tuple["Checked", ...] = ()

    def __iter__(self) -> Iterator["Checked"]:
        """This one and everything it comes from."""
        yield self
        for parent in self.parents:
            yield from parent


def content_hash(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder.

    Raises:
        StoreError: it is not there or cannot be read.
    """
    return _folded(file_hashes(path)) if path.is_dir() else _hash(path)


def file_hashes(folder: Path) -> dict[str, str]:
    """File → SHA-256 for every file of a folder, those that only speak of it and hidden ones left out.

    Raises:
        StoreError: one cannot be read.
    """
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {name: _hash(folder / name) for name in names if name not in ABOUT and not _is_hidden(name)}


def place(path: Path) -> Path:
    """Where the lineage of an artefact is written: in a folder, or beside a file as FILE.lineage.json."""
    return path / LINEAGE if path.is_dir() else path.with_name(f"{path.name}.{LINEAGE}")


def files_hash(files: Mapping[str, Path]) -> str:
    """SHA-256 of several files by the names they go by, as of a folder that has them.

    Raises:
        StoreError: one cannot be read.
    """
    return _folded({name: _hash(path) for name, path in files.items()})


def record(path: Path, kind: str, parents: Mapping[str, "str | Path | Lineage"], facts: Mapping[str, Any]) -> Lineage:
    """Write the lineage of a file or folder beside it.

    Args:
        path: the artefact.
        kind: data, tokenizer, checkpoint, adapter, export.
        parents: name → its hash, or what is known of it; or the path of it: then it is hashed here, and its own lineage
            taken along.
        facts: more about how it was made; plain JSON.

    Raises:
        StoreError: the artefact or a parent cannot be read, or the lineage cannot be written.
        DataError: a parent's lineage is damaged.
    """
    files = file_hashes(path) if path.is_dir() else {}
    made = Lineage(
        name=path.name,
        hash=_folded(files) if path.is_dir() else _hash(path),
        kind=kind,
        facts=dict(facts),
        files=files if len(files) <= MOST_FILES else {},
        parents=tuple(_parent(name, parent, place(path).parent) for name, parent in parents.items()),
    )
    with replacing(place(path)) as sink:
        sink.write(json.dumps(_plain(made), indent=2, ensure_ascii=False).encode() + b"\n")
    return made


def read(path: Path) -> Lineage | None:
    """The lineage recorded beside a file or folder; None if there is none.

    Raises:
        DataError: there is one, and it is damaged.
    """
    file = place(path)
    try:
        return _parsed(json.loads(file.read_text("utf-8")), str(file))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file} cannot be read: {error}", "remove it, and make the artefact again") from None


def check(path: Path) -> Checked:
    """The artefact and everything it comes from, each hashed again where it lies.

    Raises:
        StoreError: there is no such artefact, or a file cannot be read.
        DataError: it has no lineage, or a damaged one.
    """
    if not path.exists():
        raise StoreError(f"{path} is not there", "name a file or folder that Hanlin made")
    lineage = read(path)
    if lineage is None:
        what = f"{path} has no {place(path).name}: nobody recorded where it comes from"
        raise DataError(what, "name what `hanlin train`, `hanlin export` or `hanlin tokenizer` made")
    return _checked(lineage, path, place(path).parent)


def as_object(checked: Checked) -> dict[str, Any]:
    """The tree as plain JSON."""
    lineage = checked.lineage
    told = {key: getattr(lineage, key) for key in ("name", "kind", "hash", "path")} | {"facts": dict(lineage.facts)}
    parents = [as_object(parent) for parent in checked.parents]
    return {**told, "standing": checked.standing, "changed": list(checked.changed), "parents": parents}


def _checked(lineage: Lineage, path: Path | None, here: Path) -> Checked:
    """`here` is the folder from which the parents' paths are seen."""
    parents = tuple(_checked(it, _seen(here, it) if it.path else None, _here(here, it)) for it in lineage.parents)
    if path is None:
        return Checked(lineage, "unknown", parents=parents)
    if not path.exists():
        return Checked(lineage, "gone", parents=parents)
    if path.is_dir():
        now = file_hashes(path)
        if _folded(now) == lineage.hash:
            return Checked(lineage, "unchanged", parents=parents)
        return Checked(lineage, "changed", tuple(_differences(lineage.files, now)), parents)
    is_same = _hash(path) == lineage.hash
    return Checked(lineage, "unchanged" if is_same else "changed", () if is_same else (path.name,), parents)


def _seen(here: Path, lineage: Lineage) -> Path:
    """Where a parent lies. Its path may lead through folders that are gone, so `..` is read as it is written."""
    return Path(os.path.normpath(here / lineage.path))


def _here(here: Path, lineage: Lineage) -> Path:
    """The folder in which a parent's own lineage lies, from which it sees its parents."""
    path = _seen(here, lineage)
    return path if lineage.files or path.is_dir() else path.parent


def _differences(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    if not before:
        yield f"one of {len(now):,} files"
        return
    for name in sorted({*before, *now}):
        if name not in now:
            yield f"{name} is gone"
        elif name not in before:
            yield f"{name} is new"
        elif before[name] != now[name]:
            yield f"{name} changed"


def _parent(name: str, parent: str | Path | Lineage, seen_from: Path) -> Lineage:
    if isinstance(parent, Lineage):
        return replace(parent, name=name)
    if isinstance(parent, str):
        return Lineage(name=name, hash=parent)
    own = read(parent)
    files = file_hashes(parent) if parent.is_dir() else {}
    digest = _folded(files) if parent.is_dir() else _hash(parent)
    has_changed = own is not None and own.hash != digest
    return Lineage(
        name=name,
        hash=digest,
        kind=own.kind if own else "",
        path=os.path.relpath(parent.absolute(), seen_from.absolute()),
        facts={**(own.facts if own else {}), **({"note": CHANGED} if has_changed else {})},
        files=files if len(files) <= MOST_FILES else {},
        parents=own.parents if own else (),
    )


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as source:
            return hashlib.file_digest(source, "sha256").hexdigest()
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}", "check the path and its permissions") from None


def _folded(files: Mapping[str, str]) -> str:
    total = hashlib.sha256()
    for name, digest in sorted(files.items()):
        total.update(f"{name}\0{digest}\n".encode(errors="surrogateescape"))
    return total.hexdigest()


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _plain(lineage: Lineage) -> dict[str, Any]:
    """As JSON has it; what is empty is left out."""
    told = {key: getattr(lineage, key) for key in ("name", "kind", "hash", "path", "facts", "files")}
    parents = [_plain(parent) for parent in lineage.parents]
    return {key: value for key, value in {**told, "parents": parents}.items() if value}


def _parsed(value: Any, where: str, depth: int = 0) -> Lineage:
    """A lineage from JSON, every field of the type it must have."""
    kinds = {"name": str, "hash": str, "kind": str, "path": str, "facts": dict, "files": dict, "parents": list}
    wrong = _wrong(value, kinds) if depth < DEEPEST else f"more than {DEEPEST} generations"
    if wrong:
        raise DataError(f"{where} is no lineage: it has {wrong}", "remove it, and make the artefact again")
    parents = tuple(_parsed(parent, where, depth + 1) for parent in value.get("parents", ()))
    return Lineage(**{**value, "parents": parents})


def _wrong(value: Any, kinds: Mapping[str, type]) -> str:
    if not isinstance(value, dict):
        return shown(value)
    for key, kind in kinds.items():
        if not isinstance(value.get(key, kind()), kind) or (key in ("name", "hash") and not value.get(key)):
            return f"{key} = {shown(value.get(key))}"
    unknown: Iterable[str] = sorted(value.keys() - kinds.keys())
    return f"the key {shown(unknown[0])}" if unknown else ""
