"""A decoder compiled for the native kernels: its parts in, a flat plan out. No family is described a second time.

Matrices are packed in eight or four bits, or laid as floats; norms, biases, positions and routers stay float32. Where
the weights come from is another's business: of a network in memory, or of a file (`hanlin.model.native`). No torch in
here, unless it is torch's network.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from hanlin.core.errors import RefusedError
from hanlin.kernels import Packed
from hanlin.kernels.plan import Experts, Floats, Kind, Lookup, Matrix, Norm, Op, Plan
from hanlin.model import parts
from hanlin.model.rope import Waves

Bits = Literal[32, 8, 4]
ROW_BITS = 16
"""Of activations. With eight the default model loses twenty times what its weights lose; see docs/decisions/0009."""
STREAM, READ, WIDE, NARROW, SAID = range(5)


class Weights:
    """A model's, by the names of its parameters (`hanlin.model.parts.parameters`), rounded if need be."""

    def __init__(self, bits: Bits, group: int | None) -> None:
        """`bits` and `group` as `compiled` takes them."""
        self.bits, self.group = bits, group
        self.is_float = bits == 32
        self.threads = 1
        """How many may ask at the same time."""

    def floats(self, name: str) -> np.ndarray:
        """All of a parameter's, float32."""
        raise NotImplementedError(name)

    def passing(self, name: str) -> np.ndarray:
        """The same, for a look: only until the next such call of this thread."""
        return self.floats(name)

    def matrices(self, name: str, *, is_head: bool = False) -> Sequence[Matrix]:
        """Matrices whose outputs, one after another, are the parameter's: here one.

        A head has eight bits even where the layers have four: in SmolLM2 it brings nearly all of their divergence.
        """
        array = self.passing(name)
        if self.is_float:
            return [Floats(array)]
        if self.bits == 8 or is_head:
            return [Packed.int8(array, self.group)]
        return [Packed.int4(array, self.group or 32, has_minimum=True)]

    def embedding(self, name: str, head: Matrix | None) -> Packed | np.ndarray | Lookup:
        """What rows are looked up in; `head` is the same matrix, if that is the head, too."""
        if self.is_float:
            return self.floats(name)
        found = self.matrices(name, is_head=True)[0] if head is None else head
        assert isinstance(found, Packed)
        return found


class Held(Weights):
    """Those of a network that has them in memory."""

    def __init__(self, network: Any, bits: Bits, group: int | None) -> None:
        super().__init__(bits, group)
        self.held = dict(network.named_parameters())

    def floats(self, name: str) -> np.ndarray:
        """All of a parameter's, float32."""
        return np.ascontiguousarray(self.held[name].detach().float().cpu().numpy())


def compiled(network: Any, positions: int, bits: Bits = 8, group: int | None = None) -> Plan:
    """The plan of a `hanlin.model.decoder.Decoder` whose weights are float32 on the processor.

    Args:
        positions: how many a sequence may have. Ropes that change with the length of the text are made for this many.
        bits: of a weight of the layers, and of all with eight; 32 are floats as they are.
        group: weights that share a scale; None: with eight bits those of an output, with four 32.

    Raises:
        RefusedError: a part of it was replaced by something that the kernels have nothing for.
    """
    from hanlin.model.blocks import Linear, is_plain

    for module in network.modules():
        if isinstance(module, Linear) and not is_plain(module):
            what = f"a map of kind {type(module).__name__} has no native plan"
            raise RefusedError(what, "merge the adapter first (hanlin merge)")
    return assembled(network.parts, positions, Held(network, bits, group))


def assembled(whole: parts.Whole, positions: int, weights: Weights) -> Plan:
    """The plan of a model of these parts, whose weights come from anywhere."""
    config = whole.config
    head = _matrices(weights, "embed.weight" if whole.unembed is None else "unembed.weight", is_head=True)[0]
    embedding = weights.embedding("embed.weight", head if whole.unembed is None else None)  # the largest went first
    inner = max(0 if isinstance(layer.mlp, parts.Experts) else layer.mlp.mlp for layer in whole.layers)
    heads = config.heads * config.head_width
    widths = (
        config.width,
        config.width,
        max(heads + 2 * config.kv_heads * config.head_width, 2 * inner),
        heads,
        max(heads, inner, config.width),
    )
    with ThreadPoolExecutor(weights.threads) as pool:
        layers = list(pool.map(lambda index: _layer(whole, index, weights), range(config.layers)))
    turns = [Waves(rope, config.head_width, config.context, positions) for rope in whole.ropes]
    return Plan(
        ops=[op for layer in layers for op in layer],
        widths=widths,
        width=config.width,
        heads=config.heads,
        kv_heads=config.kv_heads,
        head_width=config.head_width,
        layers=config.layers,
        embedding=embedding,
        head=head,
        last=_norm(whole.norm, "norm", weights),
        turns=[one.table for one in turns],
        reach=[one.reach for one in turns],
        positions=positions,
        embedding_scale=float(whole.embedding_scale),
        cap=whole.cap or 0.0,
        places=weights.floats("places.weight") if whole.has_learned_positions else None,
    )


