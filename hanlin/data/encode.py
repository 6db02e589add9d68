"""Sources in, encoded examples out, kept on disk: what was encoded once is mapped the next time.

The key is the content of the files, the tokenizer and the settings. A folder appears under its key when it is whole,
never before; one that a killed run left half-done is swept away. Nothing is held in memory but a batch of examples.
"""

import os
import secrets
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import orjson
import psutil

from hanlin.core.errors import CapacityError, DataError, HanlinError
from hanlin.core.home import expanded, home
from hanlin.data.batch import Marked
from hanlin.data.encoded import KINDS, Arrays, Builder, Encoded
from hanlin.data.example import Example, Text
from hanlin.data.files import files, told
from hanlin.data.hashes import hashed
from hanlin.data.opened import File, foreign
from hanlin.data.read import Read, examples
from hanlin.data.settings import DataSettings, SourceSettings

VERSION = 2
AT_ONCE = 256
MOST_CHARACTERS = 1 << 22
"""Of a batch of texts to encode."""
LISTED = 20
"""Skipped rows that are kept to be told."""
Encode = Callable[[Sequence[Example]], Sequence[Marked | HanlinError]]


class Progress(NamedTuple):
    """How far encoding is."""

    file: str
    examples: int
    tokens: int


def encoded(
    source: SourceSettings | Sequence[SourceSettings],
    encode: Encode,
    takes: tuple[type, ...],
    key: str,
    settings: DataSettings,
) -> Encoded:
    """The examples of a source, or of several as one, from the cache or made now.

    `encode` marks a list of examples, or says what is wrong with one; `key` tells apart whatever it depends on: the
    tokenizer's hash, the objective's settings.

    Raises:
        DataError: a row cannot be used and `skip_bad_rows` is off, or none is left, or there is no file.
        CapacityError: the disk is full.
    """
    steps = encoding(source, encode, takes, key, settings)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value


def encoding(
    source: SourceSettings | Sequence[SourceSettings],
    encode: Encode,
    takes: tuple[type, ...],
    key: str,
    settings: DataSettings,
) -> Generator[Progress, None, Encoded]:
    """`encoded`, telling how far it is; nothing is told when the cache has it all."""
    sources = [source] if isinstance(source, SourceSettings) else list(source)
    found = [files(one) for one in sources]
    digest = _key(sources, found, takes, key, settings)
    place = (expanded(settings.cache) if settings.cache else home() / "tokens") / digest
    kept = _kept(place, digest)
    if kept is not None:
        return kept
    beside = place.with_name(f".{digest}.{os.getpid()}-{secrets.token_hex(4)}")
    _swept(place)
    try:
        beside.mkdir(parents=True)
        with closing(_Sink(beside)) as sink:
            for one, these in zip(sources, found, strict=True):
                yield from _written(examples(one, takes, settings.limit, these), encode, sink, settings)
            if not sink.count:
                which = ", ".join(one.path for one in sources)
                raise DataError(
                    f"{which}: no example is left", sink.skipped[0] if sink.skipped else "give it some rows"
                )
        sink.finish(digest, [note for some in found for note in (*foreign(some), *told(some))])
        if not place.exists():
            beside.rename(place)
    except OSError as error:
        raise CapacityError(f"{place.parent} cannot be written: {error.strerror}", "free some disk space") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    kept = _kept(place, digest)
    assert kept is not None
    return kept


