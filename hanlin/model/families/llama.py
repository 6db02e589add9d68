"""Llama and those built like it: SmolLM2, Llama 2 to 3.2, Mistral, Qwen2 and Qwen2.5.

    x = x + attention(norm(x))
    x = x + mlp(norm(x))

Papers: https://arxiv.org/abs/2302.13971, https://arxiv.org/abs/2310.06825, https://arxiv.org/abs/2412.15115
"""

from collections.abc import Mapping
from typing import Any, Literal

from hanlin.core.errors import RefusedError
from hanlin.model import config as shapes
from hanlin.model import rope as ropes
from hanlin.model.activation import TO_HF, Activation, activation
from hanlin.model.config import Shape, Windows, small
from hanlin.model.gguf.read import GGUFFile
from hanlin.model.keys import Keys
from hanlin.model.parts import Attention, GatedMLP, Layer, RMSNorm, Sight, Whole
from hanlin.model.rope import Rope
from hanlin.model.weights import Described, Names

HF = ("llama", "mistral", "qwen2")
GGUF = ("llama", "qwen2")


class Config(Shape):
    """What tells one llama from another."""

    kind: Literal["llama", "mistral", "qwen2"] = "llama"
    """Which of the dialects of config.json it came in."""
    rope: Rope = Rope()
    """How positions turn queries and keys."""
    windows: Windows = ()
    """How far back each layer sees; empty: all the way, all of them."""
    has_qkv_bias: bool = False
    """Queries, keys and values have biases."""
    has_output_bias: bool = False
    """The map out of attention has one."""
    has_mlp_bias: bool = False
    """The feed-forward part has them."""
    act: Activation = "silu"
    """What opens the gates."""


def layer(config: Config) -> Layer:
    """One of its layers."""
    attention = Attention(
        config.width,
        config.heads,
        config.kv_heads,
        config.head_width,
        has_bias=config.has_qkv_bias,
        has_output_bias=config.has_output_bias,
    )
    return Layer(
        attention,
        GatedMLP(config.width, config.mlp, config.act, has_bias=config.has_mlp_bias),
        attention_norm=RMSNorm(config.width, config.epsilon),
        mlp_norm=RMSNorm(config.width, config.epsilon),
    )


def parts(config: Config) -> Whole:
    """What it is made of."""
    layers = [layer(config) for _ in range(config.layers)]
    windows = config.windows or (None,) * config.layers
    sights = [Sight(window, config.rope) for window in windows]
    return Whole(config, layers, sights, RMSNorm(config.width, config.epsilon))


def from_hf(values: Mapping[str, Any]) -> Config:
    """The config of a config.json.

    Raises:
        WeightsError: a key is missing, wrong or not handled.
    """
    keys = Keys(values, "config.json")
    kind = keys.need("model_type", str)
    shape = shapes.from_hf(keys)
    has_bias = kind == "llama" and keys.get("attention_bias", bool, False)
    windows: Windows = ()
    if kind == "qwen2":
        windows = shapes.windows_from_hf(keys, shape["layers"])
    elif kind == "mistral":
        window = keys.get("sliding_window", int, None) if "sliding_window" in values else 4096
        windows = (window,) * shape["layers"] if window else ()
    config = Config(
        **shape,
        kind=kind,  # pyright: ignore[reportArgumentType]
        rope=ropes.from_hf(keys, shape["context"]),
        windows=windows,
        has_qkv_bias=has_bias or kind == "qwen2",
        has_output_bias=has_bias,
        has_mlp_bias=kind == "llama" and keys.get("mlp_bias", bool, False),
        act=activation(keys, "hidden_act", "silu"),
    )
    keys.close()
    return config


