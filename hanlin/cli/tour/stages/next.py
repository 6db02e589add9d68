"""The tour asks for one word: the probabilities from which it is chosen."""

from collections.abc import Iterator

from hanlin.cli.tour.guide import Guide
from hanlin.cli.tour.notes import Figures, Line, Note
from hanlin.cli.tour.plots import bars
from hanlin.cli.visible import visible

TITLE = {"en": "One word", "zh": "一个词"}
WHY = {
    "en": "A model does one thing: for a text, it gives every token a probability of coming next.",
    "zh": "模型只做一件事：给定一段文字，算出每个词元接着出现的概率。",
}
AFTER = {"en": "After “{text}” it expects:", "zh": "在“{text}”之后，它预计："}
MASS = {
    "en": "These {count} tokens hold {mass:.0%} of the probability; {vocab:,} share the rest.",
    "zh": "这 {count} 个词元占去 {mass:.0%} 的概率，其余 {vocab:,} 个分享剩下的部分。",
}
PLOT = {"en": "What comes next", "zh": "接下来是什么"}
TEXT = "The cat sat on the"
COUNT = 8


def run(guide: Guide) -> Iterator[Note]:
    """The likeliest next tokens of a sentence everybody can judge."""
    table = guide.model.next(TEXT, COUNT)
    words = [visible(guide.model.tokenizer.token_bytes(one.token)) for one in table.candidates]
    yield Line(guide.say(AFTER, text=TEXT))
    yield bars(words, [one.probability for one in table.candidates], guide.say(PLOT))
    mass = table.candidates[-1].mass
    yield Line(guide.say(MASS, count=COUNT, mass=mass, vocab=guide.model.config.vocabulary - COUNT))
    yield Figures({"likeliest": words[0], "probability": round(table.candidates[0].probability, 4)})
