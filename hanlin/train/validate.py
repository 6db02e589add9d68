"""How the model does on text it is not trained on, and what it writes: looked at between steps, changing nothing."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
import torch

from hanlin.core.errors import DataError
from hanlin.infer.generate import generate
from hanlin.infer.sampling import Sampling
from hanlin.train.rows import dealt, moved, part, positions
from hanlin.train.state import draw_at
from hanlin.train.step import Validation
from hanlin.train.work import Work

SAMPLE_TOKENS = 64
PROMPT_TOKENS = 16


def validate(work: Work) -> Validation:
    """The objective's loss on the first rows of the validation data, always the same ones."""
    assert work.validation is not None
    began = time.perf_counter()
    objective, crew, setup = work.settings.objective, work.crew, work.settings.train
    sums = {"total": 0.0, "count": 0.0, "bytes": 0.0, "tokens": 0.0}
    lengths = byte_lengths(work)
    with torch.no_grad(), judged(work):
        for number, batch in enumerate(_batches(work, setup.validation_rows)):
            batch = objective.corrupted(batch, work.pupil.tokenizer, draw_at(work.settings.seed, number, 99))
            own = moved(dealt(batch, crew.rank, crew.count), work.device)
            if own.rows:
                own = objective.gathered(work.pupil, own, draw_at(work.settings.seed, number, 100 + crew.rank))
            own = objective.agreed(own, crew.added)
            for begin in range(0, own.rows, work.rows):
                some = part(own, begin, begin + work.rows)
                tally = objective.loss(work.pupil, some)
                more = {"total": float(tally.total), "count": tally.count, "tokens": positions(some), **tally.figures}
                graded = some.targets[some.weights != 0].cpu().numpy()
                more["bytes"] = float(lengths[graded].sum()) if objective.IS_TEXT else 0.0
                for name, value in more.items():
                    sums[name] = sums.get(name, 0.0) + float(value)
    sums = crew.added(sums)
    if not sums["count"]:
        what = f"nothing in the {setup.validation_rows} rows that are validated on is graded within data.context"
        raise DataError(what, "raise data.context, or validate on shorter examples; then --restart")
    figures = {name: value / sums["count"] for name, value in sums.items() if name not in _OWN}
    figures = dict(objective.concluded(figures))
    bits = sums["total"] / math.log(2) / sums["bytes"] if sums["bytes"] else None
    seconds = time.perf_counter() - began
    return Validation(sums["total"] / sums["count"], bits, int(sums["tokens"]), seconds, figures)


_OWN = frozenset({"total", "count", "bytes", "tokens"})


def _batches(work: Work, rows: int) -> Iterator:
    """The first rows of the validation data, once each at most."""
    assert work.validation is not None
    left = min(rows, work.validation.facts().rows)
    for batch, _ in work.validation.batches():
        yield part(batch, 0, left)
        left -= batch.rows
        if left <= 0:
            return


def byte_lengths(work: Work) -> np.ndarray:
    """UTF-8 bytes that each token writes; marks for the model write none."""
    tokenizer = work.pupil.tokenizer
    ids = range(tokenizer.vocab_size)
    return np.array([0 if tokenizer.is_special(token) else len(tokenizer.token_bytes(token)) for token in ids])


@contextmanager
def judged(work: Work) -> Iterator[None]:
    """The network as it would be exported: without dropout, with the running mean of the weights where there is one."""
    network = work.pupil.network
    network.eval()
    try:
        with work.whole(), work.mean.inside(work.learner) if work.mean else nullcontext():
            yield
    finally:
        network.train()


def sample(work: Work) -> str | None:
    """What the model writes now; None where it has no text to write (classes, numbers)."""
    if not work.settings.objective.IS_TEXT:
        return None
    tokenizer, network = work.pupil.tokenizer, work.pupil.network
    told = []
    with judged(work):  # by all, where the weights are divided
        if not work.crew.leads:
            return None
        for prompt in _prompts(work):
            room = min(SAMPLE_TOKENS, network.config.context - len(prompt))
            if not prompt or room < 1:
                continue
            sampling = Sampling(max_tokens=room, temperature=0.8, top_k=50, seed=work.settings.seed)
            answer = "".join(event.text for event in generate(network, tokenizer, prompt, sampling))
            told.append(f"{tokenizer.decode(prompt)}▸{answer}")
    return "\n".join(told) or None


def _prompts(work: Work) -> list[list[int]]:
    """The run file's prompts, else the beginning of a text, up to where grading begins."""
    if work.settings.train.samples:
        return [work.pupil.tokenizer.encode(text) for text in work.settings.train.samples]
    return [_beginning(work)]


def _beginning(work: Work) -> list[int]:
    stream = work.validation or work.stream
    first = stream.parts[0][0]
    if first.graded is None:
        return first.ids[:PROMPT_TOKENS].tolist()
    return first.ids[: max(1, int(np.argmax(first.graded)))].tolist()
