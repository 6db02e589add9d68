"""What this server honours, per model: read from the shapes that routes take, so that it cannot say anything else."""

from typing import Any

from hanlin.serve.elsewhere.wire import UNKNOWN
from hanlin.serve.heads import has_head
from hanlin.serve.server import Server
from hanlin.serve.shapes.body import Body


def capabilities(server: Server) -> dict[str, Any]:
    """Of each endpoint its fields, and those it refuses with the reason; of each loaded model what it can do."""
    return {
        "bodies": {kind.__name__: _fields(kind) for kind in _kinds(Body)},
        "models": {name: _model(server, name) for name in server.pool.loaded},
        "limits": {
            "max_n": server.settings.max_n,
            "max_body_bytes": server.settings.max_body_kb * 1024,
            "request_seconds": server.settings.request_seconds,
            "streams": server.settings.streams,
            "queue": server.settings.queue,
        },
    }


def _fields(kind: type[Body]) -> dict[str, Any]:
    return {"honoured": sorted(kind.model_fields), "refused": dict(kind.refused)}


def _kinds(kind: type[Body]) -> list[type[Body]]:
    children = kind.__subclasses__()
    return [one for child in children for one in _kinds(child)] or [kind]


def _model(server: Server, name: str) -> dict[str, Any]:
    served = server.pool.loaded[name]
    tokenizer = served.model.tokenizer
    has_chat, is_elsewhere = tokenizer.template is not None, served.is_elsewhere
    held_to = ["json_object", "json_schema", "regex"]
    return {
        "engine": "vllm" if is_elsewhere else "own",
        "context": served.context,
        "weights": getattr(served.model.network, "kind", "float"),
        "chat": has_chat,
        "tools": served.tools.name if has_chat and served.has_grammars else None,
        "completions": True,
        "logprobs": True,
        "prompt_logprobs": True,
        "structured_output": [*held_to, "grammar"] if served.has_grammars else held_to,
        "embeddings": not is_elsewhere,
        "classification_head": has_head(served),
        "images": False,
        "audio": False,
        "refused": dict(UNKNOWN) if is_elsewhere else {},
    }
