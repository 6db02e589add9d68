"""Whatever company a request keeps, it gets the tokens and the log-probabilities it gets alone, to the bit."""

import itertools
import random
from collections import defaultdict

import pytest

from hanlin import kernels
from hanlin.core.errors import CapacityError, ConfigError, RefusedError
from hanlin.infer.constraint import regex
from hanlin.infer.engine import Engine, EngineSettings, Request
from hanlin.infer.event import Event
from hanlin.infer.generate import generate
from hanlin.infer.sampling import Sampling
from hanlin.kernels.plan import Plan
from hanlin.model.decoder import Decoder
from hanlin.model.plan import compiled
from hanlin.text.tokenizer import Tokenizer

pytestmark = pytest.mark.skipif(kernels.missing() is not None, reason=f"no native kernels: {kernels.missing()}")
CONTEXT = 160
PROMPT = (104, 101, 108, 108, 111, 32, 104, 105)


@pytest.fixture(scope="module")
def plan(network: Decoder) -> Plan:
    return compiled(network, CONTEXT, 8)


@pytest.fixture
def engine(plan: Plan, bytewise: Tokenizer) -> Engine:
    return Engine(plan, bytewise, CONTEXT)


def alone(plan: Plan, tokenizer: Tokenizer, request: Request) -> list[Event]:
    """With nothing that could go wrong."""
    settings = EngineSettings(has_prefix_cache=False, speculates=False)
    return list(Engine(plan, tokenizer, CONTEXT, settings).generate(request))


def all_of(engine: Engine) -> dict[int, list[Event]]:
    """Step until nothing is left."""
    told: dict[int, list[Event]] = defaultdict(list)
    while not engine.is_idle:
        for one in engine.step():
            assert one.event is not None, one.error
            told[one.handle].append(one.event)
    return told


def mixed(count: int, seed: int) -> list[Request]:
    """Prompts that share beginnings, of all lengths; settings of all kinds."""
    chance = random.Random(seed)
    shared = tuple(chance.randrange(250) for _ in range(90))
    kinds = (
        {},
        {"temperature": 1.0, "seed": 4},
        {"temperature": 0.7, "top_p": 0.9, "seed": 5, "logprobs": 3},
        {"repetition_penalty": 1.3, "logprobs": 2},
        {"temperature": 1.2, "min_p": 0.05, "seed": 6, "presence_penalty": 0.5},
    )
    made = []
    for _ in range(count):
        prompt = shared[: chance.choice((0, 5, 40, 64, 90))] + tuple(
            chance.randrange(250) for _ in range(chance.randint(1, 30))
        )
        sampling = Sampling.model_validate({"max_tokens": chance.randint(1, 36), **chance.choice(kinds)})
        made.append(Request(prompt, sampling, priority=chance.choice((0, 0, 1))))
    return made


@pytest.mark.parametrize(
    "settings",
    [
        EngineSettings(),
        EngineSettings(step_tokens=32, streams=3),
        EngineSettings(kv_blocks=7),
        EngineSettings(has_prefix_cache=False),
    ],
    ids=["as it is", "small steps", "little memory", "no prefix cache"],
)
def test_two_hundred_requests_in_random_arrival_get_what_they_get_alone(
    plan: Plan, bytewise: Tokenizer, settings: EngineSettings
) -> None:
    chance = random.Random(3)
    asked = mixed(200 if settings == EngineSettings() else 40, seed=1)
    engine = Engine(plan, bytewise, CONTEXT, settings)
    told: dict[int, list[Event]] = defaultdict(list)
    of: dict[int, Request] = {}
    cancelled = set()
    for request in asked:
        of[engine.submit(request)] = request
        for _ in range(chance.randint(0, 3)):
            for one in engine.step():
                assert one.event is not None, one.error
                assert one.handle not in cancelled
                told[one.handle].append(one.event)
        if chance.random() < 0.1:
            cancelled.add(victim := chance.choice(list(of)))
            engine.cancel(victim)
    for handle, events in all_of(engine).items():
        told[handle] += events
    assert engine.pages.free == engine.pages.count, "blocks were lost"
    if settings.kv_blocks:
        assert engine.counts.preempted
    if settings.has_prefix_cache and not settings.kv_blocks:
        assert engine.counts.found
    for handle, request in of.items():
        wanted = alone(plan, bytewise, request)
        got = told[handle]
        assert got == (wanted[: len(got)] if handle in cancelled else wanted)


