"""Quantize a model: a GGUF file of 8 or 4 bits, the latter mended on your own text."""

from pathlib import Path

import click

from hanlin.cli.arguments import read_text
from hanlin.core.errors import ConfigError, DataError, StoreError

GROUP, ROW, MOST_ROWS, LEAST_TOKENS = 32, 256, 32, 512
KINDS = {"int8": "Q8_0", "int4": "Q4_1"}


@click.command()
@click.argument("model")
@click.option("--to", type=click.Choice(list(KINDS)), required=True, help="Bits of a weight.")
@click.option("--out", type=click.Path(path_type=Path), help="A new file .gguf  [default: MODEL-int4.gguf, here]")
@click.option("--group", type=int, default=GROUP, show_default=True, help="Weights that share a scale; GGUF has 32.")
@click.option(
    "--calibrate", metavar="FILE", help="With int4: a text like those the model will meet; errors are mended on it."
)
def command(model: str, to: str, out: Path | None, group: int, calibrate: str | None) -> None:
    """Write MODEL as a GGUF file of Q8_0 (int8) or Q4_1 blocks (int4), which llama.cpp reads, too.

    Embedding and head keep 8 bits, norms and routers all of theirs. With --calibrate at most 8,192 tokens of the text
    are read by the model, and its matrices rounded so that they answer as before on it: minutes, and a good deal of
    memory. `hanlin quality FILE --against MODEL` tells what it has cost.
    """
    if group != GROUP:
        raise ConfigError(f"--group {group}: GGUF files have groups of 32", "leave --group out")
    if calibrate and to != "int4":
        raise ConfigError("--calibrate mends what four bits do; eight do no harm", "leave it out, or use --to int4")
    text = read_text(calibrate).text if calibrate else ""
    out = out or Path(f"{Path(model.split('@')[0]).name.removesuffix('.gguf')}-{to}.gguf")
    if out.suffix.lower() != ".gguf":
        raise ConfigError(f"{out} is no name of a GGUF file", "end it with .gguf")
    if out.exists():
        raise StoreError(f"{out} is there already", "choose another place, or remove it first")
    from hanlin.cli.models import fetched, read_ahead
    from hanlin.core import lineage
    from hanlin.model import quantise
    from hanlin.model.load import load
    from hanlin.model.save import save_gguf

    path = fetched(model)
    read_ahead(path)
    checkpoint = load(path)
    blocks = {}
    if to == "int4":
        rows = _rows(checkpoint, text) if text else None
        if rows is not None:
            click.echo(
                f"calibrating {len(quantise.matrices(checkpoint.network))} matrices on {rows.numel():,} tokens",
                err=True,
            )
        blocks = quantise.nearest(checkpoint.network) if rows is None else quantise.calibrated(checkpoint.network, rows)
    others = save_gguf(checkpoint, out, KINDS[to], blocks)  # pyright: ignore[reportArgumentType]
    facts = {"kind": KINDS[to], "is_calibrated": bool(text)}
    parents = {"model": path}
    if calibrate and Path(calibrate).is_file():
        parents["text"] = Path(calibrate)
    lineage.record(out, "export", parents, facts)
    for name in others:
        click.echo(f"note: {name} does not fill blocks of 32 and keeps more bits", err=True)
    click.echo(f"{out}: {out.stat().st_size / 1e6:,.1f} MB, {KINDS[to]}{', calibrated' if text else ''}")


def _rows(checkpoint, text: str):
    """The text as rows of tokens for calibration.

    Raises:
        DataError: it is too short to tell channels apart.
    """
    import torch

    tokenizer = checkpoint.tokenizer
    ids = [] if tokenizer is None else tokenizer.encode(text, add_special=False)
    row = min(ROW, checkpoint.config.context)
    count = min(len(ids) // row, MOST_ROWS)
    if count * row < LEAST_TOKENS:
        raise DataError(
            f"the text for --calibrate has {len(ids)} tokens", f"give at least {LEAST_TOKENS}, better 8,192"
        )
    return torch.tensor(ids[: count * row]).view(count, row)
