"""Choices, vectors and log-probabilities of prompts are what one pass over each whole text says."""

import math
from copy import deepcopy

import numpy as np
import pytest
import torch

from hanlin import kernels
from hanlin.core.errors import CapacityError, ConfigError, DataError
from hanlin.infer.branches import branches
from hanlin.infer.model import Model
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.compiled import Compiled
from hanlin.model.decoder import Decoder
from hanlin.model.plan import compiled
from hanlin.text.tokenizer import Tokenizer

TEXT, CHOICES = "the sun and the moon ", ["rise", "set", "are both round", "r"]
HOW = ["torch", *(["int8", "float32"] if kernels.missing() is None else [])]


@pytest.fixture(params=HOW)
def model(request: pytest.FixtureRequest, network: Decoder, bytewise: Tokenizer) -> Model:
    own = deepcopy(network).requires_grad_(True)  # as a loaded one is
    checkpoint = Checkpoint(own, network.config, "qwen3", bytewise)
    if request.param == "torch":
        return Model(checkpoint)
    plan = compiled(network, network.config.context, 8 if request.param == "int8" else 32)
    return Model(checkpoint, "", Compiled(plan, network.config, request.param))


def plain(model: Model, ids: list[int]) -> torch.Tensor:
    """Log-probabilities of each id after the first, by one pass over all of them."""
    logits = model.network(torch.tensor([ids[:-1]]))[0].detach().float().log_softmax(-1)
    return logits.gather(1, torch.tensor(ids[1:])[:, None])[:, 0]


def test_choices_are_what_whole_texts_say(model: Model) -> None:
    found = model.score(TEXT, CHOICES)
    start = [model.tokenizer.bos if model.tokenizer.bos is not None else min(model.tokenizer.eos)]
    for one in found:
        ids = [*start, *model.tokenizer.encode(TEXT + one.text)]
        assert one.tokens == len(one.text.encode())  # of single bytes
        assert one.loglikelihood == pytest.approx(float(plain(model, ids)[-one.tokens :].sum()), rel=1e-4)
        assert one.mean == one.loglikelihood / one.tokens
    assert [one.text for one in found] == CHOICES
    total = sum(math.exp(one.loglikelihood) for one in found)
    for one in found:
        assert one.share == pytest.approx(math.exp(one.loglikelihood) / total)


def test_a_choice_does_not_depend_on_the_others(model: Model) -> None:
    many = [f"{number} and so on" for number in range(20)]
    found = {one.text: one.loglikelihood for one in model.score(TEXT, many)}
    for text in many[::7]:
        alone = model.score(TEXT, [text])[0].loglikelihood
        assert alone == found[text] if isinstance(model.network, Compiled) else alone == pytest.approx(found[text])


def test_a_beginning_that_is_read_once_gives_what_reading_it_each_time_gives(model: Model) -> None:
    beginning, ends = list(range(1, 44)), [[5], list(range(60, 80)), [7, 8, 9]]
    found = branches(model.network, beginning, ends)
    for end, states in zip(ends, found, strict=True):
        whole = model.network.trunk(torch.tensor([beginning + end]))[0, len(beginning) :]
        torch.testing.assert_close(states, whole, rtol=1e-4, atol=1e-5)
        if isinstance(model.network, Compiled):
            assert torch.equal(states, whole)


def test_vectors_are_the_pooled_stream_at_length_one(model: Model) -> None:
    texts = ["the sun", "moonlight on the sea", "a"]
    for pooling in ("mean", "last"):
        found = model.embed(texts, pooling)
        for text, vector in zip(texts, found, strict=True):
            states = model.network.trunk(torch.tensor([model.tokenizer.encode(text)]))[0].detach().float()
            want = states.mean(0) if pooling == "mean" else states[-1]
            np.testing.assert_allclose(vector, (want / want.norm()).numpy(), rtol=1e-3, atol=1e-5)
    assert model.embed([]).shape == (0, model.config.width)


def test_log_probabilities_of_prompts_are_those_of_a_pass(model: Model) -> None:
    start = [model.tokenizer.bos if model.tokenizer.bos is not None else min(model.tokenizer.eos)]
    found = model.logprobs([TEXT, "", "moon"])
    assert found[1] == []
    for text, told in ((TEXT, found[0]), ("moon", found[2])):
        ids = model.tokenizer.encode(text)
        assert [token for token, _ in told] == ids
        np.testing.assert_allclose([value for _, value in told], plain(model, [*start, *ids]), rtol=1e-4, atol=1e-5)


def test_what_cannot_be_scored_is_said(model: Model) -> None:
    with pytest.raises(ConfigError, match="no choices"):
        model.score(TEXT, [])
    with pytest.raises(ConfigError, match="is there twice"):
        model.score(TEXT, ["a", "b", "a"])
    with pytest.raises(ConfigError, match="is empty"):
        model.score(TEXT, ["a", ""])
    with pytest.raises(CapacityError):
        model.score("x" * 5000, ["a"])
    with pytest.raises(DataError, match=r"texts\[1\] is empty"):
        model.embed(["a", ""])
    with pytest.raises(CapacityError):
        model.embed(["x" * 5000])
