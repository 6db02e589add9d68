"""GPT-2: learned positions, LayerNorm, biases everywhere, a feed-forward part without gates.

    x = x + attention(norm(x))
    x = x + mlp(norm(x))

Paper: https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf
"""

from collections.abc import Mapping
from typing import Any

from hanlin.model import config as shapes
from hanlin.model.activation import TO_HF, Activation, activation
from hanlin.model.config import Shape, small
from hanlin.model.gguf.read import GGUFFile
from hanlin.model.keys import Keys
from hanlin.model.parts import MLP, Attention, Layer, LayerNorm, Sight, Whole
from hanlin.model.weights import Described, Names

HF = ("gpt2",)
GGUF = ("gpt2",)
OURS_TO_HF = {
    "vocabulary": "vocab_size",
    "width": "n_embd",
    "layers": "n_layer",
    "heads": "n_head",
    "context": "n_positions",
}


class Config(Shape):
    """What tells one GPT-2 from another."""

    act: Activation = "gelu_tanh"
    """What bends the feed-forward part."""
    is_scaled: bool = True
    """Scores are divided by the root of a head's width."""
    is_scaled_by_layer: bool = False
    """And by the number of the layer, from 1."""


def layer(config: Config, number: int) -> Layer:
    """One of its layers, counted from 1."""
    scale = config.head_width**-0.5 if config.is_scaled else 1.0
    attention = Attention(
        config.width,
        config.heads,
        config.heads,
        config.head_width,
        has_bias=True,
        has_output_bias=True,
        scale=scale / number if config.is_scaled_by_layer else scale,
    )
    return Layer(
        attention,
        MLP(config.width, config.mlp, config.act),
        attention_norm=LayerNorm(config.width, config.epsilon),
        mlp_norm=LayerNorm(config.width, config.epsilon),
    )


def parts(config: Config) -> Whole:
    """What it is made of."""
    layers = [layer(config, number) for number in range(1, config.layers + 1)]
    norm = LayerNorm(config.width, config.epsilon)
    return Whole(config, layers, [Sight()] * config.layers, norm, has_learned_positions=True)


def from_hf(values: Mapping[str, Any]) -> Config:
    """The config of a config.json.

    Raises:
        WeightsError: a key is missing, wrong or not handled.
    """
    keys = Keys(values, "config.json")
    shape = {ours: keys.need(theirs, int) for ours, theirs in OURS_TO_HF.items()}
    config = Config(
        **shapes.checked(
            shape
            | {
                "kv_heads": shape["heads"],
                "head_width": shape["width"] // shape["heads"],
                "mlp": keys.get("n_inner", int, 4 * shape["width"]),
                "epsilon": keys.get("layer_norm_epsilon", float, 1e-5),
                "has_tied_head": keys.get("tie_word_embeddings", bool, True),
            },
            keys,
            OURS_TO_HF,
        ),
        act=activation(keys, "activation_function", "gelu_new"),
        is_scaled=keys.get("scale_attn_weights", bool, True),
        is_scaled_by_layer=keys.get("scale_attn_by_inverse_layer_idx", bool, False),
    )
    keys.close()
    return config


def to_hf(config: Config) -> dict[str, Any]:
    """A config.json that Transformers reads as the same model."""
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        **{theirs: getattr(config, ours) for ours, theirs in OURS_TO_HF.items()},
        "n_inner": config.mlp,
        "layer_norm_epsilon": config.epsilon,
        "tie_word_embeddings": config.has_tied_head,
        "activation_function": TO_HF[config.act],
        "scale_attn_weights": config.is_scaled,
        "scale_attn_by_inverse_layer_idx": config.is_scaled_by_layer,
    }


def from_gguf(file: GGUFFile) -> Config:
    """The config of a GGUF file.

    Raises:
        WeightsError: a key is missing, wrong or not handled.
    """
    keys = Keys(file.metadata, file.path.name)
    shape = shapes.from_gguf(keys, "gpt2", file)
    shape["epsilon"] = keys.get("gpt2.attention.layer_norm_epsilon", float, 1e-5)
    config = Config(**shape)
    keys.close({}, "gpt2.")
    return config


def to_gguf(config: Config) -> Described:
    """GGUF metadata, and tensors that are no weights of ours.

    Raises:
        RefusedError: llama.cpp cannot compute this model.
    """
    shapes.refuse_in_gguf(config, "gpt2", {"act": "gelu_tanh", "is_scaled": True, "is_scaled_by_layer": False})
    keys = shapes.to_gguf(config, "gpt2")
    keys["gpt2.attention.layer_norm_epsilon"] = keys.pop("gpt2.attention.layer_norm_rms_epsilon")
    return {"general.architecture": "gpt2", **keys}, {}


def names(config: Config) -> Names:  # noqa: ARG001  one name fits all configs
    """What the tensors are called. Hugging Face's are as OpenAI stored them: each map with its inputs as rows."""
    return Names(
        layer=(
            ("attention_norm", "ln_1", "attn_norm"),
            ("attention.qkv", "attn.c_attn", "attn_qkv"),
            ("attention.out", "attn.c_proj", "attn_output"),
            ("mlp_norm", "ln_2", "ffn_norm"),
            ("mlp.up", "mlp.c_fc", "ffn_up"),
            ("mlp.down", "mlp.c_proj", "ffn_down"),
        ),
        whole=(
            ("embed", "transformer.wte", "token_embd"),
            ("places", "transformer.wpe", "position_embd"),
            ("norm", "transformer.ln_f", "output_norm"),
            ("unembed", "lm_head", "output"),
        ),
        hf_layers="transformer.h",
        turned=("attention.qkv", "attention.out", "mlp.up", "mlp.down"),
        spare=r"\.attn\.(masked_)?bias",
    )


TINY = {
    "tied head": Config(**small(kv_heads=4)),
    "own head": Config(**small(kv_heads=4, has_tied_head=False), act="relu"),
    "unscaled": Config(**small(kv_heads=4), is_scaled=False, act="gelu"),
    "scaled by layer": Config(**small(kv_heads=4), is_scaled_by_layer=True),
}
"""Small configs that between them turn every switch."""
