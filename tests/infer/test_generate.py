"""Generation equals the plain loop that runs the whole text anew for every token."""

import copy
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hanlin.core.errors import CapacityError, RefusedError
from hanlin.core.machine import allowed_memory
from hanlin.infer import generate as generation
from hanlin.infer.answer import Answer, Known
from hanlin.infer.chance import Chance
from hanlin.infer.choose import History, choose
from hanlin.infer.event import Event
from hanlin.infer.generate import generate
from hanlin.infer.sampling import Sampling
from hanlin.model.decoder import Decoder
from hanlin.text.tokenizer import Tokenizer
from infer.plain import cut

PROMPT = [104, 101, 108, 108, 111, 32, 104, 105]
WILD = Sampling(temperature=1.2, top_p=0.95, max_tokens=24, seed=3)


def naive(network: Decoder, tokenizer: Tokenizer, prompt: list[int], sampling: Sampling, seed: int) -> list[int]:
    """No cache, no batch, no chunks."""
    chance = Chance(seed)
    history = History(prompt, tokenizer.vocab_size, sampling)
    tokens = list(prompt)
    for _ in range(sampling.max_tokens):
        with torch.inference_mode():
            logits = network(torch.tensor([tokens]))[0, -1, : tokenizer.vocab_size].numpy()
        token = choose(history.penalise(logits), sampling, chance)
        history.add(token)
        tokens.append(token)
        if token in tokenizer.eos:
            break
    return tokens[len(prompt) :]


def told(events: list[Event], index: int) -> list[int]:
    return [event.token for event in events if event.index == index]


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(max_tokens=20),
        WILD,
        Sampling(temperature=0.7, top_k=5, max_tokens=30, seed=1, repetition_penalty=1.4),
        Sampling(max_tokens=30, frequency_penalty=1.5, presence_penalty=0.5),
        Sampling(temperature=1.0, typical_p=0.8, min_p=0.01, max_tokens=30, seed=9),
    ],
    ids=["greedy", "top_p", "top_k, repetition", "frequency", "typical"],
)
def test_cached_chunked_generation_equals_the_naive_loop(
    network: Decoder, bytewise: Tokenizer, sampling: Sampling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "PREFILL", 3)
    events = list(generate(network, bytewise, PROMPT, sampling))
    assert told(events, 0) == naive(network, bytewise, PROMPT, sampling, sampling.seed or 0)


def test_n_answers_side_by_side_equal_n_single_runs_with_their_seeds(network: Decoder, bytewise: Tokenizer) -> None:
    """Some of them end early: the others go on undisturbed."""
    sampling = WILD.model_copy(update={"n": 6, "temperature": 3.0, "top_p": 1.0, "max_tokens": 50})
    many_ends = tuple(range(0, 256, 20))
    hasty = Tokenizer(bytewise.backend, bytewise.vocab_size, eos=many_ends)
    together = list(generate(network, hasty, PROMPT, sampling))
    for index in range(6):
        alone = sampling.model_copy(update={"n": 1, "seed": 3 + index})
        single = [replace(event, index=index) for event in generate(network, hasty, PROMPT, alone)]
        mine = [event for event in together if event.index == index]
        assert [(e.token, e.text, e.finish) for e in mine] == [(e.token, e.text, e.finish) for e in single]
        assert [e.logprob for e in mine] == pytest.approx([e.logprob for e in single], abs=1e-4)
    lengths = {len(told(together, index)) for index in range(6)}
    assert len({tuple(told(together, index)) for index in range(6)}) == 6
    assert len(lengths) > 1, "the test should see answers of different lengths"


def test_a_seed_repeats_and_without_one_answers_differ(network: Decoder, bytewise: Tokenizer) -> None:
    def text(sampling: Sampling) -> list[int]:
        return told(list(generate(network, bytewise, PROMPT, sampling)), 0)

    assert text(WILD) == text(WILD)
    fresh = WILD.model_copy(update={"seed": None})
    assert text(fresh) != text(fresh)


