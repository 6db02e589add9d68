"""The tour's report: notes in, one self-contained HTML page out. Nothing in it comes from elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from hanlin.cli.language import Language
from hanlin.cli.tour.notes import Figures, Line, Note, Piece, Plot, Progress, Row, Table
from hanlin.cli.train.show import LEGEND, legible


@dataclass(frozen=True)
class Chapter:
    """What one stage said."""

    title: str
    why: str
    seconds: float
    notes: tuple[Note, ...]


def render(title: str, lead: str, lang: Language, chapters: Sequence[Chapter]) -> str:
    """The page as HTML. All text is escaped; plots are inlined as SVG."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("hanlin.cli.tour").joinpath("report.html").read_text("utf-8"))
    shown = [
        (chapter, [_plain(note) for note in joined(chapter.notes) if not isinstance(note, Progress)])
        for chapter in chapters
    ]
    return template.render(title=title, lead=lead, lang=lang, chapters=shown, meanings=LEGEND[lang])


def joined(notes: Sequence[Note]) -> list[Note]:
    """The notes with the pieces of each streamed answer put together."""
    out: list[Note] = []
    for note in notes:
        last = out[-1] if out else None
        if isinstance(note, Piece) and isinstance(last, Piece):
            out[-1] = Piece(last.text + note.text)
        else:
            out.append(note)
    return out


def _plain(note: Note) -> dict[str, object]:
    """A note as the template sees it: its kind and its fields."""
    match note:
        case Line(text):
            return {"kind": "line", "text": text}
        case Piece(text):
            return {"kind": "answer", "text": text}
        case Table(columns, rows):
            return {"kind": "table", "columns": columns, "rows": rows}
        case Plot(svg, alt):
            return {"kind": "plot", "svg": svg, "alt": alt}
        case Figures(values):
            return {"kind": "figures", "values": values}
        case Row(pieces):
            told = [{"kind": piece.kind, "is_special": piece.is_special, "text": legible(piece)} for piece in pieces]
            return {"kind": "row", "pieces": [piece for piece in told if piece["text"]]}
        case Progress(text):
            return {"kind": "line", "text": text}
