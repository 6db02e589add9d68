"""An answer as it comes, drawn as markdown: pieces of text in, lines on the terminal out.

Only the last block of the text can still change its looks, so finished blocks are printed once and for all and the open
one is redrawn in place, at most twelve times a second. Of an open block taller than the screen the upper lines are
printed for good as they leave it: long answers scroll like any other output.
"""

import re
import time
from collections.abc import Iterator
from typing import final

from markdown_it import MarkdownIt
from rich.console import Console, ConsoleOptions
from rich.live import Live
from rich.markdown import Heading, Markdown
from rich.segment import Segment
from rich.text import Text

SECONDS_BETWEEN_DRAWINGS = 1 / 12
FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
PARSER = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])


class LeftHeading(Heading):
    """A heading in bold at the left edge; Rich centres it and frames the first kind."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """The heading's text, bold."""
        del console, options
        self.text.justify = "left"
        self.text.stylize("bold" if self.tag != "h1" else "bold underline")
        yield self.text


class Page(Markdown):
    """Markdown as models write it: tags stay visible as text, and a line break is a line break."""

    elements = {**Markdown.elements, "heading_open": LeftHeading}  # noqa: RUF012 (Rich's own attribute)

    def __init__(self, text: str) -> None:
        super().__init__(text, code_theme="ansi_dark")
        self.parsed = PARSER.parse(text)
        for token in self.parsed:
            for child in token.children or ():
                if child.type == "softbreak":
                    child.type = "hardbreak"


class Lines:
    """Lines that Rich has already laid out, to be printed as they are."""

    def __init__(self, lines: list[list[Segment]]) -> None:
        self.lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        """Each line and its end."""
        del console, options
        for line in self.lines:
            yield from line
            yield Segment.line()


def blocks(text: str) -> tuple[list[str], str]:
    """The blocks of a text that can no longer change, and the open rest.

    A block ends at an empty line outside code, once the next line is known not to go on with it (indented).
    """
    done: list[str] = []
    lines: list[str] = []
    fence, is_after_gap = "", False
    for line in text.splitlines(keepends=True):
        if is_after_gap and line.strip() and not line[0].isspace() and lines:
            done.append("".join(lines))
            lines = []
        found = FENCE.match(line)
        if found and not fence:
            fence = found.group(1)
        elif found and found.group(1).startswith(fence) and not line[found.end() :].strip():
            fence = ""
        is_after_gap = not fence and not line.strip()
        lines.append(line)
    return done, "".join(lines)


@final
class Drawing:
    """One answer being drawn. Use as a context: whatever happens, the screen is left in order."""

    def __init__(self, console: Console, waiting: str = "") -> None:
        self.console = console
        self.open = ""
        self.printed = 0
        self.drawn_at = 0.0
        self.has_blocks = False
        self.live = Live(
            Text(waiting, style="dim"), console=console, auto_refresh=False, transient=True, vertical_overflow="crop"
        )

    def __enter__(self) -> "Drawing":
        self.live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            done, rest = blocks(self.open)
            for block in (*done, rest):
                self._close(block)
        finally:
            self.live.update(Text(""))
            self.live.stop()

    def push(self, text: str) -> None:
        """The answer goes on with `text`."""
        self.open += text
        now = time.monotonic()
        if not self.open.strip() or now - self.drawn_at < SECONDS_BETWEEN_DRAWINGS:
            return
        done, self.open = blocks(self.open)
        for block in done:
            self._close(block)
        self._redraw()
        # A slow terminal must not eat the model's time: drawing takes a tenth of it at most.
        took = time.monotonic() - now
        self.drawn_at = now + max(0.0, 10 * took - SECONDS_BETWEEN_DRAWINGS)

    def _close(self, block: str) -> None:
        """Print what is not yet printed of a block that is done."""
        lines = self._lay_out(block)
        if lines[self.printed :]:
            self._print(lines[self.printed :])
        self.printed = 0
        self.has_blocks = self.has_blocks or bool(lines)

    def _redraw(self) -> None:
        lines = self._lay_out(self.open)
        fits = max(1, self.console.height - 3)
        # A row can still change the columns of its table: of a tall one only the end is shown until it is done.
        is_table = self.open.lstrip().startswith("|")
        if len(lines) - self.printed > fits and not is_table:
            until = len(lines) - fits // 2  # several lines at a time: each time the screen scrolls is a flicker
            self._print(lines[self.printed : until])
            self.printed = until
        self.live.update(Lines(lines[self.printed :][-fits:]), refresh=True)

    def _print(self, lines: list[list[Segment]]) -> None:
        self.live.update(Text(""))
        self.console.print(Lines(lines))

    def _lay_out(self, block: str) -> list[list[Segment]]:
        if not block.strip():
            return []
        lines = self.console.render_lines(Page(block.strip("\n")), pad=False)
        while lines and not _says(lines[0]):  # Rich puts an empty line before some blocks and after others
            del lines[0]
        while lines and not _says(lines[-1]):
            del lines[-1]
        return [[], *lines] if self.has_blocks else lines


def _says(line: list[Segment]) -> bool:
    return any(segment.text.strip() for segment in line)


@final
class Plain:
    """The same for output that is no terminal: the text itself."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def __enter__(self) -> "Plain":
        return self

    def __exit__(self, *_: object) -> None:
        self.console.file.write("\n")
        self.console.file.flush()

    def push(self, text: str) -> None:
        """The answer goes on with `text`."""
        self.console.file.write(text)
        self.console.file.flush()


def drawing(console: Console, waiting: str) -> "Drawing | Plain":
    """The way to draw an answer on this console."""
    return Drawing(console, waiting) if console.is_terminal else Plain(console)
