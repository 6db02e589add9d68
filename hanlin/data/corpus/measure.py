"""One task in, its parts out: each document goes through the steps, and what they say of it becomes a row.

A document that a step cannot bear is a row, too, without text and with the reason. A part is written whole or not at
all, and one that is there already is not made again; a task that has ended leaves a marker with its counts.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from hanlin.core.errors import HanlinError
from hanlin.core.plugins import find
from hanlin.core.run import replacing
from hanlin.data.corpus.kinds import kinds
from hanlin.data.corpus.settings import CorpusSettings, DuplicateSettings, OriginSettings
from hanlin.data.corpus.task import Task
from hanlin.data.document import Document, Refused
from hanlin.data.marks import simplified
from hanlin.data.near import bands, sequences, sequences_of_datatrove, signature
from hanlin.data.opened import File, suffix
from hanlin.data.step import Step
from hanlin.data.view import LINES, PARAGRAPHS, View, spacy_words

PART_CHARACTERS = 16_000_000
"""A part ends when its texts are so long, however few they are: memory stays bounded."""
WINNOW = 8
"""Of so many passages in a row one is remembered, that with the least hash (Schleimer 2003)."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Care:
    """What is known of documents that killed the process which read or measured them."""

    is_careful: bool = False
    """Write down where it stands before each document."""
    deadly: frozenset[int] = frozenset()
    """Documents not to be measured, by their place in the file, from 1."""
    unreadable: frozenset[int] = frozenset()
    """Those that cannot even be read; the rest of their file is not."""


def measure(
    task: Task, settings: CorpusSettings, steps: Sequence[Step], folder: Path, care: Care = Care()
) -> Iterator[int]:
    """Measure what is not there yet; yields how many documents each part has.

    Raises:
        CapacityError: the disk is full.
    """
    began, documents = time.monotonic(), 0
    cursor = Cursor(folder / f"{task.stem}.at" if care.is_careful else None)
    with replacing(folder / f"{task.stem}.begun") as sink:
        sink.write(orjson.dumps({"files": task.mark()}))
    for number, part in enumerate(_parts(_documents(task, settings, care, cursor), settings.part_documents)):
        if number % task.shares != task.share:
            continue
        path = folder / task.part(number)
        if not path.exists():
            rows = []
            for place, doc in part:
                if place in care.deadly and isinstance(doc, Document):
                    doc = Refused(doc.path, doc.number, "the process that measured it died", "steps")
                cursor.at(f"measure {place}")
                rows.append(_row(doc, task, settings, steps))
            with replacing(path) as sink:
                pq.write_table(_table(rows, settings), sink, compression="zstd")
        documents += len(part)
        yield len(part)
    seconds = round(time.monotonic() - began, 3)
    with replacing(folder / f"{task.stem}.done") as sink:
        sink.write(orjson.dumps({"documents": documents, "seconds": seconds, "files": task.mark()}))
    (folder / f"{task.stem}.begun").unlink()
    cursor.remove()


class Cursor:
    """Where a careful task stands, on disk, for whoever finds it dead."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def at(self, what: str) -> None:
        """Write it down."""
        if self.path is not None:
            self.path.write_text(what)

    def remove(self) -> None:
        """The task has ended."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def _documents(
    task: Task, settings: CorpusSettings, care: Care, cursor: Cursor
) -> Iterator[tuple[int, Document | Refused]]:
    """The documents of a task, each with its place, from 1."""
    place = 0
    for file in task.files:
        found = _of_file(file, settings.sources[task.source], settings.limit)
        while True:
            cursor.at(f"read {place + 1}")
            if place + 1 in care.unreadable:
                doc, found = Refused(file.name, 1, "the process that read it died"), iter(())
            else:
                doc = next(found, None)
            if doc is None:
                break
            place += 1
            yield place, doc


def _of_file(file: File, origin: OriginSettings, limit: int | None) -> Iterator[Document | Refused]:
    """The documents of a file; what goes wrong beyond a kind's own care is the last one."""
    number = 0
    try:
        kind = find("hanlin.data.documents", kinds().get(suffix(file.name), "text"))
        for doc in islice(kind.documents(file, origin), limit):
            number += 1
            yield doc
    except MemoryError:
        yield Refused(file.name, number + 1, "it needs more memory than there is")
    except HanlinError as error:
        yield Refused(file.name, number + 1, error.what)
    except Exception as error:  # a library's own failure on one file must not end the run
        yield Refused(file.name, number + 1, f"{type(error).__name__}: {error}"[:500])


def _parts(docs: Iterator[tuple[int, Document | Refused]], most: int) -> Iterator[list[tuple[int, Document | Refused]]]:
    part: list[tuple[int, Document | Refused]] = []
    size = 0
    for place, doc in docs:
        part.append((place, doc))
        size += len(doc.text) if isinstance(doc, Document) else 0
        if len(part) >= most or size >= PART_CHARACTERS:
            yield part
            part, size = [], 0
    if part:
        yield part


