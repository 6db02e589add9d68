"""Does a model answer as is preferred? Its own answers to held-out questions, before and after a preference run.

    python bench/preferences.py RUN [--count 30]

RUN is the folder of a dpo, orpo or kto run whose validation file has prompt, chosen and rejected. Each model answers
greedily; an answer counts as preferred if it is nearer to the better answer than to the worse one, by chrF
(sacrebleu). That the run can tell the two apart says little about what it writes itself.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import sacrebleu
from common import record

import hanlin
from hanlin.core.settings import load
from hanlin.infer.model import Model
from hanlin.train.settings import RunFile


def preferred(model: Model, rows: Sequence[dict[str, str]], tokens: int) -> tuple[float, list[str]]:
    """Share of answers nearer to the better one, and the answers."""
    said = []
    for row in rows:
        asked = [{"role": "user", "content": row["prompt"]}]
        events = model.chat(asked, max_tokens=tokens, temperature=0)
        said.append("".join(event.text for event in events).strip())
    near = [
        sacrebleu.sentence_chrf(text, [row["chosen"]]).score > sacrebleu.sentence_chrf(text, [row["rejected"]]).score
        for text, row in zip(said, rows, strict=True)
    ]
    return sum(near) / len(rows), said


def main() -> None:
    """Base and tuned model on the same questions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--tokens", type=int, default=40, help="of each answer, at most")
    chosen = parser.parse_args()
    settings = load(RunFile, chosen.run / "run.toml")
    (source,) = settings.data.validation
    with Path(source.path).open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines][: chosen.count]
    (before, _), (after, said) = (
        preferred(hanlin.load(name), rows, chosen.tokens) for name in (settings.model.use, str(chosen.run))
    )
    for row, text in zip(rows, said, strict=True):
        print(f"{row['prompt']}\n  {text}")
    record(
        "preferences",
        {"run": settings.name, "questions": len(rows), "before": round(before, 3), "after": round(after, 3)},
    )


if __name__ == "__main__":
    main()
