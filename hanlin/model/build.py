"""Parts as a family describes them in, torch's modules out."""

from typing import Any

from torch import nn

from hanlin.model import blocks, parts
from hanlin.model.attention import Attention
from hanlin.model.layer import Layer


def built(part: parts.Part) -> Any:
    """The module of a part."""
    match part:
        case parts.RMSNorm():
            return blocks.RMSNorm(part.width, part.epsilon, is_centred=part.is_centred)
        case parts.LayerNorm():
            return nn.LayerNorm(part.width, part.epsilon)
        case parts.GatedMLP():
            return blocks.GatedMLP(part.width, part.mlp, part.act, has_bias=part.has_bias)
        case parts.MLP():
            return blocks.MLP(part.width, part.mlp, part.act)
        case parts.Experts():
            size = part.width, part.mlp, part.experts, part.chosen
            return blocks.Experts(*size, part.act, is_normed=part.is_normed)
        case parts.Attention():
            return _attention(part)
        case parts.Layer():
            norms = ("attention_norm", "attention_end_norm", "mlp_norm", "mlp_end_norm")
            made = {name: built(norm) for name in norms if (norm := getattr(part, name)) is not None}
            return Layer(built(part.attention), built(part.mlp), **made)
        case _:
            raise AssertionError(part)


def _attention(part: parts.Attention) -> Attention:
    return Attention(
        part.width,
        part.heads,
        part.kv_heads,
        part.head_width,
        has_bias=part.has_bias,
        has_output_bias=part.has_output_bias,
        scale=part.scale,
        cap=part.cap,
        norms=None if part.norms is None else (built(part.norms[0]), built(part.norms[1])),
        is_normed_whole=part.is_normed_whole,
    )
