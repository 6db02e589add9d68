"""A run of a tiny new model on a text made here, all in memory: what the tests of the loop train."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from hanlin.core.settings import parse
from hanlin.data.batch import Marked
from hanlin.data.encoded import in_memory
from hanlin.data.stream import Stream
from hanlin.train.ema import Mean
from hanlin.train.identity import identity
from hanlin.train.pupil import Learner, build
from hanlin.train.settings import RunFile
from hanlin.train.work import Work
from infer.tiny import tokenizer

WORDS = ["the cat sat on the mat. ", "a dog ran to the sea. ", "翰林院在京城。", "one two three four five. "]


def texts(count: int, seed: int = 0) -> list[str]:
    """Sentences of few words, easily learnt."""
    draw = np.random.default_rng(seed)
    return ["".join(draw.choice(WORDS, size=draw.integers(1, 6))) for _ in range(count)]


def settings(out: Path, **sections: Any) -> RunFile:
    """A run file of a tiny model; sections are merged into it."""
    plain: dict[str, Any] = {
        "name": "tiny",
        "out": str(out),
        "model": {"family": "qwen3", "width": 32, "layers": 2, "heads": 2},
        "data": {"train": "memory", "context": 32},
        "train": {"steps": 12, "batch": 4, "lr": 0.003, "save_every": 4, "validate_every": 6, "dtype": "float32"},
    }
    for name, section in sections.items():
        plain[name] = {**plain.get(name, {}), **section} if isinstance(section, dict) else section
    return parse(RunFile, plain)


def work(out: Path, rows: int = 4, **sections: Any) -> Work:
    """The same, prepared."""
    run = settings(out, **sections)
    words = tokenizer()
    examples = [Marked(np.array([*words.encode(text), words.eos[0]], np.int32)) for text in texts(200)]
    torch.manual_seed(0)
    pupil = build(run, None, words, (), torch.float32)
    learner = Learner(pupil)
    shape = {"context": run.data.context, "packing": "best_fit", "seed": run.seed, "shifts": True, "pad": words.eos[0]}
    return Work(
        settings=run,
        run=out,
        pupil=pupil,
        base=None,
        stream=Stream([in_memory(examples[20:])], [1.0], rows=run.train.batch, **shape),
        validation=Stream([in_memory(examples[:20])], [1.0], rows=run.train.batch, **shape),
        learner=learner,
        optimiser=run.train.optimiser.build(learner, run.train.lr or 1e-3),
        steps=run.train.steps or 12,
        rate=run.train.lr or 1e-3,
        batch=run.train.batch,
        rows=rows,
        identity=identity(run, "data", "tokenizer"),
        device=torch.device("cpu"),
        mean=Mean(learner, run.train.ema) if run.train.ema else None,
    )