def test_in_floats_it_says_what_torch_says(network: Decoder, bytewise: Tokenizer) -> None:
    plan = compiled(network, 64, 32)
    for sampling in (Sampling(max_tokens=40, n=2), Sampling(max_tokens=30, temperature=0.9, top_k=9, seed=3, n=3)):
        told = list(Engine(plan, bytewise, 64).generate(Request(PROMPT, sampling)))
        wanted = list(generate(network, bytewise, PROMPT, sampling))
        for index in range(sampling.n):
            ours, theirs = ([event for event in some if event.index == index] for some in (told, wanted))
            assert [event.token for event in ours] == [event.token for event in theirs]
            assert [event.logprob for event in ours] == pytest.approx([event.logprob for event in theirs], abs=1e-4)
            assert [(event.text, event.finish) for event in ours] == [(event.text, event.finish) for event in theirs]


def test_the_window_slides_as_with_torch(network: Decoder, bytewise: Tokenizer) -> None:
    sampling = Sampling(max_tokens=90, overflow="slide", logit_bias=dict.fromkeys(bytewise.eos, -100.0))
    told = list(Engine(compiled(network, 64, 32), bytewise, 64).generate(Request(PROMPT, sampling)))
    wanted = list(generate(network, bytewise, PROMPT, sampling))
    assert [(event.token, event.dropped) for event in told] == [(event.token, event.dropped) for event in wanted]
    assert any(event.dropped for event in told)


def test_guesses_are_made_and_change_nothing(plan: Plan, bytewise: Tokenizer) -> None:
    repeated = Request(PROMPT * 8, Sampling(max_tokens=60, logit_bias=dict.fromkeys(bytewise.eos, -100.0)))
    engine = Engine(plan, bytewise, CONTEXT)
    assert list(engine.generate(repeated)) == alone(plan, bytewise, repeated)
    assert engine.counts.guessed
    if engine.counts.right:
        assert engine.counts.steps < 60


def test_a_long_prompt_does_not_stop_the_answers_of_others(plan: Plan, bytewise: Tokenizer) -> None:
    engine = Engine(plan, bytewise, CONTEXT, EngineSettings(step_tokens=32))
    going = engine.submit(Request(PROMPT, Sampling(max_tokens=30, min_tokens=30)))
    engine.step()
    long = engine.submit(Request(tuple(range(120)), Sampling(max_tokens=2)))
    for _ in range(3):  # 120 tokens in steps of 32: it is not done before the fourth
        assert going in [one.handle for one in engine.step()]
    assert long in itertools.chain.from_iterable([one.handle for one in engine.step()] for _ in range(2))


def test_a_request_that_cannot_go_on_ends_alone(engine: Engine) -> None:
    fine = engine.submit(Request(PROMPT, Sampling(max_tokens=5, min_tokens=5)))
    stuck = engine.submit(Request(PROMPT, Sampling(max_tokens=5, banned_tokens=(97,)), regex("a")))
    told = [one for _ in range(8) for one in engine.step()]
    assert [type(one.error) for one in told if one.handle == stuck] == [RefusedError]
    assert len([one for one in told if one.handle == fine]) == 5
    assert engine.is_idle


def test_a_deadline_ends_an_answer(engine: Engine) -> None:
    late = engine.submit(Request(PROMPT, Sampling(max_tokens=50, min_tokens=50), deadline_seconds=0.0))
    (event,) = all_of(engine)[late]
    assert event.finish == "length"


def test_what_cannot_be_is_refused_at_once(plan: Plan, bytewise: Tokenizer, engine: Engine) -> None:
    with pytest.raises(RefusedError, match="empty"):
        engine.submit(Request(()))
    with pytest.raises(CapacityError, match="context window"):
        engine.submit(Request(PROMPT, Sampling(max_tokens=CONTEXT)))
    with pytest.raises(CapacityError, match="blocks"):
        small = Engine(plan, bytewise, CONTEXT, EngineSettings(kv_blocks=2))
        small.submit(Request(PROMPT, Sampling(max_tokens=100)))
    with pytest.raises(ConfigError):
        engine.submit(Request(PROMPT, Sampling(banned_tokens=(10_000,))))
