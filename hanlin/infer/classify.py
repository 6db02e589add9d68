"""A model trained with a head in, texts in; the probabilities of their classes, or a number for each, out.

The folder is a run's, or one that training or `hanlin export` wrote: a Hugging Face folder or an adapter in PEFT's
format, `head.safetensors` and `classes.json` beside it. What comes out is what the head gave in training.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hanlin.core.errors import CapacityError, DataError, HanlinError, WeightsError
from hanlin.core.home import expanded
from hanlin.core.machine import allowed_cores
from hanlin.core.settings import parse
from hanlin.data.batch import Marked, collate
from hanlin.infer.head import HEAD, PLAN, HeadSettings
from hanlin.infer.opening import precision
from hanlin.model import safetensors
from hanlin.model.adapters import peft
from hanlin.model.decoder import Decoder
from hanlin.model.load import load
from hanlin.model.store import resolve
from hanlin.text.message import Message
from hanlin.text.tokenizer import Tokenizer
from hanlin.text.whole import Whole, whole

ADAPTER = "adapter_config.json"
WINDOW = 64
"""Texts that are sorted by length before they are read together."""
MOST_POSITIONS = 4096
"""Positions in one pass, padding included."""
TRAIN = "name a run of objective classify, regress or reward, or its model/ folder"


@dataclass(frozen=True)
class Verdict:
    """What the head says about one text."""

    tokens: int
    """That were read, marks included."""
    lost: int
    """Tokens beyond the context, which were not."""
    classes: Mapping[str, float]
    """Probabilities by class, the likeliest first; they add up to 1 unless a text may have several classes."""
    value: float | None = None
    """The number, in the labels' own unit; or the reward, of which only differences mean something."""


@dataclass(frozen=True, eq=False)
class Classifier:
    """A network, its head, and how the two are meant."""

    path: Path
    network: Decoder
    tokenizer: Tokenizer
    head: Float[Tensor, "C D"]
    plan: HeadSettings

    def classify(self, texts: Iterable[str | tuple[str, str]]) -> Iterator[Verdict]:
        """A verdict for each text or pair, in their order; of a reward, pairs of a question and its answer.

        Raises:
            DataError: a text has no tokens, or a reward is asked about something else than a pair.
            CapacityError: question and answer exceed the context.
        """
        left = iter(texts)
        while some := list(islice(left, WINDOW)):
            yield from self._window(self._encoded(some))

    @torch.inference_mode()
    def figures(self, rows: Sequence[Sequence[int]]) -> Float[Tensor, "B C"]:
        """The head's own figures for the last token of each row of ids."""
        device = self.network.embed.weight.device
        batch = collate([[Marked(np.array(ids, np.int32))] for ids in rows], shifts=False, pad=0)
        documents = None if self.network.is_causal or batch.documents is None else batch.documents.to(device)
        x = self.network.trunk(batch.tokens.to(device), None, documents)
        last = torch.tensor([len(ids) - 1 for ids in rows], device=device)
        return (x[torch.arange(len(rows), device=device), last].to(self.head.dtype) @ self.head.T).float()

    def _window(self, rows: Sequence[Whole]) -> Iterator[Verdict]:
        order = sorted(range(len(rows)), key=lambda at: len(rows[at].ids))
        cuts = [0]
        for place, at in enumerate(order):
            if (place + 1 - cuts[-1]) * len(rows[at].ids) > MOST_POSITIONS and place > cuts[-1]:
                cuts.append(place)
        found: dict[int, list[float]] = {}
        for begin, end in pairwise([*cuts, len(order)]):
            figures = self.figures([rows[at].ids for at in order[begin:end]])
            found |= dict(zip(order[begin:end], figures.tolist(), strict=True))
        for at, row in enumerate(rows):
            yield self._verdict(row, torch.tensor(found[at]))

    def _verdict(self, row: Whole, figures: Tensor) -> Verdict:
        plan = self.plan
        if plan.objective == "classify":
            shares = figures.sigmoid() if plan.has_many else figures.softmax(0)
            named = zip(plan.classes, shares.tolist(), strict=True)
            return Verdict(len(row.ids), row.lost, dict(sorted(named, key=lambda one: -one[1])))
        value = float(figures[0])
        if plan.objective == "regress":
            value = value * (plan.deviation or 1.0) + (plan.mean or 0.0)
        return Verdict(len(row.ids), row.lost, {}, value)

    def _encoded(self, texts: Sequence[str | tuple[str, str]]) -> list[Whole]:
        plan, pairs = self.plan, [(text, None) if isinstance(text, str) else text for text in texts]
        if plan.objective == "reward":
            return [self._answer(*pair) for pair in pairs]
        found: Sequence[Whole | HanlinError] = whole(
            self.tokenizer, pairs, context=plan.context, keep=plan.keep, between=plan.between
        )
        rows = []
        for one in found:
            if isinstance(one, HanlinError):
                raise one
            if not one.ids:
                raise DataError("a text has no tokens", "give at least one character")
            rows.append(one)
        return rows

    def _answer(self, question: str, answer: str | None) -> Whole:
        if answer is None:
            raise DataError("a reward judges an answer to a question, and there is no question", "give it: --prompt …")
        turns = [Message(role="user", content=question), Message(role="assistant", content=answer)]
        ids = self.tokenizer.chat(turns, add_generation_prompt=False)
        if len(ids) > self.plan.context:
            what = f"question and answer have {len(ids):,} tokens, and it was trained on {self.plan.context:,}"
            raise CapacityError(what, "shorten them: the end of an answer is where it is judged")
        return Whole(ids, 0)


