"""What a decoder is made of: its parts by their sizes, without weights. No torch in here.

A family says it once. torch's network is built from it (`hanlin.model.decoder`), the plan for the native kernels is
compiled from it (`hanlin.model.plan`), and the tensors of a file are told by its parameters (`hanlin.model.weights`).
A part is found in a network, and its weights in a checkpoint, by the names of the fields that lead to it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hanlin.model.activation import Activation
from hanlin.model.config import Shape
from hanlin.model.rope import Rope


class Parameter(NamedTuple):
    """Weights that belong together."""

    shape: tuple[int, ...]
    rows: tuple[int, ...]
    """Of a matrix that is several maps of one input, how many rows are whose; else all in one."""


@dataclass(frozen=True)
class Part:
    """Has parameters of its own, or parts that have; a part that is None is left out."""

    def parts(self) -> Iterator[tuple[str, "Part"]]:
        """Those it is made of, by name, in the order in which torch's network has them."""
        return iter(())

    def own(self) -> Iterator[tuple[str, Parameter]]:
        """Its own parameters, by name."""
        return iter(())


def parameters(part: Part, prefix: str = "") -> Mapping[str, Parameter]:
    """All of a part's and of its parts', by the names that torch's network gives them."""
    found = {f"{prefix}{name}": it for name, it in part.own()}
    for name, one in part.parts():
        found |= parameters(one, f"{prefix}{name}.")
    return found


@dataclass(frozen=True)
class Linear(Part):
    """A linear map, or several of one input as one matrix."""

    inputs: int
    rows: tuple[int, ...]
    """Outputs of each."""
    has_bias: bool = False

    @property
    def outputs(self) -> int:
        """Of all together."""
        return sum(self.rows)

    def own(self) -> Iterator[tuple[str, Parameter]]:
        """Weights, and a bias."""
        yield "weight", Parameter((self.outputs, self.inputs), self.rows)
        if self.has_bias:
            yield "bias", Parameter((self.outputs,), self.rows)


@dataclass(frozen=True)
class Embedding(Part):
    """A vector for each number."""

    count: int
    width: int

    def own(self) -> Iterator[tuple[str, Parameter]]:
        """The vectors."""
        yield "weight", Parameter((self.count, self.width), (self.count,))


@dataclass(frozen=True)
class RMSNorm(Part):
    """Divide by the root of the mean square, then scale each channel."""

    width: int
    epsilon: float
    is_centred: bool = False
    """The weights say by how much the scale differs from 1 (Gemma)."""

    def own(self) -> Iterator[tuple[str, Parameter]]:
        """The scales."""
        yield "weight", Parameter((self.width,), (self.width,))


@dataclass(frozen=True)
class LayerNorm(Part):
    """The same with the mean taken off first, and a bias."""

    width: int
    epsilon: float

    def own(self) -> Iterator[tuple[str, Parameter]]:
        """Scales and bias."""
        yield "weight", Parameter((self.width,), (self.width,))
        yield "bias", Parameter((self.width,), (self.width,))


Norm = RMSNorm | LayerNorm


@dataclass(frozen=True)
class Attention(Part):
    """Queries, keys and values from one matrix; several query heads share a head of keys and values."""

    width: int
    heads: int
    kv_heads: int
    head_width: int
    has_bias: bool = False
    has_output_bias: bool = False
    scale: float | None = None
    """Of the scores; None: one over the root of a head's width."""
    cap: float | None = None
    """Scores are squashed softly to below it."""
    norms: tuple[Norm, Norm] | None = None
    """Of queries and keys: of each head, or of all heads together."""
    is_normed_whole: bool = False

    @property
    def qkv(self) -> Linear:
        """The map in."""
        queries, keys = self.heads * self.head_width, self.kv_heads * self.head_width
        return Linear(self.width, (queries, keys, keys), self.has_bias)

    @property
    def out(self) -> Linear:
        """The map out."""
        return Linear(self.heads * self.head_width, (self.width,), self.has_output_bias)

    def parts(self) -> Iterator[tuple[str, Part]]:
        """Maps and norms."""
        yield from (("qkv", self.qkv), ("out", self.out))
        if self.norms is not None:
            yield from zip(("query_norm", "key_norm"), self.norms, strict=True)


