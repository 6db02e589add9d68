"""How well each of some continuations fits a text: classification, grading and routing without generating anything.

Each is read with the text as one, so that tokens across the border are those the model knows; what counts begins where
the first of them leaves the own tokens of the text, which is read once.
"""

import math
from collections.abc import Sequence

import torch

from hanlin.core.errors import ConfigError, RefusedError, WeightsError
from hanlin.infer.branches import branches
from hanlin.infer.measures import Choice
from hanlin.infer.score import said
from hanlin.model.network import Network
from hanlin.text.tokenizer import Tokenizer

NAN, DAMAGED = "the model answers nan instead of probabilities", "the weights are damaged: fetch them again"


def beginning_of(tokenizer: Tokenizer) -> int:
    """What the first token of a text is predicted from: BOS, else EOS.

    Raises:
        RefusedError: the tokenizer has neither.
    """
    found = tokenizer.bos if tokenizer.bos is not None else next(iter(tokenizer.eos), None)
    if found is None:
        what = "this tokenizer has no BOS and no EOS from which to predict the first token"
        raise RefusedError(what, "declare one in it")
    return found


def whole_texts(tokenizer: Tokenizer, text: str, choices: Sequence[str]) -> list[list[int]]:
    """Ids of the text with each choice, after the token that a text begins from.

    Raises:
        ConfigError: there are no choices, two are the same, or one is empty.
        RefusedError: the tokenizer has neither BOS nor EOS.
    """
    for index, choice in enumerate(choices):
        if not choice or choice in choices[:index]:
            what = f"choices[{index}] = {choice!r} {'is there twice' if choice else 'is empty'}"
            raise ConfigError(what, "give texts that differ")
    if not choices:
        raise ConfigError("there are no choices", 'give at least one, such as [" yes", " no"]')
    first = beginning_of(tokenizer)
    found = [tokenizer.encode(text + choice) for choice in choices]
    return [ids if ids[:1] == [first] else [first, *ids] for ids in found]


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    """How many ids at the beginning are the same."""
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


@torch.inference_mode()
def rate(network: Network, tokenizer: Tokenizer, text: str, choices: Sequence[str]) -> list[Choice]:
    """The choices in their own order.

    Raises:
        ConfigError, RefusedError: as `whole_texts`.
        WeightsError: the model answers something else than numbers.
    """
    wholes = whole_texts(tokenizer, text, choices)
    first = wholes[0][:1]
    text_ids = tokenizer.encode(text)
    known = text_ids if text_ids[:1] == first else [*first, *text_ids]
    shared = max(1, min(_alike(known, ids) for ids in wholes))
    shared = min(shared, *(len(ids) - 1 for ids in wholes))  # a choice that adds no token of its own changed the last
    seen = branches(network, wholes[0][: shared - 1], [ids[shared - 1 : -1] for ids in wholes])
    sums = [
        float(said(network, states, torch.tensor(ids[shared:])).double().sum())
        for states, ids in zip(seen, wholes, strict=True)
    ]
    if any(math.isnan(one) for one in sums):
        raise WeightsError(NAN, DAMAGED)
    shares = torch.tensor(sums, dtype=torch.float64).softmax(0).tolist()
    lengths = [len(ids) - shared for ids in wholes]
    return [Choice(*one) for one in zip(choices, sums, lengths, shares, strict=True)]


@torch.inference_mode()
def logprobs(network: Network, tokenizer: Tokenizer, texts: Sequence[Sequence[int]]) -> list[list[tuple[int, float]]]:
    """Tokens of each text and their log-probabilities, the first given what a text begins from.

    Raises:
        RefusedError: the tokenizer has neither BOS nor EOS.
        WeightsError: the model answers something else than numbers.
    """
    first = beginning_of(tokenizer)
    filled = [ids for ids in texts if ids]
    seen = iter(branches(network, [], [[first, *ids[:-1]] for ids in filled]))
    found = []
    for ids in texts:
        values = said(network, next(seen), torch.tensor(ids)).tolist() if ids else []
        if any(math.isnan(value) for value in values):
            raise WeightsError(NAN, DAMAGED)
        found.append(list(zip(ids, values, strict=True)))
    return found
