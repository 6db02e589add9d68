"""What a stage is given: the model, the language to speak, the settings of the run."""

from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

from hanlin.cli.language import Language
from hanlin.cli.models import open_model
from hanlin.cli.tour.settings import RunFile
from hanlin.infer.model import Model

Words = dict[str, str]
"""One sentence in each language: `{"en": …, "zh": …}`."""


@dataclass(frozen=True)
class Guide:
    """The same for every stage of one tour."""

    settings: RunFile
    lang: Language

    @cached_property
    def model(self) -> Model:
        """The model, loaded by the first stage that asks for it."""
        return open_model(self.settings.model.use or None)

    def say(self, words: Words, **values: object) -> str:
        """The sentence in the tour's language, with the values filled in."""
        return words[self.lang].format(**values)


def text(lang: Language) -> str:
    """A short classic to read: the opening of Pride and Prejudice (1813), or the Peach Blossom Spring (421)."""
    return files("hanlin.cli.tour").joinpath("texts", f"{lang}.txt").read_text("utf-8")
