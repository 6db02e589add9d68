"""A SentencePiece `tokenizer.model` in, the same vocabulary in GGUF's words out. Reads protobuf, runs nothing.

Both formats describe one thing with the same piece types, so `gguf.from_metadata` builds the tokenizer.
Fields: https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hanlin.core.errors import TokenizerError

PIECES, TRAINER, NORMALIZER = 1, 2, 3
KINDS = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}
SAVE_AS_JSON = "open it once with Transformers and save it: that writes tokenizer.json, which Hanlin reads"


def read(path: Path) -> dict[str, Any]:
    """GGUF's `tokenizer.ggml.*` keys for a SentencePiece model.

    Raises:
        TokenizerError: the file is damaged, or holds a model whose rules these keys cannot say.
    """
    pieces, trainer, normalizer = [], {}, {}
    try:
        for number, value in _fields(path.read_bytes()):
            if number == PIECES:
                pieces.append(dict(_fields(value)))
            elif number == TRAINER:
                trainer = dict(_fields(value))
            elif number == NORMALIZER:
                normalizer = dict(_fields(value))
        tokens = [piece.get(1, b"").decode() for piece in pieces]
        scores = [struct.unpack("<f", piece[2])[0] if 2 in piece else 0.0 for piece in pieces]
    except (IndexError, ValueError, TypeError, AttributeError, struct.error):
        raise TokenizerError(f"{path} is not a SentencePiece model", "fetch the file again") from None
    kind = KINDS.get(trainer.get(3, 1), "unknown")
    if kind != "bpe":
        raise TokenizerError(f"{path} holds a SentencePiece {kind} model; Hanlin reads bpe", SAVE_AS_JSON)
    if normalizer.get(2) or normalizer.get(4, 1):
        raise TokenizerError(f"{path} rewrites text (normalizer {normalizer.get(1, b'?')!r})", SAVE_AS_JSON)
    ids = {
        "unknown": trainer.get(40, 0),
        "bos": trainer.get(41, 1),
        "eos": trainer.get(42, 2),
        "padding": trainer.get(43, -1),
    }
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": scores,
        "tokenizer.ggml.token_type": [piece.get(3, 1) for piece in pieces],
        "tokenizer.ggml.add_space_prefix": bool(normalizer.get(3, 1)),
        **{f"tokenizer.ggml.{name}_token_id": at for name, at in ids.items() if 0 <= at < len(tokens)},
    }


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of one protobuf message: numbers as int, everything else as bytes."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, place = _varint(data, place)
            yield number, value - (1 << 64) if value >> 63 else value
            continue
        size = {1: 8, 5: 4}.get(wire)
        if wire == 2:
            size, place = _varint(data, place)
        if size is None or place + size > len(data):
            raise ValueError("not protobuf")
        yield number, data[place : place + size]
        place += size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("not protobuf")
