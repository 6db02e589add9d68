"""Tokenizers: learn one from text, add tokens to a model's, or compare several."""

from typing import Any

import click

KINDS = click.Choice(["bpe", "unigram", "wordpiece", "characters"])
json_option = click.option("--json", "is_json", is_flag=True, help="One JSON object instead of text.")
column_option = click.option(
    "--column", default="text", show_default=True, help="Where the text stands in .jsonl files"
)
force_option = click.option("--force", "is_forced", is_flag=True, help="Write over a folder that is there already.")


@click.group()
def command() -> None:
    """Learn a tokenizer from text, add tokens to a model's, or compare several.

    `hanlin tokenizer train CORPUS… --vocab N --out DIR` learns one, `extend` gives a model new tokens with their
    weights, `compare TOKENIZER… --on FILES` counts what each makes of the same text. See --help of each.
    """


@command.command()
@click.argument("corpus", nargs=-1, required=True)
@click.option("--kind", type=KINDS, default="bpe", show_default=True, help="What to learn")
@click.option("--vocab", "vocabulary", type=int, help="Tokens in all: bytes, pieces, special ones  [default: 8192]")
@click.option("--out", required=True, metavar="DIR", help="A new folder for it")
@click.option("--digits", type=click.Choice(["any", "3", "2", "1"]), help="Longest run of digits  [default: 3]")
@click.option(
    "--cjk",
    type=click.Choice(["default", "apart", "uncut"]),
    help="Chinese: runs that end at punctuation, each character apart, or not even cut at punctuation  "
    "[default: default]",
)
@click.option("--normalise", type=click.Choice(["none", "nfc", "nfkc"]), help="Unicode form  [default: none]")
@click.option("--min-frequency", type=int, help="Rarer pieces are not learnt  [default: 2; characters: 1]")
@click.option("--most-bytes", type=int, help="Stop reading after so many  [default: read all]")
@click.option("--bos", help="A token that begins every text  [default: none]")
@click.option("--eos", help="A token that ends a text  [default: <|endoftext|>]")
@click.option("--pad", help="A token that fills rows  [default: <|pad|>]")
@click.option("--unk", help="characters: one token for all unknown ones, not their bytes  [default: bytes]")
@click.option("--special", multiple=True, help="A further special token; can be given several times")
@click.option("--chat", type=click.Choice(["none", "chatml"]), help="A chat template and its tokens  [default: none]")
@column_option
@force_option
@json_option
def train(corpus: tuple[str, ...], out: str, column: str, is_forced: bool, is_json: bool, **values: Any) -> None:
    """Learn a tokenizer from files, folders and patterns of text or .jsonl, - for standard input.

    The corpus may be larger than memory. Every kind knows all bytes, so no text is ever lost. The same corpus gives the
    same tokenizer, to the byte.
    """
    from hanlin.cli.tokenizer.train import train as run

    run(corpus, out, column, is_forced, is_json, values)


@command.command()
@click.argument("model", required=False)
@click.option("--tokens", metavar="FILE", help="Tokens of your own, one on each line")
@click.option(
    "--corpus", multiple=True, metavar="FILE", help="Text to learn new tokens from; can be given several times"
)
@click.option("--add", type=click.IntRange(1), default=500, show_default=True, help="How many to learn")
@click.option("--out", required=True, metavar="DIR", help="A new folder for the model")
@click.option("--min-frequency", type=click.IntRange(1), default=2, show_default=True, help="Rarer ones are not learnt")
@click.option(
    "--dtype", type=click.Choice(["float32", "bfloat16", "float16"]), help="Of the weights  [default: float32]"
)
@column_option
@force_option
@json_option
def extend(
    model: str | None,
    tokens: str | None,
    corpus: tuple[str, ...],
    add: int,
    out: str,
    min_frequency: int,
    dtype: str | None,
    column: str,
    is_forced: bool,
    is_json: bool,
) -> None:
    """Give a MODEL tokens for a new language or domain: its tokenizer, embedding and head grow together.

    A token learnt from --corpus replaces old ones only where they stood together, so every other text keeps its ids.
    Each new row of the weights is the mean of the rows of its pieces; train the model further for it to learn more.
    """
    from hanlin.cli.tokenizer.extend import extend as run

    run(model, tokens, corpus, add, out, column, min_frequency, dtype, is_forced, is_json)


@command.command()
@click.argument("tokenizers", nargs=-1, required=True, metavar="TOKENIZER…")
@click.option("--on", "texts", multiple=True, required=True, metavar="FILE", help="Text that none was learnt from")
@column_option
@json_option
def compare(tokenizers: tuple[str, ...], texts: tuple[str, ...], column: str, is_json: bool) -> None:
    """Bytes, characters and words per token by language, and what is lost, for folders and models side by side.

    Lines are told apart by their script: English (any Latin), Chinese (and Japanese), code, other.
    """
    from hanlin.cli.tokenizer.compare import compare as run

    run(tokenizers, texts, column, is_json)
