"""Generation: a prompt's tokens and settings in, events out, one per token and answer, as they come.

The prompt is read once, in chunks, whatever the number of answers; then all answers go on together, one token
each per step. To cancel is to stop iterating.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from hanlin.core.errors import CapacityError, RefusedError
from hanlin.core.machine import allowed_memory
from hanlin.infer.answer import Answer, Known
from hanlin.infer.bounds import check
from hanlin.infer.constraint import Constraint
from hanlin.infer.event import Event
from hanlin.infer.guide import Guide, guide
from hanlin.infer.room import room
from hanlin.infer.sampling import Sampling
from hanlin.model.cache import Cache
from hanlin.model.decoder import Decoder
from hanlin.text.tokenizer import Tokenizer

PREFILL = 512
"""Prompt tokens per pass: enough to keep the cores busy, few enough that memory does not grow with the prompt."""


def generate(
    network: Decoder,
    tokenizer: Tokenizer,
    prompt: Sequence[int],
    sampling: Sampling,
    constraint: Constraint | None = None,
    guided: Guide | None = None,
) -> Iterator[Event]:
    """Answers to a prompt, event by event. Errors come at the call, before any work.

    Args:
        network: a family's model: `trunk`, `head`, `cache`.
        tokenizer: turns ids into text and knows which ids end an answer.
        prompt: ids, special ones included.
        sampling: how to choose.
        constraint: what the answers must be. One that `max_tokens` or a stop text cuts is only the beginning of it.
        guided: the constraint, if it has been read already.

    Raises:
        ConfigError: the settings name ids outside the vocabulary, or the constraint cannot be satisfied.
        RefusedError: the prompt is empty; (while iterating) settings and constraint leave no token that may come.
        CapacityError: prompt and answer exceed the context window, or the cache exceeds the free memory.
            While iterating: what the constraint allows takes too long to tell.
        WeightsError: (while iterating) the model answers something else than numbers.
    """
    if not prompt:
        raise RefusedError("the prompt is empty", "write something, or start from an id: prompt=[…]")
    drawable = min(network.config.vocabulary, tokenizer.vocab_size)
    check(sampling, drawable)
    if constraint and guided is None:
        guided = guide(constraint, tokenizer, drawable)
    wanted = room(len(prompt), sampling, network.config.context)
    _check_memory(network, sampling.n, wanted)
    return _events(network, tokenizer, list(prompt), sampling, wanted, guided)


def _check_memory(network: Decoder, answers: int, room: int) -> None:
    """Refuse what cannot be held, rather than be killed half-way."""
    needed, free = cache_bytes(network, answers, room), allowed_memory().available_bytes
    if needed > free:
        what = f"{answers} × {room:,} positions need {needed:,} bytes of cache, and {free:,} bytes of memory are free"
        raise CapacityError(what, "lower max_tokens or n, shorten the prompt, or close other programs")


def cache_bytes(network: Decoder, batch: int, room: int) -> int:
    """Memory that keys and values of `batch` rows of `room` positions take."""
    config = network.config
    return 2 * config.layers * batch * room * config.kv_heads * config.head_width * network.embed.weight.element_size()


def _events(
    network: Decoder, tokenizer: Tokenizer, prompt: list[int], sampling: Sampling, room: int, guided: Guide | None
) -> Iterator[Event]:
    """All answers, in step. Rows of the cache and of the logits are the answers still going on, in their order."""
    # Many heads have more rows than there are tokens, to round their size: such a row was never trained.
    drawable = min(network.config.vocabulary, tokenizer.vocab_size)
    seeds = enumerate(sampling.seeds())
    answers = [
        Answer(index, seed, prompt, drawable, tokenizer, sampling, guided and guided.copy()) for index, seed in seeds
    ]
    dropped = 0 if len(prompt) <= room else len(prompt) - room // 2
    cache, logits = read(network, [prompt[dropped:]], room)
    device = logits.device
    one = torch.zeros(len(answers), dtype=torch.long, device=device)
    cache, logits = cache.rows(one), logits.expand(len(answers), -1)
    while True:
        for answer, row in zip(answers, logits.float().cpu(), strict=True):
            yield answer.take(row.numpy(), known(row, drawable), dropped)
        going = [row for row, answer in enumerate(answers) if answer.finish is None]
        if not going:
            return
        if len(going) < len(answers):
            cache, answers = cache.rows(torch.tensor(going, device=device)), [answers[row] for row in going]
        dropped = 0
        if cache.length < room:
            logits = step(network, cache, [answer.tokens[-1] for answer in answers])
        else:
            kept = max(1, room // 2)
            dropped = room + 1 - kept
            cache, logits = read(network, [answer.tokens[-kept:] for answer in answers], room)


def known(logits: Float[Tensor, " V"], drawable: int) -> Known:
    """What `Answer.take` wants to know of a row of logits, float32."""
    return Known(float(logits.logsumexp(0)), int(logits[:drawable].argmax()))


@torch.inference_mode()
def read(network: Decoder, prompts: Sequence[Sequence[int]], room: int) -> tuple[Cache, Float[Tensor, "B V"]]:
    """A fresh cache of `room` positions that has read prompts of one length, and the logits after them."""
    tokens = torch.tensor(prompts, device=network.embed.weight.device)
    cache = network.cache(len(prompts), room)
    *before, last = tokens.split(PREFILL, dim=1)
    for chunk in before:
        network.trunk(chunk, cache)
    return cache, network.head(network.trunk(last, cache)[:, -1])


@torch.inference_mode()
def step(network: Decoder, cache: Cache, tokens: Sequence[int]) -> Float[Tensor, "B V"]:
    """The logits after one more token each."""
    return network(torch.tensor(tokens, device=network.embed.weight.device)[:, None], cache)[:, 0]
