"""Rows of training data in, what the model sees and is graded on out: on a terminal, and as a page of HTML.

Colours where there are any; without them brackets mark what is graded.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Literal

from jinja2 import Environment, StrictUndefined
from rich.console import Console
from rich.text import Text

from hanlin.cli.language import Language, spoken
from hanlin.cli.page import page
from hanlin.cli.visible import harmless, visible
from hanlin.core.run import replacing
from hanlin.data.batch import Batch, Marked
from hanlin.text.tokenizer import Tokenizer
from hanlin.train.gate.report import Report
from hanlin.train.look import Kind, Piece, look, look_at_row, only_read

STYLES: dict[Kind, str] = {
    "seen": "",
    "graded": "bold black on green",
    "wanted": "bold white on blue",
    "cut": "strike red",
    "padding": "dim",
    "border": "dim",
}
MARKS: dict[Kind, tuple[str, str]] = {
    "seen": ("", ""),
    "graded": ("⟦", "⟧"),
    "wanted": ("⟨→", "⟩"),
    "cut": ("✂", "✂"),
    "padding": ("", ""),
    "border": ("", ""),
}
"""What stands around a piece where there are no colours."""
LEGEND: dict[Language, dict[Kind, str]] = {
    "en": {
        "seen": "read, not graded",
        "graded": "graded: to be predicted, then read",
        "wanted": "to be predicted where something else, or nothing, is read",
        "cut": "cut: beyond the context, never read",
        "padding": "padding: fills the row",
        "border": "another text begins: nothing before it is seen",
    },
    "zh": {
        "seen": "只读，不计分",
        "graded": "计分：先预测，再读入",
        "wanted": "要预测，读入的却是别的或没有",
        "cut": "截断：超出上下文，模型读不到",
        "padding": "填充：补足一行",
        "border": "另一篇开始：看不到之前的内容",
    },
}
WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "title": "What the model sees and is graded on",
        "row": "row",
        "tokens": "{graded} of {tokens} tokens graded ({share:.1%})",
        "whole": "{tokens} tokens, judged as a whole by what the model makes of the last one",
        "answers": "{tokens} tokens, only read: the answers that the model will give are judged",
        "better": "better",
        "worse": "worse",
        "label": "label",
        "padding": "padding × {count}",
        "text": "text {number}",
    },
    "zh": {
        "title": "模型读到什么，按什么计分",
        "row": "第",
        "tokens": "{tokens} 个词元中 {graded} 个计分（{share:.1%}）",
        "whole": "{tokens} 个词元，整篇评判：看模型读完最后一个词元后的判断",
        "answers": "{tokens} 个词元，只读：评判的是模型随后自己给出的回答",
        "better": "较好",
        "worse": "较差",
        "label": "标签",
        "padding": "填充 × {count}",
        "text": "第 {number} 篇",
    },
}
Judged = Literal["tokens", "whole", "answers"]
"""What a loss is of: marked tokens; a text, through a head; what the model answers to it."""
SPACES = re.compile(r"[^\S\n]{2,}|^[^\S\n]+|[^\S\n]+$|[\t\r\u00a0\u3000\u200b\ufeff]")
TURNS = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Marks that turn the direction of writing, and with it what stands where in a line."""


@dataclass(frozen=True)
class Row:
    """One row as it is shown."""

    pieces: tuple[Piece, ...]
    labels: tuple[float, ...] = ()
    end: str = ""
    """ "better" or "worse", of a preference."""
    judged: Judged = "tokens"
    classes: tuple[str, ...] = ()
    """Names that the labels are told by, if they are classes."""

    @property
    def label(self) -> str:
        """The name of its class or classes, or the numbers."""
        if not self.classes:
            return " ".join(f"{value:g}" for value in self.labels)
        if len(self.labels) == 1 < len(self.classes):
            return self.classes[int(self.labels[0])]
        return ", ".join(name for name, value in zip(self.classes, self.labels, strict=True) if value) or "–"

    @property
    def tokens(self) -> int:
        """Tokens of it, without padding."""
        return sum(piece.tokens for piece in self.pieces if piece.kind != "padding")

    @property
    def graded(self) -> int:
        """Tokens that count."""
        return sum(piece.tokens for piece in self.pieces if piece.kind in ("graded", "wanted"))


def show(
    rows: Iterable[Batch | Marked],
    tokenizer: Tokenizer,
    count: int,
    *,
    html: Path | None = None,
    shifts: bool = True,
    most: int | None = None,
    judged: Judged = "tokens",
    classes: Sequence[str] = (),
    console: Console | None = None,
) -> None:
    """Print the first `count` rows, and write them as a page.

    Args:
        rows: batches as the model gets them, or examples as they were marked.
        tokenizer: the one they were made with.
        count: rows to show; a preference is one row of two ends.
        html: where the page goes; None for none.
        shifts: the objective's `SHIFTS`.
        most: tokens of an example that fit into a row, to show what is cut of `Marked` ones.
        judged: what the loss is of; where it is not of tokens, none is shown as graded.
        classes: what the labels are called.
        console: where to print; None for standard output.

    Raises:
        StoreError: the page cannot be written.
    """
    found = (row for rows in islice(_rows(rows, tokenizer, shifts, most), count) for row in rows)
    chosen = [replace(row, judged=judged, classes=tuple(classes)) for row in found]
    if judged != "tokens":
        chosen = [replace(row, pieces=tuple(only_read(row.pieces))) for row in chosen]
    console, language = page() if console is None else console, spoken()
    legend(console, language, judged)
    for number, row in enumerate(chosen, 1):
        console.print()
        console.print(Text(_head(row, number, language), style="bold"), soft_wrap=True)
        console.print(drawn(row.pieces, has_colour(console), language), soft_wrap=True)
    if html is not None:
        with replacing(html) as sink:
            sink.write(as_html(chosen, judged).encode())


