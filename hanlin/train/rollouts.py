"""What a model answers while it learns: prompts in, answers as tokens with their log-probabilities out.

All answers to all prompts go on together, one token each per step, on the primitives of `hanlin.infer`; each draws from
a seed of its own, so an answer depends neither on its neighbours nor, but for rounding, on their number. Nothing here
carries gradients, and nothing that was made here reaches autograd: what comes out are plain numbers.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hanlin.core.errors import CapacityError
from hanlin.core.machine import allowed_memory
from hanlin.infer.answer import Answer
from hanlin.infer.generate import PREFILL, cache_bytes, known, step
from hanlin.infer.sampling import Sampling
from hanlin.model.cache import Cache
from hanlin.model.decoder import Decoder
from hanlin.text.tokenizer import Tokenizer


class Rollout(NamedTuple):
    """One answer."""

    tokens: list[int]
    """Of the answer, the one that ends it included."""
    logprobs: list[float]
    """Of each token in nats, under the whole distribution at the sampling's temperature."""
    is_finished: bool
    """It came to its end; else it was cut at the most tokens allowed."""


def answers(
    network: Decoder, tokenizer: Tokenizer, prompts: Sequence[Sequence[int]], seeds: Sequence[int], sampling: Sampling
) -> list[list[Rollout]]:
    """`sampling.n` answers to each prompt; answer i to a prompt draws from the prompt's seed + i.

    Dropout is off meanwhile. An answer ends with the context window if that comes before `sampling.max_tokens`.

    Raises:
        CapacityError: a prompt fills the context window, or the cache exceeds the free memory even for one prompt.
        WeightsError: the model answers something else than numbers.
    """
    context = network.config.context
    longest = max(map(len, prompts))
    if longest >= context:
        raise CapacityError(
            f"a prompt of {longest:,} tokens leaves no room for an answer in the context window of {context:,}",
            "shorten it, or leave it out",
        )
    was_training = network.training
    network.eval()
    try:
        found: list[list[Rollout]] = []
        each = _at_once(network, len(prompts), min(longest + sampling.max_tokens, context), sampling)
        for begin in range(0, len(prompts), each):
            some = slice(begin, begin + each)
            found += _answered(network, tokenizer, prompts[some], seeds[some], sampling)
        return found
    finally:
        network.train(was_training)


def _at_once(network: Decoder, prompts: int, room: int, sampling: Sampling) -> int:
    """Prompts whose answers fit into half of the free memory together."""
    needed, free = cache_bytes(network, sampling.n, room), allowed_memory().available_bytes
    if needed > free:
        what = f"{sampling.n} answers of {room:,} positions need {needed:,} bytes of cache, and {free:,} are free"
        raise CapacityError(what, "ask for fewer or shorter answers")
    return max(1, min(prompts, free // (2 * needed)))


@torch.inference_mode()
def _answered(
    network: Decoder, tokenizer: Tokenizer, prompts: Sequence[Sequence[int]], seeds: Sequence[int], sampling: Sampling
) -> list[list[Rollout]]:
    drawable = min(network.config.vocabulary, tokenizer.vocab_size)
    room = min(max(map(len, prompts)) + sampling.max_tokens, network.config.context)
    cache, logits = _read(network, prompts, room)
    copies = torch.arange(len(prompts), device=logits.device).repeat_interleave(sampling.n)
    cache, logits = cache.rows(copies), logits[copies]
    rows = [
        Answer(index, seed + index, prompt, drawable, tokenizer, sampling)
        for prompt, seed in zip(prompts, seeds, strict=True)
        for index in range(sampling.n)
    ]
    logprobs: list[list[float]] = [[] for _ in rows]
    going = list(range(len(rows)))
    while True:
        told = zip(going, logits.float().cpu(), strict=True)
        chosen = [rows[row].take(one.numpy(), known(one, drawable)).token for row, one in told]
        for row, logprob in zip(going, _logprobs(logits, chosen, sampling.temperature), strict=True):
            logprobs[row].append(logprob)
        left = [place for place, row in enumerate(going) if rows[row].finish is None]
        if not left or cache.length >= room:
            break
        if len(left) < len(going):
            cache, going = cache.rows(torch.tensor(left, device=logits.device)), [going[place] for place in left]
        logits = step(network, cache, [rows[row].tokens[-1] for row in going])
    found = [
        Rollout(row.tokens[-row.count :], own, row.finish == "stop") for row, own in zip(rows, logprobs, strict=True)
    ]
    return [found[begin : begin + sampling.n] for begin in range(0, len(found), sampling.n)]


def _read(network: Decoder, prompts: Sequence[Sequence[int]], room: int) -> tuple[Cache, Float[Tensor, "B V"]]:
    """A cache that has read prompts of any lengths, padded on the left, and the logits after them."""
    device, longest = network.embed.weight.device, max(map(len, prompts))
    starts = torch.tensor([longest - len(prompt) for prompt in prompts], device=device)
    tokens = torch.tensor([[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts], device=device)
    cache = network.cache(len(prompts), room, starts)
    *before, last = tokens.split(PREFILL, dim=1)
    for chunk in before:
        network.trunk(chunk, cache)
    return cache, network.head(network.trunk(last, cache)[:, -1])


def _logprobs(logits: Float[Tensor, "N V"], tokens: Sequence[int], temperature: float) -> list[float]:
    scaled = logits.float() / (temperature or 1)
    picked = scaled[torch.arange(len(tokens)), torch.tensor(tokens, device=logits.device)]
    return (picked - scaled.logsumexp(-1)).tolist()
