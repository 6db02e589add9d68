"""The [data] of a run file and its objective in; encoded examples, and the streams over them, out."""

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from hanlin.core.errors import DataError, HanlinError
from hanlin.data.batch import Marked
from hanlin.data.encode import encoding, held_out
from hanlin.data.encoded import Encoded
from hanlin.data.example import Example, Text
from hanlin.data.read import Read, describe, examples
from hanlin.data.settings import SourceSettings
from hanlin.data.stream import Stream
from hanlin.text.tokenizer import Tokenizer
from hanlin.train.objective import Objective
from hanlin.train.settings import RunFile

SILENT_SECONDS = 3.0
"""Between two sentences about how far encoding is."""


@dataclass(frozen=True)
class Data:
    """What a run reads."""

    train: tuple[Encoded, ...]
    validation: tuple[Encoded, ...]
    weights: tuple[float, ...]
    """Of the training sources."""
    objective: Objective
    """The run file's, with what the data taught it, such as the names of classes."""
    pad: int

    @property
    def hash(self) -> str:
        """Of everything that is read, shortened."""
        whole = " ".join(f"{part.hash}/{len(part)}" for part in (*self.train, *self.validation))
        return hashlib.sha256(whole.encode()).hexdigest()[:16]

    def notes(self) -> list[str]:
        """What should be said about it."""
        parts = dict.fromkeys((*self.train, *self.validation))
        skips = [part for part in parts if part.skipped_count]
        told = [note for part in parts for note in part.notes]
        told += [f"{part.skipped_count} rows skipped, the first of them: {part.skipped[0]}" for part in skips]
        return list(dict.fromkeys(told))

    def stream(self, settings: RunFile, rows: int) -> Stream:
        """The training rows."""
        return self._stream(self.train, self.weights, settings, rows)

    def held(self, settings: RunFile, rows: int) -> Stream | None:
        """The validation rows; None if there are none."""
        filled = [part for part in self.validation if len(part)]
        return self._stream(filled, [1.0] * len(filled), settings, rows) if filled else None

    def _stream(self, parts: Sequence[Encoded], weights: Sequence[float], settings: RunFile, rows: int) -> Stream:
        packing = settings.data.packing
        if packing == "auto":
            packing = "best_fit" if self.objective.IS_PACKED else "off"
        return Stream(
            parts,
            weights,
            context=settings.data.context,
            rows=rows,
            packing=packing,
            seed=settings.seed,
            shifts=self.objective.SHIFTS,
            pad=self.pad,
        )


def read(settings: RunFile, tokenizer: Tokenizer, tokenizer_hash: str) -> Iterator[str | Data]:
    """Sentences about what is found, and the data as the last item.

    Raises:
        DataError: a file or a row cannot be used, or nothing is left.
        ConfigError: a format that does not give what the objective takes.
    """
    data = settings.data
    takes = settings.objective.TAKES
    for source in (*data.train, *data.validation):
        found = describe(source, takes)
        yield f"{source.path}: {found.files} files, read as {found.format}: {found.reason}"
    objective = settings.objective.fitted(
        one.example for source in data.train for one in examples(source, takes, data.limit) if isinstance(one, Read)
    )

    def encode(some: Sequence[Example]) -> list[Marked | HanlinError]:
        return objective.encode(some, tokenizer, data.context)

    key = f"{tokenizer_hash} {objective.model_dump_json()} {data.context}"
    sides: list[list[Encoded]] = [[], []]
    for side, sources in zip(sides, (data.train, data.validation), strict=True):
        for source in sources:
            made = yield from _encoded(source, encode, takes, key, settings)
            side.append(made)
    train, validation = sides
    if not validation and data.held_out:
        train, validation = map(list, zip(*(held_out(part, data.held_out) for part in train), strict=True))
    pad = next((token for token in (tokenizer.pad, *tokenizer.eos) if token is not None), 0)
    yield Data(tuple(train), tuple(validation), tuple(one.weight for one in data.train), objective, pad)


def _encoded(source: SourceSettings, encode, takes, key: str, settings: RunFile) -> Iterator[str]:
    steps, said = encoding(source, encode, takes, key, settings.data), time.monotonic()
    while True:
        try:
            done = next(steps)
        except StopIteration as end:
            return end.value
        if time.monotonic() - said < SILENT_SECONDS:
            continue
        said = time.monotonic()
        yield f"encoding {done.file}: {done.examples:,} examples, {done.tokens:,} tokens"


def texts(settings: RunFile) -> Iterator[str]:
    """The texts that a new tokenizer learns from: those of the training rows, whatever their form.

    Raises:
        DataError: a row cannot be read, and bad rows are not to be skipped.
    """
    for source in settings.data.train:
        for one in examples(source, settings.objective.TAKES, settings.data.limit):
            if isinstance(one, DataError):
                if not settings.data.skip_bad_rows:
                    raise one
                continue
            yield from chain(_texts(one.example), ["\n"])


def _texts(example: Example) -> Iterator[str]:
    match example:
        case Text(text):
            yield text
        case _:
            for value in vars(example).values():
                yield from _strings(value)


def _strings(value: object) -> Iterator[str]:
    """Every text in a value."""
    if isinstance(value, str):
        yield f"{value}\n"
    elif isinstance(value, tuple):
        for inner in value:
            yield from _strings(getattr(inner, "content", inner))
