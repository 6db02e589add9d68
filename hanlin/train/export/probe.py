"""What a trained model and its export are compared on: texts, conversations, and rows of tokens.

The texts hold what tokenizers trip over; the passages are classics in the public domain, in the languages and kinds of
text that most models know: Austen, Laozi, Li Bai, and code.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hanlin.text.tokenizer import Tokenizer

TEXTS = (
    "Hello, world!",
    "  two spaces, a\ttab,\r\na line\n\n\nand three",
    "The price rose from 3.14 to 1,234,567.89 in 2024 (+12%).",
    "翰林院在唐代设立，掌起草诏书。「你好」、《诗经》？！",
    "繁體中文與简体中文 mixed with English，以及１２３全角。",
    "🙂 👩‍👩‍👧‍👦 🇨🇳 café naïve e\u0301 Ω ﬁ",
    "日本語のテキスト 한국어 العربية עברית हिन्दी",
    'def f(x: int) -> str:\n\treturn f"{x!r:>8}"  # ok\n',
    "https://example.org/a?b=c&d=%20#e  user@example.org",
    "<|im_start|><|im_end|><|endoftext|><s></s><bos><eos>[INST] <end_of_turn>",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\u200b\u00a0\ufeff",
)
"""For the tokenizer; those of its own special tokens are added."""

PASSAGES = (
    "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of a "
    "wife. However little known the feelings or views of such a man may be on his first entering a neighbourhood, this "
    "truth is so well fixed in the minds of the surrounding families, that he is considered as the rightful property "
    "of some one or other of their daughters.",
    "道可道，非常道。名可名，非常名。无名天地之始；有名万物之母。故常无，欲以观其妙；常有，欲以观其徼。此两者，同出而异名，"
    "同谓之玄。玄之又玄，众妙之门。天下皆知美之为美，斯恶已。皆知善之为善，斯不善已。",
    "床前明月光，疑是地上霜。举头望明月，低头思故乡。",
    "def fibonacci(n):\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a\n\n\n"
    "print([fibonacci(n) for n in range(10)])  # [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]\n",
)
"""For the logits."""

CONVERSATIONS: tuple[tuple[Mapping[str, str], ...], ...] = (
    ({"role": "user", "content": "What is the capital of France?"},),
    ({"role": "system", "content": "You are brief."}, {"role": "user", "content": "你好，请问长城有多长？"}),
    (
        {"role": "user", "content": " 2 + 2 = ? "},
        {"role": "assistant", "content": "4 🙂"},
        {"role": "user", "content": "And\n\ntwice that?"},
    ),
)
"""For the chat template, each with the answer opened and not."""

MOST_ROWS, LONGEST = 16, 256


@dataclass(frozen=True)
class Probe:
    """Rows of tokens to compare logits on."""

    name: str
    """Where they come from: "validation" or "classics"."""
    rows: tuple[tuple[int, ...], ...]

    @property
    def tokens(self) -> int:
        """Tokens that are predicted: all but the first of each row."""
        return sum(len(row) - 1 for row in self.rows)

    @property
    def hash(self) -> str:
        """SHA-256 of the ids."""
        return hashlib.sha256(repr(self.rows).encode()).hexdigest()


def probe(name: str, rows: Sequence[Sequence[int]], context: int) -> Probe:
    """Rows cut to what a model and our patience can take; rows of one token predict nothing and are left out."""
    longest = min(LONGEST, context)
    kept = [tuple(map(int, row[:longest])) for row in rows if min(len(row), longest) > 1]
    return Probe(name, tuple(kept[:MOST_ROWS]))


def classics(tokenizer: Tokenizer, context: int) -> Probe:
    """The passages as tokens."""
    return probe("classics", [tokenizer.encode(text) for text in PASSAGES], context)
