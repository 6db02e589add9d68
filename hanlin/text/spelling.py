"""What bytes a token stands for: the decoder of a tokenizer.json in, one function per token out.

Every decoder in use works token by token, once the first token of a text is told apart from the others (SentencePiece
drops the space before the first word, WordPiece writes one before every other). So text can be written as tokens
arrive, with nothing decoded twice. Reference: https://huggingface.co/docs/tokenizers/api/decoders
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import tokenizers

from hanlin.core.errors import TokenizerError, did_you_mean

Write = Callable[[str], str]
BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")
KINDS = ("ByteFallback", "ByteLevel", "Fuse", "Metaspace", "Replace", "Sequence", "Strip", "WordPiece")


def byte_alphabet() -> dict[str, int]:
    """The 256 letters in which byte-level vocabularies write bytes: printable Latin-1, and from U+0100 for the rest."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {chr(byte): byte for byte in printable}
    return letters | {chr(0x100 + place): byte for place, byte in enumerate(others)}


ALPHABET = byte_alphabet()


@dataclass(frozen=True)
class Spelling:
    """How tokens become bytes: `first` writes the token that opens a text, `later` every other one."""

    first: Callable[[str], bytes]
    later: Callable[[str], bytes]
    drops_spaces: int = 0
    """How many leading spaces of the whole text are dropped."""
    has_byte_tokens: bool = False
    """Whether single bytes have tokens such as <0x0A>; then each broken byte shows as its own U+FFFD."""
    is_byte_level: bool = False
    """Whether tokens are written in the byte alphabet."""


def spelling(backend: tokenizers.Tokenizer) -> Spelling:
    """The spelling that a tokenizer's decoder describes.

    Raises:
        TokenizerError: the decoder is of a kind that cannot write token by token.
    """
    if backend.decoder is None:
        return Spelling(str.encode, lambda token: f" {token}".encode())
    stages = _flat(json.loads(backend.decoder.__getstate__()))
    first: list[Write] = []
    later: list[Write] = []
    encode: Callable[[str], bytes] = str.encode
    drops, is_fused = 0, False
    for stage in stages:
        kind = stage["type"]
        if kind == "Replace":
            first.append(replace := _replace(stage))
            later.append(replace)
        elif kind == "Metaspace":
            mark, keeps = stage["replacement"], stage["prepend_scheme"] == "never"
            first.append(lambda token, mark=mark, keeps=keeps: token.replace(mark, " " if keeps else ""))
            later.append(lambda token, mark=mark: token.replace(mark, " "))
        elif kind == "WordPiece":
            tidy = _tidy if stage["cleanup"] else str
            first.append(tidy)
            later.append(lambda token, prefix=stage["prefix"], tidy=tidy: tidy(_joined(token, prefix)))
        elif kind == "ByteLevel":
            encode = byte_level
        elif kind == "ByteFallback":
            encode = byte_fallback
        elif kind == "Fuse":
            is_fused = True
        elif is_fused and stage["content"] == " " and not stage["stop"]:
            drops = stage["start"]
        else:
            raise TokenizerError(f"the decoder strips in a way Hanlin does not know: {stage}", "use another tokenizer")
    return Spelling(_chain(first, encode), _chain(later, encode), drops, encode is byte_fallback, encode is byte_level)


def _flat(state: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if state["type"] not in KINDS:
        raise TokenizerError(f"the tokenizer's decoder is {state['type']}", did_you_mean(state["type"], KINDS))
    if state["type"] != "Sequence":
        return [state]
    return [stage for inner in state["decoders"] for stage in _flat(inner)]


def _chain(writes: list[Write], encode: Callable[[str], bytes]) -> Callable[[str], bytes]:
    def write(token: str) -> bytes:
        for change in writes:
            token = change(token)
        return encode(token)

    return write


def _replace(stage: Mapping[str, Any]) -> Write:
    pattern, content = stage["pattern"], stage["content"]
    if "String" not in pattern:
        raise TokenizerError(
            f"the decoder replaces by the pattern {pattern}", "use a tokenizer that replaces plain text"
        )
    return lambda token: token.replace(pattern["String"], content)


def byte_level(token: str) -> bytes:
    """A token of a byte-level vocabulary as bytes; a token with letters from outside its alphabet stands for itself."""
    try:
        return bytes([ALPHABET[letter] for letter in token])
    except KeyError:
        return token.encode()


def byte_fallback(token: str) -> bytes:
    """A SentencePiece token as bytes: <0xE4> is one byte, anything else its own text."""
    found = BYTE_TOKEN.fullmatch(token)
    return bytes([int(found[1], 16)]) if found else token.encode()


def _joined(token: str, prefix: str) -> str:
    return token.removeprefix(prefix) if token.startswith(prefix) else f" {token}"


def _tidy(text: str) -> str:
    """English spacing as WordPiece decoders restore it, in their order."""
    for mark in (".", "?", "!", ","):
        text = text.replace(f" {mark}", mark)
    text = text.replace(" ' ", "'").replace(" n't", "n't").replace(" 'm", "'m").replace(" do not", " don't")
    return text.replace(" 's", "'s").replace(" 've", "'ve").replace(" 're", "'re")
