"""Judging through HTTP equals judging in process; calibration takes off what a choice always has."""

import base64
import math
from typing import Any

import httpx
import numpy as np
import pytest
from openai import OpenAI

from serve.live import Live, tiny_model


def post(server: Live, path: str, **body: Any) -> Any:
    reply = httpx.post(f"{server.url}{path}", json=body, timeout=60)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_choices_score_as_in_process(tiny_server: Live) -> None:
    model, text, choices = tiny_model("tiny"), "hello " * 30, ["abc", "ba", " the end"]
    told = post(tiny_server, "/v1/score", text=text, choices=choices)["data"]
    for one, choice in zip(told, model.score(text, choices), strict=True):
        assert math.isclose(one["logprob"], choice.loglikelihood, abs_tol=1e-4)
        assert math.isclose(one["probability"], choice.share, abs_tol=1e-6)
        assert one["tokens"] == choice.tokens


def test_calibration_is_the_difference_to_the_prior(tiny_server: Live) -> None:
    choices = ["abc", "ba"]
    plain, prior = (post(tiny_server, "/v1/score", text=text, choices=choices)["data"] for text in ("hello", "the"))
    told = post(tiny_server, "/v1/score", text="hello", choices=choices, calibration={"prior": "the"})["data"]
    for one, there, before in zip(told, plain, prior, strict=True):
        assert math.isclose(one["score"], there["logprob"] - before["logprob"], abs_tol=1e-9)
    assert math.isclose(sum(one["probability"] for one in told), 1)


def test_classes_of_a_text_that_says_nothing_are_even(tiny_server: Live) -> None:
    told = post(tiny_server, "/v1/classify", input=["N/A", "hello"], labels=["ab", "ba", "abc"])["data"]
    assert all(math.isclose(share, 1 / 3) for share in told[0]["probabilities"].values())
    assert told[1]["label"] == max(told[1]["probabilities"], key=told[1]["probabilities"].get)


@pytest.mark.parametrize("method", ["likelihood", "embedding"])
def test_documents_come_in_the_order_of_their_scores(tiny_server: Live, method: str) -> None:
    body: dict[str, Any] = {"query": "hello the", "documents": ["abc", {"text": "hello the"}, "ba"], "method": method}
    told = post(tiny_server, "/v1/rerank", **body, return_documents=True)["results"]
    assert sorted(one["index"] for one in told) == [0, 1, 2]
    assert told == sorted(told, key=lambda one: -one["relevance_score"])
    assert told[:2] == post(tiny_server, "/v1/rerank", **body, return_documents=True, top_n=2)["results"]
    if method == "embedding":
        assert told[0]["index"] == 1
        assert math.isclose(told[0]["relevance_score"], 1, abs_tol=1e-5)


def test_embeddings_equal_those_in_process_in_both_forms(client: OpenAI, tiny_server: Live) -> None:
    texts = ["hello", "the abc", "翰林"]
    expected = tiny_model("tiny").embed(texts)
    told = client.embeddings.create(model="tiny", input=texts, encoding_format="float").data
    assert np.allclose([one.embedding for one in told], expected, atol=1e-6)
    coded = post(tiny_server, "/v1/embeddings", model="tiny", input=texts, encoding_format="base64")["data"]
    read = [np.frombuffer(base64.b64decode(one["embedding"]), "<f4") for one in coded]
    assert np.allclose(read, expected, atol=1e-6)
    ids = tiny_model("tiny").tokenizer.encode("hello")
    assert client.embeddings.create(model="tiny", input=ids).data[0].embedding == pytest.approx(told[0].embedding)


def test_nothing_to_embed_is_refused(tiny_server: Live) -> None:
    for body, named in (({"input": ["a", ""]}, "input[1] is empty"), ({"input": "a", "dimensions": 3}, "dimensions")):
        reply = httpx.post(f"{tiny_server.api}/embeddings", json=body)
        assert reply.status_code == 400
        assert named in reply.json()["error"]["message"]
