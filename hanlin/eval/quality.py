"""What rounding costs a model and what it brings: a model and a text in, a row of figures for each way to keep it out.

Every way is compared with the network in float32, computed by torch, at every position of the text: the divergence
(Kullback-Leibler) of its probabilities from float32's, how often its likeliest token is another, and the perplexity.
The float32 plan of the native kernels is one of the ways, so that a fault of theirs would show, too.
"""

import math
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from hanlin.core.errors import DataError, RefusedError
from hanlin.kernels.kv import KVBlocks
from hanlin.kernels.plan import Plan
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.compiled import Compiled
from hanlin.model.decoder import Decoder
from hanlin.model.plan import Bits, compiled

WINDOW = 256
"""Tokens of a row: enough that most predictions have context, and memory stays small."""
TOKENS = 4096
"""Of a text; the error of a mean KL over so many is a few per cent of it."""
AT_ONCE = 64
"""Positions whose logits are held at once: in float64 over 262,000 tokens, 128 MiB a model."""
SPEED_TOKENS, SPEED_DEPTH = 32, 64
CANARY, CANARY_WORD, CANARY_TOKENS = "What is the capital of France?", "Paris", 24
"""A question every shipped preset of the default model answers rightly, greedily."""
NAMES: dict[Bits, str] = {32: "float32", 8: "int8", 4: "int4"}


@dataclass(frozen=True)
class Quality:
    """One way to keep a model."""

    preset: str
    """float32, int8 or int4; for another model than the one compared with, its name before it."""
    kl: float
    """Mean KL(float32 ‖ this), nats per token."""
    flips: float
    """Share of positions whose likeliest token is another."""
    perplexity: float
    perplexity_change: float
    """Relative: 0.01 is one per cent more than float32's."""
    bytes: int
    """Memory the weights take."""
    tokens_per_second: float
    """Median of single tokens decoded after one another, on this machine, now."""
    answer: str
    """What it says, greedily, to `CANARY`; "" where there is no chat template."""

    @property
    def is_right(self) -> bool | None:
        """It says Paris; None where it was not asked."""
        return CANARY_WORD in self.answer if self.answer else None


def shipped_text() -> str:
    """A text that no test set has: English, code and Chinese."""
    return (files("hanlin.eval") / "texts" / "plain.txt").read_text("utf-8")


class Reference:
    """A network in float32 and what it makes of a text."""

    def __init__(self, checkpoint: Checkpoint, text: str) -> None:
        """Reads the text, at most `TOKENS` tokens of it.

        Raises:
            DataError: the text has less than two tokens.
            RefusedError: the model has no tokenizer, or sees what comes after.
        """
        if checkpoint.tokenizer is None or not checkpoint.network.is_causal:
            raise RefusedError(f"{checkpoint.path.name} does not predict text", "name a language model")
        self.checkpoint, self.network = checkpoint, checkpoint.network
        ids = checkpoint.tokenizer.encode(text, add_special=False)
        window = min(WINDOW, checkpoint.config.context)
        self.is_cut = len(ids) > TOKENS
        ids = ids[:TOKENS]
        self.rows = [torch.tensor(ids[at : at + window]) for at in range(0, len(ids), window)]
        self.rows = [row for row in self.rows if len(row) > 1]
        if not self.rows:
            raise DataError(f"the text has {len(ids)} tokens: nothing can be predicted", "give a longer one")
        self.seen = [_seen(self.network, row) for row in self.rows]

    @property
    def tokens(self) -> int:
        """Predicted."""
        return sum(len(row) - 1 for row in self.rows)

    @property
    def window(self) -> int:
        """Positions of the longest row."""
        return max(len(row) for row in self.rows)

    def check(self, checkpoint: Checkpoint) -> None:
        """Only models of one tokenizer can be compared token by token.

        Raises:
            RefusedError: the other has another tokenizer.
        """
        texts = [row.tolist() for row in self.rows]
        own, other = self.checkpoint.tokenizer, checkpoint.tokenizer
        assert own is not None
        is_equal = other is not None and all(own.decode(ids) == other.decode(ids) for ids in texts)
        if not is_equal or checkpoint.config.vocabulary != self.checkpoint.config.vocabulary:
            raise RefusedError(
                f"{checkpoint.path.name} has another tokenizer than {self.checkpoint.path.name}",
                "compare each with itself: leave --against out",
            )