def report(found: Report, *, console: Console | None = None) -> None:
    """Print what the gate found: facts, notices, and of each refusal the example it names."""
    console, language = page() if console is None else console, spoken()
    for line in found.lines(language):
        console.print(Text(line), soft_wrap=True)
    for notice in found.notices:
        console.print(Text(f"notice: {harmless(notice)}", style="yellow"), soft_wrap=True)
    for refusal in found.refusals:
        if refusal.sample:
            console.print()
            console.print(Text(refusal.name, style="bold red"))
            console.print(drawn(refusal.sample, has_colour(console), language), soft_wrap=True)


def _rows(given: Iterable[Batch | Marked], tokenizer: Tokenizer, shifts: bool, most: int | None) -> Iterator[list[Row]]:
    """Each row, or both ends of one."""
    for one in given:
        if isinstance(one, Marked):
            ends = [one] if one.rejected is None else [one, one.rejected]
            yield [
                Row(tuple(look(end, tokenizer, most)), one.labels, _end(place, len(ends)))
                for place, end in enumerate(ends)
            ]
            continue
        batches = [one] if one.rejected is None else [one, one.rejected]
        for row in range(one.rows):
            labels = () if one.labels is None else tuple(one.labels[row].tolist())
            yield [
                Row(tuple(look_at_row(batch, row, tokenizer, shifts)), labels, _end(place, len(batches)))
                for place, batch in enumerate(batches)
            ]


def _end(place: int, count: int) -> str:
    return "" if count == 1 else ("better", "worse")[place]


def has_colour(console: Console) -> bool:
    """Whether colours reach the reader."""
    return console.color_system is not None and not console.no_color


def legend(console: Console, language: Language, judged: Judged = "tokens") -> None:
    """What the colours, or the marks, mean."""
    for kind, meaning in _meanings(language, judged).items():
        example = Text(f" {meaning} ", STYLES[kind]) if has_colour(console) else Text("".join(_marked(kind, meaning)))
        console.print(Text("── 2 ── " if kind == "border" else "░░ " if kind == "padding" else "").append(example))


def _meanings(language: Language, judged: Judged) -> dict[Kind, str]:
    """The kinds of piece that there can be."""
    return {
        kind: told for kind, told in LEGEND[language].items() if judged == "tokens" or kind not in ("graded", "wanted")
    }


def drawn(pieces: Sequence[Piece], is_coloured: bool, language: Language) -> Text:
    """Pieces as a text for the terminal."""
    text = Text()
    for place, piece in enumerate(pieces):
        if piece.kind == "border":
            number = WORDS[language]["text"].format(number=piece.text)
            text.append(f"{'' if place == 0 or text.plain.endswith(chr(10)) else chr(10)}── {number} ──\n", "dim")
        elif piece.kind == "padding":
            text.append(f"░░ {WORDS[language]['padding'].format(count=piece.tokens)}", "dim")
        else:
            style = f"{STYLES[piece.kind]} {'italic' if piece.is_special else ''}".strip()
            text.append(legible(piece) if is_coloured else "".join(_joined(pieces, place)), style)
    return text


def _joined(pieces: Sequence[Piece], place: int) -> tuple[str, str, str]:
    """A piece between its marks, which neighbours of the same kind share."""
    piece = pieces[place]
    before = place > 0 and pieces[place - 1].kind == piece.kind
    after = place + 1 < len(pieces) and pieces[place + 1].kind == piece.kind
    opens, closes = MARKS[piece.kind]
    return "" if before else opens, legible(piece), "" if after else closes


def _marked(kind: Kind, text: str) -> tuple[str, str, str]:
    return MARKS[kind][0], text, MARKS[kind][1]


def legible(piece: Piece) -> str:
    """The text of a piece with what is invisible made visible: line breaks, tabs, spaces at its ends or in a row."""
    text = SPACES.sub(lambda found: visible(found[0].encode()), piece.text)
    text = TURNS.sub(lambda found: f"‹U+{ord(found[0]):04X}›", text)
    return harmless(text.replace("\n", "↵\n"))


def _head(row: Row, number: int, language: Language) -> str:
    words = WORDS[language]
    parts = [f"{words['row']} {number}{' 行' if language == 'zh' else ''}"]
    parts += [words[row.end]] if row.end else []
    share = row.graded / max(row.tokens, 1)
    parts.append(words[row.judged].format(graded=row.graded, tokens=row.tokens, share=share))
    if row.labels:
        parts.append(f"{words['label']} {row.label}")
    return " · ".join(parts)


def as_html(rows: Sequence[Row], judged: Judged = "tokens") -> str:
    """A page that needs nothing else: light and dark, English and Chinese, all text escaped."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("hanlin.cli.train").joinpath("show.html").read_text("utf-8"))
    told = [
        {
            "heads": [_head(row, number, "en"), _head(row, number, "zh")],
            "pieces": [
                {"kind": piece.kind, "is_special": piece.is_special, "text": legible(piece), "tokens": piece.tokens}
                for piece in row.pieces
            ],
        }
        for number, row in enumerate(rows, 1)
    ]
    legend = [(kind, told, LEGEND["zh"][kind]) for kind, told in _meanings("en", judged).items()]
    graded, tokens = sum(row.graded for row in rows), sum(row.tokens for row in rows)
    shares = [
        WORDS[language][judged].format(graded=graded, tokens=tokens, share=graded / max(tokens, 1))
        for language in ("en", "zh")
    ]
    titles = [WORDS["en"]["title"], WORDS["zh"]["title"]]
    return template.render(titles=titles, legend=legend, rows=told, shares=shares)
