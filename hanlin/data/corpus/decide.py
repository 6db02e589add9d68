"""What was measured and the bounds in, a reason for each document that goes out, and a split for each that stays.

Decisions depend on columns alone. They are taken in the order of the run file: a document is dropped for the first
bound it breaks, and only those that stay count as the earlier copy of another.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int8, Int16, Int64, UInt64

from hanlin.data.corpus.index import Index
from hanlin.data.corpus.settings import CorpusSettings, DuplicateSettings, SplitSettings
from hanlin.data.corpus.store import Store
from hanlin.data.near import clusters
from hanlin.data.step import Step

KEPT = 0
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Decision:
    """What becomes of each document."""

    reasons: Int16[np.ndarray, " n"]
    """0: it stays; else a place in `names`."""
    names: tuple[str, ...]
    """"kept", "refused", "quality.min_words", … "duplicates.near"."""
    clusters: Int64[np.ndarray, " n"]
    """The document that each is a copy of, itself if of none; -1 if dropped before that was asked."""
    splits: Int8[np.ndarray, " n"]
    """A place in `SPLITS`; -1 for those that go."""

    @property
    def is_kept(self) -> Bool[np.ndarray, " n"]:
        """Which stay."""
        return self.reasons == KEPT


class _Reasons:
    """Reasons as they are found."""

    def __init__(self, count: int) -> None:
        self.codes = np.zeros(count, np.int16)
        self.names = ["kept"]

    @property
    def alive(self) -> Bool[np.ndarray, " n"]:
        return self.codes == KEPT

    def drop(self, name: str, which: Bool[np.ndarray, " n"]) -> None:
        """Those that are still there go for this reason."""
        self.names.append(name)
        self.codes[which & self.alive] = len(self.names) - 1


def decide(store: Store, settings: CorpusSettings, steps: Sequence[Step]) -> Decision:
    """Hold every document against every bound.

    Raises:
        StoreError: a part or the index is damaged.
    """
    reasons = _Reasons(len(store))
    reasons.drop("refused", store.column("refused").astype(bool) if "refused" in store.names else _none(store))
    reasons.drop("empty", store.column("characters") == 0)
    chinese = store.column("is_chinese").astype(bool)
    for step in steps:
        for rule in step.rules():
            tag = f"{step.name}.{rule.tag}"
            if tag in store.names:
                reasons.drop(f"{step.name}.{rule.name}", rule.fails(store.column(tag), chinese))
    twice = settings.duplicates
    found = _duplicates(store, twice, reasons)
    hashes = store.column("hash")
    if twice.index:
        reasons.drop("duplicates.earlier", Index(twice.index).known(store, settings.name, twice))
    splits = np.where(reasons.alive, split(hashes, settings.split, settings.seed), -1).astype(np.int8)
    return Decision(reasons.codes, tuple(reasons.names), found, splits)


def _none(store: Store) -> Bool[np.ndarray, " n"]:
    return np.zeros(len(store), bool)


def _duplicates(store: Store, settings: DuplicateSettings, reasons: _Reasons) -> Int64[np.ndarray, " n"]:
    """Drop copies of documents that stay; the cluster of each."""
    count = len(store)
    found = np.where(reasons.alive, np.arange(count), -1)
    for name, is_on in (("exact", settings.exact), ("address", settings.address)):
        if is_on:
            keys = store.column("hash") if name == "exact" else _addresses(store)
            alive = np.flatnonzero(reasons.alive)
            _, first, which = np.unique(keys[alive], return_index=True, return_inverse=True)
            found[alive] = found[alive[first[which]]]
            is_copy = _none(store)
            is_copy[alive] = first[which] != np.arange(len(alive))
            reasons.drop(f"duplicates.{name}", is_copy)
    if settings.near:
        alive = reasons.alive
        labels = clusters(count, (_living(store, at, alive) for at in range(settings.bands)))
        is_copy = alive & (labels != np.arange(count))
        reasons.drop("duplicates.near", is_copy)
        found = np.where(found >= 0, labels[np.maximum(found, 0)], -1)
    if settings.passages is not None:
        reasons.drop("duplicates.passages", _passages(store, reasons.alive) >= settings.passages)
    return found


def _addresses(store: Store) -> UInt64[np.ndarray, " n"]:
    names = store.column("path") + "#" + store.column("number").astype(str).astype(object)
    return np.unique(names, return_inverse=True)[1].astype(np.uint64)


def _living(store: Store, band: int, alive: Bool[np.ndarray, " n"]) -> UInt64[np.ndarray, " n"]:
    """A band of the documents that are still there."""
    return np.where(alive, store.column(f"band{band:03}").astype(np.uint64), np.uint64(0))


def _passages(store: Store, alive: Bool[np.ndarray, " n"]) -> np.ndarray:
    """Share of each document's passages that an earlier one has which is still there."""
    values, owners = store.lists("passages")
    is_there = alive[owners]
    values, owners = values[is_there], owners[is_there]
    if not len(values):
        return np.zeros(len(store))
    known, place = np.unique(values, return_inverse=True)
    first = np.full(len(known), len(store), np.int64)
    np.minimum.at(first, place, owners)
    total = np.bincount(owners, minlength=len(store))
    seen = np.bincount(owners, weights=first[place] < owners, minlength=len(store))
    return seen / np.maximum(total, 1)


def split(hashes: UInt64[np.ndarray, " n"], settings: SplitSettings, seed: int) -> Int8[np.ndarray, " n"]:
    """Train, validation or test, by the content's hash alone: a document stays where it is when others come or go."""
    drawn = uniform(hashes, seed)
    splits = np.zeros(len(hashes), np.int8)
    splits[drawn < settings.validation + settings.test] = 1
    splits[drawn < settings.test] = 2
    return splits


def uniform(hashes: UInt64[np.ndarray, " n"], seed: int) -> np.ndarray:
    """A number from 0 to 1 for each, from its hash and the seed (the finaliser of splitmix64)."""
    mixed = hashes.astype(np.uint64) + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 & (1 << 64) - 1)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return (mixed ^ (mixed >> np.uint64(31))) / float(1 << 64)


def counted(decision: Decision, characters: np.ndarray) -> Iterator[tuple[str, int, int]]:
    """Reason, documents, characters; those without documents too."""
    documents = np.bincount(decision.reasons, minlength=len(decision.names))
    sizes = np.bincount(decision.reasons, weights=characters, minlength=len(decision.names))
    for name, count, size in zip(decision.names, documents, sizes, strict=True):
        yield name, int(count), int(size)