def open_classifier(name: str | Path, dtype: torch.dtype | str | None = None) -> Classifier:
    """A model with its head, from a run's folder, its model/, a checkpoint or an export.

    Raises:
        WeightsError: it has no head, or files that do not fit together.
        StoreError: the base of an adapter is not at hand and cannot be fetched.
        ConfigError: the precision is none.
    """
    torch.set_num_threads(allowed_cores().count)
    path = expanded(str(name))
    path = path if path.is_dir() else resolve(str(name))
    path = path / "model" if (path / "model").is_dir() else path
    if not (path / HEAD).is_file() or not (path / PLAN).is_file():
        lacks = HEAD if not (path / HEAD).is_file() else PLAN
        raise WeightsError(f"{path} has no {lacks}: it was not trained to judge texts", TRAIN)
    plan = plan_of(path)
    is_adapter = (path / ADAPTER).is_file()
    base = resolve(adapter_base(path)) if is_adapter else path
    checkpoint = load(base, precision(dtype))
    if is_adapter:
        peft.load(checkpoint.network, path, plan.base)
    if checkpoint.tokenizer is None:
        raise WeightsError(f"{base} has no tokenizer", "put its tokenizer.json beside the weights")
    network = checkpoint.network.eval().requires_grad_(False)
    return with_head(path, network, checkpoint.tokenizer, plan)


def plan_of(path: Path) -> HeadSettings:
    """How the head in a folder is meant.

    Raises:
        ConfigError: the file is damaged.
    """
    return parse(HeadSettings, safetensors.read_json(path / PLAN), PLAN)


def with_head(path: Path, network: Decoder, tokenizer: Tokenizer, plan: HeadSettings) -> Classifier:
    """A network that is loaded already, and the head in a folder.

    Raises:
        WeightsError: the two do not fit together.
    """
    return Classifier(path, network, tokenizer, _head(path, plan, network.config.width), plan)


def adapter_base(path: Path) -> str:
    """Name of the model that an adapter's folder belongs to; empty if it is no adapter's.

    Raises:
        WeightsError: the adapter does not say.
    """
    if not (path / ADAPTER).is_file():
        return ""
    base = safetensors.read_json(path / ADAPTER).get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise WeightsError(f"{path / ADAPTER} names no base model", "set base_model_name_or_path in it")
    return base


def _head(path: Path, plan: HeadSettings, width: int) -> Float[Tensor, "C D"]:
    stored = safetensors.open_file(path / HEAD)
    shape = stored["weight"].shape if "weight" in stored else ()
    if shape != (plan.outputs, width):
        what = f"{path / HEAD} has a weight of shape {list(shape)}; {[plan.outputs, width]} would fit {PLAN}"
        raise WeightsError(what, "take both files from the same run")
    weight = stored["weight"].tensor().float()
    if not weight.isfinite().all():
        raise WeightsError(f"{path / HEAD} holds weights that are not numbers", "take an earlier checkpoint")
    return weight
