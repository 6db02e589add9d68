"""Serve models: OpenAI's API and more, and the studio in the browser."""

from typing import Any

import click

from hanlin.cli.options import chosen, options
from hanlin.serve.settings import ServeSettings


@click.command()
@click.argument("models", metavar="[MODEL]...", nargs=-1)
@options(ServeSettings)
def command(models: tuple[str, ...], **given: Any) -> None:
    """Put models behind an HTTP API that OpenAI's own clients speak; the studio is at / in the browser.

    Each MODEL is a stored name, a hub name (org/name), a folder or a .gguf file; without one, smollm2-135m-instruct.
    Ctrl-C lets answers come to their end first. docs/serve.md says what is honoured.

    \b
    hanlin serve
    hanlin serve qwen2.5-coder-0.5b out/mine --alias gpt-4o-mini=qwen2.5-coder-0.5b --port 9000
    """
    settings = chosen(ServeSettings, given)
    from hanlin.cli.studio import open_studio
    from hanlin.serve.run import serve

    serve(models, settings, lambda line: click.echo(line, err=True), open_studio)
