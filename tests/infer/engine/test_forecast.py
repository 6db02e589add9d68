"""How long a prompt takes to be read is foretold from what was read before."""

import itertools

import pytest

from hanlin import kernels
from hanlin.infer.engine import Engine, Request
from hanlin.infer.engine.forecast import Forecast, seen_by
from hanlin.infer.sampling import Sampling
from hanlin.kernels.plan import Plan
from hanlin.model.decoder import Decoder
from hanlin.model.plan import compiled
from hanlin.text.tokenizer import Tokenizer
from infer.engine.test_engine import CONTEXT, all_of

ROW, POSITION = 1e-3, 2e-6


def cost(count: int, first: int) -> float:
    return ROW * count + POSITION * sum(first + place + 1 for place in range(count))


def test_two_costs_are_found_and_foretold_at_any_depth() -> None:
    told = Forecast()
    assert told.seconds(10) is None
    for count, first in itertools.product((32, 100, 256), (0, 500, 2000)):
        told.take(count, seen_by(count, first), cost(count, first))
    assert told.seconds(1024, 3000) == pytest.approx(cost(1024, 3000))
    for _ in range(200):  # the machine has become half as fast
        told.take(100, seen_by(100, 0), 2 * cost(100, 0))
        told.take(100, seen_by(100, 800), 2 * cost(100, 800))
    assert told.seconds(512) == pytest.approx(2 * cost(512, 0), rel=0.01)


def test_steps_of_one_shape_and_noise_foretell_no_time_below_nothing() -> None:
    told = Forecast()
    for seconds in (0.2, 0.1, 0.3):
        told.take(100, seen_by(100, 0), seconds)
    assert told.seconds(200) == pytest.approx(0.4, rel=0.1)
    told.take(100, seen_by(100, 9000), 0.01)  # deeper and faster makes no sense
    assert (told.seconds(10, 100_000) or 0) > 0


@pytest.mark.skipif(kernels.missing() is not None, reason=f"no native kernels: {kernels.missing()}")
def test_an_engine_counts_who_is_before_and_not_what_it_knows(
    network: Decoder, bytewise: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan: Plan = compiled(network, CONTEXT, 8)
    engine, one = Engine(plan, bytewise, CONTEXT), Sampling(max_tokens=1)
    asked, other = Request(tuple(range(3, 103)), one), Request(tuple(range(103, 203)), one)
    assert engine.reading_seconds(asked) is None
    monkeypatch.setattr(Forecast, "seconds", lambda _, count, first=0: count + first / 1000)
    assert engine.reading_seconds(asked) == 100
    engine.submit(other)
    assert engine.reading_seconds(asked) == 200
    assert engine.reading_seconds(Request(asked.prompt, one, priority=1)) == 100
    all_of(engine)
    assert engine.reading_seconds(asked) == 100
    assert engine.reading_seconds(other) == 4 + 0.096
