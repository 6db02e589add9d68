"""Meeting a vLLM server: which models it has, whether it counts tokens as we do, what it can be held to.

A tokenizer that differs, or a version that tells no token ids, is refused here and not found out in answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx

from hanlin.core.errors import ConfigError, TokenizerError, did_you_mean, shown
from hanlin.infer.model import Model
from hanlin.model.opened import opened
from hanlin.model.store import find
from hanlin.serve.elsewhere.vllm import KEY, Remote, headers
from hanlin.text.folder import load_folder
from hanlin.text.tokenizer import Tokenizer

OLDEST = (0, 11)
"""The first version with `structured_outputs`."""
PROBE = "The 3 cafés of 翰林院, tab\there; naïve <b>x</b> 2024-05-01\n\n  “done” 🙂"
"""Text on which tokenizers differ if they differ."""
SECONDS = 20.0


@dataclass(frozen=True)
class Elsewhere:
    """In the place of a network: what is known of one that another server has."""

    kind: str = "vllm"


@dataclass(frozen=True)
class Met:
    """A model of a vLLM server, fit to be served."""

    model: Model
    remote: Remote
    adapters: dict[str, str] = field(default_factory=dict)
    """Adapters that it has on this model, and where from."""
    has_grammars: bool = True
    """It reads the grammars that tools need."""


def served_by(url: str) -> list[str]:
    """What its base models were loaded from.

    Raises:
        ConfigError: it cannot be reached, or is not vLLM.
    """
    with _client(url) as http:
        return [str(one.get("root") or one["id"]) for one in _models(http) if not one.get("parent")]


def meet(url: str, name: str, where: str, limit: int | None) -> Met:
    """A model by what it was loaded from, with its tokenizer from here.

    Raises:
        ConfigError: there is no such server or model, it is too old, or its tokenizer is another one.
        TokenizerError: the tokenizer is not here.
    """
    tokenizer, path = _tokenizer(where)
    with _client(url) as http:
        _check_version(http)
        all_models = _models(http)
        told = _chosen(all_models, name, where, url)
        called = str(told["id"])
        _check_tokens(http, called, tokenizer)
        has_grammars = _reads_grammars(http, called)
    context = int(told["max_model_len"])
    config = SimpleNamespace(context=min(context, limit or context), vocabulary=tokenizer.vocab_size)
    checkpoint = SimpleNamespace(tokenizer=tokenizer, path=path, family="vllm", config=config)
    adapters = {str(one["id"]): str(one.get("root")) for one in all_models if one.get("parent") == called}
    return Met(Model(checkpoint, name, Elsewhere()), Remote(url, called, tokenizer), adapters, has_grammars)


def _client(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers=headers(), timeout=SECONDS)


def _asked(http: httpx.Client, method: str, path: str, **given: Any) -> httpx.Response:
    try:
        reply = http.request(method, path, **given)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        what = f"no vLLM at {http.base_url}: {str(error) or type(error).__name__}"
        raise ConfigError(what, "start one: vllm serve MODEL --port 8001; and name it with --vllm-url") from None
    if reply.status_code in (401, 403):
        raise ConfigError(f"vLLM at {http.base_url} wants a key", f"give it in {KEY}")
    return reply


def _json(http: httpx.Client, method: str, path: str, **given: Any) -> dict[str, Any]:
    reply = _asked(http, method, path, **given)
    try:
        told = reply.json()
    except ValueError:
        told = None
    if reply.status_code != 200 or not isinstance(told, dict):
        what = f"{http.base_url} is no vLLM server: {path} answers {reply.status_code}"
        raise ConfigError(what, "name one with --vllm-url")
    return told


def _models(http: httpx.Client) -> Sequence[dict[str, Any]]:
    return _json(http, "GET", "/v1/models")["data"]


def _check_version(http: httpx.Client) -> None:
    version = str(_json(http, "GET", "/version").get("version", ""))
    numbers = version.split(".")[:2]
    if all(part.isdecimal() for part in numbers) and tuple(map(int, numbers)) < OLDEST:
        what = f"vLLM {version} is too old: it tells no token ids, or holds answers to nothing as we ask it"
        raise ConfigError(what, "pip install -U vllm, 0.11 or newer")


def _chosen(all_models: Sequence[dict[str, Any]], name: str, where: str, url: str) -> dict[str, Any]:
    base = [one for one in all_models if not one.get("parent")]
    for one in base:
        if {name, where} & {one["id"], one.get("root")}:
            return one
    if len(base) == 1:  # the same weights lie elsewhere on that machine; the tokenizers are compared
        return base[0]
    names = [str(one["id"]) for one in base]
    raise ConfigError(f"vLLM at {url} has no model {shown(name)}", did_you_mean(name, names))


def _tokenizer(where: str) -> tuple[Tokenizer, Path]:
    path = Path(where).expanduser()
    if not path.exists():
        found = find(where)
        if found is None:
            fix = f"hanlin pull {where}; or name a folder with its tokenizer.json, which is all that is read"
            raise TokenizerError(f"the tokenizer of {where} is not on this machine", fix)
        path = found
    if path.is_dir() and not any(path.glob("*.gguf")):
        return load_folder(path), path
    tokenizer = opened(path).tokenizer
    if tokenizer is None:
        raise TokenizerError(f"{path} has no tokenizer", "name a folder with its tokenizer.json")
    return tokenizer, path


def _check_tokens(http: httpx.Client, model: str, tokenizer: Tokenizer) -> None:
    asked = {"model": model, "prompt": PROBE, "add_special_tokens": False}
    theirs = _json(http, "POST", "/tokenize", json=asked)["tokens"]
    ours = tokenizer.encode(PROBE, add_special=False)
    if theirs != ours:
        place = next((n for n, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), len(ours))
        what = f"vLLM's {model} counts tokens differently: token {place} of a test text is {theirs[place : place + 1]}"
        raise ConfigError(f"{what}, here {ours[place : place + 1]}", "name the model whose tokenizer it has")


def _reads_grammars(http: httpx.Client, model: str) -> bool:
    """Whether its backend for structured outputs is llguidance, whose grammars ours are: one token tells."""
    held = {"grammar": 'start: %json {"type": "object"}'}
    asked = {"model": model, "prompt": "a", "max_tokens": 1, "structured_outputs": held}
    return _asked(http, "POST", "/v1/completions", json=asked).status_code == 200
