"""A path, a folder, a pattern or a package in, the files to read out, in sorted order."""

import glob
from collections import Counter
from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path

from hanlin.core.errors import DataError
from hanlin.core.home import expanded
from hanlin.core.plugins import find, names
from hanlin.data.opened import File, suffix
from hanlin.data.packages import SPELLINGS, package_files
from hanlin.data.settings import SourceSettings

FOLDER = "hanlin.data.sources"


@cache
def kinds() -> dict[str, str]:
    """Which kind of source reads a name's ending: {".jsonl": "jsonl", …}."""
    return {ending: name for name in names(FOLDER) for ending in find(FOLDER, name).SUFFIXES}


def files(source: SourceSettings, known: Collection[str] | None = None) -> list[File]:
    """The files a source means; of a folder or a pattern only those whose ending is `known`, by default as a row's.

    Raises:
        DataError: there is none, or none that can be read as text or records.
        StoreError: a package cannot be fetched.
    """
    kind, rest = package(source.path)
    if kind:
        return _known(package_files(kind, rest), source.path, known)
    path = expanded(source.path)
    if path.is_file():
        return [File(path, source.path)]
    if path.is_dir():
        found = sorted(item for item in path.rglob("*") if item.is_file() and not _is_hidden(item, path))
        return _known([File(item, str(item)) for item in found], source.path, known)
    found = sorted(glob.glob(str(path), recursive=True)) if glob.has_magic(str(path)) else []  # noqa: PTH207 - `**` and absolute
    if not found:
        raise DataError(f"there is no file {source.path}", "check the path; it is relative to where hanlin runs")
    return _known([File(Path(item), item) for item in found if Path(item).is_file()], source.path, known)


def left_out(source: SourceSettings, known: Collection[str]) -> str:
    """What a folder or pattern has beside files of a known ending, by ending: "3 × .png"."""
    path = expanded(source.path)
    if package(source.path)[0] or path.is_file():
        return ""
    if path.is_dir():
        found = [item for item in path.rglob("*") if item.is_file() and not _is_hidden(item, path)]
    else:
        found = [Path(item) for item in glob.glob(str(path), recursive=True)]  # noqa: PTH207 - as above
    endings = Counter(suffix(item.name) or "no ending" for item in found if item.is_file())
    return ", ".join(f"{count:,} × {ending}" for ending, count in endings.most_common() if ending not in known)


def package(path: str) -> tuple[str, str]:
    """The registry and the rest of a path that names files of a package; two empty texts for any other."""
    kind, _, rest = path.partition(":")
    return (kind, rest) if kind in SPELLINGS and ":" in path else ("", "")


def _is_hidden(item: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in item.relative_to(folder).parts)


def _known(found: list[File], where: str, known: Collection[str] | None) -> list[File]:
    """Those that can be read; if none can, an error that says what is there."""
    known = kinds() if known is None else known
    usable = [file for file in found if suffix(file.name) in known]
    if usable:
        return usable
    there = Counter(suffix(file.name) or "no ending" for file in found).most_common(4)
    what = ", ".join(f"{count:,} × {ending}" for ending, count in there) or "nothing"
    raise DataError(f"{where} has no file that can be read: {what}", f"what can be read: {', '.join(sorted(known))}")


def told(found: Sequence[File]) -> list[str]:
    """What kinds of source have to say about their files."""
    by_kind: dict[str, list[File]] = {}
    for file in found:
        by_kind.setdefault(kind_of(file), []).append(file)
    told_by = [(getattr(find(FOLDER, kind), "notes", None), some) for kind, some in by_kind.items()]
    return [note for notes, some in told_by if notes for note in notes(some)]


def kind_of(file: File) -> str:
    """Which kind of source reads a file; one of unknown ending is taken for text, and proved by its content."""
    return kinds().get(suffix(file.name), "text")
