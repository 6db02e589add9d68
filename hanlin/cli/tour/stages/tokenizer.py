"""The tour learns a tokenizer: raw text in, the pieces that texts of its kind are made of out."""

from collections.abc import Iterator

from hanlin.cli.tour.guide import Guide
from hanlin.cli.tour.lesson import corpus, tiny_tokenizer
from hanlin.cli.tour.notes import Figures, Line, Note, Table
from hanlin.cli.visible import visible
from hanlin.core.settings import parse
from hanlin.text.learn.compare import measured
from hanlin.text.learn.settings import LearnSettings
from hanlin.text.learn.train import learn
from hanlin.text.tokenizer import Tokenizer

TITLE = {"en": "Learn to read", "zh": "学会读"}
WHY = {
    "en": "A model sees numbers. A tokenizer cuts text into pieces it has a number for; it learns them by counting.",
    "zh": "模型只认得数字。分词器把文字切成有编号的小块，这些小块是数出来的。",
}
LEARNT = {
    "en": "Read {bytes:,} bytes of {corpus} and learnt {vocabulary:,} pieces, all single bytes among them.",
    "zh": "读了 {bytes:,} 字节的{corpus}，学到 {vocabulary:,} 个小块，其中包括所有单个字节。",
}
CORPORA = {"en": "Shakespeare's plays", "zh": "唐诗"}
COLUMNS = {"en": "tokenizer|pieces known|bytes per token", "zh": "分词器|小块数|每词元字节"}
OWN = {"en": "learnt just now", "zh": "刚学的"}
TRADE = {
    "en": "More pieces make fewer tokens of a text, but each costs weights: here {own:,} of them, there {theirs:,}.",
    "zh": "小块越多，一段文字的词元越少；但每个小块都要占权重：这边 {own:,} 块，那边 {theirs:,} 块。",
}
TEXT = {"en": "The course of true love never did run smooth.", "zh": "春眠不覺曉，處處聞啼鳥。"}


def run(guide: Guide) -> Iterator[Note]:
    """One learnt on the tour's own texts, beside the model's."""
    text, held = (corpus(guide, is_held=is_held).read_text("utf-8") for is_held in (False, True))
    own = learn([text], parse(LearnSettings, tiny_tokenizer(guide), "tokenizer"))
    yield Line(guide.say(LEARNT, bytes=len(text.encode()), corpus=guide.say(CORPORA), vocabulary=own.vocab_size))
    both = {guide.say(OWN): own, guide.model.name: guide.model.tokenizer}
    spoken = "English" if guide.lang == "en" else "Chinese"
    figures = {name: measured(one, spoken, held).bytes_per_token for name, one in both.items()}
    rows = [(name, f"{one.vocab_size:,}", f"{figures[name]:.2f}") for name, one in both.items()]
    yield Table(tuple(guide.say(COLUMNS).split("|")), tuple(rows))
    for name, one in both.items():
        yield Line(f"{name}: {pieces(one, TEXT[guide.lang])}")
    yield Line(guide.say(TRADE, theirs=guide.model.tokenizer.vocab_size, own=own.vocab_size))
    yield Figures({f"bytes_per_token, {name}": round(value, 3) for name, value in figures.items()})


def pieces(tokenizer: Tokenizer, text: str) -> str:
    """The text with a bar between its pieces."""
    return "|".join(visible(tokenizer.token_bytes(token)) for token in tokenizer.encode(text, add_special=False))
