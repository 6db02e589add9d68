"""`hanlin tokenizer compare`: tokenizers and texts in, a table by language out."""

import json
import sys
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from hanlin.cli.tokenizer.corpus import corpus
from hanlin.cli.tokenizer.say import note, read, tell_skipped

COLUMNS = ("language", "tokenizer", "tokens", "bytes/token", "chars/token", "tokens/word", "unknown", "lost bytes")


def compare(names: tuple[str, ...], texts: tuple[str, ...], column: str, is_json: bool) -> None:
    """Encode the same texts with each and print what comes out."""
    from hanlin.text.learn.compare import compared

    source = corpus(texts, column)
    tell_skipped(source)
    tokenizers = {name: _opened(name) for name in dict.fromkeys(names)}
    last = deque(compared(tokenizers, read(source)), maxlen=1)
    if not last:
        from hanlin.core.errors import DataError

        raise DataError("the text is empty", "give at least one character")
    figures = last[0]
    if is_json:
        click.echo(json.dumps(_plain(tokenizers, figures), ensure_ascii=False, indent=2))
    else:
        _print(tokenizers, figures)
    for name, by in figures.items():
        unknown, lost = (sum(getattr(one, field) for one in by.values()) for field in ("unknown", "lost_bytes"))
        if unknown or lost:
            note(f"{name} loses {lost:,} bytes of this text, {unknown:,} tokens of it are unknown")


def _opened(name: str) -> Any:
    """A tokenizer's folder, or a model by any of its names."""
    from hanlin.cli.vocabulary import open_tokenizer, tokenizer_of

    if (Path(name) / "tokenizer.json").is_file():
        return tokenizer_of(Path(name))
    return open_tokenizer(name)[1]


def _rows(figures: dict[str, Any]) -> list[tuple[str, str, Any]]:
    from hanlin.text.learn.compare import LANGUAGES, Figures

    rows = []
    spoken = [language for language in LANGUAGES if any(by[language].bytes for by in figures.values())]
    for language in spoken:
        rows += [(language, name, by[language]) for name, by in figures.items()]
    if len(spoken) > 1:
        for name, by in figures.items():
            total = sum(by.values(), Figures())
            total = replace(total, words=0) if by["Chinese"].bytes else total
            rows.append(("all", name, total))
    return rows


def _plain(tokenizers: dict[str, Any], figures: dict[str, Any]) -> dict[str, Any]:
    rows = [
        {
            "language": language,
            "tokenizer": name,
            **vars(one),
            "bytes_per_token": one.bytes_per_token,
            "characters_per_token": one.characters_per_token,
            "tokens_per_word": one.tokens_per_word,
        }
        for language, name, one in _rows(figures)
    ]
    return {"tokenizers": {name: made.vocab_size for name, made in tokenizers.items()}, "figures": rows}


def _print(tokenizers: dict[str, Any], figures: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from hanlin.cli.page import page

    console = page() if sys.stdout.isatty() else Console(highlight=False, width=400)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in COLUMNS:
        is_word = column in COLUMNS[:2]
        table.add_column(column, justify="left" if is_word else "right", overflow="fold", no_wrap=not is_word)
    for language, name, one in _rows(figures):
        words = "–" if one.tokens_per_word is None else f"{one.tokens_per_word:.2f}"
        ratios = (f"{one.bytes_per_token:.2f}", f"{one.characters_per_token:.2f}", words)
        row = (language, name, f"{one.tokens:,}", *ratios, f"{one.unknown:,}", f"{one.lost_bytes:,}")
        table.add_row(*map(Text, row))
    console.print(table)
    sizes = ", ".join(f"{name} {made.vocab_size:,}" for name, made in tokenizers.items())
    console.print(Text(f"vocabularies: {sizes}"))
