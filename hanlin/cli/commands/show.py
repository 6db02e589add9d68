"""Show a model: config, parameters, memory, types of weights, tokenizer and chat template."""

import json

import click

from hanlin.cli.arguments import model_option, one_model


@click.command()
@click.argument("name", metavar="[MODEL]", required=False)
@model_option
@click.option("--json", "is_json", is_flag=True, help="One JSON object instead of the page.")
def command(name: str | None, model: str | None, is_json: bool) -> None:
    """Show what a model is made of, without loading its weights.

    MODEL is a stored name, a hub name (org/name), a folder or a .gguf file; without one, the default is shown.
    """
    wanted = one_model(name, model)
    from hanlin.cli.models import fetched
    from hanlin.cli.show.facts import gather
    from hanlin.model.store import DEFAULT

    facts = gather(DEFAULT if wanted is None else wanted, fetched(wanted))
    if is_json:
        click.echo(json.dumps(facts, ensure_ascii=False, indent=2))
        return
    from hanlin.cli.page import page
    from hanlin.cli.show.print import show

    show(page(), facts)
