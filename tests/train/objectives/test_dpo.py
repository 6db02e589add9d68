"""DPO against TRL's own loss, against closed forms, and on a network that learns."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn.functional import logsigmoid
from trl.trainer.dpo_trainer import DPOTrainer

from hanlin.core.errors import ConfigError, DataError, TokenizerError
from hanlin.core.settings import parse
from hanlin.data.batch import Marked
from hanlin.data.example import Preference
from hanlin.model.adapters.lora import add
from hanlin.model.adapters.settings import AdapterSettings
from hanlin.text.message import Message
from hanlin.text.template import ChatTemplate
from hanlin.train import pairs
from hanlin.train.objective import Pupil
from hanlin.train.objectives.dpo import EXAMPLES, Objective
from infer import tiny
from train.objectives import oracle

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # TRL's own
LENGTHS = [(5, 4, 6), (3, 7, 2), (8, 1, 5)]
UNEVEN = [(3, 40, 2), (4, 35, 3)]


def trl(model: Any, before: Any, kind: str, beta: float = 0.3, smoothing: float = 0.0, weights: Any = None) -> Any:
    kinds = [kind] if weights is None else [kind, "sft"]
    return oracle.bare(
        DPOTrainer,
        model=model,
        ref_model=before,
        ld_alpha=None,
        precompute_ref_logps=False,
        f_divergence_type="reverse_kl",
        loss_types=kinds,
        loss_weights=weights or [1.0],
        label_smoothing=smoothing,
        beta=beta,
        use_weighting=False,
        args=SimpleNamespace(gradient_checkpointing_kwargs=None),
    )


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, "sigmoid"),
        ({"kind": "ipo"}, "ipo"),
        ({"kind": "hinge", "beta": 0.02}, "hinge"),
        ({"kind": "robust", "label_smoothing": 0.2}, "robust"),
        ({"is_length_normalised": True}, "sigmoid_norm"),
    ],
)
@pytest.mark.parametrize("lengths", [LENGTHS, UNEVEN])
def test_loss_and_gradients_equal_trl(settings: dict[str, Any], kind: str, lengths: list[tuple[int, int, int]]) -> None:
    pupil = oracle.pupil()
    assert pupil.reference is not None
    marked = oracle.paired(lengths)
    objective = parse(Objective, {"beta": 0.3, **settings})
    tally = objective.loss(pupil, oracle.batched(marked))
    model, before = oracle.theirs(pupil.network), oracle.theirs(pupil.reference)
    trainer = trl(model, before, kind, objective.beta, smoothing=objective.label_smoothing)
    loss = trainer._compute_loss(model, oracle.padded(oracle.ends(marked)), False)
    oracle.assert_same(tally, pupil.network, loss, model)
    told, wanted = oracle.figures(tally), {name: value[-1] for name, value in trainer._metrics["train"].items()}
    assert told["accuracy"] == pytest.approx(wanted["rewards/accuracies"])
    assert told["margin"] == pytest.approx(wanted["rewards/margins"], rel=1e-4)
    assert told["reward_chosen"] == pytest.approx(wanted["rewards/chosen"], rel=1e-4)
    assert told["reward_rejected"] == pytest.approx(wanted["rewards/rejected"], rel=1e-4)


def test_plain_learning_beside_the_comparison_equals_trl() -> None:
    pupil = oracle.pupil()
    assert pupil.reference is not None
    marked = oracle.paired(
        [(5, 4, 6), (3, 4, 2)]
    )  # TRL's mean is over tokens, ours over pairs: the same for like lengths
    tally = Objective(beta=0.3, sft_share=0.5).loss(pupil, oracle.batched(marked))
    model = oracle.theirs(pupil.network)
    trainer = trl(model, oracle.theirs(pupil.reference), "sigmoid", weights=[1.0, 0.5])
    inputs = oracle.padded(oracle.ends(marked))
    loss = trainer._compute_loss(model, inputs, False)
    oracle.assert_same(tally, pupil.network, loss, model)


def test_smoothing_mixes_both_ways_round() -> None:
    delta = torch.tensor([-3.0, 0.0, 2.0])
    ours = Objective(beta=0.5, label_smoothing=0.1).compared(delta)
    torch.testing.assert_close(ours, -0.9 * logsigmoid(0.5 * delta) - 0.1 * logsigmoid(-0.5 * delta))


def test_at_the_start_the_loss_is_the_logarithm_of_two_and_the_margin_nothing() -> None:
    network = oracle.network(0)
    same = oracle.network(0).requires_grad_(False)
    tally = Objective().loss(Pupil(network, tiny.tokenizer(), reference=same), oracle.batched(oracle.paired(LENGTHS)))
    assert float(tally.total.detach() / tally.count) == pytest.approx(math.log(2))
    assert oracle.figures(tally)["margin"] == pytest.approx(0, abs=1e-5)


def test_adapters_switched_off_are_the_reference() -> None:
    batch = oracle.batched(oracle.paired(LENGTHS))
    base = oracle.network(0)
    adapted = oracle.network(0).requires_grad_(False)
    add(adapted, AdapterSettings(), torch.Generator().manual_seed(0))
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if weight.requires_grad:
                weight.normal_(0, 0.1)
                assert "embed" not in name
    words = tiny.tokenizer()
    ours = Objective().loss(Pupil(adapted, words), batch)
    wanted = Objective().loss(Pupil(adapted, words, reference=base.requires_grad_(False)), batch)
    torch.testing.assert_close(ours.total, wanted.total)
    assert abs(oracle.figures(ours)["margin"]) > 1e-4
    ours.total.backward()
    assert all(weight.grad is not None for weight in adapted.parameters() if weight.requires_grad)


def test_pairs_of_unlike_length_are_read_in_two_passes_and_mean_the_same() -> None:
    near, far = (oracle.batched(oracle.paired(lengths)) for lengths in (LENGTHS, UNEVEN))
    assert [len(pairs.parted(batch)) for batch in (near, far)] == [1, 2]


def test_a_pair_cut_down_to_its_prompt_counts_for_nothing() -> None:
    marked = oracle.paired(LENGTHS)
    worse = marked[1].rejected
    assert worse is not None
    cut = Marked(marked[1].ids, marked[1].graded, rejected=Marked(worse.ids[:3], worse.graded[:3]))  # pyright: ignore
    pupil = oracle.pupil()
    tally = Objective().loss(pupil, oracle.batched([marked[0], cut, marked[2]]))
    alone = Objective().loss(pupil, oracle.batched([marked[0], marked[2]]))
    assert tally.count == 2
    torch.testing.assert_close(tally.total, alone.total, **oracle.CLOSE)


def test_the_margin_grows_as_it_learns() -> None:
    words = tiny.tokenizer()
    network = oracle.network(0, context=128)
    pupil = Pupil(network, words, reference=oracle.network(0, context=128).requires_grad_(False))
    objective = Objective()
    marked = objective.encode(EXAMPLES, words, 128)
    tallies = oracle.learnt(
        objective, pupil, oracle.batched([entry for entry in marked if isinstance(entry, Marked)]), 15
    )
    assert oracle.figures(tallies[-1])["margin"] > 1
    assert oracle.figures(tallies[-1])["accuracy"] == 1


def test_what_is_graded_is_what_the_end_adds_to_the_opened_answer() -> None:
    words = tiny.tokenizer()
    (found,) = Objective().encode(EXAMPLES[:1], words, 128)
    assert isinstance(found, Marked) and found.rejected is not None
    for end, text in (
        (found, "assistant: Warm the lid under hot water, then turn.<turn>"),
        (found.rejected, "assistant: No idea.<turn>"),
    ):
        assert words.decode(end.ids[end.graded].tolist()) == text
        assert words.decode(end.ids[~end.graded].tolist()) == "<turn>user: How do I open this jar?<turn>"  # pyright: ignore


def turn(role: Any, content: str) -> tuple[Message, ...]:
    return (Message(role=role, content=content),)


def test_a_template_that_rewrites_the_prompt_is_refused() -> None:
    words = tiny.tokenizer()
    counting = "{{ messages | length }}{% for m in messages %}<turn>{{ m.content }}{% endfor %}"
    rewriting = type(words)(words.backend, words.vocab_size, eos=words.eos, template=ChatTemplate(counting, {}))
    pair = Preference(turn("user", "a"), turn("assistant", "b"), turn("assistant", "c"))
    (found,) = Objective().encode([pair], rewriting, 64)
    assert isinstance(found, TokenizerError)
    assert "from token 0 of" in found.what


def test_pairs_that_teach_nothing_are_errors() -> None:
    words = tiny.tokenizer()
    same = Preference(turn("user", "a"), turn("assistant", "b"), turn("assistant", "b"))
    (found,) = Objective().encode([same], words, 64)
    assert isinstance(found, DataError)
    assert "the same" in found.what


def test_settings_that_mean_nothing_together_are_refused() -> None:
    with pytest.raises(ConfigError, match="label_smoothing means nothing for the kind ipo"):
        parse(Objective, {"kind": "ipo", "label_smoothing": 0.1})
