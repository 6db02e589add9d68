"""/tokenize, /detokenize and /tokenizer_info: what outside scorers need to count as the model does."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from hanlin.serve.errors import FieldError
from hanlin.serve.replies import json_reply
from hanlin.serve.server import server_of
from hanlin.serve.shapes.body import read, takes
from hanlin.serve.shapes.tokens import DetokenizeBody, TokenizeBody

router = APIRouter()


@router.post("/tokenize", openapi_extra=takes(TokenizeBody))
async def tokenize(http: Request) -> Response:
    """The ids of a text or a conversation."""
    server = server_of(http)
    body, warnings = read(TokenizeBody, await server.body(http))
    async with server.pool.lease(body.model) as served:
        tokenizer = served.model.tokenizer
        if body.messages is not None:
            turns = [turn.plain() for turn in body.messages]
            tokens = tokenizer.chat(turns, add_generation_prompt=body.add_generation_prompt, tools=body.tools)
        else:
            tokens = tokenizer.encode(body.prompt or "", add_special=body.add_special_tokens)
        told: dict[str, Any] = {"tokens": tokens, "count": len(tokens), "max_model_len": served.context}
        if body.return_token_strs:
            told["token_strs"] = [tokenizer.token_text(token) for token in tokens]
        return json_reply(told | ({"warnings": warnings} if warnings else {}))


@router.post("/detokenize", openapi_extra=takes(DetokenizeBody))
async def detokenize(http: Request) -> Response:
    """The text of some ids."""
    server = server_of(http)
    body, warnings = read(DetokenizeBody, await server.body(http))
    async with server.pool.lease(body.model) as served:
        tokenizer = served.model.tokenizer
        wrong = next((token for token in body.tokens if token >= tokenizer.vocab_size), None)
        if wrong is not None:
            what = f"token id {wrong} is not in the vocabulary"
            raise FieldError("tokens", what, f"ids run from 0 to {tokenizer.vocab_size - 1:,}")
        return json_reply({"prompt": tokenizer.decode(body.tokens)} | ({"warnings": warnings} if warnings else {}))


@router.get("/tokenizer_info")
async def tokenizer_info(http: Request, model: str | None = None) -> Response:
    """The special tokens and the chat template of a model."""
    async with server_of(http).pool.lease(model) as served:
        tokenizer = served.model.tokenizer
        spelled = tokenizer.backend.id_to_token

        def name(token: int | None) -> str | None:
            return None if token is None else spelled(token)

        told = {
            "bos_token": name(tokenizer.bos),
            "eos_token": name(next(iter(tokenizer.eos), None)),
            "pad_token": name(tokenizer.pad),
            "unk_token": name(tokenizer.unk),
            "vocab_size": tokenizer.vocab_size,
            "chat_template": tokenizer.template.source if tokenizer.template else None,
            "max_model_len": served.context,
        }
        return json_reply(told)
