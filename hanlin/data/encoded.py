"""Examples as tokens, many of them: arrays that may lie in memory or, mapped, on disk. `encode.py` makes them.

Example i owns `ids[offsets[i] : offsets[i + 1]]` and the same stretch of `graded`. A view keeps the arrays and has its
own list of examples, so that holding out a part for validation copies nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import orjson
from jaxtyping import Bool, Float64, Int32, Int64, UInt8, UInt64

from hanlin.data.batch import Marked

ALL_GRADED = 1
"""Bit of `Arrays.flags`: the example came without a mask."""


class Arrays(NamedTuple):
    """What is known of every example; one file each on disk."""

    ids: Int32[np.ndarray, " tokens"]
    graded: UInt8[np.ndarray, " tokens"]
    lengths: Int64[np.ndarray, " N"]
    graded_counts: Int64[np.ndarray, " N"]
    flags: UInt8[np.ndarray, " N"]
    hashes: UInt64[np.ndarray, " N"]
    """Of the content: equal for exact duplicates."""
    bytes: Int64[np.ndarray, " N"]
    """UTF-8 bytes of the text, where the example is one."""
    files: Int32[np.ndarray, " N"]
    lines: Int64[np.ndarray, " N"]
    labels: Float64[np.ndarray, " values"]
    label_counts: Int64[np.ndarray, " N"]
    facts: UInt8[np.ndarray, " letters"]
    fact_counts: Int64[np.ndarray, " N"]


def starts(counts: Int64[np.ndarray, " N"]) -> Int64[np.ndarray, " N1"]:
    """Where each stretch begins, and at last where all end."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])


@dataclass(frozen=True, eq=False)
class Encoded:
    """Marked examples, numbered from 0."""

    arrays: Arrays
    hash: str
    """Of everything they were made from: content of the files, tokenizer, format and settings."""
    file_names: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    """The first rows that were left out, as errors tell them."""
    skipped_count: int = 0
    notes: tuple[str, ...] = ()
    """What was found and should be said: files in another encoding than UTF-8."""
    rejected: "Encoded | None" = None
    """Example by example the worse ends of preferences."""
    index: Int64[np.ndarray, " n"] | None = field(default=None, repr=False)
    """Which examples of the arrays these are; None for all."""

    @cached_property
    def _places(self) -> Int64[np.ndarray, " n"]:
        return np.arange(len(self.arrays.lengths)) if self.index is None else self.index

    @cached_property
    def _offsets(self) -> tuple[Int64[np.ndarray, " N1"], Int64[np.ndarray, " N1"], Int64[np.ndarray, " N1"]]:
        """Where the tokens, the labels and the facts of each example of the arrays begin."""
        return starts(self.arrays.lengths), starts(self.arrays.label_counts), starts(self.arrays.fact_counts)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: int) -> Marked:
        """One example, whole."""
        return self.piece(number, 0, int(self.lengths[number]))

    def piece(self, number: int, start: int, stop: int, most: int | None = None) -> Marked:
        """Tokens `start` to `stop` of one example, with all that belongs to the whole of it.

        Args:
            most: tokens of its worse end, which has a length of its own; None: all.
        """
        at = int(self._places[number])
        tokens, labels, facts = (int(places[at]) for places in self._offsets)
        begin, end = tokens + start, min(tokens + stop, tokens + int(self.arrays.lengths[at]))
        label_end = labels + int(self.arrays.label_counts[at])
        fact_end = facts + int(self.arrays.fact_counts[at])
        return Marked(
            np.asarray(self.arrays.ids[begin:end]),
            None if self.arrays.flags[at] & ALL_GRADED else np.asarray(self.arrays.graded[begin:end]).view(np.bool_),
            tuple(self.arrays.labels[labels:label_end].tolist()),
            None if self.rejected is None else _begun(self.rejected, at, most),
            orjson.loads(self.arrays.facts[facts:fact_end].tobytes()) if fact_end > facts else None,
        )

    def where(self, number: int) -> tuple[str, int]:
        """File and line an example came from."""
        at = self._places[number]
        return self.file_names[int(self.arrays.files[at])], int(self.arrays.lines[at])

    @cached_property
    def lengths(self) -> Int64[np.ndarray, " n"]:
        """Tokens of each example."""
        return np.asarray(self.arrays.lengths[self._places])

    @cached_property
    def graded_counts(self) -> Int64[np.ndarray, " n"]:
        """Tokens of each example that are graded."""
        return np.asarray(self.arrays.graded_counts[self._places])

    @cached_property
    def hashes(self) -> UInt64[np.ndarray, " n"]:
        """Of each example's content: equal for exact duplicates, whatever the tokenizer."""
        return np.asarray(self.arrays.hashes[self._places])

    @cached_property
    def is_divisible(self) -> Bool[np.ndarray, " n"]:
        """Which examples are plain text, to be cut into pieces where it is longer than a row; others lose their end."""
        places = self._places
        alone = (self.arrays.label_counts[places] > 0) | (self.arrays.fact_counts[places] > 0)
        return np.asarray((self.arrays.flags[places] & ALL_GRADED > 0) & ~alone) & (self.rejected is None)

    @cached_property
    def stands_alone(self) -> bool:
        """Whether something belongs to whole examples (labels, facts, a worse end), so that each needs its own row."""
        places = self._places
        has_labels = bool((self.arrays.label_counts[places] > 0).any())
        return has_labels or self.rejected is not None or bool((self.arrays.fact_counts[places] > 0).any())

    @cached_property
    def bytes(self) -> int:
        """UTF-8 bytes of all texts."""
        return int(self.arrays.bytes[self._places].sum())

    def view(self, numbers: Sequence[int] | Int64[np.ndarray, " n"]) -> "Encoded":
        """Some of the examples, in the order given."""
        return replace(self, index=self._places[np.asarray(numbers, np.int64)])


