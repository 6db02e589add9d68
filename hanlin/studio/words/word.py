"""A thing said, in both languages."""

from typing import Literal, NamedTuple

Language = Literal["en", "zh"]


class Word(NamedTuple):
    """English and Chinese are equal: nothing can be said in one of them only."""

    en: str
    zh: str

    def into(self, language: Language, **values: object) -> str:
        """In that language, with values in the places that it has for them."""
        text = self.zh if language == "zh" else self.en
        return text.format(**values) if values else text


def preferred(header: str) -> Language:
    """The language that a browser's Accept-Language asks for first, of those we speak."""
    wishes = []
    for place, part in enumerate(header.split(",")):
        tag, _, rest = part.strip().partition(";")
        weight = rest.strip().removeprefix("q=") or "1"
        number = float(weight) if weight.replace(".", "", 1).isdecimal() else 0.0
        wishes.append((-number, place, tag.lower()))
    for _, _, tag in sorted(wishes):
        if tag.startswith("zh"):
            return "zh"
        if tag.startswith("en"):
            return "en"
    return "en"
