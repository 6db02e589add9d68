"""How near to people's translations are a fine-tuned model's, and its base's before?

    python bench/translate.py RUN [--count 100]

RUN is the folder of an sft run on pairs such as `runs/translate-en-zh.toml`. The held-out pairs are those that the run
validated on, less those of more than a line and those whose prompt stands in the training data with another answer;
`--count` of them, evenly spaced. Both models go on from the same prompts greedily, to the end of the line. chrF is
sacrebleu's, of all pairs together.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from common import record
from sacrebleu.metrics.chrf import CHRF

import hanlin
from hanlin.core.settings import load
from hanlin.data.encoded import Encoded
from hanlin.infer.model import Model
from hanlin.text.tokenizer import Tokenizer
from hanlin.train.data import Data, read
from hanlin.train.prepare import tokenizer_hash
from hanlin.train.settings import RunFile

MOST_TOKENS = 96
SHOWN = 5


class Pair(NamedTuple):
    """A held-out pair."""

    prompt: tuple[int, ...]
    wanted: str


def pairs(parts: Sequence[Encoded], tokenizer: Tokenizer) -> Iterator[Pair]:
    """The examples as prompt and completion."""
    for part in parts:
        for number in range(len(part)):
            mark = part[number]
            if mark.graded is not None and mark.graded.any():
                begin = int(np.argmax(mark.graded))
                wanted = tokenizer.decode(mark.ids[begin:].tolist(), skip_special=True).strip()
                yield Pair(tuple(mark.ids[:begin].tolist()), wanted)


def chosen_pairs(data: Data, tokenizer: Tokenizer, count: int) -> list[Pair]:
    """Held-out pairs of one line, evenly spaced, whose prompt was not trained on."""
    trained = {pair.prompt for pair in pairs(data.train, tokenizer)}
    held = dict.fromkeys(pair for pair in pairs(data.validation, tokenizer) if pair.prompt not in trained)
    usable = [pair for pair in held if "\n" not in pair.wanted]
    return [usable[at * len(usable) // count] for at in range(min(count, len(usable)))]


def line(model: Model, prompt: Sequence[int]) -> str:
    """What the model goes on with, to the end of the line."""
    text = ""
    for event in model.generate(list(prompt), max_tokens=MOST_TOKENS):
        text += event.text
        if "\n" in text.lstrip():
            break
    return text.strip().partition("\n")[0]


def main() -> None:
    """Base and fine-tuned model on the same pairs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--count", type=int, default=100)
    given = parser.parse_args()
    settings = load(RunFile, given.run / "run.toml")
    base, tuned = hanlin.load(settings.model.use), hanlin.load(str(given.run))
    tokenizer = base.tokenizer
    data = next(it for it in read(settings, tokenizer, tokenizer_hash(tokenizer)) if isinstance(it, Data))
    asked = chosen_pairs(data, tokenizer, given.count)
    wanted = [pair.wanted for pair in asked]
    metric = CHRF()
    figures = {"run": settings.name, "pairs": len(asked)}
    for name, model in (("before", base), ("after", tuned)):
        said = [line(model, pair.prompt) for pair in asked]
        figures[f"chrf_{name}"] = round(metric.corpus_score(said, [wanted]).score, 2)
        figures[f"right_to_the_letter_{name}"] = sum(map(str.__eq__, said, wanted))
        for pair, answer in list(zip(asked, said, strict=True))[:SHOWN]:
            print(f"{name}: {tokenizer.decode(list(pair.prompt))!r} → {answer!r}, wanted {pair.wanted!r}")
    record("translate", {**figures, "metric": str(metric.get_signature())})


if __name__ == "__main__":
    main()
