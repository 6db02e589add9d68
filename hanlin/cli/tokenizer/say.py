"""What the three verbs of tokenizers tell on standard error: how far they are, what they left out."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

from hanlin.cli.commands.score import progress
from hanlin.cli.tokenizer.corpus import Corpus
from hanlin.core.errors import ConfigError


def read(corpus: Corpus) -> Iterator[str]:
    """The corpus's blocks, with a line of progress when it takes long."""
    began = said = time.monotonic()
    total = corpus.size
    for block in corpus.blocks():
        now = time.monotonic()
        if now - said > (0.2 if sys.stderr.isatty() else 10):
            said = now
            of = f" of {total / 1e6:,.0f}" if total else ""
            progress(f"read {corpus.bytes / 1e6:,.0f}{of} MB, {now - began:.0f} s")
        yield block
    progress("")


def note(text: str) -> None:
    """A line on standard error."""
    sys.stderr.write(f"note: {text}\n")


def tell_skipped(corpus: Corpus) -> None:
    """Say which files of folders are not read."""
    if corpus.skipped:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in corpus.skipped.most_common(6))
        note(f"{corpus.skipped.total()} files that are no text are left out: {kinds}")


def empty(out: str, is_forced: bool) -> Path:
    """The folder to write into.

    Raises:
        ConfigError: something is there already.
    """
    path = Path(out)
    if path.is_file() or (path.is_dir() and any(path.iterdir()) and not is_forced):
        raise ConfigError(f"{out} is there already", "name a new folder with --out, or write over it with --force")
    return path
