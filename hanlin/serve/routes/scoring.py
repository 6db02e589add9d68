"""Judging instead of writing: /v1/embeddings, /v1/score, /v1/classify, /v1/rerank."""

import base64
import math
import secrets
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from hanlin.infer.classify import Classifier, Verdict
from hanlin.infer.embed import Pooling, embed_ids
from hanlin.serve.answering import unless_gone
from hanlin.serve.errors import FieldError, TooLongError
from hanlin.serve.heads import classifier
from hanlin.serve.pool import Served
from hanlin.serve.replies import json_reply
from hanlin.serve.scoring import Likelihood, likelihoods, shares
from hanlin.serve.server import server_of
from hanlin.serve.shapes.body import read, takes
from hanlin.serve.shapes.scoring import ClassifyBody, EmbeddingBody, RerankBody, ScoreBody

router = APIRouter()
EMPTY = "N/A"
"""Stands for a text that says nothing."""


def _ids(served: Served, texts: Sequence[str | list[int]]) -> list[list[int]]:
    """Of each text, checked."""
    tokenizer, found = served.model.tokenizer, []
    for place, text in enumerate(texts):
        ids = tokenizer.encode(text) if isinstance(text, str) else text
        if not ids:
            raise FieldError("input", f"input[{place}] is empty: there is nothing to embed", "leave it out")
        if len(ids) > served.context:
            what = f"input[{place}] has {len(ids):,} tokens and the context window holds {served.context:,}"
            raise TooLongError(what, "cut it into parts")
        if max(ids) >= tokenizer.vocab_size:
            what = f"input[{place}] has the id {max(ids)}"
            raise FieldError("input", what, f"ids run from 0 to {tokenizer.vocab_size - 1:,}")
        found.append(ids)
    return found


async def _embedded(served: Served, ids: Sequence[Sequence[int]], pooling: Pooling) -> np.ndarray:
    network = served.network_here()

    def pieces() -> Iterator[np.ndarray]:
        for one in ids:
            yield embed_ids(network, [one], pooling)[0]

    return np.stack([piece async for piece in served.keeper.work(pieces())])


@router.post("/v1/embeddings", openapi_extra=takes(EmbeddingBody))
async def embeddings(http: Request) -> Response:
    """A vector of length 1 for each text."""
    server = server_of(http)
    body, warnings = read(EmbeddingBody, await server.body(http))
    async with server.taken(body.model) as held:
        served = held.without_adapter()
        ids = _ids(served, body.texts())
        vectors = await unless_gone(http, _embedded(served, ids, body.pooling))
        count = sum(map(len, ids))
        server.spent(http, count)
        told: dict[str, Any] = {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": _written(vector, body.encoding_format)}
                for index, vector in enumerate(vectors)
            ],
            "model": served.name,
            "usage": {"prompt_tokens": count, "total_tokens": count},
        }
        return json_reply(told | ({"warnings": warnings} if warnings else {}))


def _written(vector: np.ndarray, form: str) -> list[float] | str:
    if form == "float":
        return vector.astype(np.float64).tolist()
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


@router.post("/v1/score", openapi_extra=takes(ScoreBody))
async def score(http: Request) -> Response:
    """How well each choice goes on from a text."""
    server = server_of(http)
    body, warnings = read(ScoreBody, await server.body(http))
    async with server.taken(body.model) as held:
        served = held.without_adapter()
        prior = body.calibration.prior if body.calibration else None
        found, worths, count = await unless_gone(http, _worths(served, body.text, prior, body.choices, body.normalise))
        server.spent(http, count)
        data = [
            {
                "index": index,
                "text": one.text,
                "logprob": one.logprob,
                "tokens": one.tokens,
                "score": worth,
                "probability": share,
            }
            for index, (one, worth, share) in enumerate(zip(found, worths, shares(worths), strict=True))
        ]
        usage = {"prompt_tokens": count, "total_tokens": count}
        told = {"id": _id("score"), "object": "list", "model": served.name, "data": data, "usage": usage}
        return json_reply(told | ({"warnings": warnings} if warnings else {}))


async def _worths(
    served: Served, text: str, prior: str | None, choices: Sequence[str], normalise: str
) -> tuple[list[Likelihood], list[float], int]:
    """Of each choice its likelihood, and what it is worth once divided and calibrated; and all tokens read."""
    found, count = await likelihoods(served, text, choices)
    worths = [one.worth(normalise) for one in found]
    if prior is not None:
        base, more = await likelihoods(served, prior, choices)
        worths = [worth - one.worth(normalise) for worth, one in zip(worths, base, strict=True)]
        count += more
    return found, worths, count


