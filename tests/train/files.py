"""A run file and its data on disk, as a user has them: a tiny new model on texts of made-up words."""

import json
import random
from pathlib import Path
from typing import Any

import tomli_w

from hanlin.core.settings import load
from hanlin.train.settings import RunFile


def corpus(path: Path, rows: int = 300, seed: int = 0) -> Path:
    """A jsonl file of texts that have no run of words in common."""
    draw = random.Random(seed)
    words = lambda: "".join(draw.choices("abcdefgh翰林", k=draw.randint(1, 5)))  # noqa: E731
    texts = (" ".join(words() for _ in range(draw.randint(2, 14))) for _ in range(rows))
    path.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), "utf-8")
    return path


def run_file(folder: Path, **sections: Any) -> Path:
    """run.toml in a folder, its data beside it; sections are merged into it, None takes one away."""
    data = corpus(folder / "data.jsonl")
    train = {"steps": 6, "batch": 4, "lr": 0.02, "sample_every": 1000, "dtype": "float32", "optimiser": {"use": "muon"}}
    plain: dict[str, Any] = {
        "verb": "train",
        "name": "tiny",
        "out": str(folder / "out"),
        "model": {"width": 32, "layers": 2, "heads": 2},
        "tokenizer": {"vocabulary": 300},
        "data": {"train": str(data), "context": 32},
        "train": train,
    }
    for name, section in sections.items():
        plain[name] = {**plain.get(name, {}), **section} if isinstance(section, dict) else section
    sections = {name: value for name, value in plain.items() if isinstance(value, dict)}
    kept = {name: {key: it for key, it in section.items() if it is not None} for name, section in sections.items()}
    path = folder / "run.toml"
    path.write_text(tomli_w.dumps(plain | kept), "utf-8")
    return path


def settings(folder: Path, *overrides: str, **sections: Any) -> RunFile:
    """The same, read."""
    return load(RunFile, run_file(folder, **sections), overrides)
