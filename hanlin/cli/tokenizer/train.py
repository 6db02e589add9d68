"""`hanlin tokenizer train`: a corpus in, a folder with a tokenizer out."""

import json
import time
from typing import Any

import click

from hanlin.cli.tokenizer.corpus import corpus
from hanlin.cli.tokenizer.say import empty, note, read, tell_skipped


def train(
    names: tuple[str, ...], out: str, column: str, is_forced: bool, is_json: bool, values: dict[str, Any]
) -> None:
    """Learn, save, and say what came of it."""
    from hanlin.core.errors import HanlinError
    from hanlin.core.settings import parse
    from hanlin.text.gguf import to_metadata
    from hanlin.text.learn.settings import LearnSettings
    from hanlin.text.learn.train import learn, save

    settings = parse(LearnSettings, {name: value for name, value in values.items() if value not in (None, ())})
    settings.pieces()
    path, source = empty(out, is_forced), corpus(names, column)
    tell_skipped(source)
    began = time.monotonic()
    tokenizer = learn(read(source), settings)
    save(tokenizer, path)
    seconds = time.monotonic() - began
    if settings.most_bytes and source.bytes > settings.most_bytes:
        note(f"only the first {settings.most_bytes:,} bytes were learnt from")
    try:
        to_metadata(tokenizer)
        gguf = None
    except HanlinError as error:
        gguf = error.what
    told = {
        "kind": settings.kind,
        "tokens": tokenizer.vocab_size,
        "asked": settings.vocabulary,
        "files": len(source.files),
        "bytes": min(source.bytes, settings.most_bytes or source.bytes),
        "seconds": round(seconds, 2),
        "special": {mark: tokenizer.backend.token_to_id(mark) for mark in settings.marks()},
        "has_chat_template": tokenizer.template is not None,
        "gguf": gguf or "yes",
        "folder": out,
    }
    if is_json:
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    click.echo(
        f"{settings.kind}: {tokenizer.vocab_size:,} tokens learnt from {told['bytes'] / 1e6:,.1f} MB in {seconds:.1f} s"
    )
    marks = ", ".join(f"{mark} {at}" for mark, at in told["special"].items()) or "none"
    click.echo(f"special tokens: {marks}")
    click.echo(f"written to {out}: read by hanlin and by Transformers" + ("" if gguf else ", and fit for GGUF"))
    if gguf:
        note(f"a model with this tokenizer stays in the Hugging Face format. {gguf}")
