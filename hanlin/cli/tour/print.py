"""Notes as the terminal shows them, as they come."""

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from hanlin.cli.tour.notes import Line, Note, Piece, Plot, Table


class Printer:
    """Prints notes; remembers only whether an answer is still on its line."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.is_streaming = False

    def heading(self, number: int, count: int, title: str, why: str) -> None:
        """A stage begins."""
        self.end_answer()
        self.console.print(Text(f"\n{number}/{count}  {title}", style="bold red"))
        self.console.print(Text(why, style="dim"), soft_wrap=True)

    def show(self, note: Note) -> None:
        """One note; figures are for the log alone."""
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