@router.post("/v1/classify", openapi_extra=takes(ClassifyBody))
async def classify(http: Request) -> Response:
    """The class of each text, by what the model would go on with, or by its head."""
    server = server_of(http)
    body, warnings = read(ClassifyBody, await server.body(http))
    if body.labels is None:
        return await _by_head(http, body, warnings)
    if body.template.count("{text}") != 1:
        raise FieldError("template", f"template has {{text}} {body.template.count('{text}')} times", "write it once")
    texts = [body.input] if isinstance(body.input, str) else body.input
    choices = [f"{body.separator}{label}" for label in body.labels]
    prior = body.template.replace("{text}", EMPTY) if body.is_calibrated else None
    async with server.taken(body.model) as held:
        served = held.without_adapter()
        data, total = [], 0
        for index, text in enumerate(texts):
            prompt = body.template.replace("{text}", text)
            _, worths, count = await unless_gone(http, _worths(served, prompt, prior, choices, body.normalise))
            total += count
            parts = shares(worths)
            best = max(range(len(parts)), key=parts.__getitem__)
            probabilities = dict(zip(body.labels, parts, strict=True))
            data.append({"index": index, "label": body.labels[best], "probabilities": probabilities})
        server.spent(http, total)
        usage = {"prompt_tokens": total, "total_tokens": total}
        told = {"id": _id("classify"), "object": "list", "model": served.name, "data": data, "usage": usage}
        return json_reply(told | ({"warnings": warnings} if warnings else {}))


async def _by_head(http: Request, body: ClassifyBody, warnings: list[str]) -> Response:
    server, texts = server_of(http), [body.input] if isinstance(body.input, str) else body.input
    unused = sorted({"template", "separator", "normalise", "is_calibrated"} & body.model_fields_set)
    if unused:
        what = f"{unused[0]} is for classes that are told in labels, and a head has its own"
        raise FieldError(unused[0], what, "leave it out, or send labels")
    async with server.taken(body.model) as held:
        served = held.without_adapter()
        head = await classifier(served)
        verdicts = await unless_gone(http, _judged(served, head, texts))
        total = sum(verdict.tokens for verdict in verdicts)
        server.spent(http, total)
        data = [{"index": index, **_verdict(verdict)} for index, verdict in enumerate(verdicts)]
        usage = {"prompt_tokens": total, "total_tokens": total}
        told = {"id": _id("classify"), "object": "list", "model": served.name, "data": data, "usage": usage}
        return json_reply(told | ({"warnings": warnings} if warnings else {}))


async def _judged(served: Served, head: Classifier, texts: Sequence[str]) -> list[Verdict]:
    def pieces() -> Iterator[Verdict]:
        for text in texts:
            yield from head.classify([text])

    return [piece async for piece in served.keeper.work(pieces())]


def _verdict(verdict: Verdict) -> dict[str, Any]:
    told: dict[str, Any] = {"label": next(iter(verdict.classes), None), "probabilities": dict(verdict.classes)}
    return {**told, "value": verdict.value, "tokens": verdict.tokens, "lost_tokens": verdict.lost}


@router.post("/v1/rerank", openapi_extra=takes(RerankBody))
async def rerank(http: Request) -> Response:
    """Documents, the most relevant first."""
    server = server_of(http)
    body, warnings = read(RerankBody, await server.body(http))
    if body.template.count("{document}") != 1:
        raise FieldError("template", "template needs {document} once", "write it where the document stands")
    async with server.taken(body.model) as held:
        served = held.without_adapter()
        rated, count = await unless_gone(http, _relevance(served, body))
        server.spent(http, count)
        order = sorted(range(len(rated)), key=lambda index: -rated[index])[: body.top_n]
        texts = body.texts()
        results: list[dict[str, Any]] = [{"index": index, "relevance_score": rated[index]} for index in order]
        if body.return_documents:
            results = [{**one, "document": {"text": texts[one["index"]]}} for one in results]
        usage = {"total_tokens": count}
        told = {"id": _id("rerank"), "model": served.name, "results": results, "usage": usage}
        return json_reply(told | ({"warnings": warnings} if warnings else {}))


async def _relevance(served: Served, body: RerankBody) -> tuple[list[float], int]:
    texts = body.texts()
    if body.method == "embedding":
        ids = _ids(served, [body.query, *texts])
        query, *rest = await _embedded(served, ids, "mean")
        return [float(one @ query) for one in rest], sum(map(len, ids))
    rated, total = [], 0
    for text in texts:
        (one,), count = await likelihoods(served, body.template.replace("{document}", text), [f" {body.query}"])
        rated.append(math.exp(one.worth("tokens")))
        total += count
    return rated, total


def _id(kind: str) -> str:
    return f"{kind}-{secrets.token_hex(12)}"
