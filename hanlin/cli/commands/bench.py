"""See how fast a model runs here, and how near that is to what the machine allows."""

import json
from dataclasses import asdict
from typing import Any

import click

from hanlin.cli.arguments import WHOLE, model_option, one_model
from hanlin.core.errors import ConfigError


@click.command()
@click.argument("name", metavar="[MODEL]", required=False)
@model_option
@click.option("--dtype", type=click.Choice(WHOLE), default="int8", show_default=True, help="What weights are kept as.")
@click.option("--depths", default="0,1000,4000", metavar="LIST", show_default=True, help="Tokens read before decoding.")
@click.option("--prompts", default="512", metavar="LIST", show_default=True, help="Tokens of prompts to be read.")
@click.option("--streams", default="4,16", metavar="LIST", show_default=True, help="Answers written at once.")
@click.option("--rounds", type=click.IntRange(1, 100), default=5, show_default=True, help="Times each is measured.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object instead of the table.")
def command(
    name: str | None, model: str | None, dtype: str, depths: str, prompts: str, streams: str, rounds: int, is_json: bool
) -> None:
    """Measure how fast MODEL reads and writes with our own kernels, one answer at a time and several at once.

    Medians with the quarters around them; the limit is what weights, keys and values take to come from memory at the
    speed measured now, or the products to be computed, whichever is longer. Close other programs before.
    """
    wanted = [
        _numbers(option, text) for option, text in (("depths", depths), ("prompts", prompts), ("streams", streams))
    ]
    from hanlin.cli.models import open_model
    from hanlin.eval.speed import speeds

    holder = open_model(one_model(name, model), dtype)
    found = []
    for one in speeds(holder, wanted[0], wanted[2], wanted[1], rounds):
        found.append(asdict(one) | {"share": one.share})
        if not is_json:
            click.echo(
                f"{_what(one):28} {one.tokens_per_second:9,.0f} tokens/s  ({one.low:,.0f} to {one.high:,.0f})"
                f"   {one.share:4.0%} of {one.limit:,.0f}"
            )
    if is_json:
        told = {"model": holder.name, "dtype": dtype, "bytes": holder.network.bytes, "speeds": found}
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))


def _what(one: Any) -> str:
    if one.what == "prefill":
        return f"reading {one.depth:,} tokens"
    if one.what == "streams":
        return f"writing, {one.streams} answers"
    return f"writing after {one.depth:,} tokens"


def _numbers(option: str, text: str) -> list[int]:
    try:
        found = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        found = [-1]
    if any(not 0 <= number <= 1_000_000 for number in found) or (option != "depths" and 0 in found):
        raise ConfigError(f"--{option} {text} is no list of numbers", f"write for instance --{option} 16,512")
    return found
