"""Qwen3 with experts: in some or all layers a router picks a few of many small feed-forward parts for each position.

    x = x + attention(norm(x))
    x = x + (experts or mlp)(norm(x))

Paper: https://arxiv.org/abs/2505.09388
"""

from collections.abc import Mapping
from typing import Any

from hanlin.core.errors import RefusedError
from hanlin.model import config as shapes
from hanlin.model import rope as ropes
from hanlin.model.activation import TO_HF, Activation, activation
from hanlin.model.config import Shape, small
from hanlin.model.gguf.read import GGUFFile
from hanlin.model.keys import Keys
from hanlin.model.parts import Attention, Experts, GatedMLP, Layer, RMSNorm, Sight, Whole
from hanlin.model.rope import Rope
from hanlin.model.weights import LLAMA_LAYER, Described, Names

HF = ("qwen3_moe",)
GGUF = ("qwen3moe",)


class Config(Shape):
    """What tells one from another. `mlp` is the inner width of layers without experts."""

    rope: Rope = Rope()
    """How positions turn queries and keys."""
    window: int | None = None
    """How far back every layer sees; None: all the way."""
    has_bias: bool = False
    """The maps of attention have biases."""
    act: Activation = "silu"
    """What opens the gates."""
    experts: int
    """In each layer that has them."""
    chosen: int
    """How many of them speak for each position."""
    expert_mlp: int
    """Inner width of one."""
    is_normed: bool
    """The weights of the chosen are made to sum to 1."""
    sparse: tuple[bool, ...]
    """Which layers have experts."""


def layer(config: Config, *, is_sparse: bool) -> Layer:
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
    size = config.width, config.expert_mlp, config.experts, config.chosen
    dense = GatedMLP(config.width, config.mlp, config.act)
    return Layer(
        attention,
        Experts(*size, config.act, is_normed=config.is_normed) if is_sparse else dense,
        attention_norm=RMSNorm(config.width, config.epsilon),
        mlp_norm=RMSNorm(config.width, config.epsilon),
    )


def parts(config: Config) -> Whole:
    """What it is made of."""
    layers = [layer(config, is_sparse=is_sparse) for is_sparse in config.sparse]
    sights = [Sight(config.window, config.rope)] * config.layers
    return Whole(config, layers, sights, RMSNorm(config.width, config.epsilon))


def from_hf(values: Mapping[str, Any]) -> Config:
    """The config of a config.json.

    Raises:
        WeightsError: a key is missing, wrong or not handled.
    """
    keys = Keys(values, "config.json")
    shape = shapes.from_hf(keys)
    step = keys.get("decoder_sparse_step", int, 1)
    dense = keys.get("mlp_only_layers", list, [])
    keys.read |= {"sliding_window", "max_window_layers"}
    window = keys.get("sliding_window", int, 4096) if keys.get("use_sliding_window", bool, False) else None
    config = Config(
        **shape,
        rope=ropes.from_hf(keys, shape["context"]),
        window=window,
        has_bias=keys.get("attention_bias", bool, False),
        act=activation(keys, "hidden_act", "silu"),
        experts=keys.get("num_local_experts", int, None) or keys.need("num_experts", int),
        chosen=keys.get("num_experts_per_tok", int, 8),
        expert_mlp=keys.need("moe_intermediate_size", int),
        is_normed=keys.get("norm_topk_prob", bool, False),
        sparse=tuple(index not in dense and (index + 1) % step == 0 for index in range(shape["layers"])),
    )
    keys.read.add("num_experts")
    if config.chosen > config.experts:
        raise keys.wrong("num_experts_per_tok", f"more than the {config.experts} there are")
    keys.close()
    return config


def to_hf(config: Config) -> dict[str, Any]:
    """A config.json that Transformers reads as the same model."""
    return {
        "architectures": ["Qwen3MoeForCausalLM"],
        "model_type": "qwen3_moe",
        **shapes.to_hf(config),
        "rope_parameters": ropes.to_hf(config.rope),
        "attention_bias": config.has_bias,
        "hidden_act": TO_HF[config.act],
        "use_sliding_window": config.window is not None,
        "sliding_window": config.window,
        "num_experts": config.experts,
        "num_experts_per_tok": config.chosen,
        "moe_intermediate_size": config.expert_mlp,
        "norm_topk_prob": config.is_normed,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [index for index, is_sparse in enumerate(config.sparse) if not is_sparse],
    }


def from_gguf(file: GGUFFile) -> Config:
    """The config of a GGUF file; llama.cpp always norms the weights of the chosen.

    Raises:
        WeightsError: a key is missing, wrong or not handled.
    """
    keys = Keys(file.metadata, file.path.name)
    shape = shapes.from_gguf(keys, "qwen3moe", file)
    config = Config(
        **shape,
        rope=ropes.from_gguf(keys, "qwen3moe", shape["context"], file),
        experts=keys.need("qwen3moe.expert_count", int),
        chosen=keys.need("qwen3moe.expert_used_count", int),
        expert_mlp=keys.need("qwen3moe.expert_feed_forward_length", int),
        is_normed=True,
        sparse=(True,) * shape["layers"],
    )
    keys.close({}, "qwen3moe.")
    return config


def to_gguf(config: Config) -> Described:
    """GGUF metadata, and tensors that are no weights of ours.

    Raises:
        RefusedError: llama.cpp cannot compute this model.
    """
    allowed = {"window": None, "has_bias": False, "act": "silu", "is_normed": True}
    shapes.refuse_in_gguf(config, "qwen3moe", allowed)
    if not all(config.sparse):
        raise RefusedError("llama.cpp has experts in all layers of qwen3moe, this model in some", shapes.FOLDER)
    keys, tensors = ropes.to_gguf(config.rope, "qwen3moe", config.head_width)
    keys |= {
        "qwen3moe.expert_count": config.experts,
        "qwen3moe.expert_used_count": config.chosen,
        "qwen3moe.expert_feed_forward_length": config.expert_mlp,
    }
    return {"general.architecture": "qwen3moe", **shapes.to_gguf(config, "qwen3moe"), **keys}, tensors


def names(config: Config) -> Names:
    """What the tensors are called."""
    experts = (
        ("mlp.router", "mlp.gate", "ffn_gate_inp"),
        ("mlp.experts.*.gate_up", "mlp.experts.*.{gate,up}_proj", "ffn_{gate,up}_exps"),
        ("mlp.experts.*.down", "mlp.experts.*.down_proj", "ffn_down_exps"),
    )
    return Names((*LLAMA_LAYER, *experts), experts=config.experts)


def _few(**changes: Any) -> dict[str, Any]:
    experts = {"experts": 4, "chosen": 2, "expert_mlp": 32, "is_normed": True, "sparse": (True, True, True)}
    return small(**experts | changes)


TINY = {
    "experts": Config(**_few()),
    "own head": Config(**_few(has_tied_head=False, head_width=16)),
    "raw weights": Config(**_few(is_normed=False, chosen=3)),
    "some dense": Config(**_few(sparse=(False, True, False))),
    "biases": Config(**_few(has_bias=True, act="gelu")),
    "window": Config(**_few(window=5)),
}
"""Small configs that between them turn every switch."""
