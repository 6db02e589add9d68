"""The loss of fine-tuning: equal to Transformers' and TRL's, one to a row and packed, and blind to neighbours."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from hanlin.data.batch import Batch, Marked, collate
from hanlin.data.example import Chat, Text
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.save import save_folder
from hanlin.text.message import Message
from hanlin.train.objective import Pupil
from hanlin.train.objectives import next_token, sft
from train.objectives.pupils import network, sound, tokenizer


def chats(count: int) -> list[Chat]:
    answers = ["Yes.", "No, I do not think so.", "四", "Perhaps!"]
    return [
        Chat((Message(role="user", content=f"Question {at}?"), Message(role="assistant", content=answers[at % 4])))
        for at in range(count)
    ]


def theirs(learner: Pupil, folder: Path) -> Any:
    from transformers import LlamaForCausalLM

    save_folder(
        Checkpoint(network=learner.network, config=learner.network.config, family="llama", tokenizer=None), folder
    )
    return LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).double().train()


def padded(rows: list[Marked]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and labels as Transformers wants them: -100 where nothing is graded."""
    wide = max(len(row.ids) for row in rows)
    ids, labels = torch.zeros(len(rows), wide, dtype=torch.long), torch.full((len(rows), wide), -100)
    for at, row in enumerate(rows):
        ids[at, : len(row.ids)] = torch.from_numpy(row.ids).long()
        graded = np.ones(len(row.ids), bool) if row.graded is None else row.graded
        labels[at, : len(row.ids)] = torch.from_numpy(np.where(graded, row.ids, -100)).long()
    return ids, labels


def test_loss_and_gradients_equal_those_of_transformers_and_trl(tmp_path: Path) -> None:
    learner = Pupil(network(), tokenizer())
    rows = sound(sft.Objective().encode(chats(4), tokenizer(), 64))
    tally = sft.Objective().loss(learner, collate([[row] for row in rows], shifts=True, pad=0))
    (tally.total / tally.count).backward()
    ids, labels = padded(rows)
    model = theirs(learner, tmp_path)
    expected = model(ids, labels=labels)
    expected.loss.backward()
    torch.testing.assert_close(tally.total.double() / tally.count, expected.loss.double(), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(
        learner.network.embed.weight.grad, model.model.embed_tokens.weight.grad, atol=1e-6, rtol=1e-5
    )


def test_packed_chats_learn_as_in_trls_padding_free_batches(tmp_path: Path) -> None:
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    learner = Pupil(network(), tokenizer())
    rows = sound(sft.Objective().encode(chats(3), tokenizer(), 64))
    features = []
    for row in rows:
        assert row.graded is not None
        features.append({"input_ids": row.ids.tolist(), "labels": np.where(row.graded, row.ids, -100).tolist()})
    made = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)(features)
    tally = sft.Objective().loss(learner, collate([rows], shifts=True, pad=0))
    (tally.total / tally.count).backward()
    model = theirs(learner, tmp_path)
    expected = model(**{name: made[name] for name in ("input_ids", "position_ids", "labels")}, use_cache=False)
    expected.loss.backward()
    torch.testing.assert_close(tally.total.double() / tally.count, expected.loss.double(), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(
        learner.network.embed.weight.grad, model.model.embed_tokens.weight.grad, atol=1e-6, rtol=1e-5
    )


def test_several_chats_in_a_row_learn_as_each_in_its_own() -> None:
    learner = Pupil(network(), tokenizer())
    rows = sound(sft.Objective().encode(chats(4), tokenizer(), 64))
    grads, losses = [], []
    for arranged in ([[row] for row in rows], [rows], [rows[2:], rows[:2]]):
        learner.network.zero_grad()
        tally = sft.Objective().loss(learner, collate(arranged, shifts=True, pad=0))
        (tally.total / tally.count).backward()
        losses.append((tally.total / tally.count).double())
        grads.append(torch.cat([part.grad.flatten() for part in learner.network.parameters() if part.grad is not None]))
    for loss, grad in zip(losses[1:], grads[1:], strict=True):
        torch.testing.assert_close(loss, losses[0], atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(grad, grads[0], atol=1e-6, rtol=1e-5)


def test_packed_rows_do_not_see_each_other() -> None:
    model = network()
    rows = sound(sft.Objective().encode(chats(2), tokenizer(), 64))
    given = collate([rows], shifts=True, pad=0)
    assert given.documents is not None
    begin = int((given.documents[0] == 1).nonzero()[0])
    changed = given.tokens.clone()
    changed[0, :begin] = (changed[0, :begin] + 7) % 256
    with torch.no_grad():
        before, after = (model(tokens, None, given.documents)[0] for tokens in (given.tokens, changed))
    assert torch.equal(before[begin:], after[begin:])
    assert not torch.equal(before[:begin], after[:begin])


def test_the_first_token_of_a_chat_is_not_graded_by_the_one_before_it() -> None:
    rows = [Marked(np.arange(10, 15, dtype=np.int32)), Marked(np.arange(20, 25, dtype=np.int32))]
    made: Batch = collate([rows], shifts=True, pad=0)
    assert made.targets[0].tolist() == [11, 12, 13, 14, 21, 22, 23, 24]


def test_raw_text_ends_with_the_mark_to_stop_at_and_spelled_out_marks_are_text() -> None:
    tokens = tokenizer()
    (entry,) = sound(next_token.Objective().encode([Text("a<|im_end|>b")], tokens, 8))
    assert entry.graded is None
    assert entry.ids.tolist() == [*tokens.encode("a<|im_end|>b", parse_special=False), tokens.eos[0]]
    assert len(entry.ids) == len("a<|im_end|>b") + 1
    many = tokens.encode_many(["Hi", "the end", ""], parse_special=False)
    assert many == [tokens.encode(text, parse_special=False) for text in ("Hi", "the end", "")]
