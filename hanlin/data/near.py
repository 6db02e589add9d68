"""Near duplicates by MinHash and banding: a text in, its signature out; signatures of a corpus in, clusters out.

The least of each of 112 random permutations of a text's 5-word sequences: two texts agree in a share of them that is
the Jaccard similarity of their sequences (Broder 1997). Texts that agree in all 8 values of any of 14 bands are
candidates: with similarity s the chance is 1 - (1 - s^8)^14, a half at 0.69 and 0.92 at 0.8 (`recall`). Permutations
are (h a + b) mod 2^61 - 1 in 64 bits, with the a and b that datatrove draws.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
import xxhash
from jaxtyping import Int64, UInt64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

PRIME = np.uint64((1 << 61) - 1)
SHIFT = np.uint64(61)
FOLD = np.uint64(0x9E3779B97F4A7C15)
BLOCK = 256
"""Sequences at a time: a block of 256 × 112 numbers stays in a core's cache."""

Signature = UInt64[np.ndarray, " k"]


@lru_cache(maxsize=8)
def permutations(count: int, seed: int) -> tuple[Signature, Signature]:
    """a and b of each."""
    draw = np.random.RandomState(seed)
    return (
        draw.randint(1, int(PRIME), dtype=np.uint64, size=count),
        draw.randint(0, int(PRIME), dtype=np.uint64, size=count),
    )


def sequences(words: Sequence[str], n: int) -> UInt64[np.ndarray, " m"]:
    """A hash of each n words, of hashes of the words; fewer words than n give none."""
    if len(words) < n:
        return np.zeros(0, np.uint64)
    known: dict[str, int] = {}
    digest = xxhash.xxh64_intdigest
    for word in words:
        if word not in known:
            known[word] = digest(word)
    ids = np.fromiter((known[word] for word in words), np.uint64, len(words))
    hashes = ids[: len(ids) - n + 1].copy()
    for at in range(1, n):
        hashes *= FOLD
        hashes += ids[at : len(ids) - n + 1 + at]
    return hashes ^ (hashes >> np.uint64(29))


def sequences_of_datatrove(words: Sequence[str], n: int) -> UInt64[np.ndarray, " m"]:
    """The same, as datatrove hashes them: xxHash of the words with spaces between."""
    digest = xxhash.xxh64_intdigest
    grams = zip(*(words[at:] for at in range(n)), strict=False)
    return np.array([digest(" ".join(gram)) for gram in grams], np.uint64)


def signature(hashes: UInt64[np.ndarray, " m"], count: int, seed: int) -> Signature:
    """The least value of each permutation; `hashes` has at least one."""
    a, b = permutations(count, seed)
    least = np.full(count, PRIME, np.uint64)
    hashes = hashes[:, None]
    for at in range(0, len(hashes), BLOCK):
        values = hashes[at : at + BLOCK] * a
        values += b
        rest = values >> SHIFT  # x mod 2^61 - 1 without dividing
        values &= PRIME
        values += rest
        low = values.min(axis=0) if len(values) > 1 else values[0]
        high = values == PRIME  # is 0
        if high.any():
            values[high] = 0
            low = values.min(axis=0)
        np.minimum(least, low, out=least)
    return least


def bands(signatures: UInt64[np.ndarray, "n k"], count: int) -> UInt64[np.ndarray, "n c"]:
    """A hash of each band of each signature."""
    parts = signatures.reshape(len(signatures), count, -1)
    folded = np.zeros(parts.shape[:2], np.uint64)
    for at in range(parts.shape[2]):
        folded = (folded ^ parts[:, :, at]) * FOLD
        folded ^= folded >> np.uint64(32)
    return folded


def recall(similarity: float, bands: int, rows: int) -> float:
    """The chance that two texts of so much similarity become candidates."""
    return 1 - (1 - similarity**rows) ** bands


def clusters(count: int, columns: Iterable[UInt64[np.ndarray, " n"]]) -> Int64[np.ndarray, " n"]:
    """The cluster of each of `count` documents, named by its first one: those that share a value of any column.

    A value of 0 is none. Memory: about 40 bytes a document, whatever the number of columns.
    """
    labels = np.arange(count, dtype=np.int64)
    for column in columns:
        order = np.argsort(column, kind="stable")
        values = column[order]
        same = np.flatnonzero((values[1:] == values[:-1]) & (values[1:] != 0))
        if len(same):
            labels = _joined(labels, order[same], order[same + 1])
    return labels


def _joined(labels: Int64[np.ndarray, " n"], left: np.ndarray, right: np.ndarray) -> Int64[np.ndarray, " n"]:
    count = len(labels)
    graph = coo_array((np.ones(len(left), np.int8), (labels[left], labels[right])), shape=(count, count))
    _, found = connected_components(graph, directed=False)
    found = found[labels]
    first = np.full(int(found.max()) + 1, count, np.int64)
    np.minimum.at(first, found, np.arange(count, dtype=np.int64))
    return first[found]
