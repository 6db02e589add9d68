"""A response in the making: a talk in; the events of /v1/responses out, each with the response as it stands.

A response that is not streamed is the last event's, so the two cannot differ.
"""

import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from hanlin.core.errors import HanlinError
from hanlin.serve import errors
from hanlin.serve.answering import Beat
from hanlin.serve.chatting import Piece, Talk
from hanlin.serve.shapes.responses import ResponseBody

Told = dict[str, Any]


def fresh(body: ResponseBody, model: str) -> Told:
    """A response before anything was computed."""
    choice = body.tool_choice
    return {
        "id": f"resp_{secrets.token_hex(16)}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "queued" if body.background else "in_progress",
        "background": body.background,
        "error": None,
        "incomplete_details": None,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "model": model,
        "output": [],
        "parallel_tool_calls": body.parallel_tool_calls,
        "previous_response_id": body.previous_response_id,
        "store": body.store,
        "temperature": 1.0 if body.temperature is None else body.temperature,
        "text": body.text.model_dump(by_alias=True, exclude_none=True),
        "tool_choice": choice.model_dump() if choice is not None and not isinstance(choice, str) else choice or "auto",
        "tools": [tool.model_dump(exclude_none=True) | {"strict": True} for tool in body.tools or ()],
        "top_logprobs": body.top_logprobs or 0,
        "top_p": 1.0 if body.top_p is None else body.top_p,
        "truncation": body.truncation,
        "usage": None,
        "user": body.user,
        "metadata": body.metadata or {},
    }


@dataclass
class Making:
    """One response, and the events of its making."""

    talk: Talk
    told: Told
    number: int = 0
    item: Told | None = None
    """The item that is open."""
    has_logprobs: bool = field(init=False)

    def __post_init__(self) -> None:
        self.has_logprobs = bool(self.talk.body.logprobs)

    async def events(self) -> AsyncIterator[Told | Beat]:
        """All that comes, up to completed, incomplete or failed."""
        self.told["status"] = "in_progress"
        yield self._event("response.created", response=dict(self.told))
        yield self._event("response.in_progress", response=dict(self.told))
        finish: str | None = None
        try:
            async for piece in self.talk.pieces():
                if isinstance(piece, Beat):
                    yield piece
                    continue
                for event in self._piece(piece):
                    yield event
                finish = piece.finish or finish
        except HanlinError as error:
            self.fail(errors.as_json(error)["error"])
            yield self._event("response.failed", response=dict(self.told))
            return
        for event in self._close():
            yield event
        is_cut = finish == "length"
        self.told["status"] = "incomplete" if is_cut else "completed"
        self.told["incomplete_details"] = {"reason": "max_output_tokens"} if is_cut else None
        self.told["usage"] = self._usage()
        if self.talk.warnings:
            self.told["warnings"] = self.talk.warnings
        yield self._event(f"response.{self.told['status']}", response=dict(self.told))

    def fail(self, error: Told) -> None:
        """It came to nothing."""
        self.told |= {
            "status": "failed",
            "error": {"code": error["code"] or "server_error", "message": error["message"]},
        }

    def _usage(self) -> Told:
        usage = self.talk.usage()
        return {
            "input_tokens": usage["prompt_tokens"],
            "input_tokens_details": usage["prompt_tokens_details"],
            "output_tokens": usage["completion_tokens"],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage["total_tokens"],
        }

    def _piece(self, piece: Piece) -> list[Told]:
        events: list[Told] = []
        logprobs = list(piece.logprobs)
        if piece.text or (logprobs and self._is_text()):
            events += self._open_text() if not self._is_text() else []
            events.append(self._grow_text(piece.text, logprobs))
        for call in piece.calls:
            if "id" in call:
                events += [*self._close(), *self._open_call(call)]
            if call["function"]["arguments"]:
                assert self.item is not None
                self.item["arguments"] += call["function"]["arguments"]
                delta = call["function"]["arguments"]
                events.append(self._at("response.function_call_arguments.delta", delta=delta))
        return events

    def _is_text(self) -> bool:
        return self.item is not None and self.item["type"] == "message"

    def _open_text(self) -> list[Told]:
        part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        item = {"type": "message", "id": f"msg_{secrets.token_hex(12)}", "status": "in_progress", "role": "assistant"}
        events = [*self._close(), *self._added({**item, "content": []})]
        assert self.item is not None
        self.item["content"].append(part)
        return [*events, self._at("response.content_part.added", content_index=0, part=dict(part))]

    def _grow_text(self, text: str, logprobs: list[Told]) -> Told:
        assert self.item is not None
        part = self.item["content"][0]
        part["text"] += text
        part["logprobs"] = [*part["logprobs"], *logprobs]
        return self._at("response.output_text.delta", content_index=0, delta=text, logprobs=logprobs)

    def _open_call(self, call: Told) -> list[Told]:
        item = {"type": "function_call", "id": f"fc_{secrets.token_hex(12)}", "status": "in_progress"}
        return self._added({**item, "call_id": call["id"], "name": call["function"]["name"], "arguments": ""})

    def _added(self, item: Told) -> list[Told]:
        self.item = item
        self.told["output"] = [*self.told["output"], item]
        return [self._event("response.output_item.added", output_index=len(self.told["output"]) - 1, item=dict(item))]

    def _close(self) -> list[Told]:
        item = self.item
        if item is None:
            return []
        item["status"] = "completed"
        if item["type"] == "message":
            part = item["content"][0]
            text = {"text": part["text"], "logprobs": part["logprobs"]}
            events = [
                self._at("response.output_text.done", content_index=0, **text),
                self._at("response.content_part.done", content_index=0, part=dict(part)),
            ]
        else:
            named = {"arguments": item["arguments"], "name": item["name"]}
            events = [self._at("response.function_call_arguments.done", **named)]
        place = len(self.told["output"]) - 1
        events.append(self._event("response.output_item.done", output_index=place, item=dict(item)))
        self.item = None
        return events

    def _at(self, kind: str, **fields: Any) -> Told:
        assert self.item is not None
        return self._event(kind, item_id=self.item["id"], output_index=len(self.told["output"]) - 1, **fields)

    def _event(self, kind: str, **fields: Any) -> Told:
        self.number += 1
        return {"type": kind, "sequence_number": self.number - 1, **fields}
