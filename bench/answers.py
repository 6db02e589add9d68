"""How many held-out questions does a fine-tuned model answer word for word, and its base before?

    python bench/answers.py RUN [--count 40]

RUN is the folder of an sft run. The held-out chats are those that the run validated on: what stands before the graded
part is given to both models, which answer greedily; an answer counts if it is the held-out one to the letter.
"""

import argparse
from pathlib import Path

import numpy as np
from common import record

import hanlin
from hanlin.core.settings import load
from hanlin.infer.model import Model
from hanlin.train.data import Data, read
from hanlin.train.prepare import tokenizer_hash
from hanlin.train.settings import RunFile


def right(model: Model, asked: list[list[int]], wanted: list[str]) -> float:
    """Share of the answers that are as wanted."""
    given = ["".join(event.text for event in model.generate(ids, max_tokens=80)).strip() for ids in asked]
    return sum(one == other for one, other in zip(given, wanted, strict=True)) / len(wanted)


def main() -> None:
    """Base and fine-tuned model on the same questions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--count", type=int, default=40)
    chosen = parser.parse_args()
    settings = load(RunFile, chosen.run / "run.toml")
    base, tuned = hanlin.load(settings.model.use), hanlin.load(str(chosen.run))
    tokenizer = base.tokenizer
    data = next(it for it in read(settings, tokenizer, tokenizer_hash(tokenizer)) if isinstance(it, Data))
    held = [part[number] for part in data.validation for number in range(len(part))][: chosen.count]
    begins = [int(np.argmax(one.graded)) for one in held if one.graded is not None]
    asked = [one.ids[:begin].tolist() for one, begin in zip(held, begins, strict=True)]
    wanted = [
        tokenizer.decode(one.ids[begin:].tolist(), skip_special=True).strip()
        for one, begin in zip(held, begins, strict=True)
    ]
    figures = {"questions": len(held), "before": right(base, asked, wanted), "after": right(tuned, asked, wanted)}
    record("answers", {"run": settings.name, **{name: round(value, 3) for name, value in figures.items()}})


if __name__ == "__main__":
    main()