def _key(
    sources: Sequence[SourceSettings],
    found: Sequence[Sequence[File]],
    takes: tuple[type, ...],
    key: str,
    settings: DataSettings,
) -> str:
    """What the cache is called: equal only if everything that matters is."""
    whole = {
        "version": VERSION,
        "key": key,
        "takes": [kind.__name__ for kind in takes],
        "sources": [one.model_dump(exclude={"weight"}) for one in sources],
        "files": [[[file.name, digest] for file, digest in zip(some, hashed(some), strict=True)] for some in found],
        "limit": settings.limit,
        "skip": settings.skip_bad_rows,
    }
    return blake2b(orjson.dumps(whole, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


def _written(
    source: Iterator[Read | DataError], encode: Encode, sink: "_Sink", settings: DataSettings
) -> Iterator[Progress]:
    batch: list[Read] = []
    letters = 0
    for item in source:
        if isinstance(item, DataError):
            sink.skip(item, settings)
            continue
        batch.append(item)
        letters += len(item.example.text) if isinstance(item.example, Text) else 0
        if len(batch) >= AT_ONCE or letters > MOST_CHARACTERS:
            yield _flushed(batch, encode, sink, settings)
            batch, letters = [], 0
    if batch:
        yield _flushed(batch, encode, sink, settings)


def _flushed(batch: Sequence[Read], encode: Encode, sink: "_Sink", settings: DataSettings) -> Progress:
    for item, mark in zip(batch, encode([item.example for item in batch]), strict=True):
        if isinstance(mark, HanlinError):
            sink.skip(item.row.wrong(mark.what, mark.fix), settings)
        else:
            sink.add(item, mark)
    sink.flush()
    return Progress(batch[-1].row.file, sink.count, sink.tokens)


class _Sink:
    """The files of a cache while they are written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = self.tokens = self.skipped_count = self.pairs = 0
        self.skipped: list[str] = []
        self.file_numbers: dict[str, int] = {}
        self.builder, self.worse = Builder(), Builder()
        (folder / "rejected").mkdir()
        self.sinks = [(self.builder, _open(folder)), (self.worse, _open(folder / "rejected"))]

    def close(self) -> None:
        """Close the files."""
        for _builder, handles in self.sinks:
            for handle in handles:
                handle.close()

    def skip(self, error: DataError, settings: DataSettings) -> None:
        """Note a row that cannot be used, or stop because of it."""
        if not settings.skip_bad_rows:
            raise error
        self.skipped_count += 1
        if len(self.skipped) < LISTED:
            self.skipped.append(error.what)

    def add(self, item: Read, mark: Marked) -> None:
        """One example."""
        file = self.file_numbers.setdefault(item.row.file, len(self.file_numbers))
        text = item.example.text if isinstance(item.example, Text) else None
        content = repr(item.example).encode() if text is None else text.encode("utf-8", "surrogatepass")
        self.builder.add(mark, file, item.row.line, 0 if text is None else len(content), content)
        if mark.rejected is not None:
            self.pairs += 1
            self.worse.add(mark.rejected, file, item.row.line, 0)
        self.count += 1
        self.tokens += len(mark.ids)

    def flush(self) -> None:
        """Put what was added onto the disk."""
        for builder, handles in self.sinks:
            for handle, (parts, _) in zip(handles, builder.columns(), strict=True):
                handle.write(b"".join(parts))
                parts.clear()

    def finish(self, digest: str, notes: Sequence[str]) -> None:
        """Write what tells that all is there."""
        assert self.pairs in (0, self.count), "pairs and single texts in one source"
        if not self.pairs:
            shutil.rmtree(self.folder / "rejected")
        about = {
            "hash": digest,
            "files": list(self.file_numbers),
            "skipped": self.skipped,
            "skipped_count": self.skipped_count,
            "notes": list(notes),
            "sizes": _sizes(self.folder),
            "has_pairs": self.pairs > 0,
        }
        with (self.folder / "about.json").open("wb") as sink:
            sink.write(orjson.dumps(about))
            sink.flush()
            os.fsync(sink.fileno())


def _open(folder: Path) -> list[IO[bytes]]:
    return [(folder / name).open("wb") for name in Arrays._fields]


def _sizes(folder: Path) -> list[int]:
    return [(folder / name).stat().st_size for name in Arrays._fields]


def _swept(place: Path) -> None:
    """Take away what runs that are no more left half-done."""
    for left in place.parent.glob(f".{place.name}.*"):
        owner = left.name.split(".")[-1].partition("-")[0]
        if not owner.isdigit() or not psutil.pid_exists(int(owner)):
            shutil.rmtree(left, ignore_errors=True)


def _kept(place: Path, digest: str) -> Encoded | None:
    """What the cache has, if it is whole; what is not is taken away."""
    if not place.exists():
        return None
    try:
        about = orjson.loads((place / "about.json").read_bytes())
        if about["hash"] != digest or about["sizes"] != _sizes(place):
            raise ValueError
        arrays = _mapped(place)
        worse = Encoded(_mapped(place / "rejected"), digest, tuple(about["files"])) if about["has_pairs"] else None
    except (OSError, ValueError, KeyError, TypeError):
        shutil.rmtree(place, ignore_errors=True)
        return None
    names, skipped, notes = (tuple(about[name]) for name in ("files", "skipped", "notes"))
    return Encoded(arrays, digest, names, skipped, about["skipped_count"], notes, rejected=worse)


def _mapped(folder: Path) -> Arrays:
    """The big arrays mapped, those of one figure per example read."""
    found = []
    for name, kind in zip(Arrays._fields, KINDS, strict=True):
        path = folder / name
        is_big = name in ("ids", "graded", "facts") and path.stat().st_size > 0
        found.append(np.memmap(path, kind, "r") if is_big else np.fromfile(path, kind))
    return Arrays(*found)


def held_out(all_of: Encoded, share: float) -> tuple[Encoded, Encoded]:
    """Training and validation: which example goes where is a matter of its content alone, so copies go together.

    Where there are two different ones and the share is not 0, at least one is held out and at least one is not.
    """
    hashes = all_of.hashes
    is_held = hashes < np.uint64(share * 2**64) if share else np.zeros(len(all_of), np.bool_)
    if is_held.any() and is_held.all():
        is_held = hashes != hashes.max()
    elif share and not is_held.any() and len(np.unique(hashes)) > 1:
        is_held = hashes == hashes.min()
    return all_of.view(np.flatnonzero(~is_held)), all_of.view(np.flatnonzero(is_held))
