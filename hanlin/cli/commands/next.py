"""Show what may come next: the table of the next token, and the probability of the text itself."""

import json
from pathlib import Path
from typing import Any

import click

from hanlin.cli.arguments import adapter_option, dtype_option, model_and_text, model_option, read_text
from hanlin.cli.visible import visible
from hanlin.core.errors import CapacityError


@click.command()
@click.argument("arguments", metavar="[MODEL] TEXT", nargs=-1)
@model_option
@click.option("-k", "k", type=click.IntRange(1), default=20, show_default=True, help="Rows of the table.")
@click.option("--plot", metavar="FILE", type=Path, help="Also draw the table as bars: FILE.png, .svg or .pdf.")
@dtype_option
@adapter_option
@click.option("--json", "is_json", is_flag=True, help="One JSON object instead of the tables.")
def command(
    arguments: tuple[str, ...],
    model: str | None,
    k: int,
    plot: Path | None,
    dtype: str | None,
    adapter: str | None,
    is_json: bool,
) -> None:
    """Probabilities of the next token after TEXT, and of TEXT's own tokens.

    One argument is the text; of two, the first is the MODEL. An existing file is read, - is standard input.
    Probabilities are the model's own, with no temperature or other setting. Special tokens in it are read as such.

    \b
    hanlin next "The cat sat on the"
    hanlin next "The cat sat on the" -k 10 --plot next.png
    """
    name, argument = model_and_text(arguments, model)
    text = read_text(argument)
    if text.is_cut:
        raise CapacityError(f"{text.source} is longer than any context window", "give a shorter text")
    if plot:
        from hanlin.cli.plot import check

        check(plot)
    from hanlin.cli.models import open_model

    holder = open_model(name, dtype, adapter)
    table = holder.next(text.text, k)
    if is_json:
        click.echo(json.dumps({"source": text.source, **as_object(holder, table)}, ensure_ascii=False, indent=2))
    else:
        if text.source:
            click.echo(f"read from {text.source}")
        _print(holder.tokenizer, table)
    if plot:
        from hanlin.cli.plot import bars

        labels = [visible(holder.tokenizer.token_bytes(row.token)) for row in table.candidates]
        bars(plot, labels, [row.probability for row in table.candidates], "Next token")


def as_object(holder: Any, table: Any) -> dict[str, Any]:
    """The tables as JSON."""
    write = holder.tokenizer.token_text
    return {
        "model": holder.name,
        "text": [{"token": one.token, "text": write(one.token), "logprob": one.logprob} for one in table.said],
        "loglikelihood": table.loglikelihood,
        "next": [
            {
                "token": row.token,
                "text": write(row.token),
                "probability": row.probability,
                "logprob": row.logprob,
                "mass": row.mass,
            }
            for row in table.candidates
        ],
    }


def _print(tokenizer: Any, table: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    from hanlin.cli.page import page

    def token(number: int) -> Text:
        return Text(visible(tokenizer.token_bytes(number)))

    said = Table(box=None, padding=(0, 2), show_edge=False, header_style="dim")
    said.add_column("token of the text", overflow="fold")
    for column in ("id", "probability", "log-probability"):
        said.add_column(column, justify="right", no_wrap=True)
    for one in table.said:
        chance = ("", "(the first)") if one.logprob is None else (share(one.logprob), f"{one.logprob:.3f}")
        said.add_row(token(one.token), str(one.token), *chance)
    following = Table(box=None, padding=(0, 2), show_edge=False, header_style="dim")
    following.add_column("next token", overflow="fold")
    for column in ("id", "probability", "log-probability", "cumulative"):
        following.add_column(column, justify="right", no_wrap=True)
    following.add_column("")
    for row in table.candidates:
        bar = Text("█" * max(1, round(row.probability * 30)) if row.probability >= 0.01 else "", style="red")
        figures = (str(row.token), share(row.logprob), f"{row.logprob:.3f}", f"{row.mass:.1%}")
        following.add_row(token(row.token), *figures, bar)
    console = page()
    console.print(said)
    given = "" if len(table.said) < 2 else f", given its first token; {_mean(table):.3f} per token"
    console.print(f"log-probability of the text: {table.loglikelihood:.3f}{given}\n")
    console.print(following)


def _mean(table: Any) -> float:
    return table.loglikelihood / (len(table.said) - 1)


def share(logprob: float) -> str:
    """A probability, rounded to what is worth reading."""
    from math import exp

    probability = exp(logprob)
    return f"{probability:.1%}" if probability >= 0.001 else f"{probability:.1e}"
