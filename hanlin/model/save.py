"""A `Checkpoint` in, a Hugging Face folder or a GGUF file out: as Transformers and llama.cpp read them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import Tensor

from hanlin.core.errors import RefusedError, StoreError
from hanlin.core.plugins import find
from hanlin.core.run import replacing
from hanlin.model import safetensors
from hanlin.model.adapters.adapted import adapted
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.decoder import Decoder
from hanlin.model.gguf import write as gguf
from hanlin.model.gguf.format import TensorType
from hanlin.model.opened import FAMILIES
from hanlin.model.weights import Names, Piece, pieces
from hanlin.text.folder import save_folder as save_tokenizer
from hanlin.text.gguf import to_metadata

Kind = Literal["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1"]

FILE_TYPES: dict[Kind, int] = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "BF16": 32}
"""What llama.cpp calls a file whose tensors are mostly of a type."""
PRECISE = ("mlp.router", "places")
"""Small maps whose rounding costs much: llama.cpp keeps them in float32."""
GENERATION = "generation_config.json"


def save_folder(checkpoint: Checkpoint, path: Path) -> None:
    """Write a folder that Transformers and `load` read: config, weights in the network's own precision, tokenizer.

    Raises:
        RefusedError: Transformers has no such model, or there are adapters in it that are not merged.
        CapacityError: the disk is full.
        StoreError: the folder cannot be written.
    """
    _refuse_adapters(checkpoint)
    module = find(FAMILIES, checkpoint.family)
    network = checkpoint.network
    config = module.to_hf(checkpoint.config) | {"dtype": str(network.embed.weight.dtype).removeprefix("torch.")}
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path} cannot be made: {error.strerror}", "choose another folder") from None
    _write_json(path / "config.json", config | _ends(checkpoint))
    safetensors.write(path / safetensors.SINGLE, _unfused(network, module.names(checkpoint.config)))
    if checkpoint.generation:
        _write_json(path / GENERATION, checkpoint.generation)
    if checkpoint.tokenizer:
        save_tokenizer(checkpoint.tokenizer, path)


def _refuse_adapters(checkpoint: Checkpoint) -> None:
    if adapted(checkpoint.network):
        raise RefusedError("the model has an adapter that is not part of its weights", "merge it first: hanlin merge")


def _ends(checkpoint: Checkpoint) -> dict[str, Any]:
    """Ids that begin, end and fill texts. Transformers would assume Llama 2's if none were said."""
    tokenizer = checkpoint.tokenizer
    if tokenizer is None:
        return {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    eos = tokenizer.eos[0] if len(tokenizer.eos) == 1 else list(tokenizer.eos) or None
    return {"bos_token_id": tokenizer.bos, "eos_token_id": eos, "pad_token_id": tokenizer.pad}


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    with replacing(path) as sink:
        sink.write(json.dumps(values, indent=2, ensure_ascii=False).encode() + b"\n")


def _unfused(network: Decoder, names: Names) -> Iterator[tuple[str, Tensor]]:
    """Hugging Face's tensors: rows of ours, nothing copied."""
    parameters = dict(network.named_parameters())
    for ours, made in pieces(network.parts, names, "hf").items():
        for piece in made:
            rows = parameters[ours].detach()[piece.rows]
            yield piece.name, rows.mT if piece.is_turned else rows


def save_gguf(
    checkpoint: Checkpoint, path: Path, kind: Kind = "F16", blocks: Mapping[str, np.ndarray] | None = None
) -> tuple[str, ...]:
    """Write one file that llama.cpp and `load` read: config, weights, tokenizer and chat template.

    Matrices are written as `kind`; norms and biases stay float32. In four bits the embedding and the head are Q8_0.

    Args:
        blocks: matrices that are rounded already, by our parameters' names: uint8 (rows, bytes) of `kind`. Then the
            others are written as Q8_0, or F16 where their rows do not fill its blocks, instead of being refused.

    Returns:
        The parameters that are in another kind on that account.

    Raises:
        RefusedError: llama.cpp cannot compute this model, or there are adapters in it that are not merged.
        WeightsError: a weight or a row does not fit the kind; the message names the tensor.
        TokenizerError: GGUF has no way to say what the tokenizer does.
        CapacityError: the disk is full.
        StoreError: the file cannot be written.
    """
    if kind not in FILE_TYPES:
        raise RefusedError(f"{kind!r} is not a kind of GGUF we write", f"one of {', '.join(FILE_TYPES)}")
    _refuse_adapters(checkpoint)
    module = find(FAMILIES, checkpoint.family)
    described, extra = module.to_gguf(checkpoint.config)
    metadata: dict[str, Any] = {
        **described,
        "general.name": checkpoint.path.stem or checkpoint.family,
        "general.file_type": FILE_TYPES[kind],
        "general.quantization_version": 2,
    }
    if checkpoint.tokenizer:
        metadata |= to_metadata(checkpoint.tokenizer, checkpoint.config.vocabulary)
    else:
        metadata["tokenizer.ggml.model"] = "none"
    tensors = [(name, TensorType.F32, values) for name, values in extra.items()]
    kinds = {name: _kind(name, it.ndim, kind) for name, it in checkpoint.network.named_parameters()}
    others = [] if blocks is None else [name for name in kinds if kinds[name].block_size > 1 and name not in blocks]
    for name in others:
        width = checkpoint.network.get_parameter(name).shape[-1]
        kinds[name] = TensorType.F16 if width % TensorType.Q8_0.block_size else TensorType.Q8_0
    stored = _stored(checkpoint.network, module.names(checkpoint.config), kinds, blocks or {})
    gguf.write(path, metadata, [*tensors, *stored])
    return tuple(name for name in others if kinds[name] != _kind(name, 2, kind))


def _stored(
    network: Decoder, names: Names, of: Mapping[str, TensorType], blocks: Mapping[str, np.ndarray]
) -> Iterator[gguf.Tensor]:
    """GGUF's tensors, each made when its turn comes."""
    parameters = dict(network.named_parameters())
    made: dict[str, list[tuple[Piece, Tensor | np.ndarray]]] = {}
    for ours, parts in pieces(network.parts, names, "gguf").items():
        for piece in parts:
            made.setdefault(piece.name, []).append((piece, blocks.get(ours, parameters[ours].detach())))
    kinds = {piece.name: of[ours] for ours, parts in pieces(network.parts, names, "gguf").items() for piece in parts}
    if names.needs_head and network.unembed is None:
        made["output.weight"], kinds["output.weight"] = made["token_embd.weight"], kinds["token_embd.weight"]
    for name, parts in made.items():
        yield name, kinds[name], gguf.Later(parts[0][0].shape, lambda parts=parts: _packed(parts))


def _kind(ours: str, dimensions: int, kind: Kind) -> TensorType:
    if dimensions == 1 or any(part in ours for part in PRECISE):
        return TensorType.F32
    is_end = ours in ("embed.weight", "unembed.weight")
    return TensorType.Q8_0 if kind in ("Q4_0", "Q4_1") and is_end else TensorType[kind]


def _packed(parts: list[tuple[Piece, Tensor | np.ndarray]]) -> np.ndarray:
    """One stored tensor: some rows of a parameter of ours, or those of every expert; floats, or bytes of blocks."""
    values = [
        parameter[piece.rows].float().cpu().numpy() + np.float32(piece.added)
        if isinstance(parameter, Tensor)
        else parameter[piece.rows]
        for piece, parameter in parts
    ]
    piece = parts[0][0]
    if piece.expert is not None:
        return np.stack(values)
    return values[0] if piece.order_to_store is None else values[0][piece.order_to_store]
