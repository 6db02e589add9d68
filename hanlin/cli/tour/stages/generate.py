"""The tour lets the model go on: word after word, each drawn from its probabilities."""

import time
from collections.abc import Iterator

from hanlin.cli.tour.guide import Guide
from hanlin.cli.tour.notes import Figures, Line, Note, Piece

TITLE = {"en": "Many words", "zh": "许多词"}
WHY = {
    "en": "To write, it draws a token, appends it, and asks again. The seed makes the draw repeat exactly.",
    "zh": "写作就是抽取一个词元，接在后面，再问一次。随机种子让抽取可以原样重复。",
}
SPEED = {
    "en": "{count} tokens in {seconds:.1f} s: {rate:.0f} tokens per second.",
    "zh": "{count} 个词元，用时 {seconds:.1f} 秒：每秒 {rate:.0f} 个。",
}
PROMPT = "On a clear autumn morning, the old scholar opened his"


def run(guide: Guide) -> Iterator[Note]:
    """A story begun by us and continued by the model."""
    began, count = time.monotonic(), 0
    yield Piece(PROMPT)
    for event in guide.model.generate(PROMPT, max_tokens=60, temperature=0.7, top_p=0.9, seed=guide.settings.seed):
        count += 1
        yield Piece(event.text)
    seconds = time.monotonic() - began
    yield Line(guide.say(SPEED, count=count, seconds=seconds, rate=count / seconds))
    yield Figures({"tokens": count, "seconds": round(seconds, 3), "tokens_per_second": round(count / seconds, 1)})
