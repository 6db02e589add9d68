"""vLLM's protocol: one of our requests in, the body of its /v1/completions out; its choices in, our events out.

Prompts go as token ids and tokens come back as ids, so templates, tools, log-probabilities and counts are made here, by
the same code as for models of our own. https://docs.vllm.ai/en/stable/serving/openai_compatible_server/
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from hanlin.infer.constraint import Constraint
from hanlin.infer.engine import Request
from hanlin.infer.event import Event, Place, Top
from hanlin.infer.guide import guide
from hanlin.infer.sampling import Sampling
from hanlin.serve.errors import FieldError, UpstreamError
from hanlin.text.tokenizer import Tokenizer

Told = Mapping[str, Any]
UNKNOWN = {
    "typical_p": "vLLM has no typical sampling",
    "dry_multiplier": "vLLM has no DRY",
    "xtc_probability": "vLLM has no XTC",
    "banned_tokens": "vLLM bans words, not ids: use logit_bias of -100",
    "overflow": "vLLM does not forget the beginning of a prompt",
}
"""Fields of ours that it has not, with the reason."""
KINDS = {"json_schema": "json", "regex": "regex", "grammar": "grammar"}
"""Our constraints, as `structured_outputs` names them."""


def body(request: Request, model: str, tokenizer: Tokenizer) -> dict[str, Any]:
    """What vLLM is sent. Every value is said: what is left out it fills from the model's generation_config.json.

    Raises:
        FieldError: a field has no counterpart there.
    """
    sampling, plain = request.sampling, Sampling()
    for name, reason in UNKNOWN.items():
        if getattr(sampling, name) != getattr(plain, name):
            raise FieldError(name, f"{name} is not honoured for {model}: {reason}", "leave it out")
    names = "temperature top_p top_k min_p n max_tokens min_tokens".split()
    told: dict[str, Any] = {name: getattr(sampling, name) for name in names}
    told |= {name: getattr(sampling, name) for name in ("repetition_penalty", "frequency_penalty", "presence_penalty")}
    told |= {"model": request.adapter or model, "prompt": list(request.prompt), "stop": list(sampling.stop)}
    told |= {"logprobs": sampling.logprobs or 0, "return_token_ids": True, "return_tokens_as_token_ids": True}
    told |= {"stop_token_ids": list(tokenizer.eos), "skip_special_tokens": not sampling.shown_tokens}
    if sampling.logit_bias:
        told["logit_bias"] = {str(token): bias for token, bias in sampling.logit_bias.items()}
    if sampling.allowed_tokens:
        told["allowed_token_ids"] = list(sampling.allowed_tokens)
    if sampling.seed is not None:
        told["seed"] = sampling.seed
    if request.priority:
        told["priority"] = -request.priority  # there, lower comes first
    if request.constraint is not None:
        source = request.constraint.source
        value = json.loads(source) if request.constraint.kind == "json_schema" else source
        told["structured_outputs"] = {KINDS[request.constraint.kind]: value}
    if request.prompt_logprobs is None:
        return told | {"stream": True, "stream_options": {"include_usage": True}}
    return told | {"prompt_logprobs": request.prompt_logprobs}  # which it does not tell in streams


def events(choice: Told) -> Iterator[Event]:
    """What a choice, or a part of one, says: an event a token, its text with the last; its end is told elsewhere.

    Raises:
        UpstreamError: it has no token ids.
    """
    tokens = choice.get("token_ids")
    if tokens is None:
        raise UpstreamError("this vLLM tells no token ids", "it must be 0.11 or newer")
    index, text, logprobs = choice["index"], choice.get("text") or "", choice.get("logprobs") or {}
    if not tokens and text:
        yield Event(index, -1, text, 0.0)
    for place, token in enumerate(tokens):
        is_last = place == len(tokens) - 1
        tops = (logprobs.get("top_logprobs") or [None] * len(tokens))[place] or {}
        worth = float(logprobs["token_logprobs"][place])
        yield Event(index, token, text if is_last else "", worth, _tops(tops))


def _tops(told: Mapping[str, float]) -> tuple[Top, ...]:
    tops = [Top(int(name.removeprefix("token_id:")), float(worth)) for name, worth in told.items()]
    return tuple(sorted(tops, key=lambda top: -top.logprob))


def trimmed(event: Event, count: int) -> Event:
    """With as many likeliest tokens as were asked for: vLLM adds the chosen one."""
    return Event(event.index, event.token, event.text, event.logprob, event.top[:count])


def places(request: Request, told: list[Any]) -> list[Place]:
    """What the model thinks of a prompt, from where it is asked for."""
    found, count = [], request.prompt_logprobs or 0
    for place in range(max(1, request.rated_from), len(request.prompt)):
        token, entry = request.prompt[place], told[place]
        tops = [Top(int(name), float(one["logprob"])) for name, one in entry.items() if one["rank"] <= count]
        own = entry[str(token)]
        tops.sort(key=lambda top: -top.logprob)
        found.append(Place(token, float(own["logprob"]), int(own["rank"]), tuple(tops[:count])))
    return found


def check(constraint: Constraint, text: str, tokenizer: Tokenizer) -> None:
    """Whether an answer that came to its end is held to its constraint: a server may have let the field go by.

    Raises:
        UpstreamError: it is not.
    """
    wrong = UpstreamError(f"vLLM did not hold its answer to the {constraint.kind}", "look into its log")
    if constraint.kind == "json_schema":
        try:
            json.loads(text)
        except ValueError:
            raise wrong from None
        return
    held = guide(constraint, tokenizer, tokenizer.vocab_size)
    if not held.would_accept(tokenizer.encode(text, add_special=False, parse_special=constraint.kind == "grammar")):
        raise wrong
