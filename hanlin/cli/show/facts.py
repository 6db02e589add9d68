"""Everything `hanlin show` says of a model, as one JSON object. Config and headers are read, weights are not."""

from pathlib import Path
from typing import Any

from hanlin.cli.doctor.fits import KINDS
from hanlin.cli.show.anatomy import Weights, mix, parts, weights_in
from hanlin.cli.tokenise import around
from hanlin.cli.vocabulary import gguf_in, tokenizer_of
from hanlin.core.errors import HanlinError
from hanlin.model.gguf.read import GGUFFile
from hanlin.text.message import Message
from hanlin.text.tokenizer import Tokenizer

EXAMPLE = (
    Message(role="system", content="Answer briefly."),
    Message(role="user", content="What is the capital of France?"),
    Message(role="assistant", content="Paris."),
    Message(role="user", content="那么中国的首都呢？"),
)


def gather(name: str, path: Path) -> dict[str, Any]:
    """The whole story; what cannot be told is an entry under `problems`.

    Raises:
        WeightsError: it is no model, or its headers are damaged.
    """
    weights = weights_in(path)
    facts: dict[str, Any] = {"name": name, "path": str(path), "problems": []}
    facts["lineage"] = lineage(path)
    config = _try(facts, lambda: _config(path)) or {}
    facts["family"], facts["config"] = config.get("family"), config.get("config")
    facts["parameters"] = _parameters(weights, facts["config"])
    facts["memory"] = _memory(weights, facts)
    facts["types"] = mix(weights)
    tokenizer = _try(facts, lambda: tokenizer_of(path))
    facts["tokenizer"] = tokenizer and _tokenizer(tokenizer)
    facts["generation"] = _try(facts, lambda: generation(path)) or {}
    facts["template"] = tokenizer and _try(facts, lambda: rendered(tokenizer))
    return facts


def _try(facts: dict[str, Any], work: Any) -> Any:
    try:
        return work()
    except HanlinError as error:
        facts["problems"].append({"what": error.what, "fix": error.fix})
        return None


def _config(path: Path) -> dict[str, Any]:
    """The family's name and its settings in our words.

    Raises:
        WeightsError: no family carries this architecture, or the config is damaged.
    """
    from hanlin.model.opened import family
    from hanlin.model.safetensors import read_json

    if (gguf := gguf_in(path)) is not None:
        file = GGUFFile.open(gguf)
        module = family(str(file.metadata.get("general.architecture")), "GGUF", gguf.name)
        config = module.from_gguf(file)
    else:
        values = read_json(path / "config.json")
        module = family(str(values.get("model_type")), "HF", "config.json")
        config = module.from_hf(values)
    return {"family": module.__name__.rpartition(".")[2], "config": config.model_dump(mode="json")}


def _parameters(weights: list[Weights], config: dict[str, Any] | None) -> dict[str, Any]:
    counts = parts(weights)
    is_tied = bool(config and config.get("has_tied_head"))
    return {
        "total": sum(counts.values()),
        "parts": counts,
        "has_tied_head": is_tied if config else "head" not in counts,
    }


def _memory(weights: list[Weights], facts: dict[str, Any]) -> dict[str, Any]:
    total, config = facts["parameters"]["total"], facts["config"]
    memory: dict[str, Any] = {"stored_bytes": sum(one.bytes for one in weights)}
    memory["weights_bytes"] = {kind: int(total * width) for kind, width in KINDS}
    if config:
        kept = 2 * config["layers"] * config["kv_heads"] * config["head_width"]
        memory["cache_bytes_per_1024_tokens"] = {"float32": 4096 * kept, "bfloat16": 2048 * kept}
        memory["cache_bytes_full_float32"] = 4 * kept * config["context"]
    return memory


def _tokenizer(tokenizer: Tokenizer) -> dict[str, Any]:
    before, after = around(tokenizer)

    def named(token: int | None) -> dict[str, Any] | None:
        return None if token is None else {"id": token, "text": tokenizer.token_text(token)}

    special = [token for token in range(tokenizer.vocab_size) if tokenizer.is_special(token)]
    return {
        "kind": type(tokenizer.backend.model).__name__,
        "vocabulary": tokenizer.vocab_size,
        "bos": named(tokenizer.bos),
        "eos": [named(token) for token in tokenizer.eos],
        "pad": named(tokenizer.pad),
        "unk": named(tokenizer.unk),
        "added_before": [named(token) for token in before],
        "added_after": [named(token) for token in after],
        "special": [named(token) for token in special],
        "has_template": tokenizer.template is not None,
    }


def rendered(tokenizer: Tokenizer) -> dict[str, Any] | None:
    """The example conversation through the model's template, and the same cut into special and other text.

    Raises:
        TokenizerError: the template refuses it, with a system message and without one.
        RefusedError: the template does what it must not.
    """
    if tokenizer.template is None:
        return None
    try:
        text, has_system = tokenizer.template.render(EXAMPLE), True
    except HanlinError:  # some models were never taught a system message
        text, has_system = tokenizer.template.render(EXAMPLE[1:]), False
    pieces: list[dict[str, Any]] = []
    stream = tokenizer.stream(skip_special=False)
    tokens = tokenizer.encode(text, add_special=False)
    for token in tokens:
        is_special, piece = tokenizer.is_special(token), stream.push(token)
        if pieces and pieces[-1]["is_special"] == is_special and not is_special:
            pieces[-1]["text"] += piece
        elif piece:
            pieces.append({"text": piece, "is_special": is_special})
    return {"text": text, "tokens": len(tokens), "takes_system": has_system, "pieces": pieces}


def generation(path: Path) -> dict[str, Any]:
    """The settings the model's makers recommend, as their file says them; empty where there are none."""
    from hanlin.model.safetensors import read_json

    file = path / "generation_config.json"
    if not path.is_dir() or not file.is_file():
        return {}
    return {
        key: value
        for key, value in read_json(file).items()
        if not key.startswith("_") and key != "transformers_version"
    }


def lineage(path: Path) -> dict[str, Any] | None:
    """Where a stored model came from; None for one that is not in the store."""
    from hanlin.model.store.manifest import read
    from hanlin.model.store.place import MANIFEST

    folder = path if path.is_dir() else path.parent
    manifest = read(folder) if (folder / MANIFEST).is_file() else None
    if manifest is None:
        return None
    told = ("source", "origin", "requested", "revision", "licence", "pulled_at")
    return {name: getattr(manifest, name) for name in told} | {"files": [vars(file) for file in manifest.files]}
