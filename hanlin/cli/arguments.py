"""What stands after a verb: which word is the model, which is text, which is a file. One rule for every verb.

    hanlin VERB TEXT              one argument is the text; the default model takes it
    hanlin VERB MODEL TEXT        of two, the first is the model
    hanlin VERB -m MODEL TEXT     the model by name: what follows is all text or files

A text argument that names an existing file is read from it, `-` is standard input, anything else is the text itself.
"""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import click

from hanlin.core.errors import ConfigError, DataError, shown
from hanlin.core.home import expanded
from hanlin.core.settings import parse

READ_BYTES = 64 << 20
TEXT_FILE = re.compile(r"\S+\.(?:txt|md|rst|json|jsonl|csv|tsv|html?|xml|py|log|toml|ya?ml)", re.I)
LOOKS_LIKE_A_FILE = re.compile(rf"(?:\.{{0,2}}|~)/[^\s/]\S*|{TEXT_FILE.pattern}|\S+\.gguf", re.I)


def model_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """The option `-m/--model NAME`, which arrives as the keyword `model`."""
    text = "A stored name, a hub name (org/name), a folder or a .gguf file  [default: smollm2-135m-instruct]"
    return click.option("-m", "--model", "model", metavar="NAME", help=text)(function)


FLOATS, WHOLE = ("float32", "bfloat16", "float16"), ("int8", "int4", "stored")


def dtype_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """The option `--dtype KIND`, which arrives as the keyword `dtype`."""
    text = "Precision; int8, int4 and stored (a GGUF file's own) run on our own kernels  [default: float32]"
    return click.option("--dtype", type=click.Choice([*FLOATS, *WHOLE]), help=text)(function)


def adapter_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """The option `--adapter DIR`, which arrives as the keyword `adapter`."""
    text = "A LoRA's folder, as PEFT or hanlin train writes it; the model answers with it."
    return click.option("--adapter", metavar="DIR", help=text)(function)


def kept_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """The option `--prefix-cache DIR`, which arrives as the keyword `kept`; see `engine_settings`."""
    text = "A folder that keeps what was read of prompts, at most 1 GB: what begins alike is not read again."
    return click.option("--prefix-cache", "kept", metavar="DIR", help=text)(function)


def draft_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """The option `--draft MODEL`, which arrives as the keyword `draft`."""
    text = "A smaller model of the same tokens that guesses: never another answer, sooner where it is right."
    return click.option("--draft", metavar="MODEL", help=text)(function)


def engine_settings(kept: str | None) -> Any:
    """What the options say of the engine; None if they say nothing."""
    if kept is None:
        return None
    from hanlin.infer.engine import EngineSettings

    return parse(EngineSettings, {"prefix_folder": kept})


def float_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for verbs that need a network with its own floats."""
    return click.option("--dtype", type=click.Choice(FLOATS), help="Precision  [default: float32]")(function)


def one_model(name: str | None, model: str | None) -> str | None:
    """The model that a verb was given, as its argument or by `-m`; None for the default.

    Raises:
        ConfigError: both were given.
    """
    if name is not None and model is not None:
        raise ConfigError(f"two models: {name} and {model}", "name one")
    return name if model is None else model


@dataclass(frozen=True)
class Text:
    """A text the user gave, and where it came from."""

    text: str
    """What it says."""
    source: str | None
    """The file's path, "standard input", or None when the argument itself is the text."""
    is_cut: bool = False
    """Only its beginning was read."""


def model_and_text(arguments: tuple[str, ...], model: str | None = None) -> tuple[str | None, str]:
    """`(model or None for the default, text argument)` of a verb that takes one text.

    Raises:
        ConfigError: no text, or more arguments than a model and a text.
    """
    most = 2 if model is None else 1
    if not arguments:
        raise ConfigError("there is no text", "give one in quotes, name a file, or pipe it in and write -")
    if len(arguments) > most:
        all_there_is = "a model and a text are" if model is None else "a text is"
        raise ConfigError(f"{len(arguments)} arguments, but {all_there_is} all", 'put the text in quotes: "…"')
    if len(arguments) == 1:
        return model, arguments[0]
    return arguments[0], arguments[1]


