"""TRL's own losses on a Transformers model with the same weights, and the means to hold ours against them.

TRL's trainers want data sets, folders and an accelerator; here they are made without their constructors and given only
what their loss functions read. The model is Transformers' Llama, with the head that TRL itself puts on it.
"""

import copy
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import LlamaForCausalLM
from trl.trainer.utils import add_fused_lm_head

from hanlin.data.batch import Batch, Marked, collate
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.config import small
from hanlin.model.decoder import Decoder
from hanlin.model.families import llama
from hanlin.model.save import save_folder
from hanlin.train.objective import Objective, Pupil, Tally
from infer import tiny

CLOSE = {"atol": 2e-5, "rtol": 1e-4}
FIELDS = ("log_probs", "entropy", "mean_logits", "is_top1")


def network(seed: int, **changes: Any) -> Decoder:
    """A tiny llama for the tokenizer of tests/infer, whose logits say something."""
    torch.manual_seed(seed)
    made = Decoder(
        llama.parts(llama.Config(**{**small(), "vocabulary": tiny.tokenizer().vocab_size, "context": 64, **changes}))
    )
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(torch.randn(weight.shape) * 0.2)
    return made


def pupil(**changes: Any) -> Pupil:
    """One that has already moved from where it began."""
    before = network(1, **changes).eval().requires_grad_(False)
    return Pupil(network(0, **changes), tiny.tokenizer(), reference=before)


def theirs(own: Decoder, temperature: float = 1.0) -> LlamaForCausalLM:
    """Transformers' model with the same weights and TRL's head."""
    with TemporaryDirectory() as folder:
        save_folder(Checkpoint(network=own, config=own.config, family="llama", tokenizer=None), Path(folder))
        made = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    add_fused_lm_head(made, temperature=temperature, outputs=FIELDS)
    return made.train()


def bare(kind: type, **given: Any) -> Any:
    """A trainer without its constructor, with what its loss reads."""
    trainer = object.__new__(kind)

    def same(value: Any, **_: Any) -> Any:
        return value

    gathers = dict.fromkeys(("gather", "gather_for_metrics", "reduce"), same)
    alone = SimpleNamespace(device=torch.device("cpu"), num_processes=1, is_main_process=False, **gathers)
    counts: Any = defaultdict(lambda: defaultdict(list))
    plain = {
        "accelerator": alone,
        "_metrics": counts,
        "_total_train_tokens": 0,
        "_tp_size": 1,
        "aux_loss_enabled": False,
    }
    for name, value in {**plain, **given}.items():
        object.__setattr__(trainer, name, value)
    return trainer


def rows(lengths: Sequence[tuple[int, int]], seed: int = 0) -> list[Marked]:
    """Random tokens: so many of a prompt, so many of an answer that is graded."""
    draw = np.random.default_rng(seed)
    words = tiny.tokenizer().vocab_size
    return [
        Marked(draw.integers(0, words, prompt + answer).astype(np.int32), np.arange(prompt + answer) >= prompt)
        for prompt, answer in lengths
    ]


def paired(lengths: Sequence[tuple[int, int, int]], seed: int = 0) -> list[Marked]:
    """The same with a worse end: lengths of prompt, better and worse."""
    better = rows([(prompt, chosen) for prompt, chosen, _ in lengths], seed)
    worse = rows([(prompt, rejected) for prompt, _, rejected in lengths], seed + 1)
    for good, bad, (prompt, _, _) in zip(better, worse, lengths, strict=True):
        bad.ids[:prompt] = good.ids[:prompt]
    return [Marked(good.ids, good.graded, rejected=bad) for good, bad in zip(better, worse, strict=True)]


def batched(marked: Sequence[Marked], *, shifts: bool = True) -> Batch:
    return collate([[entry] for entry in marked], shifts=shifts, pad=0)


def padded(marked: Sequence[Marked]) -> dict[str, Tensor]:
    """What TRL's collators make of the same tokens: padded on the right, whole."""
    wide = max(len(entry.ids) for entry in marked)
    found = {name: torch.zeros(len(marked), wide, dtype=torch.long) for name in FILLED}
    for row, entry in enumerate(marked):
        assert entry.graded is not None
        found["input_ids"][row, : len(entry.ids)] = torch.from_numpy(entry.ids.astype(np.int64))
        found["attention_mask"][row, : len(entry.ids)] = 1
        found["completion_mask"][row, : len(entry.ids)] = torch.from_numpy(entry.graded.astype(np.int64))
    return found


FILLED = ("input_ids", "attention_mask", "completion_mask")


def ends(marked: Sequence[Marked]) -> list[Marked]:
    """All better ends, then all worse ones, as TRL stacks them."""
    return [*marked, *(entry.rejected for entry in marked if entry.rejected is not None)]


def assert_same(tally: Tally, own: Decoder, loss: Tensor, model: LlamaForCausalLM) -> None:
    """The loss and the gradient of every weight are equal."""
    ours = tally.total / tally.count
    torch.testing.assert_close(ours, loss.float(), **CLOSE)
    own.zero_grad()
    ours.backward()
    model.zero_grad()
    loss.backward()
    gradients = copy.deepcopy(own)
    with torch.no_grad():
        for weight, moved in zip(gradients.parameters(), own.parameters(), strict=True):
            weight.copy_(torch.zeros_like(moved) if moved.grad is None else moved.grad)
    named = dict(
        theirs(gradients).named_parameters()
    )  # a model whose weights are our gradients, by Transformers' names
    largest = max(float(weight.grad.abs().max()) for weight in model.parameters() if weight.grad is not None)
    assert largest > 1e-4, "gradients that are nothing prove nothing"
    for name, weight in model.named_parameters():
        wanted = torch.zeros_like(weight) if weight.grad is None else weight.grad
        torch.testing.assert_close(
            named[name].detach(), wanted, atol=1e-4 * largest, rtol=1e-3, msg=lambda m, n=name: f"{n}: {m}"
        )


def figures(tally: Tally) -> Mapping[str, float]:
    return {name: value / tally.count for name, value in tally.figures.items()}


def learnt(objective: Objective, pupil: Pupil, batch: Batch, steps: int, rate: float = 1e-2) -> list[Tally]:
    """The tally of each step of plain Adam on one batch."""
    optimiser = torch.optim.Adam(pupil.network.parameters(), lr=rate)
    found = []
    pupil.network.train()
    for number in range(steps):
        draw = np.random.default_rng(number)
        ready = objective.gathered(pupil, objective.corrupted(batch, pupil.tokenizer, draw), draw)
        tally = objective.loss(pupil, ready)
        optimiser.zero_grad()
        (tally.total / tally.count).backward()
        optimiser.step()
        found.append(tally._replace(total=tally.total.detach()))
    return found


@cache
def words() -> Any:
    return tiny.tokenizer()
