"""Who is examined: prompts in, log-likelihoods and answers out, of a model of this machine.

Text becomes tokens as lm-eval does it: a choice's tokens are those of prompt and choice together that come after the
prompt's own; a space at the end of a prompt goes to the choice; what the tokenizer itself puts before a text stands
there, and only an empty prompt is replaced by BOS, else EOS. A beginning that several questions share is read once,
and choices of one token cost no more than their question.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from hanlin.core.errors import CapacityError, DataError, WeightsError, shown
from hanlin.eval.sample import Reply, Sample, parted
from hanlin.eval.task import Kind
from hanlin.infer.branches import branches
from hanlin.infer.choices import DAMAGED, NAN, beginning_of
from hanlin.infer.model import Model
from hanlin.infer.score import said
from hanlin.model.compiled import Compiled

AT_ONCE = 16
"""Questions whose ends are read in one pass."""


@runtime_checkable
class Subject(Protocol):
    """What can be examined."""

    name: str
    """Its exams are found again under this: the model, and how its weights are kept if not in float32."""
    form: str
    """How a question is put: plain, or as a chat's message."""
    fingerprint: str
    """Answers of two subjects with one fingerprint are the same."""

    def choose(self, samples: Sequence[Sample], neutral: str | None = None) -> Iterator[Reply]:
        """A reply with log-likelihoods for each sample; with a neutral prompt, of each choice after it as well."""
        ...

    def write(self, samples: Sequence[Sample], max_tokens: int, stop: Sequence[str]) -> Iterator[Reply]:
        """An answer in words to each sample."""
        ...

    def read(self, samples: Sequence[Sample]) -> Iterator[Reply]:
        """How likely each sample's text is."""
        ...


@runtime_checkable
class Unordered(Protocol):
    """A subject that has several questions under way at once."""

    def as_they_come(self, kind: Kind, samples: Sequence[Sample], **how: Any) -> Iterator[tuple[int, Reply]]:
        """Places and replies, in the order in which they are there."""
        ...


@dataclass(frozen=True)
class Line:
    """One choice as tokens: what is read, and how many of the last are its own."""

    ids: tuple[int, ...]
    own: int


class Local:
    """A model of this machine."""

    def __init__(self, model: Model, is_chat: bool = False) -> None:
        """`is_chat` puts each prompt through the model's chat template, as a user's message."""
        self.model, self.is_chat = model, is_chat
        self.form = "chat" if is_chat else "plain"
        weights = _weights(model)
        self.name = model.name if weights == "float32" else f"{model.name}:{weights}"
        adapter = "" if model.adapter is None else f"|{_files(model.adapter)}"
        self.fingerprint = f"{_files(model.checkpoint.path)}|{model!r}|{self.form}{adapter}"

    def choose(self, samples: Sequence[Sample], neutral: str | None = None) -> Iterator[Reply]:
        """Batch by batch, in the order given.

        Raises:
            CapacityError: a prompt with its choice exceeds the context window.
            WeightsError: the model answers something else than numbers.
        """
        for place in range(0, len(samples), AT_ONCE):
            batch = samples[place : place + AT_ONCE]
            lines = [self._lines(sample.prompt, sample) for sample in batch]
            likely = self._rated(lines)
            alone = [()] * len(batch) if neutral is None else self._rated([self._lines(neutral, one) for one in batch])
            for own, figures, free in zip(lines, likely, alone, strict=True):
                yield Reply(loglikelihoods=figures, alone=tuple(free), tokens=tuple(line.own for line in own))

    def write(self, samples: Sequence[Sample], max_tokens: int, stop: Sequence[str]) -> Iterator[Reply]:
        """Greedily, one after another; what two prompts begin alike with is kept by a compiled model.

        Raises:
            CapacityError: a prompt and its answer exceed the context window.
        """
        for sample in samples:
            settings = {"max_tokens": max_tokens, "stop": list(stop)}
            if self.is_chat:
                events = self.model.chat([{"role": "user", "content": sample.prompt}], **settings)
            else:
                events = self.model.generate(sample.prompt, **settings)
            yield Reply(texts=("".join(event.text for event in events),))

    def read(self, samples: Sequence[Sample]) -> Iterator[Reply]:
        """In windows without overlap, each token once."""
        for sample in samples:
            found = self.model.score(sample.references[0])
            yield Reply(loglikelihoods=(found.loglikelihood,), tokens=(found.tokens,))

    def _lines(self, prompt: str, sample: Sample) -> list[Line]:
        tokenizer = self.model.tokenizer
        between = sample.between
        if self.is_chat:
            before, between = tokenizer.chat([{"role": "user", "content": prompt}]), ""
            found = []
            for choice in sample.choices:
                after = tokenizer.encode(between + choice, add_special=False)
                found.append(Line((*before, *after), len(after)))
        else:
            kept, between = parted(prompt, between)
            found = [self._line(kept, between + choice) for choice in sample.choices]
        for line, choice in zip(found, sample.choices, strict=True):
            if not line.own:
                raise DataError(f"the choice {shown(choice)} has no tokens of its own", "give texts that add something")
            if len(line.ids) - 1 > self.model.context:
                what = f"item {shown(sample.id)} has {len(line.ids):,} tokens, the context holds {self.model.context:,}"
                raise CapacityError(what, "show fewer examples, or leave the item out")
        return found

    def _line(self, prompt: str, choice: str) -> Line:
        tokenizer = self.model.tokenizer
        if not prompt:
            own = tokenizer.encode(choice, add_special=False)
            return Line((beginning_of(tokenizer), *own), len(own))
        whole, before = tokenizer.encode(prompt + choice), tokenizer.encode(prompt)
        return Line(tuple(whole), len(whole) - len(before))

    @torch.inference_mode()
    def _rated(self, items: Sequence[Sequence[Line]]) -> list[tuple[float, ...]]:
        """Log-likelihoods of each item's lines, equal beginnings read once."""
        ends = sorted({line.ids[:-1] for lines in items for line in lines})
        if len(ends) > len(items) and len(items) > 1:  # long choices: each question is a beginning of its own
            return [found for lines in items for found in self._rated([lines])]
        first, last = ends[0], ends[-1]
        shortest = min(len(line.ids) - line.own for lines in items for line in lines) - 1
        alike = next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
        shared = max(0, min(alike, shortest, len(first) - 1))
        seen = dict(
            zip(ends, branches(self.model.network, first[:shared], [end[shared:] for end in ends]), strict=True)
        )
        found = []
        for lines in items:
            sums = []
            for line in lines:
                states = seen[line.ids[:-1]][-line.own :]
                sums.append(float(said(self.model.network, states, torch.tensor(line.ids[-line.own :])).double().sum()))
            if any(math.isnan(one) for one in sums):
                raise WeightsError(NAN, DAMAGED)
            found.append(tuple(sums))
        return found


def _weights(model: Model) -> str:
    """How they are kept: float32, bfloat16, int8, …"""
    if isinstance(model.network, Compiled):
        return model.network.kind.replace(" ", "+")
    return str(model.network.embed.weight.dtype).removeprefix("torch.")


def _files(path: Path) -> str:
    """Names, sizes and times of a checkpoint's files: another file is another model."""
    files = [path] if path.is_file() else sorted(item for item in path.rglob("*") if item.is_file())
    facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr(facts).encode()).hexdigest()
