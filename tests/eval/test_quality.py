"""Qualities hold against what torch says by itself, and the default model's presets know the capital of France."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hanlin.core.errors import DataError, RefusedError
from hanlin.eval.quality import Reference, compare, qualities, shipped_text
from hanlin.kernels import missing
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.load import load


@pytest.fixture(scope="module")
def checkpoint(smollm2: Path) -> Checkpoint:
    """The default model."""
    return load(smollm2)


@pytest.fixture(scope="module")
def reference(checkpoint: Checkpoint) -> Reference:
    """It, and a short text."""
    return Reference(checkpoint, shipped_text()[:1200])


def test_a_network_differs_from_itself_by_nothing(reference: Reference) -> None:
    kl, flips, change, perplexity = compare(reference, reference.network)
    assert (kl, flips, change) == (0, 0, 0)
    losses = []
    for row in reference.rows:
        with torch.no_grad():
            logits = reference.network(row[None, :-1])[0]
        losses.append(torch.nn.functional.cross_entropy(logits, row[1:], reduction="sum"))
    assert perplexity == pytest.approx(float((sum(losses) / reference.tokens).exp()), rel=1e-4)  # pyright: ignore


def test_the_divergence_is_that_of_torch(reference: Reference, checkpoint: Checkpoint) -> None:
    weight = checkpoint.network.state_dict()["norm.weight"]
    other = load(checkpoint.path)
    other.network.load_state_dict({"norm.weight": weight * 1.2}, strict=False)
    kl = compare(reference, other.network)[0]
    total = 0.0
    for row in reference.rows:
        with torch.no_grad():
            ours, theirs = (it.network(row[None, :-1])[0].log_softmax(-1) for it in (checkpoint, other))
        total += float(torch.nn.functional.kl_div(theirs, ours, reduction="sum", log_target=True))
    assert kl == pytest.approx(total / reference.tokens, rel=1e-3)
    assert kl > 0.001


@pytest.mark.skipif(missing() is not None, reason="no native kernels here")
def test_every_preset_of_the_default_model_says_paris(reference: Reference, checkpoint: Checkpoint) -> None:
    rows = {row.preset: row for row in qualities(reference, checkpoint, (32, 8, 4))}
    assert all("Paris" in row.answer and row.is_right for row in rows.values())
    assert rows["float32"].kl < 1e-6
    assert rows["float32"].kl < rows["int8"].kl < 0.2
    assert rows["float32"].bytes > rows["int8"].bytes > rows["int4"].bytes
    assert all(row.tokens_per_second > 0 for row in rows.values())


def test_models_of_other_tokenizers_are_refused(reference: Reference, checkpoint: Checkpoint) -> None:
    with pytest.raises(RefusedError, match="another tokenizer"):
        reference.check(replace(checkpoint, tokenizer=None))


def test_a_text_of_one_token_says_nothing(checkpoint: Checkpoint) -> None:
    with pytest.raises(DataError, match="nothing can be predicted"):
        Reference(checkpoint, "a")
