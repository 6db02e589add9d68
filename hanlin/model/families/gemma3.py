"""Gemma 3, its text part: five layers that see a window for each that sees all; norms before and after everything.

    x = x + norm(attention(norm(x)))
    x = x + norm(mlp(norm(x)))

The two kinds of layers turn positions by ropes of their own, embeddings are scaled by the root of the width, and the
weights of norms say how far the scale is from 1. Report: https://arxiv.org/abs/2503.19786
"""

from collections.abc import Mapping
from typing import Any

from hanlin.core.errors import RefusedError, WeightsError
from hanlin.model import config as shapes
from hanlin.model import rope as ropes
from hanlin.model.activation import TO_HF, Activation, activation
from hanlin.model.config import FULL, SLIDING, Shape, Windows, small
from hanlin.model.gguf.read import GGUFFile
from hanlin.model.keys import Keys
from hanlin.model.parts import Attention, GatedMLP, Layer, RMSNorm, Sight, Whole
from hanlin.model.rope import Rope
from hanlin.model.weights import LLAMA_LAYER, Described, Names

HF = ("gemma3_text", "gemma3")
GGUF = ("gemma3",)
PATTERN = 6
"""Unless a config says otherwise, every sixth layer sees all."""
LAYERS_OF_27B = 62
"""The one size whose scores are scaled by another width than the head's; GGUF tells it by its layers alone."""


class Config(Shape):
    """What tells one Gemma 3 from another."""

    rope: Rope = Rope(base=1_000_000.0)
    """How positions turn queries and keys in layers that see all."""
    local_rope: Rope = Rope()
    """The same in layers that see a window."""
    windows: Windows
    """How far back each layer sees; None: all the way."""
    score_width: int
    """Scores are divided by its root."""
    has_bias: bool = False
    """The maps of attention have biases."""
    act: Activation = "gelu_tanh"
    """What opens the gates."""
    score_cap: float | None = None
    """Scores are squashed softly to below it."""
    logit_cap: float | None = None
    """Logits are squashed softly to below it."""


def layer(config: Config) -> Layer:
    """One of its layers."""

    def norm(width: int) -> RMSNorm:
        return RMSNorm(width, config.epsilon, is_centred=True)

    attention = Attention(
        config.width,
        config.heads,
        config.kv_heads,
        config.head_width,
        has_bias=config.has_bias,
        has_output_bias=config.has_bias,
        scale=config.score_width**-0.5,
        cap=config.score_cap,
        norms=(norm(config.head_width), norm(config.head_width)),
    )
    return Layer(
        attention,
        GatedMLP(config.width, config.mlp, config.act),
        attention_norm=norm(config.width),
        attention_end_norm=norm(config.width),
        mlp_norm=norm(config.width),
        mlp_end_norm=norm(config.width),
    )


def parts(config: Config) -> Whole:
    """What it is made of."""
    return Whole(
        config,
        [layer(config) for _ in range(config.layers)],
        [Sight(window, config.local_rope if window else config.rope) for window in config.windows],
        RMSNorm(config.width, config.epsilon, is_centred=True),
        embedding_scale=config.width**0.5,
        cap=config.logit_cap,
    )


def from_hf(values: Mapping[str, Any]) -> Config:
    """The config of a config.json.

    Raises:
        WeightsError: a key is missing, wrong or not handled; or the model also sees pictures.
    """
    if values.get("model_type") == "gemma3":
        if values.get("vision_config") is not None or not isinstance(values.get("text_config"), dict):
            what = "config.json: vision_config is there: this Gemma 3 also sees pictures, and we carry text only"
            raise WeightsError(what, "take a text model: gemma-3-270m or gemma-3-1b")
        values = values["text_config"]
    keys = Keys(values, "config.json")
    shape = shapes.from_hf(keys, is_tied=True, head_width=256)
    full, local = _ropes(keys, shape["context"])
    config = Config(
        **shape,
        rope=full,
        local_rope=local,
        windows=_windows(keys, shape["layers"]),
        score_width=keys.get("query_pre_attn_scalar", int, 256),
        has_bias=keys.get("attention_bias", bool, False),
        act=activation(keys, "hidden_activation", "gelu_pytorch_tanh"),
        score_cap=keys.get("attn_logit_softcapping", float, None),
        logit_cap=keys.get("final_logit_softcapping", float, None),
    )
    if keys.get("use_bidirectional_attention", bool, False):
        raise keys.wrong("use_bidirectional_attention", "where we carry decoders, which see only what came before")
    keys.close()
    return config


def _windows(keys: Keys, layers: int) -> Windows:
    window = keys.get("sliding_window", int, 4096)
    pattern = keys.get("sliding_window_pattern", int, None) or keys.get("_sliding_window_pattern", int, PATTERN)
    keys.read.add("_sliding_window_pattern")
    kinds = shapes.layer_kinds(keys, layers)
    return tuple(window if kind == SLIDING else None for kind in kinds) or _every(pattern, window, layers)


def _every(pattern: int, window: int | None, layers: int) -> Windows:
    return tuple(window if (index + 1) % pattern else None for index in range(layers))