def test_reported_log_probabilities_are_the_models_own(network: Decoder, bytewise: Tokenizer) -> None:
    sampling = WILD.model_copy(update={"logprobs": 3, "repetition_penalty": 1.5})
    events = list(generate(network, bytewise, PROMPT, sampling))
    whole = torch.tensor([PROMPT + [event.token for event in events]])
    expected = network(whole)[0].log_softmax(-1)
    for place, event in enumerate(events, len(PROMPT) - 1):
        assert event.logprob == pytest.approx(float(expected[place, event.token]), abs=1e-4)
        assert [top.token for top in event.top] == expected[place].topk(3).indices.tolist()


def test_rows_of_the_head_without_a_token_are_never_drawn(network: Decoder, bytewise: Tokenizer) -> None:
    sampling = Sampling(temperature=50.0, max_tokens=50, seed=1, n=20)
    assert all(event.token < bytewise.vocab_size for event in generate(network, bytewise, PROMPT, sampling))


def test_each_answer_ends_once_and_says_why(network: Decoder, bytewise: Tokenizer) -> None:
    events = list(generate(network, bytewise, PROMPT, WILD.model_copy(update={"n": 8, "temperature": 3.0})))
    for index in range(8):
        mine = [event for event in events if event.index == index]
        assert [event.finish for event in mine[:-1]] == [None] * (len(mine) - 1)
        is_ended = mine[-1].token in bytewise.eos
        assert mine[-1].finish == ("stop" if is_ended else "length")
        assert len(mine) == 24 or is_ended


def test_to_cancel_is_to_stop_iterating(network: Decoder, bytewise: Tokenizer) -> None:
    events = generate(network, bytewise, PROMPT, WILD)
    assert len(list(islice(events, 3))) == 3
    events.close()  # pyright: ignore
    assert list(events) == []
    assert not torch.is_inference_mode_enabled()


# The window


def test_more_than_the_window_is_an_error_with_both_counts_before_any_work(
    network: Decoder, bytewise: Tokenizer
) -> None:
    with pytest.raises(CapacityError, match=r"8 tokens and max_tokens 57 exceed the context window of 64") as caught:
        generate(network, bytewise, PROMPT, Sampling(max_tokens=57))
    assert "at most 56 tokens" in caught.value.fix
    assert len(list(generate(network, bytewise, PROMPT, Sampling(max_tokens=56)))) <= 56
    with pytest.raises(CapacityError, match="70 tokens") as caught:
        generate(network, bytewise, [5] * 70, Sampling(max_tokens=1))
    assert "under 64" in caught.value.fix


@pytest.mark.parametrize("prompt", [PROMPT, list(range(64)), list(range(63)), list(range(100, 200))], ids=len)
def test_a_sliding_window_keeps_its_newest_half_and_says_so(
    network: Decoder, bytewise: Tokenizer, prompt: list[int]
) -> None:
    sampling = Sampling(temperature=1.0, max_tokens=120, seed=5, overflow="slide")
    endless = Tokenizer(bytewise.backend, bytewise.vocab_size)
    events = list(generate(network, endless, prompt, sampling))
    chance = Chance(5)
    window, expected = list(prompt), []
    for _ in range(120):
        dropped = 0 if len(window) <= 64 else len(window) - 32
        window = window[dropped:]
        logits = network(torch.tensor([window]))[0, -1, : bytewise.vocab_size].numpy()
        window.append(choose(logits, sampling, chance))
        expected.append((window[-1], dropped))
    assert [(event.token, event.dropped) for event in events] == expected
    assert sum(event.dropped for event in events) > 0


def test_answers_slide_together(network: Decoder, bytewise: Tokenizer) -> None:
    endless = Tokenizer(bytewise.backend, bytewise.vocab_size)
    sampling = Sampling(temperature=1.0, max_tokens=90, seed=5, overflow="slide", n=2)
    events = list(generate(network, endless, PROMPT, sampling))
    for index in range(2):
        alone = sampling.model_copy(update={"n": 1, "seed": 5 + index})
        assert told(events, index) == told(list(generate(network, endless, PROMPT, alone)), 0)


