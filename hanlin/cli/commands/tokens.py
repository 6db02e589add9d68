"""See a text as a model does: its tokens, their ids and bytes, and whether they spell the text again."""

import json
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

import click

from hanlin.cli.arguments import model_and_text, model_option, open_text
from hanlin.cli.visible import visible

GROUNDS = ((38, 70, 83), (88, 60, 110))
SPECIAL = (150, 75, 0)
ROWS = 40


@click.command()
@click.argument("arguments", metavar="[MODEL] TEXT|FILE", nargs=-1)
@model_option
@click.option("--ids", "is_ids", is_flag=True, help="Only the ids, all of them, separated by spaces.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object instead of the view.")
@click.option(
    "--no-special", "is_plain", is_flag=True, help="Add no special tokens, and read none that TEXT spells out."
)
@click.option("--limit", type=click.IntRange(1), default=400, show_default=True, help="Most tokens to show.")
def command(
    arguments: tuple[str, ...], model: str | None, is_ids: bool, is_json: bool, is_plain: bool, limit: int
) -> None:
    """Tokens of TEXT, each on its own ground, then ids and bytes, then counts.

    One argument is the text; of two, the first is the MODEL. An existing file is read, whatever its length; - is
    standard input. Spaces show as ␣, line breaks as ↵, part of a character as <E4>, special tokens on orange.

    \b
    hanlin tokens "The cat sat on the mat."
    hanlin tokens --ids qwen2.5-coder-0.5b "翰林院"
    """
    from hanlin.cli.tokenise import RoundTrip, Sums, tokens_of
    from hanlin.cli.vocabulary import open_tokenizer

    name, argument = model_and_text(arguments, model)
    with open_text(argument) as (source, blocks):
        name, tokenizer = open_tokenizer(name)
        sums, check = Sums(), RoundTrip(tokenizer)
        tokens = tokens_of(tokenizer, blocks, sums, check, is_plain)
        if is_ids:
            _ids(tokens)
            return
        shown = list(islice(tokens, limit))
        for _ in tokens:
            pass
    facts = {"model": name, "source": source, "vocabulary": tokenizer.vocab_size, "counts": vars(sums)}
    facts["bytes_per_token"] = sums.bytes / sums.tokens if sums.tokens else None
    facts["characters_per_token"] = sums.characters / sums.tokens if sums.tokens else None
    facts["is_round_trip_exact"] = check.difference is None
    if check.difference:
        place, text, spelled = check.difference
        facts["first_difference"] = {"character": place, "text": text, "tokens": spelled}
    if is_json:
        facts["shown"] = len(shown)
        facts["tokens"] = [_row(tokenizer, token) for token in shown]
        click.echo(json.dumps(facts, ensure_ascii=False, indent=2))
        return
    _view(tokenizer, shown)
    _table(tokenizer, shown)
    _facts(facts, len(shown))


def _ids(tokens: Iterator[int]) -> None:
    separator = ""
    while some := list(islice(tokens, 10_000)):
        sys.stdout.write(separator + " ".join(map(str, some)))
        separator = " "
    sys.stdout.write("\n")


def _row(tokenizer: Any, token: int) -> dict[str, Any]:
    raw = tokenizer.token_bytes(token)
    return {
        "id": token,
        "text": tokenizer.token_text(token),
        "bytes": raw.hex(" "),
        "is_special": tokenizer.is_special(token),
    }


def _view(tokenizer: Any, tokens: list[int]) -> None:
    """The text in colours; without a terminal, with bars between the tokens."""
    pieces = []
    for place, token in enumerate(tokens):
        text = visible(tokenizer.token_bytes(token))
        ground = SPECIAL if tokenizer.is_special(token) else GROUNDS[place % 2]
        painted = click.style(text, fg=(255, 255, 255), bg=ground)
        pieces.append(f"{painted}\n" if text.endswith("↵") else painted)
    between = "" if sys.stdout.isatty() else "|"
    click.echo(between.join(pieces).replace("\n|", "\n"))


def _table(tokenizer: Any, tokens: list[int]) -> None:
    """Id, number of bytes and spelling of the first tokens, in as many columns as the terminal has room for."""
    from shutil import get_terminal_size

    cells = []
    for token in tokens[:ROWS]:
        raw = tokenizer.token_bytes(token)
        mark = click.style(" special", fg="yellow") if tokenizer.is_special(token) else ""
        cells.append((f"{token:>8} {len(raw):>5}  ", visible(raw)[:24], mark))
    if not cells:
        return
    wide = 17 + max(_width(text) for _, text, _ in cells) + (8 if any(mark for *_, mark in cells) else 0)
    columns = max(1, min(3, get_terminal_size().columns // (wide + 2), -(-len(cells) // 4)))
    height = -(-len(cells) // columns)
    click.echo("\n" + "  ".join(f"{'id':>8} {'bytes':>5}  {'token':<{wide - 16}}" for _ in range(columns)).rstrip())
    for row in range(height):
        line = ""
        for numbers, text, mark in cells[row::height]:
            room = " " * (wide - 16 - _width(text) - len(click.unstyle(mark)))
            line += f"{click.style(numbers, dim=True)}{text}{mark}{room}  "
        click.echo(line.rstrip())
    if len(tokens) > ROWS:
        click.echo(click.style(f"{'…':>8}  and {len(tokens) - ROWS} more of those above; --json lists them", dim=True))


def _width(text: str) -> int:
    """Columns a text takes on a terminal: Chinese characters and emoji take two."""
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def _facts(facts: dict[str, Any], shown: int) -> None:
    counts = facts["counts"]
    parts = [
        f"{counts[name]:,} {name if counts[name] != 1 else name[:-1]}" for name in ("tokens", "characters", "bytes")
    ]
    parts[0] += f" ({counts['special']} special)" if counts["special"] else ""
    click.echo()
    if shown < counts["tokens"]:
        click.echo(click.style(f"the first {shown:,} tokens are shown; --limit N shows more", fg="yellow"))
    if facts["source"]:
        click.echo(f"read from {facts['source']}")
    click.echo(" · ".join(parts))
    rates = f"{facts['bytes_per_token']:.2f} bytes, {facts['characters_per_token']:.2f} characters per token"
    click.echo(f"{rates} · {facts['model']}, a vocabulary of {facts['vocabulary']:,}")
    if counts["forced_cuts"]:
        cuts = f"{counts['forced_cuts']} stretches without any border were cut; a few tokens differ there"
        click.echo(click.style(cuts, fg="yellow"))
    if facts["is_round_trip_exact"]:
        click.echo(f"round trip: {click.style('exact', fg='green')}")
    else:
        there = facts["first_difference"]
        difference = f"differs at character {there['character']:,}: {there['text']!r} became {there['tokens']!r}"
        click.echo(f"round trip: {click.style(difference, fg='red')}")
