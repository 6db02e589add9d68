"""Notes as the terminal shows them, as they come."""

from rich.console import Console
from rich.status import Status
from rich.table import Table as RichTable
from rich.text import Text

from hanlin.cli.language import Language
from hanlin.cli.tour.notes import Line, Note, Piece, Plot, Progress, Row, Table
from hanlin.cli.train.show import drawn, has_colour


class Printer:
    """Prints notes; remembers only whether an answer is still on its line, and what progress is shown."""

    def __init__(self, console: Console, lang: Language = "en") -> None:
        self.console = console
        self.lang: Language = lang
        self.is_streaming = False
        self.status: Status | None = None

    def heading(self, number: int, count: int, title: str, why: str) -> None:
        """A stage begins."""
        self.end_answer()
        self.console.print(Text(f"\n{number}/{count}  {title}", style="bold red"))
        self.console.print(Text(why, style="dim"), soft_wrap=True)

    def show(self, note: Note) -> None:
        """One note; figures are for the log alone, progress is for a terminal that can draw it over again."""
        if isinstance(note, Progress):
            self._progress(note.text)
            return
        self.end_progress()
        if isinstance(note, Piece):
            if not self.is_streaming:
                self.console.print(Text("  │ ", style="red"), end="")
            self.console.print(Text(note.text.replace("\n", "\n  │ ")), end="", soft_wrap=True)
            self.is_streaming = True
            return
        self.end_answer()
        if isinstance(note, Line):
            self.console.print(Text(f"  {note.text}"), soft_wrap=True)
        elif isinstance(note, Table):
            self.console.print(_table(note))
        elif isinstance(note, Plot):
            for line in note.lines:
                self.console.print(Text(f"  {line}"), soft_wrap=True)
        elif isinstance(note, Row):
            for line in drawn(note.pieces, has_colour(self.console), self.lang).split("\n"):
                self.console.print(Text("  ▏ ", style="dim") + line, soft_wrap=True)

    def _progress(self, text: str) -> None:
        if not self.console.is_terminal:
            return
        if self.status is None:
            self.end_answer()
            self.status = self.console.status(Text(text))
            self.status.start()
        else:
            self.status.update(Text(text))

    def end_progress(self) -> None:
        """Take away what is shown of a work that goes on."""
        if self.status is not None:
            self.status.stop()
        self.status = None

    def end_answer(self) -> None:
        """Leave the line of an answer that streamed."""
        if self.is_streaming:
            self.console.print()
        self.is_streaming = False


def _table(note: Table) -> RichTable:
    table = RichTable(box=None, padding=(0, 2), show_edge=False, header_style="dim")
    for column in note.columns:
        table.add_column(column)
    for row in note.rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
