"""A corpus run's file: sources, steps, duplicates, mixture and split."""

from typing import Literal

from pydantic import Field, model_validator

from hanlin.core.settings import Settings
from hanlin.data.settings import SourceSettings
from hanlin.data.step import StepSettings


class OriginSettings(SourceSettings):
    """One source of documents: a file, a folder, a pattern, an archive, a package, or what a kind of source names."""

    name: str = ""
    """What its documents are counted under; empty: its path."""
    licence: str = ""
    """Of documents that do not say their own, such as "CC-BY-4.0"."""
    language: str = ""
    """Of all its documents, if known, such as "zh"."""
    epochs: float = Field(default=1.0, gt=0, le=100)
    """How often its documents are in the training shards: 0.5 is every second one, 2 each twice."""


class DuplicateSettings(Settings):
    """Documents, lines and passages that the corpus has already."""

    exact: bool = True
    """Drop documents whose text is that of an earlier one."""
    address: bool = False
    """Drop documents from a path or URL that an earlier one came from, whatever it says."""
    near: bool = True
    """Drop documents that are nearly an earlier one's."""
    words: int = Field(default=5, ge=1, le=50)
    """Words of a sequence that is compared."""
    bands: int = Field(default=14, ge=1, le=256)
    """Bands of the signature; more find less similar texts."""
    rows: int = Field(default=8, ge=1, le=64)
    """Values in a band; more ask for more similar texts."""
    seed: int = Field(default=1, ge=0, lt=2**32)
    """Of the permutations."""
    compat: Literal["", "datatrove"] = ""
    """datatrove: its words and hashes, so that signatures are the same."""
    passages: float | None = Field(default=None, gt=0, le=1)
    """Drop documents with at least this share of passages of `passage_words` words in earlier ones."""
    passage_words: int = Field(default=13, ge=3, le=200)
    """Words of a passage."""
    lines: int | None = Field(default=None, ge=2)
    """Take out lines that so many documents have, but for the first of these."""
    paragraphs: int | None = Field(default=None, ge=2)
    """The same for paragraphs."""
    least_characters: int = Field(default=20, ge=1)
    """Lines and paragraphs shorter than this are left alone."""
    index: str = ""
    """A folder that remembers the documents of this run, and drops those of runs before it; empty: none."""


class MixtureSettings(Settings):
    """How much of what goes into the training shards, and in which order."""

    by: Literal["source", "language"] = "source"
    """What `weights` and `temperature` are about."""
    weights: dict[str, float] = Field(default_factory=dict)
    """Share of the training characters by source or language; those not named keep theirs. Empty: what there is."""
    temperature: float = Field(default=1.0, ge=0, le=1)
    """Shares are raised to this power: 1 leaves them, 0 makes all the same, 0.3 is usual for languages."""
    most_epochs: float = Field(default=4.0, ge=1)
    """No document is taken more often than this, whatever the weights."""
    order: str = "read"
    """read: as they are read; shuffled; or a tag, such as "quality.words", from small to large."""


class SplitSettings(Settings):
    """What is kept apart. Near duplicates always go to the same side."""

    validation: float = Field(default=0.01, ge=0, lt=1)
    """Share of documents."""
    test: float = Field(default=0.0, ge=0, lt=1)
    """Share of documents."""

    @model_validator(mode="after")
    def _leaves_some(self) -> "SplitSettings":
        if self.validation + self.test >= 1:
            raise ValueError("validation and test leave nothing to train on")
        return self


class CorpusSettings(Settings):
    """The whole file."""

    verb: Literal["data"] = "data"
    """What reads this file."""
    name: str = Field(min_length=1)
    """What the run is called."""
    out: str = Field(min_length=1)
    """Its folder."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Of splits, of shuffling and of fractions of sources."""
    workers: int = Field(default=0, ge=0, le=1024)
    """Processes that measure; 0: as many as this machine has cores. The result is the same."""
    sources: tuple[OriginSettings, ...] = Field(min_length=1)
    """Where documents come from."""
    steps: tuple[StepSettings, ...] = ()
    """What each goes through, in order."""
    duplicates: DuplicateSettings = DuplicateSettings()
    """What is there twice."""
    mixture: MixtureSettings = MixtureSettings()
    """How much of what."""
    split: SplitSettings = SplitSettings()
    """What is kept apart."""
    shard_characters: int = Field(default=100_000_000, ge=1000)
    """Characters of a shard."""
    part_documents: int = Field(default=2000, ge=1)
    """Documents that are measured and written together: what is lost at most when a worker is killed."""
    limit: int | None = Field(default=None, ge=1)
    """Read at most so many documents of each file."""
