"""Which stored tensors make up each of our parameters: a model's parts and its family's `Names` in, `Piece`s out.

Ours are fused (queries, keys and values are one matrix, gate and up another), the formats' are not. The formats differ
from ours in a few more ways, each of which is a field of `Names`.
"""

import re
from typing import Any, Literal, NamedTuple

import numpy as np

from hanlin.model.parts import Parameter, Whole, parameters

Format = Literal["hf", "gguf"]
Row = tuple[str, str, str]
Described = tuple[dict[str, Any], dict[str, np.ndarray]]
"""A config as GGUF has it: metadata, and tensors that are no weights of ours."""

LLAMA_WHOLE: tuple[Row, ...] = (
    ("embed", "model.embed_tokens", "token_embd"),
    ("norm", "model.norm", "output_norm"),
    ("unembed", "lm_head", "output"),
)
LLAMA_LAYER: tuple[Row, ...] = (
    ("attention.qkv", "self_attn.{q,k,v}_proj", "attn_{q,k,v}"),
    ("attention.query_norm", "self_attn.q_norm", "attn_q_norm"),
    ("attention.key_norm", "self_attn.k_norm", "attn_k_norm"),
    ("attention.out", "self_attn.o_proj", "attn_output"),
    ("mlp.gate_up", "mlp.{gate,up}_proj", "ffn_{gate,up}"),
    ("mlp.down", "mlp.down_proj", "ffn_down"),
    ("attention_norm", "input_layernorm", "attn_norm"),
    ("mlp_norm", "post_attention_layernorm", "ffn_norm"),
)
"""What llama's and most later families' tensors are called."""


class Names(NamedTuple):
    """What a family's tensors are called: rows of (ours, Hugging Face, GGUF), without ".weight" and ".bias".

    `{a,b}` are tensors that lie stacked in one of ours; `*` is the number of an expert.
    """

    layer: tuple[Row, ...] = LLAMA_LAYER
    """Inside of each layer."""
    whole: tuple[Row, ...] = LLAMA_WHOLE
    """Outside of the layers."""
    hf_layers: str = "model.layers"
    """The prefix of layers in Hugging Face's names; in GGUF it is `blk`."""
    turned: tuple[str, ...] = ()
    """Ours that Hugging Face stores with rows and columns exchanged."""
    pairs: int = 0
    """Pairs per head, if GGUF stores the two halves of each pair of queries and keys side by side; else 0."""
    experts: int = 0
    """How many; GGUF stores those of a layer as one tensor."""
    is_norm_shifted: bool = False
    """GGUF stores the weights of norms with 1 added."""
    spare: str = r"\.rotary_emb\.inv_freq"
    """How the names of stored tensors end that hold no weights; a regular expression."""
    needs_head: bool = False
    """llama.cpp wants the head written out even where it is the embedding."""


class Piece(NamedTuple):
    """A stored tensor, and the rows of our parameter it fills."""

    name: str
    """In the file."""
    shape: tuple[int, ...]
    """In the file."""
    rows: slice
    """Of ours."""
    expert: int | None = None
    """Which of the tensors stored as one."""
    is_turned: bool = False
    """Stored with rows and columns exchanged."""
    pairs: int = 0
    """Nonzero: the halves of each pair are stored side by side, so many pairs to a head."""
    added: float = 0.0
    """Stored with this much added."""

    @property
    def order(self) -> np.ndarray | None:
        """Which stored rows ours are, in our order; None if just the stored ones."""
        if self.expert is not None:
            return np.arange(self.shape[1]) + self.expert * self.shape[1]
        return np.arange(self.shape[0]).reshape(-1, self.pairs, 2).swapaxes(1, 2).ravel() if self.pairs else None

    @property
    def order_to_store(self) -> np.ndarray | None:
        """Which of our rows the stored ones are."""
        return np.arange(self.shape[0]).reshape(-1, 2, self.pairs).swapaxes(1, 2).ravel() if self.pairs else None


def pieces(parts: Whole, names: Names, form: Format) -> dict[str, tuple[Piece, ...]]:
    """Our parameters' names → the stored tensors each is made of."""
    return {name: _pieces(name, it, names, form) for name, it in parameters(parts).items()}


def _pieces(name: str, it: Parameter, names: Names, form: Format) -> tuple[Piece, ...]:
    shape, (path, _, leaf) = it.shape, name.rpartition(".")
    layer = re.fullmatch(r"layers\.(\d+)\.(.+)", path)
    inner = layer[2] if layer else path
    numbered = re.search(r"experts\.(\d+)\.", inner)
    ours = re.sub(r"(?<=experts\.)\d+", "*", inner)
    row = next(row for row in (names.layer if layer else names.whole) if row[0] == ours)
    pattern = row[1 if form == "hf" else 2]
    if layer:
        pattern = f"{names.hf_layers if form == 'hf' else 'blk'}.{layer[1]}.{pattern}"
    if numbered:
        pattern = pattern.replace("*", numbered[1])
    is_stacked = numbered is not None and form == "gguf"
    stored = _braces(pattern)
    counts = it.rows if len(stored) > 1 else shape[:1]
    found, begin = [], 0
    for index, (full, count) in enumerate(zip(stored, counts, strict=True)):
        piece = Piece(f"{full}.{leaf}", (count, *shape[1:]), slice(begin, begin + count))
        begin += count
        if form == "hf" and ours in names.turned and len(shape) == 2:
            piece = piece._replace(shape=piece.shape[::-1], is_turned=True)
        if is_stacked and numbered:
            piece = piece._replace(shape=(names.experts, *piece.shape), expert=int(numbered[1]))
        if form == "gguf" and names.is_norm_shifted and ours.endswith("norm"):
            piece = piece._replace(added=1.0)
        if form == "gguf" and names.pairs and ours == "attention.qkv" and index < 2:
            piece = piece._replace(pairs=names.pairs)
        found.append(piece)
    return tuple(found)


def _braces(pattern: str) -> list[str]:
    """`a.{b,c}.d` → `a.b.d`, `a.c.d`."""
    found = re.fullmatch(r"(.*)\{(.*)\}(.*)", pattern)
    return [f"{found[1]}{option}{found[3]}" for option in found[2].split(",")] if found else [pattern]