@dataclass(frozen=True)
class GatedMLP(Part):
    """A feed-forward part of which one half opens the gates for the other."""

    width: int
    mlp: int
    act: Activation = "silu"
    has_bias: bool = False

    def parts(self) -> Iterator[tuple[str, Part]]:
        """The two maps."""
        yield "gate_up", Linear(self.width, (self.mlp, self.mlp), self.has_bias)
        yield "down", Linear(self.mlp, (self.width,), self.has_bias)


@dataclass(frozen=True)
class MLP(Part):
    """A feed-forward part: wide, bent, and narrow again."""

    width: int
    mlp: int
    act: Activation

    def parts(self) -> Iterator[tuple[str, Part]]:
        """The two maps."""
        yield "up", Linear(self.width, (self.mlp,), True)
        yield "down", Linear(self.mlp, (self.width,), True)


@dataclass(frozen=True)
class Experts(Part):
    """Many small feed-forward parts; a router picks a few for each position and weighs what they say."""

    width: int
    mlp: int
    experts: int
    chosen: int
    """That speak, per position."""
    act: Activation
    is_normed: bool = False
    """Their weights sum to 1."""

    @property
    def expert(self) -> GatedMLP:
        """One of them."""
        return GatedMLP(self.width, self.mlp, self.act)

    def parts(self) -> Iterator[tuple[str, Part]]:
        """The router and all of them."""
        yield "router", Linear(self.width, (self.experts,))
        yield from ((f"experts.{number}", self.expert) for number in range(self.experts))


@dataclass(frozen=True)
class Layer(Part):
    """Attention, then a feed-forward part, each added to the stream that passes by.

    x = x + end_norm(attention(norm(x)))
    x = x + end_norm(mlp(norm(x)))
    """

    attention: Attention
    mlp: GatedMLP | MLP | Experts
    attention_norm: Norm | None = None
    attention_end_norm: Norm | None = None
    mlp_norm: Norm | None = None
    mlp_end_norm: Norm | None = None

    def parts(self) -> Iterator[tuple[str, Part]]:
        """Those there are."""
        names = ("attention_norm", "attention", "attention_end_norm", "mlp_norm", "mlp", "mlp_end_norm")
        yield from ((name, part) for name in names if (part := getattr(self, name)) is not None)


class Sight(NamedTuple):
    """How a layer sees: how far back (None: all the way), and by which rope it knows positions (None: by none)."""

    window: int | None = None
    rope: Rope | None = None


@dataclass(frozen=True)
class Whole(Part):
    """A decoder: embedding, layers, norm, head."""

    config: Shape
    layers: Sequence[Layer]
    sight_of: Sequence[Sight]
    """Each layer's."""
    norm: Norm
    embedding_scale: float = 1.0
    cap: float | None = None
    """Logits are squashed softly to below it."""
    has_learned_positions: bool = False

    @property
    def ropes(self) -> list[Rope]:
        """Those there are, each once."""
        return list(dict.fromkeys(sight.rope for sight in self.sight_of if sight.rope))

    @property
    def embed(self) -> Embedding:
        """The tokens'."""
        return Embedding(self.config.vocabulary, self.config.width)

    @property
    def places(self) -> Embedding | None:
        """The positions', where they are learned."""
        return Embedding(self.config.context, self.config.width) if self.has_learned_positions else None

    @property
    def unembed(self) -> Linear | None:
        """The head, unless it is the embedding."""
        return None if self.config.has_tied_head else Linear(self.config.width, (self.config.vocabulary,))

    def parts(self) -> Iterator[tuple[str, Part]]:
        """All of them."""
        yield "embed", self.embed
        if self.places is not None:
            yield "places", self.places
        yield from ((f"layers.{number}", layer) for number, layer in enumerate(self.layers))
        yield "norm", self.norm
        if self.unembed is not None:
            yield "unembed", self.unembed
