"""See what fewer bits cost a model and what they bring: divergence from float32, memory, speed."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from hanlin.cli.arguments import read_text
from hanlin.core.errors import ConfigError

PRESETS = {"32": 32, "8": 8, "4": 4}
COLUMNS = ("weights", "mean KL", "flips", "ppl", "change", "memory", "tokens/s", "canary")


@click.command()
@click.argument("models", metavar="[MODEL]…", nargs=-1)
@click.option(
    "--text", type=click.Path(path_type=Path), help="Compare on this file  [default: a text of ours, en and zh]"
)
@click.option("--bits", default="32,8,4", metavar="LIST", show_default=True, help="Of weights: 32, 8, 4.")
@click.option(
    "--against", metavar="MODEL", help="Compare with this model in float32  [default: each model with itself]"
)
@click.option("--json", "is_json", is_flag=True, help="One JSON object instead of the tables.")
def command(models: tuple[str, ...], text: Path | None, bits: str, against: str | None, is_json: bool) -> None:
    """Compare ways to keep a model's weights with float32, on your own text, on this machine.

    Mean KL is KL(float32 ‖ other) in nats per token, flips are positions whose likeliest token is another, change is
    that of the perplexity (ppl); the canary is the capital of France, asked greedily. At most 4,096 tokens of the text
    are read, in rows of 256. A quantised file is held against the model it was made from by --against.
    """
    wanted = [PRESETS.get(part.strip()) for part in bits.split(",")]
    if None in wanted:
        raise ConfigError(f"--bits {bits} is no list of 32, 8 and 4", "write for instance --bits 8,4")
    told = read_text(str(text)).text if text is not None else None
    from hanlin.cli.models import fetched, read_ahead
    from hanlin.eval.quality import Reference, qualities, shipped_text
    from hanlin.model.load import load
    from hanlin.model.store import DEFAULT

    told = shipped_text() if told is None else told
    base = None if against is None else Reference(load(fetched(against)), told)
    tables = []
    for name in models or (DEFAULT,):
        path = fetched(name)
        read_ahead(path)
        checkpoint = load(path)
        reference = Reference(checkpoint, told) if base is None else base
        rows = list(qualities(reference, checkpoint, wanted))  # pyright: ignore[reportArgumentType]
        tables.append((name, reference, rows))
        if not is_json:
            _print(name, against or name, reference, rows)
    if is_json:
        objects = [
            {
                "model": name,
                "against": against or name,
                "tokens": reference.tokens,
                "rows": [asdict(row) | {"is_right": row.is_right} for row in rows],
            }
            for name, reference, rows in tables
        ]
        click.echo(json.dumps({"models": objects}, ensure_ascii=False, indent=2))


def _print(name, against: str, reference, rows) -> None:
    from rich.table import Table
    from rich.text import Text

    from hanlin.cli.page import page

    console = page()
    cut = ", the beginning of the text" if reference.is_cut else ""
    console.print(Text(f"{name} against {against} in float32, on {reference.tokens:,} tokens{cut}"))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for index, column in enumerate(COLUMNS):
        table.add_column(column, no_wrap=True, justify="right" if 0 < index < len(COLUMNS) - 1 else "left")
    for row in rows:
        table.add_row(
            row.preset,
            f"{row.kl:.2g}",
            f"{row.flips:.2%}",
            f"{row.perplexity:.4g}",
            f"{row.perplexity_change:+.2%}",
            f"{row.bytes / 1e6:,.0f} MB",
            f"{row.tokens_per_second:,.0f}",
            {True: "Paris", False: "WRONG", None: "–"}[row.is_right],
        )
    console.print(table)
