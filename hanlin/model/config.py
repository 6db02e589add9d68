"""What every decoder has, in Hugging Face's names and GGUF's: a `Shape`'s fields out of either, and back.

Foreign names are translated here and in the families, once, and nowhere else.
"""

from collections.abc import Mapping
from typing import Any

from hanlin.core.errors import RefusedError, WeightsError, shown
from hanlin.core.settings import Settings
from hanlin.model.gguf.read import GGUFFile
from hanlin.model.keys import Keys

HF = {
    "vocabulary": "vocab_size",
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "mlp": "intermediate_size",
    "context": "max_position_embeddings",
}
GGUF = {
    "width": "embedding_length",
    "layers": "block_count",
    "heads": "attention.head_count",
    "mlp": "feed_forward_length",
    "context": "context_length",
}
Windows = tuple[int | None, ...]


class Shape(Settings):
    """What every decoder has."""

    vocabulary: int
    """Rows of the embedding: tokens it can tell apart."""
    width: int
    """Width of the residual stream."""
    layers: int
    """How many."""
    heads: int
    """Attention heads per layer."""
    kv_heads: int
    """Heads of keys and values; several query heads share one."""
    head_width: int
    """Width of one head."""
    mlp: int
    """Inner width of the feed-forward part."""
    context: int
    """Positions it was trained for: the context window."""
    epsilon: float
    """What the norms add to the variance."""
    has_tied_head: bool
    """The embedding is the head, too."""