def test_an_empty_prompt_is_refused(network: Decoder, bytewise: Tokenizer) -> None:
    with pytest.raises(RefusedError, match="empty"):
        generate(network, bytewise, [], Sampling())


def test_a_cache_larger_than_free_memory_is_refused_with_the_bytes(
    network: Decoder, bytewise: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = network.cache(3, 28)
    taken = sum(part.nbytes for slab in cache.slabs for part in slab)
    assert generation.cache_bytes(network, 3, 28) == taken
    monkeypatch.setattr(generation, "allowed_memory", lambda: replace(allowed_memory(), available_bytes=taken - 1))
    with pytest.raises(CapacityError, match=f"{taken:,} bytes of cache"):
        generate(network, bytewise, PROMPT, Sampling(max_tokens=20, n=3))


# Text


def spoken(tokenizer: Tokenizer, tokens: list[int], sampling: Sampling) -> list[Event]:
    """The events of an answer whose tokens are dictated."""
    answer = Answer(0, 0, [0], tokenizer.vocab_size, tokenizer, sampling)
    events = []
    for token in tokens:
        logits = np.full(tokenizer.vocab_size, -99, np.float32)
        logits[token] = 0
        events.append(answer.take(logits, Known(0.0, token)))
        if events[-1].finish:
            break
    return events


TOKENS = st.lists(st.sampled_from([97, 98, 99, 10, 256, 257, 258, 259, 260, 264, 0xE4, 0xBD, 0xA0]), max_size=14)
STOPS = st.lists(st.text("abc\n。你林", min_size=1, max_size=4), max_size=3)


@given(TOKENS, STOPS)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_stop_texts_that_straddle_tokens_are_cut_exactly(
    bytewise: Tokenizer, tokens: list[int], stops: list[str]
) -> None:
    """The answer is the decoded text up to the first stop text to complete, however its tokens divide it."""
    end = bytewise.eos[0]
    events = spoken(bytewise, [*tokens, end], Sampling(stop=tuple(stops), max_tokens=100))
    whole = bytewise.decode(tokens)
    assert "".join(event.text for event in events) == cut(whole, stops)
    assert events[-1].finish == "stop"
    assert (events[-1].token == end) or any(stop in whole for stop in stops)


def test_no_event_holds_half_a_character(bytewise: Tokenizer) -> None:
    tokens = [*"翰林🙂".encode(), bytewise.eos[0]]
    events = spoken(bytewise, tokens, Sampling(max_tokens=100))
    assert [event.text for event in events if event.text] == ["翰", "林", "🙂"]


def test_an_answer_cut_at_max_tokens_shows_what_was_held_back(bytewise: Tokenizer) -> None:
    events = spoken(bytewise, [97, 98], Sampling(stop=("abc",), max_tokens=2))
    assert [event.text for event in events] == ["", "ab"]
    assert events[-1].finish == "length"


def test_a_character_that_max_tokens_cuts_in_half_is_not_shown(bytewise: Tokenizer) -> None:
    events = spoken(bytewise, [*"翰林".encode()], Sampling(max_tokens=5))
    assert "".join(event.text for event in events) == "翰"
    assert events[-1].finish == "length"


def test_a_special_token_named_as_a_stop_ends_the_answer(bytewise: Tokenizer) -> None:
    turn = bytewise.encode("<turn>")[0]
    events = spoken(bytewise, [97, turn, 98], Sampling(stop=("<turn>",)))
    assert [event.finish for event in events] == [None, "stop"]
    assert "".join(event.text for event in events) == "a"


def test_what_the_network_reads_lies_where_its_weights_do(network: Decoder) -> None:
    elsewhere, places = copy.deepcopy(network).to("meta"), []  # stands for a GPU, of which tests have none
    elsewhere.embed.register_forward_pre_hook(lambda _, given: places.append(given[0].device.type))
    cache, logits = generation.read(elsewhere, [[1, 2, 3]], 8)
    assert generation.step(elsewhere, cache, [4]).device == logits.device
    assert places == ["meta", "meta"]
