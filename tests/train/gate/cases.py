"""Chats of made-up words, all different, and the run that learns from them."""

from collections.abc import Mapping, Sequence
from typing import Any

from hanlin.core.plugins import find
from hanlin.core.settings import override, parse
from hanlin.data.batch import Marked
from hanlin.data.encoded import Encoded, in_memory
from hanlin.data.example import Chat, Example
from hanlin.text.message import Message
from hanlin.text.tokenizer import Tokenizer
from hanlin.train.settings import RunFile

WORDS = (
    "river stone lantern winter copper garden bridge paper silver morning harbour candle thunder orchard "
    "velvet mirror saddle window meadow anchor pepper basket feather ribbon hammer kettle pillow rocket "
    "shadow turtle"
).split()


def run(**keys: Any) -> RunFile:
    """A run file of sft with keys such as `data__context=64`."""
    plain: Mapping[str, Any] = {
        "data": {"train": "chats.jsonl", "context": 128},
        "objective": {"use": keys.pop("use", "sft")},
    }
    assignments = [f"{key.replace('__', '.')}={value}" for key, value in keys.items()]
    return parse(RunFile, override(plain, assignments))


def sentence(seed: int, count: int = 6) -> str:
    """Words in an order of their own."""
    return " ".join(WORDS[(seed * 7 + place * (seed % 11 + 3)) % len(WORDS)] for place in range(count))


def chat(number: int, answer: str | None = None) -> Chat:
    """A question and its answer."""
    said = sentence(number + 3) if answer is None else answer
    question = Message(role="user", content=f"{number}: {sentence(number)}?")
    return Chat((question, Message(role="assistant", content=said)))


def encoded(examples: Sequence[Example], tokenizer: Tokenizer, use: str = "sft") -> Encoded:
    """Marked by the objective itself."""
    marks = find("hanlin.train.objectives", use).Objective().encode(examples, tokenizer, 128)
    assert all(isinstance(mark, Marked) for mark in marks), marks
    return in_memory(marks, "chats.jsonl")
