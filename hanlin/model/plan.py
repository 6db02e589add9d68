"""A decoder compiled for the native kernels: its parts in, a flat plan out. No family is described a second time.

Matrices are packed in eight or four bits, or laid as floats; norms, biases, positions and routers stay float32. Where
the weights come from is another's business: of a network in memory, or of a file (`hanlin.model.native`).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from hanlin.core.errors import RefusedError
from hanlin.kernels import Packed
from hanlin.kernels.plan import Experts, Floats, Kind, Lookup, Matrix, Norm, Op, Plan
from hanlin.model import blocks
from hanlin.model.attention import Attention
from hanlin.model.decoder import Decoder
from hanlin.model.layer import Layer
from hanlin.model.rope import turns

Bits = Literal[32, 8, 4]
ROW_BITS = 16
"""Of activations. With eight the default model loses twenty times what its weights lose; see docs/decisions/0009."""
STREAM, READ, WIDE, NARROW, SAID = range(5)


class Weights:
    """Those of a network that has them in memory, rounded if need be; a parameter is their name."""

    def __init__(self, bits: Bits, group: int | None) -> None:
        """`bits` and `group` as `compiled` takes them."""
        self.bits, self.group = bits, group
        self.is_float = bits == 32

    def floats(self, weight: Tensor) -> np.ndarray:
        """All of them, float32."""
        return np.ascontiguousarray(weight.detach().float().cpu().numpy())

    def matrices(self, weight: Tensor, *, is_head: bool = False) -> Sequence[Matrix]:
        """Matrices whose outputs, one after another, are the parameter's: here one.

        A head has eight bits even where the layers have four: in SmolLM2 it brings nearly all of their divergence.
        """
        array = self.floats(weight)
        if self.is_float:
            return [Floats(array)]
        if self.bits == 8 or is_head:
            return [Packed.int8(array, self.group)]
        return [Packed.int4(array, self.group or 32, has_minimum=True)]

    def embedding(self, weight: Tensor, head: Matrix | None) -> Packed | np.ndarray | Lookup:
        """What rows are looked up in; `head` is the same matrix, if that is the head, too."""
        if self.is_float:
            return self.floats(weight)
        found = self.matrices(weight, is_head=True)[0] if head is None else head
        assert isinstance(found, Packed)
        return found


def compiled(network: Decoder, positions: int, bits: Bits = 8, group: int | None = None) -> Plan:
    """The plan of a network whose weights are float32 on the processor.

    Args:
        positions: how many a sequence may have. Ropes that change with the length of the text are made for this many.
        bits: of a weight of the layers, and of all with eight; 32 are floats as they are.
        group: weights that share a scale; None: with eight bits those of an output, with four 32.

    Raises:
        RefusedError: a part is of a kind that the kernels have nothing for.
    """
    return assembled(network, positions, Weights(bits, group))


def assembled(network: Decoder, positions: int, weights: Weights) -> Plan:
    """The plan of a network whose weights come from anywhere; its own parameters may be without memory.

    Raises:
        RefusedError: as `compiled`.
    """
    config = network.config
    own_head = None if network.unembed is None else network.unembed.weight
    head = _matrices(weights, network.embed.weight if own_head is None else own_head, is_head=True)[0]  # largest first
    embedding = weights.embedding(network.embed.weight, head if own_head is None else None)
    inner = max(_inner(layer) for layer in network.layers)
    heads = config.heads * config.head_width
    widths = (
        config.width,
        config.width,
        max(heads + 2 * config.kv_heads * config.head_width, 2 * inner),
        heads,
        max(heads, inner, config.width),
    )
    ops = [op for index in range(config.layers) for op in _layer(network, index, weights)]
    return Plan(
        ops=ops,
        widths=widths,
        width=config.width,
        heads=config.heads,
        kv_heads=config.kv_heads,
        head_width=config.head_width,
        layers=config.layers,
        embedding=embedding,
        head=head,
        last=_norm(network.norm, weights),
        turns=[_turns(network, index, positions) for index in range(len(network.ropes))],
        positions=positions,
        embedding_scale=float(network.embedding_scale),
        cap=network.cap or 0.0,
        places=None if network.places is None else weights.floats(network.places.weight),
    )


def _layer(network: Decoder, index: int, weights: Weights) -> list[Op]:
    layer = network.layers[index]
    if not isinstance(layer, Layer):
        raise RefusedError(f"layers of kind {type(layer).__name__} have no native plan", "compute with torch")
    sight = network.sight_of[index]
    window, rope = network.sights[sight].window or 0, network.rope_of[sight]
    ops, width = [], network.config.width
    for norm, part, end_norm in (
        (layer.attention_norm, layer.attention, layer.attention_end_norm),
        (layer.mlp_norm, layer.mlp, layer.mlp_end_norm),
    ):
        if norm is not None:
            ops.append(Op(Kind.NORM, STREAM, READ, width, norm=_norm(norm, weights)))
        read = STREAM if norm is None else READ
        if isinstance(part, Attention):
            ops += _attention(part, read, index, window, -1 if rope is None else rope, weights)
        else:
            ops += _feed_forward(part, read, weights)
        said = ops[-1].to
        if end_norm is not None:
            ops.append(Op(Kind.NORM, said, READ, width, norm=_norm(end_norm, weights)))
            said = READ
        if ops[-1].kind is Kind.MULTIPLY:
            ops[-1] = ops[-1]._replace(to=STREAM, adds=True)
        else:
            ops.append(Op(Kind.ADD, said, STREAM, width))
    return ops


def _attention(part: Attention, read: int, index: int, window: int, rope: int, weights: Weights) -> list[Op]:
    norms = [None if norm is None else _norm(norm, weights) for norm in (part.query_norm, part.key_norm)]
    heads = Op(Kind.HEADS, WIDE, NARROW, layer=index, rope=rope, scale=part.scale, is_whole=part.is_normed_whole)
    return [
        *_multiply(part.qkv, read, WIDE, weights),
        heads._replace(norm=norms[0], key_norm=norms[1]),
        Op(Kind.ATTEND, NARROW, SAID, layer=index, window=window, cap=part.cap or 0.0),
        *_multiply(part.out, SAID, READ, weights),
    ]


def _feed_forward(part: nn.Module, read: int, weights: Weights) -> list[Op]:
    if isinstance(part, blocks.GatedMLP):
        wide, inner = part.gate_up, part.down.in_features
        gate = Op(Kind.GATE, WIDE, SAID, inner, act=part.name_of_act, has_up=True)
        return [*_multiply(wide, read, WIDE, weights), gate, *_multiply(part.down, SAID, READ, weights)]
    if isinstance(part, blocks.MLP):
        gate = Op(Kind.GATE, WIDE, SAID, part.down.in_features, act=part.name_of_act)
        return [*_multiply(part.up, read, WIDE, weights), gate, *_multiply(part.down, SAID, READ, weights)]
    if isinstance(part, blocks.Experts):
        first: blocks.GatedMLP = part.experts[0]  # pyright: ignore[reportAssignmentType]
        wide = [_matrices(weights, expert.gate_up.weight) for expert in part.experts]  # pyright: ignore
        them = Experts(
            Floats(weights.floats(part.router.weight)),
            [some[0] for some in wide],
            [_matrices(weights, expert.down.weight)[0] for expert in part.experts],  # pyright: ignore
            part.chosen,
            first.down.in_features,
            part.is_normed,
            first.name_of_act,
            [matrix for some in wide for matrix in some[1:]],
        )
        return [Op(Kind.EXPERTS, read, SAID, experts=them)]
    raise RefusedError(f"parts of kind {type(part).__name__} have no native plan", "compute with torch")


def _multiply(part: nn.Module, source: int, to: int, weights: Weights) -> list[Op]:
    if not blocks.is_plain(part):
        what = f"a map of kind {type(part).__name__} has no native plan"
        raise RefusedError(what, "merge the adapter first (hanlin merge)")
    bias = None if part.bias is None else weights.floats(part.bias)  # pyright: ignore
    ops, begin = [], 0
    for matrix in _matrices(weights, part.weight):  # pyright: ignore
        end = begin + matrix.outputs
        own = None if bias is None else bias[begin:end]
        ops.append(Op(Kind.MULTIPLY, source, to, offset=begin, matrix=matrix, bias=own))
        begin = end
    return ops


def _inner(layer: nn.Module) -> int:
    part = layer.mlp
    if isinstance(part, blocks.Experts):
        return 0
    return part.down.in_features  # pyright: ignore


def _matrices(weights: Weights, weight: Tensor, *, is_head: bool = False) -> list[Matrix]:
    """A parameter's, told how fine their rows are."""
    some = weights.matrices(weight, is_head=is_head)
    return [replace(one, row_bits=ROW_BITS) if isinstance(one, Packed) else one for one in some]


def _norm(norm: nn.Module, weights: Weights) -> Norm:
    gain = weights.floats(norm.weight)  # pyright: ignore
    if isinstance(norm, nn.LayerNorm):
        return Norm(gain, weights.floats(norm.bias), norm.eps, is_centred=True)
    if norm.is_centred:
        gain = 1 + gain
    return Norm(gain, None, norm.epsilon, is_centred=False)  # pyright: ignore


def _turns(network: Decoder, index: int, positions: int) -> np.ndarray:
    config, rope = network.config, network.ropes[index]
    cos, sin = turns(rope, config.head_width, config.context, positions, torch.float32, torch.device("cpu"))
    half = config.head_width // 2
    return np.concatenate((cos[:, 0, :half].numpy(), sin[:, 0, half:].numpy()), 1)
