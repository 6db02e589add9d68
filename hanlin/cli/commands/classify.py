"""Judge texts with a model trained for it: the probabilities of their classes, or a number for each."""

import json
from collections.abc import Iterator
from typing import Any

import click

from hanlin.cli.arguments import float_option, open_text, read_text
from hanlin.core.errors import ConfigError, DataError
from hanlin.core.home import expanded

SHOWN = 48
"""Columns of a text in the table."""


@click.command()
@click.argument("model")
@click.argument("texts", metavar="TEXT…", nargs=-1)
@click.option(
    "--pair", metavar="TEXT", help="The second text, where the model judges two, such as a question's passage."
)
@click.option("--prompt", metavar="TEXT", help="The question that the texts answer; a reward model needs it.")
@click.option("--lines", "by_line", is_flag=True, help="Every line of a file is a text.")
@float_option
@click.option("--json", "is_json", is_flag=True, help="One JSON object instead of the table.")
def command(
    model: str,
    texts: tuple[str, ...],
    pair: str | None,
    prompt: str | None,
    by_line: bool,
    dtype: str | None,
    is_json: bool,
) -> None:
    """Classes and their probabilities, a number, or a reward for each text.

    MODEL is a run folder such as out/classify-zh, its model/ or an export of it. A TEXT that names a file is read from
    it, - is standard input.
    """
    if not texts:
        raise ConfigError("there is no text", "give one in quotes, name a file, or pipe it in and write -")
    rows = list(_rows(texts, by_line))
    holder = opened(model, dtype)
    is_reward = holder.plan.objective == "reward"
    if prompt is not None and not is_reward:
        raise ConfigError(f"{model} was trained to {holder.plan.objective}, and takes no prompt", "leave out --prompt")
    if pair is not None and is_reward:
        raise ConfigError(f"{model} gives rewards to answers, not to pairs", "give the question by --prompt")
    given = [(prompt, text) if prompt is not None else text if pair is None else (text, pair) for _, text in rows]
    verdicts = holder.classify(given)
    if is_json:
        told = [plain(source, text, verdict) for (source, text), verdict in zip(rows, verdicts, strict=True)]
        plan = holder.plan
        click.echo(
            json.dumps(
                {"model": str(holder.path), "objective": plan.objective, "has_many": plan.has_many, "texts": told},
                ensure_ascii=False,
                indent=2,
            )
        )
        return
    cut = 0
    for (_, text), verdict in zip(rows, verdicts, strict=True):
        click.echo(line(text, verdict, holder.plan.has_many))
        cut += verdict.lost > 0
    if cut:
        click.echo(f"note: {cut} texts are longer than the {holder.plan.context:,} tokens it reads", err=True)


def opened(name: str, dtype: str | None) -> Any:
    """The model and its head; an adapter's base is fetched first if it is not here."""
    from hanlin.cli.models import fetched
    from hanlin.infer.classify import adapter_base, open_classifier

    path = expanded(name)
    base = adapter_base(path / "model") or adapter_base(path)
    if base:
        fetched(base)
    return open_classifier(name, dtype)


def _rows(arguments: tuple[str, ...], by_line: bool) -> Iterator[tuple[str | None, str]]:
    """Each text with the file it comes from.

    Raises:
        DataError: a file cannot be read, or none of its lines has a text.
    """
    for argument in arguments:
        if not by_line:
            found = read_text(argument)
            yield found.source, found.text
            continue
        with open_text(argument) as (source, blocks):
            lines = [line for line in "".join(blocks).splitlines() if line.strip()]
        if not lines:
            raise DataError(f"{source or 'the text'} has no line with a text", "give at least one")
        yield from ((source, line) for line in lines)


def line(text: str, verdict: Any, has_many: bool) -> str:
    """A verdict and the beginning of its text on one line."""
    from rich.cells import cell_len, set_cell_size

    from hanlin.cli.visible import harmless

    short = harmless(" ".join(text[: 4 * SHOWN].split()))
    if cell_len(short) > SHOWN:
        short = f"{set_cell_size(short, SHOWN - 1)}…"
    if verdict.value is not None:
        return f"{verdict.value:10.4g}  {short}"
    said = list(verdict.classes.items())
    named = [one for one in said if one[1] > 0.5] if has_many else said[:3]
    told = "  ".join(f"{name} {share:.1%}" for name, share in named) or "none"
    return f"{set_cell_size(told, max(36, cell_len(told)))}  {short}"


def plain(source: str | None, text: str, verdict: Any) -> dict[str, Any]:
    """A verdict as JSON has it."""
    told: dict[str, Any] = {"text": text} if source is None else {"file": source, "text": text}
    told |= {"tokens": verdict.tokens, "lost": verdict.lost}
    return told | ({"value": verdict.value} if verdict.value is not None else {"classes": dict(verdict.classes)})
