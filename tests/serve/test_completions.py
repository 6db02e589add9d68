"""/v1/completions: what outside scorers read is what the engine itself says."""

import math
from typing import Any

import pytest
from openai import BadRequestError, OpenAI

from hanlin.infer.sampling import Sampling
from serve.live import Live, tiny_model


def test_echo_with_logprobs_covers_the_prompt_and_one_token_more(client: OpenAI) -> None:
    ids = [[104, 101, 108, 108, 111, 32, 97, 98], [97, 98, 99]]
    given: Any = {"model": "tiny", "max_tokens": 1, "temperature": 0, "logprobs": 1, "echo": True, "seed": 1234}
    together = client.completions.create(prompt=ids, **given)
    for one, choice in zip(ids, together.choices, strict=True):
        (alone,) = client.completions.create(prompt=one, **given).choices
        assert alone.logprobs == choice.logprobs
        assert choice.logprobs is not None
        values, tops = choice.logprobs.token_logprobs, choice.logprobs.top_logprobs
        assert values is not None
        assert tops is not None
        assert len(values) == len(tops) == len(one) + 1
        assert values[0] is None
        assert tops[0] is None
        for value, top in zip(values[1:], tops[1:], strict=True):
            assert value in top.values()
            assert value <= max(top.values())


def test_what_it_says_of_a_prompt_equals_the_model_in_process(client: OpenAI) -> None:
    model, text = tiny_model("tiny"), "hello the abc and ab"
    (choice,) = client.completions.create(
        model="tiny", prompt=text, max_tokens=1, temperature=0, logprobs=0, echo=True
    ).choices
    assert choice.logprobs is not None
    told = choice.logprobs.token_logprobs or []
    rows = model.logits(__import__("torch").tensor([model.tokenizer.encode(text)]))[0].double().log_softmax(-1)
    expected = [float(rows[at, token]) for at, token in enumerate(model.tokenizer.encode(text)[1:])]
    assert all(math.isclose(one, other, abs_tol=1e-5) for one, other in zip(told[1:-1], expected, strict=True))
    assert choice.text.startswith(text)


def test_answers_equal_the_model_in_process_and_streams_them(client: OpenAI) -> None:
    model = tiny_model("tiny")
    sampling = Sampling(max_tokens=12, temperature=1, seed=5, n=2)
    texts = ["", ""]
    for event in model.answer(model.tokenizer.encode("hello"), sampling):
        texts[event.index] += event.text
    given: Any = {"model": "tiny", "prompt": ["hello", "abc"], "max_tokens": 12, "seed": 5, "n": 2}
    whole = client.completions.create(**given)
    assert [choice.text for choice in whole.choices[:2]] == texts
    parts = ["", "", "", ""]
    for chunk in client.completions.create(stream=True, **given):
        for choice in chunk.choices:
            parts[choice.index] += choice.text
    assert parts == [choice.text for choice in whole.choices]


def test_nothing_is_generated_where_nothing_is_asked(client: OpenAI) -> None:
    found = client.completions.create(model="tiny", prompt="abc", max_tokens=0, echo=True, logprobs=1)
    assert found.choices[0].text == "abc"
    assert found.usage is not None
    assert found.usage.completion_tokens == 0
    for extra, named in (({"max_tokens": 0}, "echo"), ({"best_of": 3}, "best_of"), ({"suffix": "x"}, "suffix")):
        with pytest.raises(BadRequestError, match=named):
            client.completions.create(model="tiny", prompt="abc", extra_body=extra)
    with pytest.raises(BadRequestError, match="token id 9999"):
        client.completions.create(model="tiny", prompt=[9999])


def test_tokens_come_and_go(tiny_server: Live) -> None:
    import httpx

    with httpx.Client(base_url=tiny_server.url) as http:
        ids = http.post("/tokenize", json={"prompt": "<end>翰林 the", "add_special_tokens": False}).json()["tokens"]
        assert ids[0] == tiny_model("x").tokenizer.eos[0]
        assert http.post("/detokenize", json={"tokens": ids}).json() == {"prompt": "<end>翰林 the"}
        info = http.get("/tokenizer_info").json()
        assert info["eos_token"] == "<end>"
        assert "turn" in info["chat_template"]
