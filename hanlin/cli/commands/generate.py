"""Generate text: continue a prompt, or answer it through the model's chat template."""

import collections
import json
import time
from pathlib import Path
from typing import Any

import click

from hanlin.cli.allowed import BY_TOKEN, Allowed, allowed_options
from hanlin.cli.arguments import (
    adapter_option,
    draft_option,
    dtype_option,
    engine_settings,
    kept_option,
    model_option,
    one_model,
    read_text,
)
from hanlin.cli.options import chosen, options
from hanlin.core.errors import CapacityError, ConfigError, RefusedError
from hanlin.infer.sampling import Sampling


@click.command()
@click.argument("name", metavar="[MODEL]", required=False)
@model_option
@click.option("-p", "--prompt", metavar="TEXT", help="The prompt; - reads standard input, less a last line break.")
@click.option("--chat", is_flag=True, help="Put the prompt through the model's chat template, as the user's message.")
@click.option("--system", metavar="TEXT", help="With --chat: the system message before it.")
@options(Sampling, skip=BY_TOKEN)
@allowed_options
@dtype_option
@adapter_option
@kept_option
@draft_option
@click.option("--receipt", metavar="FILE", type=Path, help="Write what `hanlin replay` proves the answer with.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object at the end instead of text as it comes.")
def command(
    name: str | None,
    model: str | None,
    prompt: str | None,
    chat: bool,
    system: str | None,
    dtype: str | None,
    adapter: str | None,
    kept: str | None,
    draft: str | None,
    receipt: Path | None,
    is_json: bool,
    allowed: Allowed,
    **given: Any,
) -> None:
    """Continue a prompt, streaming; with --chat, answer it.

    MODEL is a stored name, a hub name (org/name), a folder or a .gguf file; without it, smollm2-135m-instruct. By
    default the likeliest token is taken each time, so the same prompt has the same answer; --temperature 1 draws.

    \b
    hanlin generate -p "The cat sat on the"
    hanlin generate --chat -p "What is the capital of France?"
    hanlin generate -p - --temperature 0.8 --top-p 0.95 --seed 1 --n 3 --json < story.txt
    hanlin generate -p "A cat: " --json-schema '{"type": "object", "properties": {"name": {"type": "string"}}}'
    hanlin generate -p "Is water wet? Answer: " --regex "yes|no" --max-tokens 4
    """
    sampling = chosen(Sampling, given)
    wanted = one_model(name, model)
    if system is not None and not chat:
        raise ConfigError("--system needs --chat: a plain prompt has no system message", "add --chat")
    constraint = allowed.constraint(prompt)
    text = read_prompt(prompt)
    began = time.perf_counter()
    from hanlin.cli.models import open_model

    holder = open_model(wanted, dtype, adapter, engine_settings(kept), draft)
    load_seconds = time.perf_counter() - began
    sampling = allowed.added(sampling, holder.tokenizer)
    from hanlin.cli.answers import Timed, as_object, note, print_text

    if sampling.is_greedy and sampling.n > 1:
        note(f"without --temperature nothing is drawn: all {sampling.n} answers are the same")
    if not sampling.is_greedy:  # a fresh seed too is one to report
        sampling = sampling.model_copy(update={"seed": sampling.seeds()[0]})
    messages = [{"role": "system", "content": system}] if system is not None else []
    messages.append({"role": "user", "content": text})
    tokens = holder.conversation(messages, sampling) if chat else holder.encode(text, sampling)
    timed = Timed(holder.answer(tokens, sampling, constraint), sampling.n)
    if is_json:
        collections.deque(timed, maxlen=0)  # read to its end
    else:
        print_text(timed, holder.tokenizer, sampling)
    if receipt is not None:
        _keep(receipt, holder, dtype, tokens, sampling, constraint, timed)
    if is_json:
        about = {"model": holder.name, "prompt_tokens": len(tokens), "load_seconds": load_seconds}
        told = as_object(timed, holder.tokenizer, sampling, **about)
        told |= {"constraint": {constraint.kind: constraint.source}} if constraint else {}
        click.echo(json.dumps(told, ensure_ascii=False))


def _keep(path: Path, model: Any, dtype: str | None, tokens: Any, sampling: Any, constraint: Any, timed: Any) -> None:
    """Write the receipt of the answers that came."""
    from hanlin.core.run import replacing
    from hanlin.infer.receipt import receipt

    paper = receipt(model, dtype, tokens, sampling, constraint, [answer.events for answer in timed.answers])
    with replacing(path) as sink:
        sink.write(json.dumps(paper, ensure_ascii=False, indent=1).encode())


def read_prompt(prompt: str | None) -> str:
    """The prompt that `-p` spells, or standard input.

    Raises:
        ConfigError: there is none.
        RefusedError: it is empty.
        DataError: it is not UTF-8 text.
        CapacityError: standard input has more than any context window holds.
    """
    if prompt is None:
        raise ConfigError("there is no prompt", 'give one: -p "…", or pipe it in: -p -')
    if prompt != "-":
        if not prompt:
            raise RefusedError("the prompt is empty", "give at least one character")
        return prompt
    read = read_text("-")
    if read.is_cut:
        raise CapacityError(f"standard input has more than {len(read.text.encode()):,} bytes", "give a shorter prompt")
    text = read.text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise RefusedError("the prompt is empty: standard input has only a line break", "give at least one character")
    return text
