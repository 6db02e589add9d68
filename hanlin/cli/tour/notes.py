"""What a stage of the tour can say: a line, a piece of streamed text, a table, a picture, a figure for the record."""

from dataclasses import dataclass, field

from hanlin.train.look import Piece as Marked


@dataclass(frozen=True)
class Line:
    """One sentence."""

    text: str


@dataclass(frozen=True)
class Piece:
    """A piece of an answer as it streams; the pieces of one answer stand on one paragraph."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows under columns, all of them text."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Plot:
    """A picture as SVG, the sentence that says what is on it, and the lines a terminal draws instead."""

    svg: str = field(repr=False)
    alt: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Figures:
    """Numbers for the run's log, named with their unit."""

    values: dict[str, float | int | str]


@dataclass(frozen=True)
class Row:
    """A row of training data as the model gets it: what it reads, and what it is graded on."""

    pieces: tuple[Marked, ...]


@dataclass(frozen=True)
class Progress:
    """How far a long work is: a terminal shows it until the next one comes, nothing keeps it."""

    text: str


Note = Line | Piece | Table | Plot | Figures | Row | Progress