def _ropes(keys: Keys, context: int) -> tuple[Rope, Rope]:
    """The two ropes: one table each, or in the older form one and a bare base."""
    full_base = keys.get("rope_theta", float, 1_000_000.0)
    local_base = keys.get("rope_local_base_freq", float, 10_000.0)
    tables = keys.get("rope_parameters", dict, {})
    scaling = keys.get("rope_scaling", dict, {})
    unknown = tables.keys() - {FULL, SLIDING}
    if unknown:
        raise keys.wrong("rope_parameters", f"where we know {FULL} and {SLIDING}, not {min(unknown)}")
    full, local = (tables.get(kind) or {} for kind in (FULL, SLIDING))
    return (
        ropes.read_table(full | scaling, f"{keys.where}: rope_parameters", full_base, context),
        ropes.read_table(local, f"{keys.where}: rope_parameters", local_base, context),
    )


def to_hf(config: Config) -> dict[str, Any]:
    """A config.json that Transformers reads as the same model."""
    return {
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": "gemma3_text",
        **shapes.to_hf(config),
        "rope_parameters": {FULL: ropes.to_hf(config.rope), SLIDING: ropes.to_hf(config.local_rope)},
        "layer_types": [SLIDING if window else FULL for window in config.windows],
        "sliding_window": next(filter(None, config.windows), None),
        "query_pre_attn_scalar": config.score_width,
        "attention_bias": config.has_bias,
        "hidden_activation": TO_HF[config.act],
        "attn_logit_softcapping": config.score_cap,
        "final_logit_softcapping": config.logit_cap,
    }


def from_gguf(file: GGUFFile) -> Config:
    """The config of a GGUF file.

    Raises:
        WeightsError: a key is missing, wrong or not handled.
    """
    keys = Keys(file.metadata, file.path.name)
    shape = shapes.from_gguf(keys, "gemma3", file)
    window = keys.get("gemma3.attention.sliding_window", int, None)
    pattern = keys.get("gemma3.attention.sliding_window_pattern", int, PATTERN)
    config = Config(
        **shape,
        rope=ropes.from_gguf(keys, "gemma3", shape["context"], file),
        local_rope=Rope(base=keys.get("gemma3.rope.freq_base_swa", float, 10_000.0)),
        windows=_every(pattern, window, shape["layers"]),
        score_width=_score_width(shape),
        score_cap=keys.get("gemma3.attn_logit_softcapping", float, None),
        logit_cap=keys.get("gemma3.final_logit_softcapping", float, None),
    )
    keys.close({}, "gemma3.")
    return config


def _score_width(shape: Mapping[str, Any]) -> int:
    return shape["width"] // shape["heads"] if shape["layers"] == LAYERS_OF_27B else shape["head_width"]


def to_gguf(config: Config) -> Described:
    """GGUF metadata, and tensors that are no weights of ours.

    Raises:
        RefusedError: llama.cpp cannot compute this model.
    """
    allowed = {"score_cap": None, "logit_cap": None, "has_bias": False, "act": "gelu_tanh"}
    allowed |= {"score_width": _score_width(config.model_dump()), "has_tied_head": True}
    shapes.refuse_in_gguf(config, "gemma3", allowed)
    window = next(filter(None, config.windows), None)
    pattern = config.windows.index(None) + 1 if None in config.windows else 0
    if not pattern or config.windows != _every(pattern, window, config.layers):
        raise RefusedError(
            f"llama.cpp has every so-manieth layer see all in gemma3, not {config.windows}", shapes.FOLDER
        )
    shapes.refuse_in_gguf(config, "gemma3", {"local_rope": Rope(base=config.local_rope.base)})
    keys, tensors = ropes.to_gguf(config.rope, "gemma3", config.head_width)
    keys["gemma3.rope.freq_base_swa"] = config.local_rope.base
    keys["gemma3.attention.sliding_window"] = window or 0
    if pattern != PATTERN:
        keys["gemma3.attention.sliding_window_pattern"] = pattern
    return {"general.architecture": "gemma3", **shapes.to_gguf(config, "gemma3"), **keys}, tensors


def names(config: Config) -> Names:  # noqa: ARG001  one name fits all configs
    """What the tensors are called."""
    norms = (
        ("attention_end_norm", "post_attention_layernorm", "post_attention_norm"),
        ("mlp_norm", "pre_feedforward_layernorm", "ffn_norm"),
        ("mlp_end_norm", "post_feedforward_layernorm", "post_ffw_norm"),
    )
    return Names((*norms, *LLAMA_LAYER), is_norm_shifted=True)


def _alternating(**changes: Any) -> dict[str, Any]:
    return small(**{"windows": (5, 5, None), "score_width": 8} | changes)


TINY = {
    "alternating": Config(**_alternating()),
    "scaled ropes": Config(
        **_alternating(rope=Rope(kind="linear", factor=8.0, base=500.0), local_rope=Rope(base=50.0))
    ),
    "own head": Config(**_alternating(has_tied_head=False, head_width=16, score_width=12)),
    "biases": Config(**_alternating(has_bias=True, act="silu")),
    "logit cap": Config(**_alternating(logit_cap=0.75)),
    "soft caps": Config(**_alternating(score_cap=0.5, logit_cap=0.75)),
}
"""Small configs that between them turn every switch."""