def _row(doc: Document | Refused, task: Task, settings: CorpusSettings, steps: Sequence[Step]) -> Row:
    if isinstance(doc, Refused):
        return _refused(doc, task)
    origin, name = settings.sources[task.source], "read"
    text, language, tags = doc.text, doc.language or origin.language, dict[str, Any]()
    try:
        view = View(text, language)
        for step in steps:
            name = step.name
            found, changed = step.tag(view)
            tags.update({f"{name}.{tag}": value for tag, value in found.items()})
            language = str(found.get("language", language))
            if changed is not None:
                view = View(changed, language)
            view.language = language
        name = "duplicates"
        twice = _twice(view, settings.duplicates)
    except MemoryError:
        return _refused(Refused(doc.path, doc.number, "it needs more memory than there is", name), task)
    except Exception as error:  # one poisoned document must not end the run
        what = error.what if isinstance(error, HanlinError) else f"{type(error).__name__}: {error}"[:500]
        return _refused(Refused(doc.path, doc.number, what, name), task)
    about = {"title": doc.title, "licence": doc.licence or origin.licence, "time": doc.time, "language": language}
    facts = {"facts": orjson.dumps(dict(doc.facts), default=str).decode() if doc.facts else ""}
    size = {"text": view.text, "characters": len(view.text), "read_characters": len(text)}
    place = {"source": task.source, "path": doc.path or task.files[0].name, "number": doc.number}
    return {**place, **about, **facts, **size, "is_chinese": view.is_chinese, **twice, **tags}


def _refused(refused: Refused, task: Task) -> Row:
    place = {"source": task.source, "path": refused.path or task.files[0].name, "number": refused.number}
    return {**place, "refused": refused.what, "refused_at": refused.step}


def _twice(view: View, settings: DuplicateSettings) -> Row:
    """What duplicates are known by."""
    text = view.text
    row: Row = {"hash": xxhash.xxh3_64_intdigest(text.strip())}
    needs_words = settings.near or settings.passages is not None
    if needs_words:
        plain = simplified(text)
        if settings.compat == "datatrove":
            words = spacy_words(plain, "zh" if view.is_chinese else "en")
            hashes = sequences_of_datatrove(words, settings.words)
        else:
            seen = View(plain, view.language)
            words = seen.words
            hashes = sequences(words, settings.words)
        if settings.near and len(hashes):
            row["near"] = signature(hashes, settings.bands * settings.rows, settings.seed)
        if settings.passages is not None:
            row["passages"] = winnowed(sequences(words, settings.passage_words))
    for name, split in (("lines", LINES), ("paragraphs", PARAGRAPHS)):
        if getattr(settings, name) is not None:
            row[name] = hashes_of(split.split(text), settings.least_characters)
    return row


def hashes_of(pieces: Sequence[str], least: int) -> np.ndarray:
    """Of pieces that are long enough; 0 for the others."""
    digest = xxhash.xxh3_64_intdigest
    stripped = (piece.strip() for piece in pieces)
    return np.array([digest(piece) if len(piece) >= least else 0 for piece in stripped], np.uint64)


def winnowed(hashes: np.ndarray) -> np.ndarray:
    """One of each few passages in a row, the same ones wherever a passage of the text turns up again."""
    if len(hashes) <= WINNOW:
        return np.unique(hashes)[:1]
    return np.unique(np.lib.stride_tricks.sliding_window_view(hashes, WINNOW).min(axis=1))


PLAIN = {
    "source": pa.int32(),
    "path": pa.string(),
    "number": pa.int64(),
    "title": pa.string(),
    "licence": pa.string(),
    "time": pa.string(),
    "language": pa.string(),
    "facts": pa.string(),
    "text": pa.large_string(),
    "characters": pa.int64(),
    "read_characters": pa.int64(),
    "is_chinese": pa.bool_(),
    "hash": pa.uint64(),
    "refused": pa.string(),
    "refused_at": pa.string(),
}


def _table(rows: Sequence[Row], settings: CorpusSettings) -> pa.Table:
    """Rows as columns: the plain ones, a number or a word for each tag, hashes for duplicates."""
    columns = {name: pa.array([row.get(name) for row in rows], kind) for name, kind in PLAIN.items()}
    tags = sorted({key for row in rows for key in row if "." in key})
    for tag in tags:
        values = [row.get(tag) for row in rows]
        is_word = any(isinstance(value, str) for value in values)
        columns[tag] = pa.array(values, pa.string() if is_word else pa.float64())
    twice = settings.duplicates
    if twice.near:
        whole = np.zeros((len(rows), twice.bands * twice.rows), np.uint64)
        has = np.array(["near" in row for row in rows])
        for at in np.flatnonzero(has).tolist():
            whole[at] = rows[at]["near"]
        found = np.where(has[:, None], bands(whole, twice.bands), 0)
        columns |= {f"band{at:03}": pa.array(found[:, at]) for at in range(twice.bands)}
    for name in ("passages", "lines", "paragraphs"):
        if getattr(twice, name) is not None:
            columns[name] = pa.array([row.get(name) for row in rows], pa.list_(pa.uint64()))
    return pa.table(columns)
