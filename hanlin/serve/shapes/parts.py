"""Parts of messages that are no text: an image, a sound, a file. No model here sees them; each is named."""

from typing import Any

from hanlin.serve.errors import FieldError

KINDS = {
    "image_url": "an image",
    "image": "an image",
    "input_image": "an image",
    "input_audio": "sound",
    "audio": "sound",
    "video_url": "a film",
    "file": "a file",
    "input_file": "a file",
    "document": "a file",
}
"""Types of OpenAI's, Anthropic's and vLLM's messages."""


def only_text(given: dict[str, Any]) -> list[str]:
    """Warnings of parts that were left out, which is done with `compat`.

    Raises:
        FieldError: a part is no text.
    """
    warnings: list[str] = []
    for field in ("messages", "input"):
        turns = given.get(field)
        for place, turn in enumerate(turns if isinstance(turns, list) else ()):
            parts = turn.get("content") if isinstance(turn, dict) else None
            if isinstance(parts, list):
                turn["content"] = _kept(parts, f"{field}[{place}].content", given, warnings)
    return warnings


def _kept(parts: list[Any], where: str, given: dict[str, Any], warnings: list[str]) -> list[Any]:
    kept = []
    for place, part in enumerate(parts):
        kind = part.get("type") if isinstance(part, dict) else None
        if not isinstance(kind, str) or kind not in KINDS:
            kept.append(part)
            continue
        model = given.get("model") or "the model here"
        what = f"{where}[{place}] is {KINDS[kind]} ({kind}), and {model} reads text only"
        if given.get("compat") is not True:
            raise FieldError(f"{where}[{place}]", what, 'send its text, or leave it out; "compat": true does')
        warnings.append(f"{what}: it was left out")
    return kept
