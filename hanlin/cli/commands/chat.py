"""Chat with a model in the terminal."""

import sys
from pathlib import Path
from typing import Any

import click

from hanlin.cli.arguments import model_option
from hanlin.cli.language import spoken
from hanlin.cli.options import chosen, options
from hanlin.infer.sampling import Sampling

SAMPLING = options(Sampling, skip=("n", "logprobs"))


@click.command()
@click.argument("name", metavar="[MODEL]", required=False)
@model_option
@click.option("--system", metavar="TEXT", help="A system message to begin with.")
@click.option("--load", "saved", metavar="FILE", type=Path, help="Go on with a conversation that /save wrote.")
@click.option("--template", metavar="FILE", type=Path, help="A Jinja chat template to use instead of the model's own.")
@click.option(
    "--lang", type=click.Choice(["en", "zh"]), help="Language of the chat's own words  [default: the machine's]"
)
@SAMPLING
def command(name: str | None, model: str | None, system: str | None, saved: Path | None, **others: Any) -> None:
    """Chat with a model: answers as markdown, history, slash commands (/help lists them).

    Ctrl-C stops an answer, Ctrl-D leaves. Piped text is a script: one question or slash command per line; answers go to
    standard output as plain text, everything else to standard error. In a chat max_tokens is 1024 unless set.
    """
    from hanlin.core.errors import ConfigError

    if name and model:
        raise ConfigError(f"two models: {name} and {model}", "name one")
    template, lang = others.pop("template"), others.pop("lang") or spoken()
    settings = chosen(Sampling, {"max_tokens": None, **others})
    if others.get("max_tokens") is None:
        settings = settings.model_copy(update={"max_tokens": 1024})
    failures = _chat(model or name, settings, system or "", saved, template, lang)
    sys.exit(2 if failures else 0)


def _chat(
    name: str | None, settings: Sampling, system: str, saved: Path | None, template: Path | None, lang: Any
) -> int:
    """Open the model and talk; returns how many lines of a piped script failed."""
    from hanlin.cli.chat import conversation
    from hanlin.cli.chat.loop import Loop, open_talk
    from hanlin.cli.chat.slash import run
    from hanlin.cli.chat.words import Words

    words = Words(lang)
    loop = Loop(words)
    if saved:
        conversation.load(saved)  # a bad file is told before the model takes its seconds
    with loop.waiting(words("loading")):
        talk = open_talk(name, template)
    talk.sampling, talk.system = settings, system
    if saved:
        loop.say_all(run(talk, f"/load {saved}", words).lines)
    talk.measure()
    return loop.run(talk)