def model_and_files(arguments: tuple[str, ...], model: str | None = None) -> tuple[str | None, tuple[str, ...]]:
    """`(model or None for the default, files)` of a verb that takes many files.

    The first of several is the model unless it is `-` or a file that is no .gguf.

    Raises:
        ConfigError: no file.
        DataError: the first of several can only be a text file, and is not there.
    """
    if not arguments:
        raise ConfigError("there is no file", "name one or more, or pipe text in and write -")
    first = Path(arguments[0])
    is_text = arguments[0] == "-" or (is_file(arguments[0]) and first.suffix.lower() != ".gguf")
    if model is not None or len(arguments) == 1 or is_text:
        return model, arguments
    if TEXT_FILE.fullmatch(arguments[0]):
        raise DataError(f"there is no file {shown(arguments[0])}", "check the path")
    return arguments[0], arguments[1:]


def read_text(argument: str, limit_bytes: int = READ_BYTES) -> Text:
    """The text that an argument stands for: standard input, an existing file, or itself. At most `limit_bytes` of it.

    Raises:
        DataError: a folder, a missing or unreadable file, something that is not UTF-8 text, or an empty text.
    """
    if not _is_read(argument):
        return Text(argument, None)
    with _opened(argument) as (source, file):
        try:
            return _decoded(file.read(limit_bytes + 1), source, limit_bytes)
        except OSError as error:
            raise DataError(f"{source} cannot be read: {error.strerror}", "check its permissions") from None


@contextmanager
def open_text(argument: str) -> Iterator[tuple[str | None, Iterator[str]]]:
    """As `read_text`, for a text of any length: where it comes from, and the text itself in blocks.

    Raises:
        DataError: as `read_text`; what a file holds is found out as its blocks are read.
    """
    if not _is_read(argument):
        yield None, iter([argument])
        return
    from hanlin.text.long import decoded

    with _opened(argument) as (source, file):
        yield source, _checked(decoded(file.read, source), source)


def _is_read(argument: str) -> bool:
    """Whether the argument stands for what is to be read; if not, it is itself a text.

    Raises:
        DataError: it is neither.
    """
    if argument == "-" or is_file(argument):
        return True
    if ("/" in argument or argument in (".", "..")) and _is(argument, Path.is_dir):
        raise DataError(f"{argument} is a folder", "name a file in it")
    if LOOKS_LIKE_A_FILE.fullmatch(argument):
        raise DataError(f"there is no file {shown(argument)}", "check the path; to mean these words, pipe them in: … -")
    if any("\ud800" <= character <= "\udfff" for character in argument):
        raise DataError(f"{shown(argument)} is not UTF-8 text", "check the terminal's encoding, or give a UTF-8 file")
    if not argument:
        raise DataError("the text is empty", "give at least one character")
    return False


@contextmanager
def _opened(argument: str) -> Iterator[tuple[str, BinaryIO]]:
    if argument == "-":
        yield "standard input", sys.stdin.buffer
        return
    path = _path(argument)
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", "check its permissions") from None
    with file:
        yield str(path), file


def _checked(blocks: Iterator[str], source: str) -> Iterator[str]:
    place = 0
    for block in blocks:
        if "\0" in block:
            raise DataError(
                f"{source} is not text: character {place + block.index(chr(0)):,} is zero", "give a text file"
            )
        place += len(block)
        yield block
    if not place:
        raise DataError(f"{source} is empty", "give at least one character")


def is_file(argument: str) -> bool:
    """Whether the argument names an existing file (or pipe); a long text never does."""
    return _is(argument, Path.is_file) or _is(argument, Path.is_fifo)


def _is(argument: str, test: Callable[[Path], bool]) -> bool:
    try:
        return test(_path(argument))
    except (OSError, ValueError):  # a sentence can be too long for a file name, or hold what no path may
        return False


def _path(argument: str) -> Path:
    """Only `~/` means a home: a text may well begin with `~`."""
    return expanded(argument) if argument.startswith("~/") else Path(argument)


def _decoded(content: bytes, source: str, limit_bytes: int) -> Text:
    is_cut = len(content) > limit_bytes
    content = content[:limit_bytes]
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        if not (is_cut and error.start > len(content) - 4):
            fix = "give a text file in UTF-8: iconv -f OLD -t UTF-8 turns other encodings into it"
            what = f"{source} is not UTF-8 text: byte {error.start:,} is 0x{content[error.start]:02x}"
            raise DataError(what, fix) from None
        text = content[: error.start].decode("utf-8")  # the cut went through a character
    if "\0" in text:
        raise DataError(f"{source} is not text: it has a zero byte at {text.index(chr(0)):,}", "give a text file")
    if not text:
        raise DataError(f"{source} is empty", "give at least one character")
    return Text(text, source, is_cut)