def _begun(part: Encoded, number: int, most: int | None) -> Marked:
    """The first tokens of an example; None: all."""
    return part[number] if most is None else part.piece(number, 0, most)


def in_memory(marks: Sequence[Marked], name: str = "memory") -> Encoded:
    """Examples at hand as `Encoded`."""
    builder = Builder()
    for number, mark in enumerate(marks, 1):
        builder.add(mark, 0, number, 0)
    arrays = Arrays(*(np.frombuffer(b"".join(parts), kind) for parts, kind in builder.columns()))
    worse = [mark.rejected for mark in marks if mark.rejected is not None]
    return Encoded(arrays, name, (name,), rejected=in_memory(worse, name) if worse else None)


KINDS = ("i4", "u1", "i8", "i8", "u1", "u8", "i8", "i4", "i8", "f8", "i8", "u1", "i8")
"""Types of the arrays of `Arrays`, in their order."""


class Builder:
    """Collects examples as bytes of each array; whoever drains it writes them where they belong."""

    def __init__(self) -> None:
        self.parts: list[list[bytes]] = [[] for _ in KINDS]

    def columns(self) -> list[tuple[list[bytes], str]]:
        """The bytes so far of each array, and its type."""
        return list(zip(self.parts, KINDS, strict=True))

    def add(self, mark: Marked, file: int, line: int, size: int, content: bytes = b"") -> None:
        """One example (its worse end goes to a builder of its own). `content` is hashed; else its tokens and marks."""
        ids = np.ascontiguousarray(mark.ids, np.int32).tobytes()
        graded = np.ones(len(mark.ids), np.uint8) if mark.graded is None else np.asarray(mark.graded, np.uint8)
        labels = np.array(mark.labels, np.float64)
        facts: bytes = orjson.dumps(dict(mark.facts)) if mark.facts else b""
        worse = b"" if mark.rejected is None else np.ascontiguousarray(mark.rejected.ids, np.int32).tobytes()
        content = content or b"\0".join([ids, graded.tobytes(), labels.tobytes(), facts, worse])
        values = (
            ids,
            graded.tobytes(),
            np.int64(len(mark.ids)).tobytes(),
            np.int64(graded.sum()).tobytes(),
            np.uint8(ALL_GRADED if mark.graded is None else 0).tobytes(),
            blake2b(content, digest_size=8).digest(),
            np.int64(size).tobytes(),
            np.int32(file).tobytes(),
            np.int64(line).tobytes(),
            labels.tobytes(),
            np.int64(len(labels)).tobytes(),
            facts,
            np.int64(len(facts)).tobytes(),
        )
        for part, value in zip(self.parts, values, strict=True):
            part.append(value)
