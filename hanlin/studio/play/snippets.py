"""What is on the screen in; the same request as curl and as Python out."""

import json
import shlex
from typing import Any

from hanlin.studio.markdown import rendered


def curl(base: str, path: str, body: dict[str, Any], has_keys: bool) -> str:
    """For a shell."""
    key = " -H 'Authorization: Bearer '\"$HANLIN_KEY\"" if has_keys else ""
    content = shlex.quote(json.dumps(body, ensure_ascii=False, indent=2))
    return f"curl {base}{path}{key} \\\n  -H 'Content-Type: application/json' \\\n  -d {content}"


def python(base: str, path: str, body: dict[str, Any], has_keys: bool) -> str:
    """With OpenAI's own client."""
    call = {
        "/v1/completions": "completions.create",
        "/v1/chat/completions": "chat.completions.create",
        "/v1/embeddings": "embeddings.create",
    }[path]
    key = 'os.environ["HANLIN_KEY"]' if has_keys else '"none"'
    begin = "import os\n\n" if has_keys else ""
    fields = "".join(f"    {name}={value!r},\n" for name, value in body.items())
    end = {
        "/v1/completions": "print(reply.choices[0].text)",
        "/v1/chat/completions": "print(reply.choices[0].message.content)",
        "/v1/embeddings": "print(len(reply.data), len(reply.data[0].embedding))",
    }[path]
    client = f'client = OpenAI(base_url="{base}/v1", api_key={key})'
    return f"{begin}from openai import OpenAI\n\n{client}\nreply = client.{call}(\n{fields})\n{end}"


def drawn(text: str, language: str, copy: str) -> str:
    """Code as HTML, with its button to copy."""
    return rendered(f"~~~~{language}\n{text}\n~~~~", copy)