def from_hf(
    keys: Keys, *, epsilon: float = 1e-6, is_tied: bool = False, head_width: int | None = None
) -> dict[str, Any]:
    """A Shape's fields; the arguments are what Transformers assumes for the family where the file says nothing.

    Raises:
        WeightsError: a key is missing, or has a value that cannot be.
    """
    found: dict[str, Any] = {ours: keys.need(theirs, int) for ours, theirs in HF.items()}
    found["kv_heads"] = keys.get("num_key_value_heads", int, found["heads"])
    found["head_width"] = keys.get("head_dim", int, head_width or found["width"] // found["heads"])
    found["epsilon"] = keys.get("rms_norm_eps", float, epsilon)
    found["has_tied_head"] = keys.get("tie_word_embeddings", bool, is_tied)
    return checked(found, keys, HF)


def to_hf(shape: Shape) -> dict[str, Any]:
    """The same in the names of config.json."""
    return {
        **{theirs: getattr(shape, ours) for ours, theirs in HF.items()},
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_width,
        "rms_norm_eps": shape.epsilon,
        "tie_word_embeddings": shape.has_tied_head,
    }


def from_gguf(keys: Keys, arch: str, file: GGUFFile) -> dict[str, Any]:
    """A Shape's fields from the metadata; the vocabulary and whether the head is tied, from the tensors.

    Raises:
        WeightsError: a key is missing, or has a value that cannot be.
    """
    found: dict[str, Any] = {ours: keys.need(f"{arch}.{theirs}", int) for ours, theirs in GGUF.items()}
    found["vocabulary"] = file.info("token_embd.weight").shape[0]
    found["kv_heads"] = keys.get(f"{arch}.attention.head_count_kv", int, found["heads"])
    found["head_width"] = keys.get(f"{arch}.attention.key_length", int, found["width"] // found["heads"])
    found["epsilon"] = keys.get(f"{arch}.attention.layer_norm_rms_epsilon", float, 1e-6)
    found["has_tied_head"] = "output.weight" not in file.tensors
    keys.get(f"{arch}.vocab_size", int, None)
    for key in ("attention.value_length", "rope.dimension_count"):
        if keys.get(f"{arch}.{key}", int, found["head_width"]) != found["head_width"]:
            raise keys.wrong(f"{arch}.{key}", f"where we carry models with heads of one width, {found['head_width']}")
    return checked(found, keys, {ours: f"{arch}.{theirs}" for ours, theirs in GGUF.items()})


def to_gguf(shape: Shape, arch: str) -> dict[str, Any]:
    """The same as GGUF metadata."""
    return {
        **{f"{arch}.{theirs}": getattr(shape, ours) for ours, theirs in GGUF.items()},
        f"{arch}.vocab_size": shape.vocabulary,
        f"{arch}.attention.head_count_kv": shape.kv_heads,
        f"{arch}.attention.key_length": shape.head_width,
        f"{arch}.attention.value_length": shape.head_width,
        f"{arch}.attention.layer_norm_rms_epsilon": shape.epsilon,
    }


def windows_from_hf(keys: Keys, layers: int) -> Windows:
    """How far back each layer sees, of Qwen's three ways to say it: a switch, a first layer, a list of kinds.

    Raises:
        WeightsError: a list that is not one kind for each layer.
    """
    is_on = keys.get("use_sliding_window", bool, False)
    window = keys.get("sliding_window", int, None) if is_on else None
    first = keys.values.get("max_window_layers", 28)
    keys.read |= {"sliding_window", "max_window_layers"}
    kinds = layer_kinds(keys, layers)
    if kinds:
        return tuple(window if kind == SLIDING else None for kind in kinds) if SLIDING in kinds else ()
    if window is None or not isinstance(first, int) or first >= layers:
        return ()
    return tuple(window if index >= first else None for index in range(layers))


def windows_to_hf(windows: Windows, layers: int) -> dict[str, Any]:
    """The same in Qwen's names."""
    window = next((window for window in windows if window), None)
    kinds = [SLIDING if some else FULL for some in windows] or [FULL] * layers
    return {"use_sliding_window": window is not None, "sliding_window": window, "layer_types": kinds}


SLIDING, FULL = "sliding_attention", "full_attention"


def layer_kinds(keys: Keys, layers: int) -> list[str]:
    """`layer_types`, one kind for each layer; empty if the config has none.

    Raises:
        WeightsError: the list is of another length, or has a kind that we do not carry.
    """
    kinds = keys.get("layer_types", list, [])
    if kinds and (len(kinds) != layers or not {SLIDING, FULL}.issuperset(kinds)):
        raise keys.wrong("layer_types", f"where {layers} of {SLIDING!r} or {FULL!r} belong")
    return kinds


def refuse_in_gguf(config: Shape, arch: str, allowed: Mapping[str, Any]) -> None:
    """llama.cpp computes a GGUF architecture in one way, whatever else a config says.

    Raises:
        RefusedError: this model needs another: one of its settings is not as `allowed`.
    """
    for setting, value in allowed.items():
        if getattr(config, setting) != value:
            what = f"llama.cpp has {setting} = {value!r} in all models of type {arch}; here it is"
            raise RefusedError(f"{what} {shown(getattr(config, setting))}", FOLDER)


FOLDER = "save it as a Hugging Face folder instead"


def small(**changes: Any) -> dict[str, Any]:
    """A Shape's fields for the families' tiny configs, and what a family adds or changes."""
    shape = {"vocabulary": 97, "width": 32, "layers": 3, "heads": 4, "kv_heads": 2, "head_width": 8, "mlp": 64}
    return {**shape, "context": 64, "epsilon": 1e-5, "has_tied_head": True, **changes}


def checked(found: dict[str, Any], keys: Keys, names: Mapping[str, str]) -> dict[str, Any]:
    """A Shape's fields, if they fit together.

    Raises:
        WeightsError: they do not.
    """
    if found["heads"] % found["kv_heads"]:
        raise WeightsError(
            f"{keys.where}: {found['heads']} heads cannot share {found['kv_heads']} heads of keys and values",
            "fetch the model again",
        )
    if found["head_width"] % 2:
        raise keys.wrong(names["heads"], f"which makes heads of an odd width, {found['head_width']}")
    if found["layers"] > MOST_LAYERS:
        raise keys.wrong(names["layers"], "more layers than any model has")
    return found


MOST_LAYERS = 1024
