"""Make an answer again from its receipt: the same to the bit, or what differs."""

import json
import sys
from pathlib import Path

import click


@click.command()
@click.argument("receipt", type=click.Path(path_type=Path))
@click.option("-m", "--model", "name", metavar="NAME", help="The model, if it lies elsewhere than when it was made.")
@click.option("--adapter", metavar="DIR", help="Its adapter, if it lies elsewhere than when it was made.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object instead of sentences.")
def command(receipt: Path, name: str | None, adapter: str | None, is_json: bool) -> None:
    """Prove or refute RECEIPT, which `hanlin generate --receipt FILE` wrote.

    The files of the model and its adapter are held against their hash, the answers are made again with the same
    settings, and ids and log-probabilities compared. Exit code 0: proved. 1: something differs, and is said.
    """
    from hanlin.cli.models import open_model
    from hanlin.infer import receipt as receipts

    found = receipts.read(receipt)
    model = open_model(name or found["model"], found["dtype"], adapter or found.get("adapter"))
    told = list(receipts.replay(found, model))
    if is_json:
        click.echo(json.dumps({"is_proved": not told, "differences": told}, ensure_ascii=False))
    else:
        tokens = sum(len(answer["tokens"]) for answer in found["answers"])
        click.echo("\n".join(told) if told else f"proved: {tokens:,} tokens and their log-probabilities, bit for bit")
    sys.exit(1 if told else 0)
