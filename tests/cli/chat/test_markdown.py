"""Answers drawn as they come: nothing is lost, nothing is said twice, whatever the pieces."""

import io
import random
import re

import pytest
from rich.console import Console

from hanlin.cli.chat import markdown
from hanlin.cli.chat.markdown import Drawing, Page, Plain, blocks, drawing

ANSWER = """# Heading

A paragraph with **bold**, `code`, <b>tags</b> and 中文。
A second line of it.

1. first
2. second
   - nested

   still second

```python
def f():

    return 1
# a comment in code, no heading
```

| a | b |
|---|---|
| 1 | 2 |

> quoted

The end. 完。"""


def screen(width: int = 60, height: int = 12) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=height, color_system=None)


def seen(console: Console) -> str:
    """What stays on the terminal: each redrawing erases the lines it drew before."""
    assert isinstance(console.file, io.StringIO)
    lines, row = [""], 0
    for part in re.split(r"(\x1b\[[0-9;?]*[A-Za-z]|\n|\r)", console.file.getvalue()):
        if part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part == "\x1b[1A":
            row -= 1
        elif part == "\x1b[2K":
            lines[row] = ""
        elif part and not part.startswith("\x1b") and part != "\r":
            lines[row] += part
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def draw(text: str, pieces: list[str], height: int, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(markdown, "SECONDS_BETWEEN_DRAWINGS", 0.0)
    monkeypatch.setattr("time.monotonic", lambda: 0.0)  # every piece is drawn
    assert "".join(pieces) == text
    console = screen(height=height)
    with Drawing(console, "reading") as page:
        for piece in pieces:
            page.push(piece)
    return seen(console)


def cut(text: str, seed: int) -> list[str]:
    chance, pieces, at = random.Random(seed), [], 0
    while at < len(text):
        size = chance.randint(1, 9)
        pieces.append(text[at : at + size])
        at += size
    return pieces


@pytest.mark.parametrize("height", [5, 12, 60])
@pytest.mark.parametrize("seed", range(3))
def test_the_drawing_does_not_depend_on_the_pieces_or_the_screen(
    seed: int, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = draw(ANSWER, [ANSWER], 60, monkeypatch)
    assert draw(ANSWER, cut(ANSWER, seed), height, monkeypatch) == at_once
    for word in ("Heading", "bold", "<b>tags</b>", "中文", "still second", "def f():", "# a comment", "quoted", "完。"):
        assert at_once.count(word) == 1, word
    assert "reading" not in at_once


def test_a_long_code_block_scrolls_and_keeps_every_line(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "\n".join(f"line_{number:03}" for number in range(100))
    text = f"```python\n{code}\n```\nafter"
    shown = draw(text, cut(text, 1), 10, monkeypatch)
    assert re.findall(r"line_\d+", shown) == code.split()
    assert shown.endswith("after")


def test_the_screen_is_left_in_order_when_drawing_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markdown, "SECONDS_BETWEEN_DRAWINGS", 1e9)
    console = screen()
    with pytest.raises(KeyboardInterrupt), Drawing(console) as page:
        page.push("said so ")
        page.push("far\n\nand on")
        raise KeyboardInterrupt
    assert seen(console) == "said so far\n\nand on"
    assert not console._live_stack
    assert "\x1b[?25h" in console.file.getvalue()  # the cursor is back


def test_blocks_end_at_empty_lines_outside_code_and_lists() -> None:
    assert blocks("one\n\ntwo") == (["one\n\n"], "two")
    assert blocks("one\n\n") == ([], "one\n\n")
    assert blocks("- a\n\n  goes on\n\nb") == (["- a\n\n  goes on\n\n"], "b")
    assert blocks("```\na\n\nb\n") == ([], "```\na\n\nb\n")
    assert blocks("````\n```\n\nx\n````\n\ny") == (["````\n```\n\nx\n````\n\n"], "y")
    for seed in range(20):
        text = "".join(random.Random(seed).choices(["a", "\n", "\n\n", "```\n", "  ", "- x\n"], k=40))
        done, rest = blocks(text)
        assert "".join(done) + rest == text


def test_line_breaks_and_tags_of_the_model_stay() -> None:
    console = screen()
    console.print(Page("roses <i>are</i> red\nviolets & blue"))
    assert seen(console) == "roses <i>are</i> red\nviolets & blue"


@pytest.mark.parametrize(
    "text", ["*" * 500, "[" * 500, "> " * 300, "|" * 200, "\x1b[2Jx", "`" * 99, "- " * 99, "\u202e\u200b"]
)
def test_hostile_text_is_drawn_and_ends(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = draw(text, cut(text, 0), 10, monkeypatch)
    assert "\x1b" not in shown


def test_without_a_terminal_the_text_itself_is_written() -> None:
    console = Console(file=io.StringIO(), force_terminal=False)
    page = drawing(console, "reading")
    assert isinstance(page, Plain)
    with page:
        page.push("**a**\n")
        page.push("b")
    assert console.file.getvalue() == "**a**\nb\n"