def _layer(whole: parts.Whole, index: int, weights: Weights) -> list[Op]:
    layer, sight, path = whole.layers[index], whole.sight_of[index], f"layers.{index}"
    window, rope = sight.window or 0, -1 if sight.rope is None else whole.ropes.index(sight.rope)
    ops, width = [], whole.config.width
    for name, part, norm, end_norm in (
        ("attention", layer.attention, layer.attention_norm, layer.attention_end_norm),
        ("mlp", layer.mlp, layer.mlp_norm, layer.mlp_end_norm),
    ):
        if norm is not None:
            ops.append(Op(Kind.NORM, STREAM, READ, width, norm=_norm(norm, f"{path}.{name}_norm", weights)))
        read = STREAM if norm is None else READ
        if isinstance(part, parts.Attention):
            ops += _attention(part, f"{path}.{name}", read, index, window, rope, weights)
        else:
            ops += _feed_forward(part, f"{path}.{name}", read, weights)
        said = ops[-1].to
        if end_norm is not None:
            ops.append(Op(Kind.NORM, said, READ, width, norm=_norm(end_norm, f"{path}.{name}_end_norm", weights)))
            said = READ
        if ops[-1].kind is Kind.MULTIPLY:
            ops[-1] = ops[-1]._replace(to=STREAM, adds=True)
        else:
            ops.append(Op(Kind.ADD, said, STREAM, width))
    return ops


def _attention(
    part: parts.Attention, path: str, read: int, index: int, window: int, rope: int, weights: Weights
) -> list[Op]:
    names = zip(("query_norm", "key_norm"), part.norms or (), strict=False)
    norms = [_norm(norm, f"{path}.{name}", weights) for name, norm in names] or [None, None]
    scale = part.scale or part.head_width**-0.5
    heads = Op(Kind.HEADS, WIDE, NARROW, layer=index, rope=rope, scale=scale, is_whole=part.is_normed_whole)
    return [
        *_multiply(part.qkv, f"{path}.qkv", read, WIDE, weights),
        heads._replace(norm=norms[0], key_norm=norms[1]),
        Op(Kind.ATTEND, NARROW, SAID, layer=index, window=window, cap=part.cap or 0.0),
        *_multiply(part.out, f"{path}.out", SAID, READ, weights),
    ]


def _feed_forward(part: parts.GatedMLP | parts.MLP | parts.Experts, path: str, read: int, weights: Weights) -> list[Op]:
    if isinstance(part, parts.Experts):
        each = [f"{path}.experts.{number}" for number in range(part.experts)]
        wide = [_matrices(weights, f"{expert}.gate_up.weight") for expert in each]
        them = Experts(
            Floats(weights.floats(f"{path}.router.weight")),
            [some[0] for some in wide],
            [_matrices(weights, f"{expert}.down.weight")[0] for expert in each],
            part.chosen,
            part.mlp,
            part.is_normed,
            part.act,
            [matrix for some in wide for matrix in some[1:]],
        )
        return [Op(Kind.EXPERTS, read, SAID, experts=them)]
    (name, wide), (_, down) = part.parts()
    gate = Op(Kind.GATE, WIDE, SAID, part.mlp, act=part.act, has_up=isinstance(part, parts.GatedMLP))
    return [
        *_multiply(wide, f"{path}.{name}", read, WIDE, weights),
        gate,
        *_multiply(down, f"{path}.down", SAID, READ, weights),
    ]


def _multiply(part: parts.Part, path: str, source: int, to: int, weights: Weights) -> list[Op]:
    assert isinstance(part, parts.Linear)
    bias = weights.floats(f"{path}.bias") if part.has_bias else None
    ops, begin = [], 0
    for matrix in _matrices(weights, f"{path}.weight"):
        end = begin + matrix.outputs
        own = None if bias is None else bias[begin:end]
        ops.append(Op(Kind.MULTIPLY, source, to, offset=begin, matrix=matrix, bias=own, path=path))
        begin = end
    return ops


def _matrices(weights: Weights, name: str, *, is_head: bool = False) -> list[Matrix]:
    """A parameter's, told how fine their rows are."""
    some = weights.matrices(name, is_head=is_head)
    return [replace(one, row_bits=ROW_BITS) if isinstance(one, Packed) else one for one in some]


def _norm(norm: parts.Norm, path: str, weights: Weights) -> Norm:
    gain = weights.floats(f"{path}.weight")
    if isinstance(norm, parts.LayerNorm):
        return Norm(gain, weights.floats(f"{path}.bias"), norm.epsilon, is_centred=True)
    return Norm(1 + gain if norm.is_centred else gain, None, norm.epsilon, is_centred=False)
