"""Archives: each file inside as its own kind reads it. One file is unpacked at a time, and so much in all."""

import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from hanlin.core.plugins import find
from hanlin.data.document import Document, Refused
from hanlin.data.opened import File, damaged, suffix
from hanlin.data.settings import SourceSettings

SUFFIXES = (".zip", ".tar", ".tgz", ".tbz2", ".txz")
BLOCK_BYTES = 1 << 20
LARGEST_MEMBER = 1 << 31
"""Bytes, unpacked."""
MOST_TIMES = 1_000
"""How much larger than the archive all members may be, beyond the first 256 MiB."""


def documents(file: File, settings: SourceSettings) -> Iterator[Document | Refused]:
    """The documents of all files inside that can be read; those of no known kind are counted and told at the end."""
    from hanlin.data.corpus.kinds import kinds

    left, left_out = max(256 << 20, MOST_TIMES * file.path.stat().st_size), 0
    try:
        with tempfile.TemporaryDirectory() as folder:
            for number, (name, source) in enumerate(_members(file)):
                kind = kinds().get(suffix(name))
                if kind is None or kind == "archive":
                    left_out += 1
                    continue
                inner = File(Path(folder) / f"{number}{Path(name).suffix}", f"{file.name}!{name}")
                if isinstance(source, str):
                    yield Refused(inner.name, 1, source)
                    continue
                size = _copied(source, inner.path, min(left, LARGEST_MEMBER))
                if size is None:
                    yield Refused(inner.name, 1, "it unpacks to more than an archive of this size may: a bomb")
                    return
                left -= size
                for doc in find("hanlin.data.documents", kind).documents(inner, settings):
                    path = doc.path.replace(str(inner.path), inner.name)
                    yield replace(doc, path=path)
                inner.path.unlink()
    except (tarfile.TarError, zipfile.BadZipFile, NotImplementedError, OSError, *damaged()) as error:
        yield Refused(file.name, 1, f"the archive is damaged: {error}"[:300])
    if left_out:
        yield Refused(file.name, 1, f"{left_out:,} files in it are of no kind that can be read")


def _members(file: File) -> Iterator[tuple[str, Any]]:
    """Path inside and content of each ordinary file, to be read from; or why it cannot be had, in words."""
    if suffix(file.name) == ".zip":
        with zipfile.ZipFile(file.path) as box:
            for member in box.infolist():
                if member.is_dir():
                    continue
                if member.flag_bits & 1:
                    yield member.filename, "it is locked by a password"
                    continue
                with box.open(member) as source:
                    yield member.filename, source
        return
    with tarfile.open(file.path) as box:
        for member in box:
            source = box.extractfile(member) if member.isfile() else None
            if source is not None:
                yield member.name.removeprefix("./"), source


def _copied(source: Any, to: Path, most: int) -> int | None:
    """Bytes written; None when there were more than `most`."""
    total = 0
    with to.open("wb") as sink:
        while block := source.read(BLOCK_BYTES):
            total += len(block)
            if total > most:
                return None
            sink.write(block)
    return total