def qualities(
    reference: Reference, checkpoint: Checkpoint, presets: Sequence[Bits], name: str = ""
) -> Iterator[Quality]:
    """A row for each preset of a model, by the reference.

    Args:
        checkpoint: the reference's own, or another model with its tokenizer.
        name: put before the preset.

    Raises:
        ConfigError: there are no native kernels.
        RefusedError: the model has another tokenizer, or a part that the kernels have nothing for.
    """
    if checkpoint is not reference.checkpoint:
        reference.check(checkpoint)
    canary = _question(checkpoint)
    positions = max(reference.window, len(canary) + CANARY_TOKENS, SPEED_DEPTH + SPEED_TOKENS)
    for bits in presets:
        plan = compiled(checkpoint.network, min(positions, checkpoint.config.context), bits)
        network = Compiled(plan, checkpoint.config, NAMES[bits])
        kl, flips, change, perplexity = compare(reference, network)
        yield Quality(
            preset=f"{name} {NAMES[bits]}".strip(),
            kl=kl,
            flips=flips,
            perplexity=perplexity,
            perplexity_change=change,
            bytes=plan.bytes,
            tokens_per_second=speed(plan),
            answer=_answer(plan, checkpoint, canary),
        )


@torch.inference_mode()
def compare(reference: Reference, other: Decoder | Compiled) -> tuple[float, float, float, float]:
    """Mean KL (nats), share of flips, relative change of the perplexity, perplexity."""
    kl, flips, ours, theirs = 0.0, 0, 0.0, 0.0
    for row, seen in zip(reference.rows, reference.seen, strict=True):
        targets, beside = row[1:], _seen(other, row)
        for begin in range(0, len(targets), AT_ONCE):
            part = slice(begin, begin + AT_ONCE)
            first, second = reference.network.head(seen[part]).float(), other.head(beside[part]).float()
            flips += int((first.argmax(-1) != second.argmax(-1)).sum())
            first, second = F.log_softmax(first.double(), -1), F.log_softmax(second.double(), -1)
            kl += float((first.exp() * (first - second)).sum())
            ours -= float(first.gather(1, targets[part, None]).sum())
            theirs -= float(second.gather(1, targets[part, None]).sum())
    count = reference.tokens
    return kl / count, flips / count, _exp((theirs - ours) / count) - 1, _exp(theirs / count)


@torch.inference_mode()
def _seen(network: Decoder | Compiled, row: Int[Tensor, " T"]) -> Float[Tensor, "N D"]:
    """The stream at every position that has a next token."""
    return network.trunk(row[None, :-1])[0]


def speed(plan: Plan) -> float:
    """Tokens per second of one sequence, one token after another; the median of a few."""
    depth = min(SPEED_DEPTH, plan.positions - SPEED_TOKENS)
    if depth < 0:
        return math.nan
    run = _Run(plan)
    run.say(np.zeros(max(depth, 1), np.int32))
    seconds = []
    for _ in range(SPEED_TOKENS - 1):
        began = time.perf_counter()
        run.say(np.zeros(1, np.int32))
        seconds.append(time.perf_counter() - began)
    return 1 / statistics.median(seconds)


class _Run:
    """One sequence read by a plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.at = plan, 0
        places = -(-plan.positions // KVBlocks.SIZE)
        self.kv, self.table = plan.blocks(places), np.arange(places, dtype=np.int32)[None]

    def say(self, tokens: np.ndarray) -> int:
        """The likeliest token after these."""
        count = len(tokens)
        positions = np.arange(self.at, self.at + count)
        said = self.plan.walk(
            self.kv, tokens, positions, np.zeros(count, np.int32), self.table, np.array([count - 1], np.int32)
        )
        self.at += count
        assert said.logits is not None
        return int(said.logits[0].argmax())


def _question(checkpoint: Checkpoint) -> list[int]:
    """The canary as the model's own chat template puts it; nothing where there is none, or no room."""
    tokenizer = checkpoint.tokenizer
    if tokenizer is None or tokenizer.template is None:
        return []
    ids = tokenizer.chat([{"role": "user", "content": CANARY}])
    return ids if len(ids) + CANARY_TOKENS <= checkpoint.config.context else []


def _answer(plan: Plan, checkpoint: Checkpoint, question: list[int]) -> str:
    tokenizer = checkpoint.tokenizer
    if not question or tokenizer is None:
        return ""
    run, said = _Run(plan), []
    token = run.say(np.array(question, np.int32))
    while token not in tokenizer.eos and len(said) < CANARY_TOKENS:
        said.append(token)
        token = run.say(np.array([token], np.int32))
    return tokenizer.decode(said, skip_special=True).strip() or "(nothing)"


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf if not math.isnan(value) else math.nan
