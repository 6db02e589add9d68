"""Show a model: config, parameters, memory, types of weights, tokenizer and chat template."""

import json

import click

from hanlin.cli.arguments import model_option
from hanlin.core.errors import ConfigError


@click.command()
@click.argument("name", metavar="[MODEL]", required=False)
@model_option
@click.option("--json", "is_json", is_flag=True, help="One JSON object instead of the page.")
def command(name: str | None, model: str | None, is_json: bool) -> None:
    """Show what a model is made of, without loading its weights.

    MODEL is a stored name, a hub name (org/name), a folder or a .gguf file; without one, the default is shown.
    """
    if name and model:
        raise ConfigError(f"two models: {name} and {model}", "name one")
    from hanlin.cli.models import fetched
    from hanlin.cli.show.facts import gather
    from hanlin.model.store import DEFAULT

    wanted = model or name
    facts = gather(wanted or DEFAULT, fetched(wanted))
    if is_json:
        click.echo(json.dumps(facts, ensure_ascii=False, indent=2))
        return
    from rich.console import Console

    from hanlin.cli.show.print import show

    show(Console(highlight=False), facts)
