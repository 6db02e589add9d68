"""What a stage is given: the model once it is here, the language to speak, the settings of the run."""

from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

from hanlin.cli.tour.settings import RunFile

Words = dict[str, str]
"""One sentence in each language: `{"en": …, "zh": …}`."""


@dataclass(frozen=True)
class Guide:
    """The state a tour hands from stage to stage; a stage that makes something returns a new one."""

    settings: RunFile
    lang: str
    model: Any = None

    def say(self, words: Words, **values: object) -> str:
        """The sentence in the tour's language, with the values filled in."""
        return words[self.lang].format(**values)

    def having(self, **made: object) -> "Guide":
        """This guide with something that a stage made."""
        return replace(self, **made)


def text(lang: str) -> str:
    """A short classic to read: the opening of Pride and Prejudice (1813), or the Peach Blossom Spring (421)."""
    return files("hanlin.cli.tour").joinpath("texts", f"{lang}.txt").read_text("utf-8")
