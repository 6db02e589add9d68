"""`hanlin tokenizer extend`: a model and new tokens in, a folder with the model that knows them out."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from hanlin.cli.tokenizer.corpus import Corpus, corpus
from hanlin.cli.tokenizer.say import empty, note, read, tell_skipped
from hanlin.core.errors import ConfigError, TokenizerError

HELD_SHARE = 8
"""One in so many stretches of the corpus gives a part that is held out: no new token is learnt from it."""
HELD_CHARACTERS = 600
HELD_STRETCHES = 4


def extend(
    name: str | None,
    tokens: str | None,
    names: tuple[str, ...],
    add: int,
    out: str,
    column: str,
    min_frequency: int,
    dtype: str | None,
    is_forced: bool,
    is_json: bool,
) -> None:
    """Extend the tokenizer, then the model, prove that old texts keep their ids, save, and say what came of it."""
    if not tokens and not names:
        raise ConfigError("there is nothing to add", "give --tokens FILE, a list, or --corpus FILE, to learn them from")
    path = empty(out, is_forced)
    listed = _list(tokens) if tokens else ()
    source = corpus(names, column) if names else None
    from hanlin.cli.models import fetched
    from hanlin.cli.vocabulary import tokenizer_of

    old = tokenizer_of(fetched(name))
    new, made_of, held = old, {}, []
    from hanlin.text.learn import extend as extending

    if listed:
        first = extending.with_tokens(old, listed)
        new, made_of = first.tokenizer, {**first.made_of}
        if first.known:
            note(f"{len(first.known)} tokens are in the vocabulary already: {', '.join(first.known[:8])}")
    if source:
        tell_skipped(source)
        second = extending.from_corpus(new, _training(source, held), add, min_frequency)
        new, made_of = second.tokenizer, {**made_of, **second.made_of}
        if len(second.made_of) < add:
            note(f"the corpus has only {len(second.made_of)} tokens to learn, of {add} asked for")
    told: dict[str, Any] = {"tokens_before": old.vocab_size, "tokens": new.vocab_size, "added": len(made_of)}
    text = "".join(held)
    if text:
        before, after = (made.encode(text, add_special=False, parse_special=False) for made in (old, new))
        # A token of one's own may begin or end within an old one: then, and only then, ids around it differ.
        if not listed and extending.Extension(new, made_of).apart(after) != before:
            raise TokenizerError(
                "held-out text would not keep its old ids: this tokenizer takes words whole, whatever the merges say",
                "give the tokens yourself, with --tokens",
            )
        told |= {"held_out_bytes": len(text.encode()), "held_out_tokens_before": len(before)}
        told["held_out_tokens"] = len(after)
    told |= _grown(name, dtype, new, made_of, path, held) | {"folder": out}
    if is_json:
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    such = " ".join(json.dumps(new.token_text(at), ensure_ascii=False) for at in list(made_of)[-12:])
    _print(told, such)


def _print(told: dict[str, Any], such: str) -> None:
    click.echo(f"{told['tokens_before']:,} tokens, {told['added']:,} new: {told['tokens']:,}")
    click.echo(f"such as: {such}")
    if "held_out_tokens" in told:
        fewer = 1 - told["held_out_tokens"] / told["held_out_tokens_before"]
        click.echo(
            f"held-out text of the corpus, {told['held_out_bytes']:,} bytes: {told['held_out_tokens_before']:,} tokens "
            f"before, {told['held_out_tokens']:,} now, {100 * fewer:.1f} % fewer"
        )
        if "bits_per_byte" in told:
            was, now = told["bits_per_byte_before"], told["bits_per_byte"]
            click.echo(f"bits per byte of it: {was:.3f} before, {now:.3f} now, until the model is trained further")
    click.echo(f"written to {told['folder']}: read by hanlin and by Transformers")


def _list(file: str) -> tuple[str, ...]:
    """The tokens in a file, one on each line."""
    blocks = "".join(corpus([file]).blocks())
    listed = tuple(line for line in blocks.splitlines() if line.strip())
    if not listed:
        raise ConfigError(f"{file} has no token in it", "write one on each line")
    return listed


def _training(source: Corpus, held: list[str]) -> Iterator[str]:
    """The corpus without a little of it that goes into `held`: whole lines, from all over its beginning."""
    from hanlin.text.learn.feed import PIECE, pieces

    for number, piece in enumerate(pieces(read(source))):
        if number % HELD_SHARE == HELD_SHARE - 1 and len(held) < HELD_STRETCHES and len(piece) > PIECE // 2:
            end = piece.find("\n", HELD_CHARACTERS) + 1
            if end:
                held.append(piece[:end])
                piece = piece[end:]
        yield piece


def _grown(
    name: str | None,
    dtype: str | None,
    tokenizer: Any,
    made_of: dict[int, tuple[int, ...]],
    path: Path,
    held: list[str],
) -> dict[str, float]:
    """Extend and save the model; bits per byte of the held-out text before and after, where there is some."""
    from hanlin.cli.models import open_model
    from hanlin.infer.model import Model
    from hanlin.model.extend import extended
    from hanlin.model.save import save_folder

    model = open_model(name, dtype)
    made = extended(model.checkpoint, tokenizer, made_of)
    save_folder(made, path)
    if not held or (tokenizer.bos is None and not tokenizer.eos):
        return {}
    text = "".join(held)
    before, after = model.score(text), Model(made, str(path)).score(text)
    return {"bits_per_byte_before": before.bits_per_byte, "bits_per_byte": after.bits_per_byte}
