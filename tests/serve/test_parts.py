"""Parts of messages that no model here sees: a 400 that names the part and the model, or a warning."""

from typing import Any

import httpx
import pytest

from serve.live import Live

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
SOUND = {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}


def content(part: dict[str, Any], kind: str = "text") -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": kind, "text": "hello"}, part]}]


@pytest.mark.parametrize(
    ("path", "body", "where", "what"),
    [
        ("chat/completions", {"messages": content(IMAGE)}, "messages[0].content[1]", "an image (image_url)"),
        ("chat/completions", {"messages": content(SOUND)}, "messages[0].content[1]", "sound (input_audio)"),
        (
            "responses",
            {"input": content({"type": "input_image", "image_url": "http://x"}, "input_text")},
            "input[0].content[1]",
            "an image (input_image)",
        ),
        (
            "messages",
            {"messages": content({"type": "image", "source": {"type": "url", "url": "x"}}), "max_tokens": 3},
            "messages[0].content[1]",
            "an image (image)",
        ),
    ],
)
def test_it_is_named_with_its_model(path: str, body: dict[str, Any], where: str, what: str, tiny_server: Live) -> None:
    reply = httpx.post(f"{tiny_server.api}/{path}", json={**body, "model": "tiny"}, timeout=30)
    assert reply.status_code == 400
    assert f"{where} is {what}, and tiny reads text only" in reply.json()["error"]["message"]
    assert reply.json()["error"].get("param", where) == where


def test_with_compat_it_is_left_out_with_a_warning(tiny_server: Live) -> None:
    body = {"messages": content(IMAGE), "compat": True, "max_tokens": 2, "model": "tiny"}
    told = httpx.post(f"{tiny_server.api}/chat/completions", json=body, timeout=30).json()
    assert "messages[0].content[1] is an image" in told["warnings"][0]
