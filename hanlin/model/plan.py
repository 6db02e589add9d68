"""A decoder compiled for the native kernels: its parts in, a flat plan out. No family is described a second time.

Matrices are packed in eight or four bits, or laid as floats; norms, biases, positions and routers stay float32.
"""

from typing import Literal

import numpy as np
from torch import Tensor, nn

from hanlin.core.errors import RefusedError
from hanlin.kernels import Packed
from hanlin.kernels.plan import Experts, Floats, Kind, Matrix, Norm, Op, Plan
from hanlin.model import blocks
from hanlin.model.attention import Attention
from hanlin.model.decoder import Decoder
from hanlin.model.layer import Layer
from hanlin.model.rope import turns

Bits = Literal[32, 8, 4]
STREAM, READ, WIDE, NARROW, SAID = range(5)


def compiled(network: Decoder, positions: int, bits: Bits = 8, group: int | None = None) -> Plan:
    """The plan of a network whose weights are float32 on the processor.

    Args:
        positions: how many a sequence may have. Ropes that change with the length of the text are made for this many.
        bits: of a weight; 32 are floats as they are.
        group: weights that share a scale; None: with eight bits those of an output, with four 32.

    Raises:
        RefusedError: a part is of a kind that the kernels have nothing for.
    """
    config, pack = network.config, _packer(bits, group)
    inner = max(_inner(layer) for layer in network.layers)
    heads = config.heads * config.head_width
    widths = (
        config.width,
        config.width,
        max(heads + 2 * config.kv_heads * config.head_width, 2 * inner),
        heads,
        max(heads, inner, config.width),
    )
    ops = [op for index in range(config.layers) for op in _layer(network, index, pack)]
    table = _array(network.embed.weight)
    head = pack(network.embed.weight if network.unembed is None else network.unembed.weight)
    embedding = table if bits == 32 else head if network.unembed is None else pack(network.embed.weight)
    assert isinstance(embedding, Packed | np.ndarray)
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
        last=_norm(network.norm),
        turns=[_turns(network, index, positions) for index in range(len(network.ropes))],
        positions=positions,
        embedding_scale=float(network.embedding_scale),
        cap=network.cap or 0.0,
        places=None if network.places is None else _array(network.places.weight),
    )


class _packer:  # noqa: N801  a function with two settings
    def __init__(self, bits: Bits, group: int | None) -> None:
        self.bits, self.group = bits, group

    def __call__(self, weight: Tensor) -> Matrix:
        array = _array(weight)
        if self.bits == 32:
            return Floats(array)
        return Packed.int8(array, self.group) if self.bits == 8 else Packed.int4(array, self.group or 32)


def _layer(network: Decoder, index: int, pack: _packer) -> list[Op]:
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
            ops.append(Op(Kind.NORM, STREAM, READ, width, norm=_norm(norm)))
        read = STREAM if norm is None else READ
        if isinstance(part, Attention):
            ops += _attention(part, read, index, window, -1 if rope is None else rope, pack)
        else:
            ops += _feed_forward(part, read, pack)
        said = ops[-1].to
        if end_norm is not None:
            ops.append(Op(Kind.NORM, said, READ, width, norm=_norm(end_norm)))
            said = READ
        if ops[-1].kind is Kind.MULTIPLY:
            ops[-1] = ops[-1]._replace(to=STREAM, adds=True)
        else:
            ops.append(Op(Kind.ADD, said, STREAM, width))
    return ops


def _attention(part: Attention, read: int, index: int, window: int, rope: int, pack: _packer) -> list[Op]:
    norms = [None if norm is None else _norm(norm) for norm in (part.query_norm, part.key_norm)]
    heads = Op(Kind.HEADS, WIDE, NARROW, layer=index, rope=rope, scale=part.scale, is_whole=part.is_normed_whole)
    return [
        _multiply(part.qkv, read, WIDE, pack),
        heads._replace(norm=norms[0], key_norm=norms[1]),
        Op(Kind.ATTEND, NARROW, SAID, layer=index, window=window, cap=part.cap or 0.0),
        _multiply(part.out, SAID, READ, pack),
    ]


def _feed_forward(part: nn.Module, read: int, pack: _packer) -> list[Op]:
    if isinstance(part, blocks.GatedMLP):
        wide, inner = part.gate_up, part.down.in_features
        gate = Op(Kind.GATE, WIDE, SAID, inner, act=part.name_of_act, has_up=True)
        return [_multiply(wide, read, WIDE, pack), gate, _multiply(part.down, SAID, READ, pack)]
    if isinstance(part, blocks.MLP):
        gate = Op(Kind.GATE, WIDE, SAID, part.down.in_features, act=part.name_of_act)
        return [_multiply(part.up, read, WIDE, pack), gate, _multiply(part.down, SAID, READ, pack)]
    if isinstance(part, blocks.Experts):
        first: blocks.GatedMLP = part.experts[0]  # pyright: ignore[reportAssignmentType]
        them = Experts(
            Floats(_array(part.router.weight)),
            [pack(expert.gate_up.weight) for expert in part.experts],  # pyright: ignore
            [pack(expert.down.weight) for expert in part.experts],  # pyright: ignore
            part.chosen,
            first.down.in_features,
            part.is_normed,
            first.name_of_act,
        )
        return [Op(Kind.EXPERTS, read, SAID, experts=them)]
    raise RefusedError(f"parts of kind {type(part).__name__} have no native plan", "compute with torch")


def _multiply(part: nn.Module, source: int, to: int, pack: _packer) -> Op:
    if not blocks.is_plain(part):
        what = f"a map of kind {type(part).__name__} has no native plan"
        raise RefusedError(what, "merge the adapter first (hanlin merge)")
    bias = None if part.bias is None else _array(part.bias)  # pyright: ignore
    return Op(Kind.MULTIPLY, source, to, matrix=pack(part.weight), bias=bias)  # pyright: ignore


def _inner(layer: nn.Module) -> int:
    part = layer.mlp
    if isinstance(part, blocks.Experts):
        return 0
    return part.down.in_features  # pyright: ignore


def _norm(norm: nn.Module) -> Norm:
    gain = _array(norm.weight)  # pyright: ignore
    if isinstance(norm, nn.LayerNorm):
        return Norm(gain, _array(norm.bias), norm.eps, is_centred=True)
    if norm.is_centred:
        gain = 1 + gain
    return Norm(gain, None, norm.epsilon, is_centred=False)  # pyright: ignore


def _turns(network: Decoder, index: int, positions: int) -> np.ndarray:
    weight, config = network.embed.weight, network.config
    rope = network.ropes[index]
    cos, sin = turns(rope, config.head_width, config.context, positions, weight.dtype, weight.device)
    half = config.head_width // 2
    return np.concatenate((_array(cos[:, 0, :half]), _array(sin[:, 0, half:])), 1)


def _array(weight: Tensor) -> np.ndarray:
    return np.ascontiguousarray(weight.detach().float().cpu().numpy())
