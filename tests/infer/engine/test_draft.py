"""A draft model changes when tokens come, never which: whatever it guesses, and however long it is asked."""

from pathlib import Path

import pytest
import torch

import hanlin
from hanlin import kernels
from hanlin.core.errors import ConfigError
from hanlin.infer.engine import Engine, EngineSettings, Request
from hanlin.infer.engine.ahead import HELD, TRIED, Ahead, Pace
from hanlin.infer.engine.draft import Draft
from hanlin.infer.sampling import Sampling
from hanlin.kernels.plan import Plan
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.decoder import Decoder
from hanlin.model.plan import compiled
from hanlin.model.save import save_folder
from hanlin.text.tokenizer import Tokenizer
from infer import tiny
from infer.engine.test_engine import CONTEXT, all_of, alone, mixed

pytestmark = pytest.mark.skipif(kernels.missing() is not None, reason=f"no native kernels: {kernels.missing()}")


@pytest.fixture(scope="module")
def plan(network: Decoder) -> Plan:
    return compiled(network, CONTEXT, 8)


@pytest.fixture(autouse=True)
def always_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the clock says: what is asked must not depend on how busy the machine is."""
    monkeypatch.setattr(Ahead, "take", lambda *_: None)


def drafts(network: Decoder, tokenizer: Tokenizer) -> dict[str, Draft]:
    """One that nearly always knows, one that nearly never does, one whose window is too short for most."""
    other = tiny.network(tokenizer)
    with torch.no_grad():
        for weight in other.parameters():
            weight.mul_(3).add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(4)))
    good, bad = compiled(network, CONTEXT, 4), compiled(other, CONTEXT, 8)
    return {
        "good": Draft(good, tokenizer, CONTEXT),
        "bad": Draft(bad, tokenizer, CONTEXT),
        "short": Draft(good, tokenizer, 64),
    }


@pytest.mark.parametrize("which", ["good", "bad", "short"])
@pytest.mark.parametrize("settings", [{}, {"kv_blocks": 9, "step_tokens": 32}], ids=["much memory", "little"])
def test_answers_are_those_without_it(
    plan: Plan, network: Decoder, bytewise: Tokenizer, which: str, settings: dict[str, int]
) -> None:
    draft = drafts(network, bytewise)[which]
    engine = Engine(plan, bytewise, CONTEXT, EngineSettings.model_validate(settings), draft=draft)
    asked = mixed(24, seed=5)
    handles = [engine.submit(request) for request in asked]
    told = all_of(engine)
    assert [told[handle] for handle in handles] == [alone(plan, bytewise, request) for request in asked]
    assert engine.counts.drafted
    assert engine.pages.free == engine.pages.count, "blocks were lost"


def test_a_good_one_saves_steps(plan: Plan, network: Decoder, bytewise: Tokenizer) -> None:
    request = Request(tuple(range(3, 60)), Sampling(max_tokens=60))
    plain = Engine(plan, bytewise, CONTEXT)
    ahead = Engine(plan, bytewise, CONTEXT, draft=drafts(network, bytewise)["good"])
    assert list(ahead.generate(request)) == list(plain.generate(request))
    assert ahead.counts.steps < plain.counts.steps


def test_an_answer_that_slides_goes_on_with_it(plan: Plan, network: Decoder, bytewise: Tokenizer) -> None:
    sampling = Sampling(max_tokens=150, overflow="slide", temperature=0.7, seed=9)
    request = Request(tuple(range(3, 100)), sampling)
    engine = Engine(plan, bytewise, CONTEXT, draft=drafts(network, bytewise)["good"])
    assert list(engine.generate(request)) == alone(plan, bytewise, request)
    assert engine.counts.drafted


def test_it_is_asked_no_more_where_it_loses_and_again_later() -> None:
    pace = Pace()

    def steps(count: int, seconds: float) -> list[bool]:
        found = []
        for _ in range(count):
            found.append(pace.is_on)
            pace.take(1, seconds)
        return found

    assert steps(TRIED, 0.02) == [True] * TRIED
    assert steps(TRIED + HELD, 0.01) == [False] * (TRIED + HELD)  # twice as fast without it
    assert steps(TRIED, 0.02) == [True] * TRIED
    assert steps(TRIED + 2 * HELD, 0.01) == [False] * (TRIED + 2 * HELD)
    assert steps(TRIED, 0.005) == [True] * TRIED
    assert steps(TRIED, 0.01) == [False] * TRIED
    assert steps(HELD, 0.005) == [True] * HELD


def test_one_of_other_tokens_is_refused_and_torch_takes_none(
    network: Decoder, bytewise: Tokenizer, tmp_path: Path
) -> None:
    model, other = tmp_path / "model", tmp_path / "other"
    save_folder(Checkpoint(network, network.config, "llama", bytewise), model)
    save_folder(Checkpoint(network, network.config, "llama", bytewise), other)
    text = (other / "tokenizer.json").read_text()
    (other / "tokenizer.json").write_text(text.replace("<turn>", "<tern>"))
    prompt = list(range(40))
    wanted = list(hanlin.load(model, "int8").generate(prompt, max_tokens=20))
    assert list(hanlin.load(model, "int8", draft=model).generate(prompt, max_tokens=20)) == wanted
    with pytest.raises(ConfigError, match="the draft's tokens are not the model's: 1 of"):
        hanlin.load(model, "int8", draft=other).engine  # noqa: B018
    with pytest.raises(ConfigError, match="torch"):
        hanlin.load(model, draft=model)
