"""Qwen3: a llama whose queries and keys are normed, each head by itself.

    x = x + attention(norm(x))
    x = x + mlp(norm(x))

Paper: https://arxiv.org/abs/2505.09388
"""

from collections.abc import Mapping
from typing import Any

from hanlin.model import config as shapes
from hanlin.model import rope as ropes
from hanlin.model.activation import TO_HF, Activation, activation
from hanlin.model.config import Shape, Windows, small
from hanlin.model.gguf.read import GGUFFile
from hanlin.model.keys import Keys
from hanlin.model.parts import Attention, GatedMLP, Layer, RMSNorm, Sight, Whole
from hanlin.model.rope import Rope
from hanlin.model.weights import Described, Names

HF = ("qwen3",)
GGUF = ("qwen3",)


class Config(Shape):
    """What tells one Qwen3 from another."""

    rope: Rope = Rope()
    """How positions turn queries and keys."""
    windows: Windows = ()
    """How far back each layer sees; empty: all the way, all of them."""
    has_bias: bool = False
    """The maps of attention have biases."""
    act: Activation = "silu"
    """What opens the gates."""


def layer(config: Config) -> Layer:
    """One of its layers."""
    attention = Attention(
        config.width,
        config.heads,
        config.kv_heads,
        config.head_width,
        has_bias=config.has_bias,
        has_output_bias=config.has_bias,
        norms=(RMSNorm(config.head_width, config.epsilon), RMSNorm(config.head_width, config.epsilon)),
    )
    return Layer(
        attention,
        GatedMLP(config.width, config.mlp, config.act),
        attention_norm=RMSNorm(config.width, config.epsilon),
        mlp_norm=RMSNorm(config.width, config.epsilon),
    )


def parts(config: Config) -> Whole:
    """What it is made of."""
    layers = [layer(config) for _ in range(config.layers)]
    sights = [Sight(window, config.rope) for window in config.windows or (None,) * config.layers]
    return Whole(config, layers, sights, RMSNorm(config.width, config.epsilon))


def from_hf(values: Mapping[str, Any]) -> Config:
    """The config of a config.json.

    Raises:
        WeightsError: a key is missing, wrong or not handled.
    """
    keys = Keys(values, "config.json")
    shape = shapes.from_hf(keys, head_width=128)
    config = Config(
        **shape,
        rope=ropes.from_hf(keys, shape["context"]),
        windows=shapes.windows_from_hf(keys, shape["layers"]),
        has_bias=keys.get("attention_bias", bool, False),
        act=activation(keys, "hidden_act", "silu"),
    )
    keys.close()
    return config


def to_hf(config: Config) -> dict[str, Any]:
    """A config.json that Transformers reads as the same model."""
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        **shapes.to_hf(config),
        **shapes.windows_to_hf(config.windows, config.layers),
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
    shape = shapes.from_gguf(keys, "qwen3", file)
    config = Config(**shape, rope=ropes.from_gguf(keys, "qwen3", shape["context"], file))
    keys.close({}, "qwen3.")
    return config


def to_gguf(config: Config) -> Described:
    """GGUF metadata, and tensors that are no weights of ours.

    Raises:
        RefusedError: llama.cpp cannot compute this model.
    """
    shapes.refuse_in_gguf(config, "qwen3", {"windows": (), "has_bias": False, "act": "silu"})
    keys, tensors = ropes.to_gguf(config.rope, "qwen3", config.head_width)
    return {"general.architecture": "qwen3", **shapes.to_gguf(config, "qwen3"), **keys}, tensors


def names(config: Config) -> Names:  # noqa: ARG001  one name fits all configs
    """What the tensors are called."""
    return Names()


TINY = {
    "shared heads": Config(**small()),
    "own head": Config(**small(has_tied_head=False, head_width=16), rope=Rope(base=1e6)),
    "biases": Config(**small(), has_bias=True, act="gelu"),
    "windows": Config(**small(), windows=(None, 5, 5)),
    "yarn": Config(**small(), rope=Rope(kind="yarn", factor=4.0, trained=16, scale=1.25)),
}
"""Small configs that between them turn every switch."""