def to_hf(config: Config) -> dict[str, Any]:
    """A config.json that Transformers reads as the same model.

    Raises:
        RefusedError: biases as Transformers' Llama cannot have them.
    """
    architecture = {"llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM", "qwen2": "Qwen2ForCausalLM"}
    values = {
        "architectures": [architecture[config.kind]],
        "model_type": config.kind,
        **shapes.to_hf(config),
        "rope_parameters": ropes.to_hf(config.rope),
        "hidden_act": TO_HF[config.act],
    }
    if config.kind == "llama":
        if config.has_qkv_bias != config.has_output_bias:
            raise RefusedError(
                "Transformers' Llama has biases in all of attention or in none, this model in some of it",
                "save it as GGUF instead",
            )
        values |= {"attention_bias": config.has_output_bias, "mlp_bias": config.has_mlp_bias}
    elif config.kind == "mistral":
        values["sliding_window"] = config.windows[0] if config.windows else None
    else:
        values |= shapes.windows_to_hf(config.windows, config.layers)
    return values


def from_gguf(file: GGUFFile) -> Config:
    """The config of a GGUF file.

    Raises:
        WeightsError: a key is missing, wrong or not handled.
    """
    keys = Keys(file.metadata, file.path.name)
    arch = keys.need("general.architecture", str)
    shape = shapes.from_gguf(keys, arch, file)
    config = Config(
        **shape,
        kind=arch,  # pyright: ignore[reportArgumentType]
        rope=ropes.from_gguf(keys, arch, shape["context"], file),
        has_qkv_bias="blk.0.attn_q.bias" in file.tensors,
        has_output_bias="blk.0.attn_output.bias" in file.tensors,
        has_mlp_bias="blk.0.ffn_up.bias" in file.tensors,
    )
    keys.close({}, f"{arch}.")
    return config


def to_gguf(config: Config) -> Described:
    """GGUF metadata, and tensors that are no weights of ours.

    Raises:
        RefusedError: llama.cpp cannot compute this model.
    """
    arch = "qwen2" if config.kind == "qwen2" else "llama"
    shapes.refuse_in_gguf(config, arch, {"windows": (), "act": "silu"})
    keys, tensors = ropes.to_gguf(config.rope, arch, config.head_width)
    return {"general.architecture": arch, **shapes.to_gguf(config, arch), **keys}, tensors


def names(config: Config) -> Names:
    """What the tensors are called. GGUF's llama keeps the halves of a pair side by side, as Meta's own code did."""
    return Names(pairs=0 if config.kind == "qwen2" else config.head_width // 2)


TINY = {
    "shared heads": Config(**small()),
    "own head": Config(**small(has_tied_head=False, kv_heads=4, head_width=16)),
    "biases": Config(**small(), has_qkv_bias=True, has_output_bias=True, has_mlp_bias=True, act="gelu_tanh"),
    "linear": Config(**small(), rope=Rope(kind="linear", factor=4.0)),
    "dynamic": Config(**small(context=16), rope=Rope(kind="dynamic", factor=2.0)),
    "llama3": Config(**small(), rope=Rope(kind="llama3", factor=8.0, trained=32, base=100.0)),
    "yarn": Config(**small(), rope=Rope(kind="yarn", factor=4.0, trained=16, scale=1.25)),
    "yarn unrounded": Config(**small(), rope=Rope(kind="yarn", factor=4.0, trained=16, fast=8.0, is_rounded=False)),
    "longrope": Config(
        **small(), rope=Rope(kind="longrope", trained=16, scale=1.5, short=(1, 1, 2, 2), long=(1, 2, 4, 8))
    ),
    "longrope within": Config(**small(), rope=Rope(kind="longrope", trained=64, short=(1, 1, 2, 2), long=(1, 2, 4, 8))),
    "mistral": Config(**small(), kind="mistral"),
    "mistral window": Config(**small(), kind="mistral", windows=(5, 5, 5)),
    "qwen2": Config(**small(), kind="qwen2", has_qkv_bias=True),
    "qwen2 windows": Config(**small(), kind="qwen2", has_qkv_bias=True, windows=(None, 5, 5)),
}
"""Small configs that between them turn every switch."""
