"""How well a model knows a text: text in blocks in, log-likelihood and the measures made from it out.

Conventions of lm-eval's rolling log-likelihood, so that figures compare: the first token is predicted from BOS, else
EOS; each window predicts tokens that no other does; word and byte perplexity are exp(-sum / count) over the whole text,
bits per byte -sum / bytes / ln 2, with bytes of the original UTF-8. Words are runs between white space.
"""

import math
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hanlin.core.errors import ConfigError, DataError, RefusedError, WeightsError
from hanlin.infer.measures import WINDOW, Score
from hanlin.model.network import Network
from hanlin.text.long import encode_long
from hanlin.text.tokenizer import Tokenizer

HEAD_NUMBERS = 1 << 24
"""Logits held at once: 64 MiB of float32. The head of a window of 2,048 over 262,000 tokens would be 2 GiB."""


def score(
    network: Network,
    tokenizer: Tokenizer,
    blocks: Iterable[str],
    *,
    window: int = WINDOW,
    stride: int | None = None,
    name: str = "the text",
) -> Iterator[Score]:
    """Scores of the text that the blocks make, growing window by window; the last is the text's. Memory is bounded.

    Args:
        network: a family's model.
        tokenizer: the model's own.
        blocks: the text, for instance `hanlin.text.long.decoded(file.read, name)`.
        window: tokens seen at once.
        stride: tokens each window after the first predicts, the rest being context; None for `window`.
        name: what to call the text in an error.

    Raises:
        ConfigError: the stride does not lie in 1 … window.
        RefusedError: the tokenizer has neither BOS nor EOS to begin with.
        DataError: the text is empty.
        WeightsError: the model answers something else than numbers.
    """
    stride = window if stride is None else stride
    if window < 1 or not 1 <= stride <= window:
        raise ConfigError(f"stride = {stride} does not fit a window of {window}", "give 1 ≤ stride ≤ window")
    prefix = tokenizer.bos if tokenizer.bos is not None else next(iter(tokenizer.eos), None)
    if prefix is None:
        raise RefusedError(
            "this tokenizer has no BOS and no EOS from which to predict the first token", "declare one in it"
        )
    sizes = _Sizes()
    loglikelihood, tokens = 0.0, 0
    for seen, new in windows(sizes.counted(encode_long(tokenizer, blocks)), prefix, window, stride):
        loglikelihood += float(logprobs(network, torch.tensor(seen), new).double().sum())
        tokens += new
        if math.isnan(loglikelihood):
            raise WeightsError(
                "the model answers nan instead of probabilities", "the weights are damaged: fetch them again"
            )
        yield replace(sizes.score, loglikelihood=loglikelihood, tokens=tokens)
    if not tokens:
        raise DataError(f"{name} is empty: there is nothing to score", "give at least one character")


class _Sizes:
    """Counts words, bytes and forced cuts while the pieces of a text pass."""

    def __init__(self) -> None:
        self.score = Score(0.0, 0, 0, 0)
        self.is_in_word = False

    def counted(self, pieces: Iterable[Any]) -> Iterator[int]:
        for piece in pieces:
            words = len(re.findall(r"\S+", piece.text)) - (self.is_in_word and not piece.text[:1].isspace())
            self.is_in_word = not piece.text[-1:].isspace()
            self.score += Score(0.0, 0, words, len(piece.text.encode()), int(not piece.is_exact))
            yield from piece.tokens


def windows(tokens: Iterable[int], prefix: int, window: int, stride: int) -> Iterator[tuple[list[int], int]]:
    """`(ids, new)`: the ids a window holds and how many of the last ones it is to predict, each id exactly once.

    The first window holds the prefix and `window` ids. A later one predicts `stride` more (the last maybe fewer), from
    as many ids before them as fit: each reads `window` ids.
    """
    held: deque[int] = deque([prefix], maxlen=window + 1)
    new, due = 0, window
    for token in tokens:
        held.append(token)
        new += 1
        if new == due:
            yield list(held), new
            new, due = 0, stride
    if new:
        yield list(held), new


@torch.inference_mode()
def logprobs(network: Network, tokens: Int[Tensor, " T"], new: int) -> Float[Tensor, " N"]:
    """Log-probabilities (nats) of the last `new` of the tokens, each given all before it; new < T."""
    return said(network, network.trunk(tokens[None, :-1])[0, -new:], tokens[-new:])


def said(network: Network, seen: Float[Tensor, "N D"], targets: Int[Tensor, " N"]) -> Float[Tensor, " N"]:
    """Log-probabilities of targets given what the trunk made of everything before each; the head works in slices."""
    step = max(1, HEAD_NUMBERS // network.config.vocabulary)
    parts = []
    for places, wanted in zip(seen.split(step), targets.split(step), strict=True):
        logits = network.head(places).float()
        parts.append(logits.gather(1, wanted[:, None])[:, 0] - logits.logsumexp(1))
    return torch.cat(parts)
