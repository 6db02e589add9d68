"""Merge an adapter into its model: one model that answers the same, as a folder or a GGUF file."""

from pathlib import Path
from typing import Any

import click

from hanlin.core.errors import ConfigError, StoreError

PROBE = "The quick brown fox jumps over the lazy dog. 白日依山尽，黄河入海流。 def add(a, b): return a + b"


@click.command()
@click.argument("model")
@click.argument("adapter", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder, or a new file .gguf")
@click.option(
    "--kind",
    type=click.Choice(["F32", "F16", "BF16", "Q8_0", "Q4_0"]),
    help="Kind of the matrices in a .gguf file  [default: F16]",
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    help="Precision of the weights in a folder  [default: float32]",
)
def command(model: str, adapter: Path, out: Path, kind: str | None, dtype: str | None) -> None:
    """Merge ADAPTER, a folder in PEFT's format, into MODEL, the base it was trained on.

    The sums are done in float32. What is written is read again, and the largest differences between the logits of a
    short text are told: merged against unmerged, and as written.
    """
    is_gguf = out.suffix.lower() == ".gguf"
    if given := (dtype and "--dtype") if is_gguf else (kind and "--kind"):
        fix = "use --kind for a .gguf file" if is_gguf else "use --dtype for a folder, or name a file .gguf"
        raise ConfigError(f"{given} says nothing about {out}", fix)
    _refuse_what_is_there(out)
    from hanlin.cli.models import open_model

    holder = open_model(model)
    from hanlin.model.adapters import peft
    from hanlin.model.adapters.merge import merged

    settings = peft.load(holder.network, adapter)
    probe = _probe(holder)
    before = holder.logits(probe)
    merged(holder.network)
    after = holder.logits(probe)
    written = _written(holder.checkpoint, out, kind or "F16" if is_gguf else "", dtype or "float32").logits(probe)
    name = {"lora": "LoRA", "dora": "DoRA"}[settings.use]
    click.echo(f"{name} of rank {settings.rank} on {' '.join(settings.targets)}, merged into {holder.name}: {out}")
    click.echo(
        f"largest difference of logits over {probe.shape[1]} tokens, where {before.abs().max():.4g} is the largest:"
    )
    click.echo(f"  merged      {(after - before).abs().max():.1e}")
    click.echo(
        f"  as written  {(written - before).abs().max():.1e}  ({kind or 'F16' if is_gguf else dtype or 'float32'})"
    )


def _refuse_what_is_there(out: Path) -> None:
    """Nothing is written over.

    Raises:
        StoreError: there is something.
    """
    try:
        is_taken = any(out.iterdir()) if out.is_dir() and out.suffix.lower() != ".gguf" else out.exists()
    except OSError as error:
        raise StoreError(f"{out} cannot be read: {error.strerror}", "choose another place") from None
    if is_taken:
        raise StoreError(f"{out} is there already", "choose another place, or remove it first")


def _probe(holder: Any) -> Any:
    """A short text as the model's tokens, or its first ids where it has no tokenizer."""
    import torch

    vocabulary, context = holder.config.vocabulary, holder.context
    tokenizer = holder.checkpoint.tokenizer
    ids = tokenizer.encode(PROBE) if tokenizer else list(range(min(vocabulary, 64)))
    return torch.tensor([ids[:context]])


def _written(checkpoint: Any, out: Path, kind: str, dtype: str) -> Any:
    """Write the model and read it again."""
    from hanlin.infer.model import Model
    from hanlin.infer.opening import precision
    from hanlin.model.load import load
    from hanlin.model.save import save_folder, save_gguf

    if kind:
        save_gguf(checkpoint, out, kind)  # pyright: ignore[reportArgumentType]
    else:
        checkpoint.network.to(precision(dtype))
        save_folder(checkpoint, out)
    return Model(load(out))
