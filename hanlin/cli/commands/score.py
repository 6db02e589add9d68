"""Score texts: how well a model predicts them, as perplexity and bits per byte."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click

from hanlin.cli.arguments import adapter_option, dtype_option, model_and_files, model_option
from hanlin.core.errors import DataError

COLUMNS = ("file", "tokens", "words", "bytes", "log-likelihood", "ppl/token", "ppl/word", "bits/byte")


@click.command()
@click.argument("arguments", metavar="[MODEL] FILE…", nargs=-1)
@model_option
@click.option(
    "--window", type=click.IntRange(1), help="Tokens seen at once  [default: the context window, at most 2048]"
)
@click.option(
    "--stride",
    type=click.IntRange(1),
    help="Tokens each later window predicts, the rest being context  [default: window]",
)
@dtype_option
@adapter_option
@click.option("--json", "is_json", is_flag=True, help="One JSON object instead of the table.")
def command(
    arguments: tuple[str, ...],
    model: str | None,
    window: int | None,
    stride: int | None,
    dtype: str | None,
    adapter: str | None,
    is_json: bool,
) -> None:
    """Log-likelihood, perplexity and bits per byte of text files.

    Of several arguments the first is the MODEL unless it is a file that is no .gguf; - is standard input. Files may be
    larger than memory. Figures follow lm-eval's rolling log-likelihood: the first token is predicted from BOS (else
    EOS), every token once; perplexity per token compares models of one tokenizer, bits per byte any models.
    A smaller --stride gives each token more context and takes longer.
    """
    name, files = model_and_files(arguments, model)
    for file in files:
        if not Path(file).is_fifo():  # opening one would take the text out of it
            with opened(file):
                pass
    from hanlin.cli.models import open_model

    holder = open_model(name, dtype, adapter)
    began = time.perf_counter()
    scores = {}
    for file in dict.fromkeys(files):
        scores[file] = _score(holder, file, window, stride)
    seconds = time.perf_counter() - began
    window = window or holder.window
    total = sum(list(scores.values())[1:], next(iter(scores.values())))
    if is_json:
        told = {
            "model": holder.name,
            "window": window,
            "stride": stride or window,
            "seconds": round(seconds, 3),
            "tokens_per_second": round(total.tokens / seconds, 1),
            "files": [{"file": file, **plain(score)} for file, score in scores.items()],
            "total": plain(total),
        }
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        _print({**scores, **({"total": total} if len(scores) > 1 else {})})
        click.echo(f"{holder.name}, window {window}, stride {stride or window}: {total.tokens / seconds:,.0f} tokens/s")
    if total.forced_cuts:
        click.echo(
            f"note: {total.forced_cuts} stretches without any border were cut; a few tokens differ there", err=True
        )


@contextmanager
def opened(file: str) -> Iterator[BinaryIO]:
    """A file's bytes, or standard input for `-`.

    Raises:
        DataError: it cannot be opened.
    """
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        source = open(file, "rb")  # noqa: PTH123, SIM115
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}", "name a text file") from None
    with source:
        yield source


def _score(holder: Any, file: str, window: int | None, stride: int | None) -> Any:
    """The score of one file, with a line of progress on standard error when it takes long."""
    from hanlin.text.long import decoded

    name, last, said = "standard input" if file == "-" else file, None, time.monotonic()
    began = said
    with opened(file) as source:
        for last in holder.scores(decoded(source.read, name), window, stride, name):
            now = time.monotonic()
            if now - said > (0.2 if sys.stderr.isatty() else 30):
                said = now
                progress(f"{name}: {last.tokens:,} tokens, perplexity {last.perplexity:.3f}, {now - began:.0f} s")
    progress("")
    return last


def progress(text: str) -> None:
    """A line that replaces itself in a terminal; elsewhere a line of its own."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
    elif text:
        sys.stderr.write(f"{text}\n")


def plain(score: Any) -> dict[str, Any]:
    """A score as JSON has it."""
    return {
        "tokens": score.tokens,
        "words": score.words,
        "bytes": score.bytes,
        "loglikelihood": score.loglikelihood,
        "perplexity": score.perplexity,
        "word_perplexity": score.word_perplexity if score.words else None,
        "bits_per_byte": score.bits_per_byte,
        "forced_cuts": score.forced_cuts,
    }


def _print(scores: dict[str, Any]) -> None:
    """Aligned columns, as wide as they need to be: a figure folded in two is none."""
    from rich.cells import cell_len

    rows: list[tuple[str, ...]] = [COLUMNS]
    for file, score in scores.items():
        counts = (f"{score.tokens:,}", f"{score.words:,}", f"{score.bytes:,}", f"{score.loglikelihood:,.2f}")
        measures = (f"{score.perplexity:.4g}", f"{score.word_perplexity:.4g}", f"{score.bits_per_byte:.4f}")
        rows.append((file, *counts, *measures))
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    for file, *figures in rows:
        aligned = (figure.rjust(width) for figure, width in zip(figures, widths[1:], strict=True))
        click.echo("  ".join([file + " " * (widths[0] - cell_len(file)), *aligned]))
