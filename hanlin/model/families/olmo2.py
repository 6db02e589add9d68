"""OLMo 2: norms after attention and the feed-forward part, not before; queries and keys are normed over all heads.

    x = x + norm(attention(x))
    x = x + norm(mlp(x))

Paper: https://arxiv.org/abs/2501.00656
"""

from collections.abc import Mapping
from typing import Any

from hanlin.model import config as shapes
from hanlin.model import rope as ropes
from hanlin.model.activation import TO_HF, Activation, activation
from hanlin.model.config import Shape, small
from hanlin.model.gguf.read import GGUFFile
from hanlin.model.keys import Keys
from hanlin.model.parts import Attention, GatedMLP, Layer, RMSNorm, Sight, Whole
from hanlin.model.rope import Rope
from hanlin.model.weights import LLAMA_LAYER, Described, Names

HF = ("olmo2",)
GGUF = ("olmo2",)


class Config(Shape):
    """What tells one OLMo 2 from another."""

    rope: Rope = Rope()
    """How positions turn queries and keys."""
    has_bias: bool = False
    """The maps of attention have biases."""
    act: Activation = "silu"
    """What opens the gates."""


def layer(config: Config) -> Layer:
    """One of its layers."""
    query_norm = RMSNorm(config.heads * config.head_width, config.epsilon)
    key_norm = RMSNorm(config.kv_heads * config.head_width, config.epsilon)
    attention = Attention(
        config.width,
        config.heads,
        config.kv_heads,
        config.head_width,
        has_bias=config.has_bias,
        has_output_bias=config.has_bias,
        norms=(query_norm, key_norm),
        is_normed_whole=True,
    )
    return Layer(
        attention,
        GatedMLP(config.width, config.mlp, config.act),
        attention_end_norm=RMSNorm(config.width, config.epsilon),
        mlp_end_norm=RMSNorm(config.width, config.epsilon),
    )


def parts(config: Config) -> Whole:
    """What it is made of."""
    layers = [layer(config) for _ in range(config.layers)]
    sights = [Sight(None, config.rope)] * config.layers
    return Whole(config, layers, sights, RMSNorm(config.width, config.epsilon))


def from_hf(values: Mapping[str, Any]) -> Config:
    """The config of a config.json.

    Raises:
        WeightsError: a key is missing, wrong or not handled.
    """
    keys = Keys(values, "config.json")
    shape = shapes.from_hf(keys, epsilon=1e-5)
    config = Config(
        **shape,
        rope=ropes.from_hf(keys, shape["context"]),
        has_bias=keys.get("attention_bias", bool, False),
        act=activation(keys, "hidden_act", "silu"),
    )
    keys.close()
    return config


def to_hf(config: Config) -> dict[str, Any]:
    """A config.json that Transformers reads as the same model."""
    return {
        "architectures": ["Olmo2ForCausalLM"],
        "model_type": "olmo2",
        **shapes.to_hf(config),
        "rope_parameters": ropes.to_hf(config.rope),
        "attention_bias": config.has_bias,
        "hidden_act": TO_HF[config.act],
    }


def from_gguf(file: GGUFFile) -> Config:
    """The config of a GGUF file.

    Raises:
        WeightsError: a key is missing, wrong or not handled.
    """
    keys = Keys(file.metadata, file.path.name)
    shape = shapes.from_gguf(keys, "olmo2", file)
    config = Config(**shape, rope=ropes.from_gguf(keys, "olmo2", shape["context"], file))
    keys.close({}, "olmo2.")
    return config


def to_gguf(config: Config) -> Described:
    """GGUF metadata, and tensors that are no weights of ours.

    Raises:
        RefusedError: llama.cpp cannot compute this model.
    """
    allowed = {"has_bias": False, "act": "silu", "head_width": config.width // config.heads}
    shapes.refuse_in_gguf(config, "olmo2", allowed)
    keys, tensors = ropes.to_gguf(config.rope, "olmo2", config.head_width)
    return {"general.architecture": "olmo2", **shapes.to_gguf(config, "olmo2"), **keys}, tensors


def names(config: Config) -> Names:  # noqa: ARG001  one name fits all configs
    """What the tensors are called."""
    norms = (
        ("attention_end_norm", "post_attention_layernorm", "post_attention_norm"),
        ("mlp_end_norm", "post_feedforward_layernorm", "post_ffw_norm"),
    )
    return Names((*norms, *LLAMA_LAYER), needs_head=True)


TINY = {
    "shared heads": Config(**small()),
    "own head": Config(**small(has_tied_head=False, kv_heads=4), rope=Rope(base=5e5)),
    "biases": Config(**small(), has_bias=True, act="gelu"),
    "yarn": Config(**small(), rope=Rope(kind="yarn", factor=4.0, trained=16, scale=1.25)),
}
"""Small configs that between them turn every switch."""
