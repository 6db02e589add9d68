"""Every mistake a user can make, as one tree. Each error says what happened, with the value, then the fix.

    HanlinError            anything below
    ├── ConfigError        a setting, an option or a run file is wrong
    ├── DataError          a text, a row or a file the user gave cannot be read
    ├── WeightsError       a checkpoint is damaged, incomplete or of a kind we do not carry
    ├── TokenizerError     a tokenizer or a chat template cannot be built or applied
    ├── StoreError         a model cannot be found, fetched, checked or written
    ├── CapacityError      it does not fit: memory, disk, context window
    └── RefusedError       understood, and not done: it would be unsafe or meaningless

The command line prints the two lines and exits with 2; the server turns the same object into OpenAI's error JSON.
Raise one of these for a user's mistake; `assert` is for ours.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class HanlinError(Exception):
    """What happened, with the value, and the fix: two sentences a user can act on."""

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.what}\n  fix: {self.fix}" if self.fix else self.what


class ConfigError(HanlinError):
    """A setting, an option or a run file is wrong."""


class DataError(HanlinError):
    """A text, a row or a file the user gave cannot be read."""


class WeightsError(HanlinError):
    """A checkpoint is damaged, incomplete or of a kind we do not carry."""


class TokenizerError(HanlinError):
    """A tokenizer or a chat template cannot be built or applied."""


class StoreError(HanlinError):
    """A model cannot be found, fetched, checked or written."""


class CapacityError(HanlinError):
    """It does not fit: memory, disk or context window."""


class RefusedError(HanlinError):
    """Understood, and not done: it would be unsafe or meaningless."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A fix for a word nobody knows: the nearest known word, or else the list of them."""
    known = sorted(known)
    near = get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"one of: {', '.join(known)}" if known else "there is none to choose from"


def shown(value: object, limit: int = 80) -> str:
    """A value as it may stand in an error: its repr, cut to `limit` characters so that one line stays one line."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
