"""Documents that stay, as shards: train/00000.parquet, validation/…, test/…; each whole or not there at all."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Int64

from hanlin.core.errors import ConfigError, did_you_mean
from hanlin.core.run import replacing
from hanlin.data.corpus.decide import SPLITS, Decision, uniform
from hanlin.data.corpus.measure import hashes_of
from hanlin.data.corpus.mixture import Mixture
from hanlin.data.corpus.settings import CorpusSettings
from hanlin.data.corpus.store import Store
from hanlin.data.view import LINES, PARAGRAPHS

COLUMNS = ["text", "path", "number", "source", "language", "licence", "title", "time"]


@dataclass(frozen=True)
class Written:
    """A shard."""

    path: Path
    documents: int
    characters: int


def shards(
    store: Store, decision: Decision, mixture: Mixture, settings: CorpusSettings, out: Path
) -> Iterator[Written]:
    """Write all shards, in place of those of an earlier run.

    Raises:
        ConfigError: mixture.order is no tag.
        CapacityError: the disk is full.
    """
    cleaner = Cleaner(store, decision, settings)
    for place, name in enumerate(SPLITS):
        copies = mixture.copies if place == 0 else (decision.splits == place).astype(np.int64)
        folder = out / name
        shutil.rmtree(folder, ignore_errors=True)
        if not copies.any():
            continue
        folder.mkdir(parents=True)
        order = ordered(store, copies, settings) if place == 0 else np.flatnonzero(copies)
        sizes = store.column("characters")[order]
        numbers = np.cumsum(sizes) // settings.shard_characters
        for shard in range(int(numbers[-1]) + 1):
            chosen = order[numbers == shard]
            if len(chosen):
                yield _written(store, chosen, cleaner, settings, folder / f"{shard:05}.parquet")


def ordered(store: Store, copies: Int64[np.ndarray, " n"], settings: CorpusSettings) -> Int64[np.ndarray, " m"]:
    """Documents in the order they are written, each as often as it has copies; a second copy comes after all firsts.

    Raises:
        ConfigError: the order is no tag that was measured.
    """
    rounds = [np.flatnonzero(copies > done) for done in range(int(copies.max()))]
    how = settings.mixture.order
    if how == "shuffled":
        hashes = store.column("hash")
        rounds = [some[np.argsort(uniform(hashes[some], settings.seed + 2 + at))] for at, some in enumerate(rounds)]
    elif how != "read":
        tags = [name for name in store.names if "." in name] + ["characters"]
        if how not in tags:
            fix = did_you_mean(how, ["read", "shuffled", *tags])
            raise ConfigError(f'mixture.order = "{how}" is nothing that was measured', fix)
        values = store.column(how)
        rounds = [some[np.argsort(values[some], kind="stable")] for some in rounds]
    return np.concatenate(rounds)


def _written(
    store: Store, chosen: Int64[np.ndarray, " m"], cleaner: "Cleaner", settings: CorpusSettings, path: Path
) -> Written:
    """One shard. Each part that has some of it is read once."""
    names = [origin.name or origin.path for origin in settings.sources]
    rows: dict[int, dict[str, str]] = {}
    parts = np.searchsorted(store.starts, chosen, "right") - 1
    for part in np.unique(parts).tolist():
        start = int(store.starts[part])
        mine = np.unique(chosen[parts == part]) - start
        for at, row in zip(mine.tolist(), store.part(part, COLUMNS).take(pa.array(mine)).to_pylist(), strict=True):
            name = row["path"] if row["number"] == 1 else f"{row['path']}#{row['number']}"
            about = {key: row.get(key) or "" for key in ("language", "licence", "title", "time")}
            text = cleaner.cleaned(start + at, row["text"])
            rows[start + at] = {"id": name, "text": text, "source": names[row["source"]], **about}
    found = [row for row in (rows[document] for document in chosen.tolist()) if row["text"].strip()]
    keys = next(iter(rows.values()))
    schema = pa.schema([(key, pa.large_string() if key == "text" else pa.string()) for key in keys])
    with replacing(path) as sink:
        pq.write_table(pa.Table.from_pylist(found, schema), sink, compression="zstd")
    return Written(path, len(found), sum(len(row["text"]) for row in found))


class Cleaner:
    """Takes lines and paragraphs out that too many documents have."""

    def __init__(self, store: Store, decision: Decision, settings: CorpusSettings) -> None:
        self._least = settings.duplicates.least_characters
        self._found = [
            (between, split, *_repeated(store, decision.is_kept, name, most))
            for name, between, split, most in (
                ("paragraphs", "\n\n", PARAGRAPHS, settings.duplicates.paragraphs),
                ("lines", "\n", LINES, settings.duplicates.lines),
            )
            if most is not None
        ]

    def cleaned(self, document: int, text: str) -> str:
        """The text without pieces that are repeated elsewhere before it."""
        for between, split, hashes, first in self._found:
            if not len(hashes):
                continue
            pieces = split.split(text)
            found = hashes_of(pieces, self._least)
            at = np.minimum(np.searchsorted(hashes, found), len(hashes) - 1)
            is_repeated = (hashes[at] == found) & (first[at] != document)
            if is_repeated.any():
                text = between.join(piece for piece, goes in zip(pieces, is_repeated, strict=True) if not goes)
        return text


def _repeated(store: Store, kept: Bool[np.ndarray, " n"], name: str, most: int) -> Sequence[np.ndarray]:
    """Hashes of pieces that at least `most` documents have, sorted, and the first document of each."""
    values, owners = store.lists(name)
    is_there = kept[owners] & (values != 0)
    order = np.lexsort((owners[is_there], values[is_there]))
    values, owners = values[is_there][order], owners[is_there][order]
    is_new = np.ones(len(values), bool)
    is_new[1:] = (values[1:] != values[:-1]) | (owners[1:] != owners[:-1])
    values, owners = values[is_new], owners[is_new]
    known, first, counts = np.unique(values, return_index=True, return_counts=True)
    return known[counts >= most], owners[first][counts >= most]
