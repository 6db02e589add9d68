"""A trained model and what became of it in; how far they agree out, held against stated limits.

Compared are the files on disk, loaded again: the chat template's text and the tokenizer's ids must be the same to the
letter; the logits as near as the kind of weights allows. KL is KL(trained ‖ other), the mean over all predicted tokens.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from hanlin.core.errors import HanlinError, shown
from hanlin.model.decoder import Decoder
from hanlin.text.tokenizer import Tokenizer
from hanlin.train.export.probe import CONVERSATIONS, TEXTS, Probe

AT_ONCE = 64
"""Positions whose logits are held at once: in float64 over 262,000 tokens, 128 MiB a model."""


@dataclass(frozen=True)
class Limits:
    """What a kind of weights may cost."""

    logit: float | None
    """Largest difference of a logit, as a share of the largest logit; None where only the mean counts."""
    kl: float
    """Mean KL, nats per token."""
    perplexity: float
    """Largest relative change of the perplexity."""


EXACT = Limits(1e-5, 1e-8, 1e-5)
"""The same numbers, at most added up in another order."""
MERGED = Limits(1e-3, 1e-5, 1e-3)
"""W + BA rounded once, where training computed Wx + B(Ax)."""
BY_KIND: Mapping[str, Limits] = {
    "F32": EXACT,
    "F16": Limits(0.02, 1e-4, 0.005),
    "BF16": Limits(0.1, 5e-3, 0.03),
    "Q8_0": Limits(None, 2e-2, 0.05),
    "Q4_0": Limits(None, 0.5, 0.6),
}


@dataclass(frozen=True)
class Papers:
    """Whether a template or a tokenizer came through, by hash of all it gives on the probe."""

    what: str
    """chat template, tokenizer."""
    cases: int
    trained: str
    exported: str
    is_equal: bool
    difference: str = ""
    """The first case that differs."""


@dataclass(frozen=True)
class Stage:
    """The trained model beside a later form of it, on the probe."""

    name: str
    """merged, exported, quantised."""
    kind: str
    """Its weights: F32, F16, BF16, Q8_0, Q4_0."""
    largest_logit_difference: float
    largest_logit: float
    """Of the trained model, to compare with."""
    mean_kl: float
    """Nats per token."""
    perplexity: float
    trained_perplexity: float
    perplexity_change: float
    """Relative: 0.01 is one per cent more."""
    limits: Limits
    failures: tuple[str, ...] = ()
    """What exceeds its limit."""


@dataclass(frozen=True)
class Certificate:
    """What an export was found to be; certificate.json."""

    artefact: str
    """Name of the file or folder."""
    kind: str
    hash: str
    """Of the artefact, as in its lineage."""
    run: str
    trained_hash: str
    """Of the weights that training left."""
    probe: str
    probe_hash: str
    tokens: int
    """Predicted on the probe."""
    papers: tuple[Papers, ...]
    stages: tuple[Stage, ...]
    made: str
    """When, ISO 8601, UTC."""
    hanlin: str
    """Version."""

    @property
    def failures(self) -> tuple[str, ...]:
        """Everything that is not as it must be, a sentence each."""
        papers = [f"the {it.what} differs: {it.difference}" for it in self.papers if not it.is_equal]
        return (*papers, *(f"{stage.name} ({stage.kind}): {why}" for stage in self.stages for why in stage.failures))

    @property
    def is_passed(self) -> bool:
        """Nothing failed."""
        return not self.failures

    def as_object(self) -> dict[str, Any]:
        """Plain JSON; what is no number is told as text."""
        return _finite({**asdict(self), "is_passed": self.is_passed, "failures": list(self.failures)})


def compare_templates(trained: Tokenizer, exported: Tokenizer) -> Papers:
    """Both chat templates on every probe conversation; a refusal counts by its words."""
    cases = [(turns, is_open) for turns in CONVERSATIONS for is_open in (True, False)]
    ours, theirs = ([_rendered(one, *case) for case in cases] for one in (trained, exported))
    return _papers("chat template", ours, theirs)


def compare_tokenizers(trained: Tokenizer, exported: Tokenizer) -> Papers:
    """Both tokenizers on every probe text: ids with and without what is added around them, and the text again."""
    added = trained.backend.get_added_tokens_decoder().values()
    texts = [*TEXTS, "".join(entry.content for entry in added)[:4000]]
    ours, theirs = ([_tokenised(one, text) for text in texts] for one in (trained, exported))
    ends = [[str((one.bos, tuple(sorted(one.eos))))] for one in (trained, exported)]
    return _papers("tokenizer", ours + ends[0], theirs + ends[1])


def _rendered(tokenizer: Tokenizer, turns: Sequence[Mapping[str, str]], is_open: bool) -> str:
    if tokenizer.template is None:
        return "no template"
    try:
        return tokenizer.template.render(turns, add_generation_prompt=is_open)
    except HanlinError as error:
        return f"refused: {error.what}"


def _tokenised(tokenizer: Tokenizer, text: str) -> str:
    try:
        ids = [tokenizer.encode(text, add_special=is_added) for is_added in (True, False)]
        marks = "".join("s" if tokenizer.is_special(token) else "." for token in ids[0])
        return f"{ids} {marks} {tokenizer.decode(ids[1])}"
    except HanlinError as error:
        return f"refused: {error.what}"


def _papers(what: str, ours: Sequence[str], theirs: Sequence[str]) -> Papers:
    pairs = zip(ours, theirs, strict=True)
    difference = next((f"{shown(one)} became {shown(other)}" for one, other in pairs if one != other), "")
    hashes = [hashlib.sha256(repr(list(texts)).encode()).hexdigest() for texts in (ours, theirs)]
    return Papers(what, len(ours), hashes[0], hashes[1], ours == theirs, difference)


@torch.inference_mode()
def compare(trained: Decoder, other: Decoder, probe: Probe, name: str, kind: str, limits: Limits) -> Stage:
    """Two networks on the same rows, in float32."""
    largest = difference = kl = ours = theirs = 0.0
    for row in probe.rows:
        tokens = torch.tensor([row])
        states = [network.trunk(tokens)[0, :-1] for network in (trained, other)]
        for begin in range(0, len(row) - 1, AT_ONCE):
            piece = slice(begin, begin + AT_ONCE)
            one, two = (
                network.head(state[piece]).float() for network, state in zip((trained, other), states, strict=True)
            )
            targets = tokens[0, 1:][piece]
            largest = _most(largest, one)
            difference = _most(difference, one - two)
            first, second = F.log_softmax(one.double(), -1), F.log_softmax(two.double(), -1)
            kl += float((first.exp() * (first - second)).sum())
            ours -= float(first.gather(1, targets[:, None]).sum())
            theirs -= float(second.gather(1, targets[:, None]).sum())
    count = max(1, probe.tokens)
    before, after = _exp(ours / count), _exp(theirs / count)
    change = _exp((theirs - ours) / count) - 1
    made = Stage(name, kind, difference, largest, kl / count, after, before, change, limits)
    return Stage(**{**vars(made), "failures": tuple(_exceeded(made))})


def _exceeded(stage: Stage) -> list[str]:
    """What is over its limit; a comparison with a number that is none is."""
    limits, found = stage.limits, []
    if limits.logit is not None and not stage.largest_logit_difference <= limits.logit * max(1.0, stage.largest_logit):
        most = limits.logit * max(1.0, stage.largest_logit)
        found.append(f"a logit differs by {stage.largest_logit_difference:.3g}, the limit is {most:.3g}")
    if not stage.mean_kl <= limits.kl:
        found.append(f"mean KL is {stage.mean_kl:.3g} nats, the limit is {limits.kl:.3g}")
    if not abs(stage.perplexity_change) <= limits.perplexity:
        found.append(f"perplexity changes by {stage.perplexity_change:+.2%}, the limit is {limits.perplexity:.2%}")
    return found


def _most(so_far: float, values: Float[Tensor, "T V"]) -> float:
    """The largest size; nan stays nan, where `max` would lose it."""
    here = float(values.abs().max())
    return here if math.isnan(here) or here > so_far else so_far


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf if not math.isnan(value) else math.nan


def _finite(value: Any) -> Any:
    """The same with numbers that JSON does not have as text."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
