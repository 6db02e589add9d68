"""Chat with a model in the terminal."""

import sys
from pathlib import Path
from typing import Any

import click

from hanlin.cli.allowed import BY_TOKEN
from hanlin.cli.arguments import (
    adapter_option,
    draft_option,
    dtype_option,
    engine_settings,
    kept_option,
    model_option,
    one_model,
)
from hanlin.cli.language import Language, spoken
from hanlin.cli.options import chosen, options
from hanlin.infer.sampling import Sampling

SAMPLING = options(Sampling, skip=("n", "logprobs", *BY_TOKEN))


@click.command()
@click.argument("name", metavar="[MODEL]", required=False)
@model_option
@dtype_option
@adapter_option
@kept_option
@draft_option
@click.option("--system", metavar="TEXT", help="A system message to begin with.")
@click.option("--load", "saved", metavar="FILE", type=Path, help="Go on with a conversation that /save wrote.")
@click.option("--template", metavar="FILE", type=Path, help="A Jinja chat template to use instead of the model's own.")
@click.option(
    "--lang", type=click.Choice(["en", "zh"]), help="Language of the chat's own words  [default: the machine's]"
)
@SAMPLING
def command(
    name: str | None,
    model: str | None,
    dtype: str | None,
    adapter: str | None,
    kept: str | None,
    draft: str | None,
    system: str | None,
    saved: Path | None,
    template: Path | None,
    lang: Language | None,
    **others: Any,
) -> None:
    """Chat with a model: answers as markdown, history, slash commands (/help lists them).

    Ctrl-C stops an answer, Ctrl-D leaves. Piped text is a script: one question or slash command per line; answers go to
    standard output as plain text, everything else to standard error. In a chat max_tokens is 1024 unless set.
    With --load, what is given beside it takes the place of what was saved.
    """
    wanted = one_model(name, model)
    from hanlin.cli.chat.conversation import load
    from hanlin.cli.chat.loop import Loop, open_talk
    from hanlin.cli.chat.slash import restore
    from hanlin.cli.chat.talk import DEFAULTS
    from hanlin.cli.chat.words import Words

    found = load(saved) if saved else None  # a bad file is told before the model takes its seconds
    settings = chosen(Sampling, others, found[1] if found else DEFAULTS)
    words = Words(lang or spoken())
    loop = Loop(words)
    with loop.waiting(words("loading")):
        talk = open_talk(wanted, template, dtype, adapter, engine_settings(kept), draft)
    if saved and found:
        loop.say_all(restore(talk, *found, saved, words))
    talk.sampling = settings
    talk.system = talk.system if system is None else system
    talk.measure()
    failures = loop.run(talk)
    sys.exit(2 if failures else 0)
