"""What the engine tells of a prompt's own tokens, beside the path that reads whole texts, and in any company."""

import math

import numpy as np
import pytest
import torch

from hanlin import kernels
from hanlin.core.errors import CapacityError
from hanlin.infer.engine import Engine, EngineSettings, Request
from hanlin.infer.event import Place
from hanlin.infer.sampling import Sampling
from hanlin.kernels.plan import Plan
from hanlin.model.decoder import Decoder
from hanlin.model.plan import compiled
from hanlin.text.tokenizer import Tokenizer

pytestmark = pytest.mark.skipif(kernels.missing() is not None, reason=f"no native kernels: {kernels.missing()}")
CONTEXT = 300
TEXT = tuple((7 * place + place * place) % 200 for place in range(200))


@pytest.fixture(scope="module")
def floats(network: Decoder) -> Plan:
    return compiled(network, CONTEXT, 32)


def told(engine: Engine, requests: list[Request]) -> list[list[Place]]:
    handles = [engine.submit(request) for request in requests]
    found: dict[int, list[Place]] = {handle: [] for handle in handles}
    while not engine.is_idle:
        for one in engine.step():
            assert one.error is None
            found[one.handle] += one.places
    return [found[handle] for handle in handles]


def test_prompt_logprobs_equal_a_log_softmax(network: Decoder, floats: Plan, bytewise: Tokenizer) -> None:
    engine = Engine(floats, bytewise, CONTEXT)
    (places,) = told(engine, [Request(TEXT, Sampling(max_tokens=1), prompt_logprobs=3)])
    with torch.inference_mode():
        expected = network(torch.tensor([TEXT]))[0].double().log_softmax(-1)
    assert [one.token for one in places] == list(TEXT[1:])
    for row, one in zip(expected[:-1], places, strict=True):
        assert math.isclose(one.logprob, float(row[one.token]), abs_tol=1e-4)
        assert np.allclose([top.logprob for top in one.top], row[: engine.drawable].topk(3).values, atol=1e-4)
        likelier = [int((row[: engine.drawable] > row[one.token] + slack).sum()) for slack in (1e-4, -1e-4)]
        assert likelier[0] < one.rank <= 1 + likelier[1]


def test_company_chunks_and_what_was_read_before_change_no_bit(floats: Plan, bytewise: Tokenizer) -> None:
    asked = [Request(TEXT[:size], Sampling(max_tokens=2), prompt_logprobs=1) for size in (33, 65, 150, 200)]
    alone = [told(Engine(floats, bytewise, CONTEXT), [request])[0] for request in asked]
    together = Engine(floats, bytewise, CONTEXT, EngineSettings(step_tokens=32))
    assert told(together, asked) == alone
    tails = [Request(one.prompt, one.sampling, prompt_logprobs=1, rated_from=31) for one in asked]
    found = together.counts.found
    assert told(together, tails) == [places[30:] for places in alone]
    assert together.counts.found == found  # nothing to find: no whole block stands before the thirty-first
    tails = [Request(one.prompt, one.sampling, prompt_logprobs=1, rated_from=140) for one in asked[2:]]
    assert told(together, tails) == [places[139:] for places in alone[2:]]
    assert together.counts.found == found + 2 * 128


def test_short_of_memory_each_place_is_told_once(floats: Plan, bytewise: Tokenizer) -> None:
    asked = [Request(TEXT[:size], Sampling(max_tokens=40), prompt_logprobs=0) for size in (150, 140, 130)]
    alone = [told(Engine(floats, bytewise, CONTEXT), [request])[0] for request in asked]
    small = Engine(floats, bytewise, CONTEXT, EngineSettings(kv_blocks=9))
    assert told(small, asked) == alone
    assert small.counts.preempted > 0


def test_a_forgotten_beginning_is_refused(floats: Plan, bytewise: Tokenizer) -> None:
    engine = Engine(floats, bytewise, 64)
    with pytest.raises(CapacityError, match="forgotten"):
        engine.submit(Request(TEXT, Sampling(max_tokens=8, overflow="slide"), prompt_logprobs=0))
