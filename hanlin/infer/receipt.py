"""What answers were made with, so that they can be made again: a model and its answers in, plain JSON out, and proof.

A receipt holds the prompt's ids, all settings with the seed, the answers' ids and log-probabilities, and by hash the
files of the model and of its adapter, its tokenizer and its template. Whoever has the same files makes the same answers
from it, to the bit; with our own kernels in any company and on any number of threads, with torch on the same machine
and as many threads.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from hanlin import kernels
from hanlin.core.errors import ConfigError, DataError, shown
from hanlin.core.lineage import content_hash
from hanlin.core.settings import parse
from hanlin.infer.constraint import Constraint
from hanlin.infer.event import Event
from hanlin.infer.model import Model
from hanlin.infer.sampling import Sampling
from hanlin.model.compiled import Compiled

VERSION = 1
KEYS = (
    "version",
    "model",
    "dtype",
    "hashes",
    "made_with",
    "sampling",
    "constraint",
    "prompt",
    "answers",
    "answers_hash",
)


def receipt(
    model: Model,
    dtype: str | None,
    prompt: Sequence[int],
    sampling: Sampling,
    constraint: Constraint | None,
    answers: Sequence[Sequence[Event]],
) -> dict[str, Any]:
    """The receipt of some answers; the model's files are read once for their hash.

    Args:
        dtype: what the model was loaded with.
        sampling: with the seed that was used, if anything was drawn.
        answers: the events of each.
    """
    told = [plain(answer) for answer in answers]
    return {
        "version": VERSION,
        "model": model.name,
        "dtype": dtype,
        **({} if model.adapter is None else {"adapter": str(model.adapter)}),
        "hashes": hashes(model),
        "made_with": made_with(model),
        "sampling": sampling.model_dump(mode="json"),
        "constraint": None if constraint is None else asdict(constraint),
        "prompt": list(prompt),
        "answers": told,
        "answers_hash": _hash(told),
    }


def plain(answer: Sequence[Event]) -> dict[str, Any]:
    """An answer as a receipt holds it."""
    return {
        "tokens": [event.token for event in answer],
        "logprobs": [event.logprob for event in answer],
        "finish_reason": answer[-1].finish if answer else None,
    }


def hashes(model: Model) -> dict[str, str]:
    """SHA-256 of what an answer depends on."""
    tokenizer = model.tokenizer
    template = tokenizer.template.source if tokenizer.template else ""
    return {
        "model": content_hash(model.checkpoint.path),
        **({} if model.adapter is None else {"adapter": content_hash(model.adapter)}),
        "tokenizer": hashlib.sha256(tokenizer.backend.to_str().encode()).hexdigest(),
        "template": hashlib.sha256(template.encode()).hexdigest(),
    }


def made_with(model: Model) -> dict[str, Any]:
    """What computes: our kernels' instructions and how weights are kept, or torch, its precision and its threads."""
    if isinstance(model.network, Compiled):
        return {"engine": "hanlin", "kernels": kernels.path(), "weights": model.network.kind}
    import torch

    weights = str(model.network.embed.weight.dtype).removeprefix("torch.")
    return {"engine": f"torch {torch.__version__}", "threads": torch.get_num_threads(), "weights": weights}


def read(path: Path) -> dict[str, Any]:
    """A receipt from a file.

    Raises:
        DataError: it cannot be read, or is no receipt.
    """
    fix = "give a file that hanlin generate --receipt wrote"
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is no receipt: {error}", fix) from None
    missing = [key for key in KEYS if not isinstance(found, dict) or key not in found]
    if missing:
        raise DataError(f"{path} is no receipt: it has no {missing[0]}", fix)
    if found["version"] != VERSION:
        raise DataError(f"{path} is a receipt of version {shown(found['version'])}", f"version {VERSION} is known here")
    if found["answers_hash"] != _hash(found["answers"]):
        raise DataError(
            f"{path} was changed: its answers have another hash than it says", "take the file as it was written"
        )
    return found


def replay(found: Mapping[str, Any], model: Model) -> Iterator[str]:
    """Make the answers of a receipt again, and say all that differs; nothing if it is proved.

    Raises:
        ConfigError: the receipt's settings are none.
        HanlinError: as `Model.generate`.
    """
    own = hashes(model)
    for name in dict.fromkeys((*found["hashes"], *own)):
        have, had = own.get(name), found["hashes"].get(name)
        if have is None or had is None:
            yield f"{name}: {_short(have)} here, {_short(had)} when it was made"
        elif have != had:
            yield f"the {name} is another one: {_short(have)}, not {_short(had)}"
    _as_it_was(found["made_with"])
    here = made_with(model)
    for name, value in found["made_with"].items():
        if here.get(name) != value:
            yield f"{name}: {here.get(name)} here, {value} when it was made"
    sampling = parse(Sampling, found["sampling"])
    wish = found["constraint"]
    constraint = None if wish is None else Constraint(cast("Any", wish["kind"]), wish["source"])
    answers: list[list[Event]] = [[] for _ in range(sampling.n)]
    for event in model.answer(found["prompt"], sampling, constraint):
        answers[event.index].append(event)
    for number, (before, answer) in enumerate(zip(found["answers"], answers, strict=True), 1):
        yield from _differences(number, before, plain(answer))


def _short(value: object) -> str:
    return "none" if value is None else f"{str(value)[:12]}…"


def _as_it_was(made: Mapping[str, Any]) -> None:
    """The same instructions and threads, where this machine has them."""
    if "kernels" in made:
        try:
            kernels.choose(str(made["kernels"]))
        except ConfigError:
            return  # it is told as a difference
    elif isinstance(made.get("threads"), int) and 0 < made["threads"] <= 1024:
        import torch

        torch.set_num_threads(made["threads"])


def _differences(number: int, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for place, (one, other) in enumerate(zip(before["tokens"], now["tokens"], strict=False), 1):
        if one != other:
            yield f"answer {number}, token {place}: id {other} here, {one} when it was made"
            return
    if len(before["tokens"]) != len(now["tokens"]) or before["finish_reason"] != now["finish_reason"]:
        ends = [f"{len(it['tokens'])} tokens ({it['finish_reason']})" for it in (now, before)]
        yield f"answer {number}: {ends[0]} here, {ends[1]} when it was made"
        return
    off = [abs(one - other) for one, other in zip(before["logprobs"], now["logprobs"], strict=True)]
    if any(off):
        yield f"answer {number}: the same tokens, but log-probabilities up to {max(off):.1e} nats apart"


def _hash(answers: Sequence[Mapping[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(answers, sort_keys=True).encode()).hexdigest()
