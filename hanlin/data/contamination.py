"""Exam items in, an index of their 13-word sequences out; a text asked of it, and the items that stand in it.

A Chinese character is a word. An item of fewer than 13 words is looked for whole, if it has 8. A sequence that more
than ten items share is a phrase of the exam ("The following are multiple choice questions …") and is left out.

The index is a folder: `grams.npz` with hashes in order and the item of each, and `items.parquet`, so that an item can
be asked for by its name. 13 words as GPT-3 (https://arxiv.org/abs/2005.14165, appendix C); ten as NeMo Curator.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from jaxtyping import Int64, UInt64

from hanlin.core.errors import ConfigError, StoreError
from hanlin.core.run import replacing
from hanlin.data.near import FOLD

WORDS, LEAST_WORDS, MOST_ITEMS = 13, 8, 10
WORD = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]|[^\\W_\u3400-\u9fff]+")


@dataclass(frozen=True)
class Item:
    """A question of an exam, or its answer."""

    name: str
    """Task and number: "mmlu/17"."""
    text: str


@dataclass(frozen=True)
class Hit:
    """An item that stands in a text."""

    name: str
    share: float
    """Of the item's sequences, how many are in the text, 0 to 1."""
    grams: int


def words(text: str) -> list[str]:
    """Small letters, marks left out, each Chinese character by itself."""
    return WORD.findall(text.lower())


def _each_length(known: list[str], least: int = LEAST_WORDS) -> Iterator[tuple[int, UInt64[np.ndarray, " m"]]]:
    """Hashes of the sequences of `least` to 13 words, or of all words where there are fewer."""
    most = min(WORDS, len(known))
    numbers: dict[str, int] = {}
    for word in known:
        if word not in numbers:
            numbers[word] = xxhash.xxh64_intdigest(word)
    ids = np.fromiter((numbers[word] for word in known), np.uint64, len(known))
    hashes = np.zeros(len(known), np.uint64)
    for length in range(1, most + 1):
        hashes = hashes[: len(known) - length + 1] * FOLD + ids[length - 1 :]
        if length >= min(least, most):
            mixed = (hashes ^ (hashes >> np.uint64(29))) * FOLD
            yield length, mixed ^ np.uint64(length)


def build(folder: Path, items: Iterable[Item]) -> int:
    """Write the index, in place of what was there; returns how many items can be found.

    Raises:
        ConfigError: no item is long enough.
        CapacityError: the disk is full.
    """
    names: list[str] = []
    texts: list[str] = []
    hashes: list[UInt64[np.ndarray, " m"]] = []
    for item in items:
        known = words(item.text)
        found = np.unique(next(iter(_each_length(known, WORDS)))[1]) if len(known) >= LEAST_WORDS else []
        if len(found):
            names.append(item.name)
            texts.append(item.text)
            hashes.append(np.asarray(found))
    if not names:
        raise ConfigError(f"no item has {LEAST_WORDS} words", "name tasks with longer questions")
    owners = np.repeat(np.arange(len(names)), [len(some) for some in hashes])
    grams = np.concatenate(hashes)
    order = np.argsort(grams, kind="stable")
    grams, owners = grams[order], owners[order]
    _, place, counts = np.unique(grams, return_inverse=True, return_counts=True)
    is_own = counts[place] <= MOST_ITEMS
    sizes = np.bincount(owners[is_own], minlength=len(names))
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / "grams.npz") as sink:
        np.savez(sink, allow_pickle=False, hashes=grams[is_own], owners=owners[is_own])
    with replacing(folder / "items.parquet") as sink:
        pq.write_table(pa.table({"name": names, "text": texts, "grams": sizes}), sink, compression="zstd")
    return int((sizes > 0).sum())


class Contamination:
    """An index that was built."""

    def __init__(self, folder: Path) -> None:
        """Open it.

        Raises:
            ConfigError: there is none.
            StoreError: it is damaged.
        """
        if not (folder / "grams.npz").is_file():
            raise ConfigError(f"{folder} is no index of exams", f"make it: hanlin data contamination build {folder}")
        try:
            with np.load(folder / "grams.npz", allow_pickle=False) as arrays:
                self._hashes, self._owners = arrays["hashes"], arrays["owners"]
            table = pq.read_table(folder / "items.parquet")
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise StoreError(f"{folder} is damaged: {error}", "build it again") from None
        self.names: list[str] = table["name"].to_pylist()
        self.texts: list[str] = table["text"].to_pylist()
        self._sizes: Int64[np.ndarray, " n"] = table["grams"].to_numpy()

    def __len__(self) -> int:
        return len(self.names)

    def tasks(self) -> dict[str, int]:
        """How many items each task has in it."""
        return dict(Counter(name.partition("/")[0] for name in self.names))

    def hits(self, text: str) -> tuple[list[Hit], float]:
        """The items that stand in a text, the surest first, and the share of its own sequences that are theirs."""
        known = words(text)
        if len(known) < LEAST_WORDS:
            return [], 0.0
        shares: dict[int, int] = {}
        contaminated = 0
        for length, found in _each_length(known):
            at = np.searchsorted(self._hashes, found)
            is_there = self._hashes[np.minimum(at, len(self._hashes) - 1)] == found
            contaminated += int(is_there.sum()) if length == WORDS else 0
            for gram in np.unique(found[is_there]):
                low, high = np.searchsorted(self._hashes, gram), np.searchsorted(self._hashes, gram, "right")
                for owner in self._owners[low:high].tolist():
                    shares[owner] = shares.get(owner, 0) + 1
        hits = [Hit(self.names[owner], count / int(self._sizes[owner]), count) for owner, count in shares.items()]
        return sorted(hits, key=lambda hit: (-hit.share, hit.name)), contaminated / max(1, len(known) - WORDS + 1)


@cache
def opened(folder: str) -> Contamination:
    """The index in a folder, read once by a process."""
    return Contamination(Path(folder))


def found_in(run: Path) -> dict[str, list[str]]:
    """What a corpus run with the step `contamination` found: item → the documents that it stands in.

    Raises:
        ConfigError: the run had no such step.
    """
    found: dict[str, list[str]] = {}
    has_step = False
    for path, number, where in _tagged(run):
        has_step = True
        for name in where.split():
            found.setdefault(name, []).append(path if number == 1 else f"{path}#{number}")
    if not has_step:
        raise ConfigError(f"{run} did not look for exams", 'add a step to its run file: use = "contamination"')
    return found


def _tagged(run: Path) -> Iterator[tuple[str, int, str]]:
    for part in sorted((run / "parts").glob("*.parquet")):
        columns = [name for name in pq.read_schema(part).names if name.endswith(".where")]
        for row in pq.read_table(part, columns=["path", "number", *columns]).to_pylist() if columns else ():
            yield row["path"], row["number"], " ".join(row[name] or "" for name in columns)
