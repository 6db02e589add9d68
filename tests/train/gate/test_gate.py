"""A good run passes the gate; each mistake is refused by its name, with a fix and where an example of it stands."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import AddedToken

from hanlin.core.errors import ConfigError, RefusedError
from hanlin.data.batch import Batch, Marked, collate
from hanlin.data.encoded import Encoded, in_memory
from hanlin.data.example import Chat, Text
from hanlin.text.message import Message
from hanlin.text.template import ChatTemplate
from hanlin.text.tokenizer import Tokenizer
from hanlin.train.gate.check import inspect
from hanlin.train.gate.inputs import Inputs
from hanlin.train.gate.report import Refusal
from train.gate.cases import chat, encoded, run, sentence

Make = Callable[..., Inputs]


def refused(inputs: Inputs, name: str) -> Refusal:
    """The only refusal, which has this name."""
    found = inspect(inputs)
    assert [one.name for one in found.refusals] == [name], found.refusals
    one = found.refusals[0]
    assert one.fix and "\n" not in one.what + one.fix
    with pytest.raises(RefusedError) as error:
        found.raise_if_refused()
    assert (error.value.what, error.value.fix) == (one.what, one.fix)
    return one


def changed(examples: Encoded, mark: Any) -> Encoded:
    """Every example through `mark`."""
    return in_memory([mark(examples[number]) for number in range(len(examples))], "chats.jsonl")


def masked(example: Marked, tokens: Sequence[int]) -> Marked:
    """The example without a grade for some tokens."""
    assert example.graded is not None
    return replace(example, graded=example.graded & ~np.isin(example.ids, tokens))


def copy_of(tokenizer: Tokenizer, **fields: Any) -> Tokenizer:
    return replace(tokenizer, **fields)


def test_a_good_run_passes_and_its_facts_are_counted(make: Make) -> None:
    inputs = make(used_share=0.98)
    found = inspect(inputs)
    assert not found.refusals and not found.notices
    found.raise_if_refused()
    train = inputs.train[0]
    facts = found.facts
    assert (facts.examples, facts.validation_examples, facts.answers, facts.cut) == (40, 10, 40, 0)
    assert facts.tokens == sum(len(train[number].ids) for number in range(40)) and facts.longest == train.lengths.max()
    marks = [train[number].graded for number in range(40)]
    assert facts.graded_share == sum(int(mark.sum()) for mark in marks if mark is not None) / facts.tokens
    assert "98.0%" in "\n".join(found.lines())


def test_no_graded_tokens_are_refused_even_if_allowed(make: Make) -> None:
    inputs = make()
    nothing = changed(inputs.train[0], lambda it: replace(it, graded=np.zeros(len(it.ids), bool)))
    one = refused(replace(inputs, train=[nothing], run=run(gate__allow='["graded"]')), "graded")
    assert "chats.jsonl, line 1" in one.what
    assert any("<|im_end|>" in piece.text for piece in one.sample) and {it.kind for it in one.sample} == {"seen"}


def test_many_examples_without_graded_tokens_are_refused_a_few_are_told(make: Make) -> None:
    inputs = make()
    marks = [inputs.train[0][number] for number in range(40)]
    marks[7] = replace(marks[7], graded=np.zeros(len(marks[7].ids), bool))
    found = inspect(replace(inputs, train=[in_memory(marks, "chats.jsonl")]))
    assert not found.refusals and "chats.jsonl, line 8" in found.notices[0] and "1 of 40" in found.notices[0]
    marks[7:12] = [replace(mark, graded=np.zeros(len(mark.ids), bool)) for mark in marks[7:12]]
    assert "5 of 40" in refused(replace(inputs, train=[in_memory(marks, "chats.jsonl")]), "graded").what


def test_batches_in_which_nothing_counts_are_refused(make: Make) -> None:
    inputs = make()
    row = [replace(inputs.train[0][0], graded=np.zeros(len(inputs.train[0][0].ids), bool))]
    refused(replace(inputs, batches=[collate([row], shifts=True, pad=2)]), "graded")


def test_an_end_of_turn_that_is_never_graded_is_refused(make: Make, tokenizer: Tokenizer) -> None:
    other_pad = copy_of(tokenizer, pad=0)
    inputs = make(tokenizer=other_pad, base=other_pad)
    endless = changed(inputs.train[0], lambda it: masked(it, tokenizer.eos))
    one = refused(replace(inputs, train=[endless]), "turn_end")
    assert "<|im_end|>" in one.what and "chats.jsonl, line 1" in one.what


def test_a_graded_eos_does_not_stand_in_for_the_templates_own_end_of_turn(make: Make, tokenizer: Tokenizer) -> None:
    other_pad = copy_of(tokenizer, pad=5)
    inputs = make(tokenizer=other_pad, base=other_pad)

    def ended(it: Marked) -> Marked:
        it = masked(it, [2])
        assert it.graded is not None
        return replace(it, ids=np.append(it.ids, np.int32(0)), graded=np.append(it.graded, True))

    refused(replace(inputs, train=[changed(inputs.train[0], ended)]), "turn_end")


def test_a_template_without_an_end_of_turn_is_refused_where_no_eos_is_graded(make: Make, tokenizer: Tokenizer) -> None:
    endless = copy_of(
        tokenizer, template=ChatTemplate("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}")
    )
    data = encoded([chat(number) for number in range(40)], endless)
    held = encoded([chat(number) for number in range(100, 110)], endless)
    refused(make(data, held, tokenizer=endless, base=endless), "turn_end")


def test_an_end_of_turn_masked_as_padding_is_refused_as_such(make: Make, tokenizer: Tokenizer) -> None:
    inputs = make()
    assert tokenizer.pad in tokenizer.eos
    by_id = changed(inputs.train[0], lambda it: masked(it, [2]))
    one = refused(replace(inputs, train=[by_id]), "padding")
    assert "never graded" in one.what and "place" in one.fix


def test_one_end_of_turn_masked_as_padding_among_many_is_refused(make: Make) -> None:
    inputs = make()
    marks = [inputs.train[0][number] for number in range(40)]
    marks[3] = masked(marks[3], [2])
    assert "chats.jsonl, line 4" in refused(replace(inputs, train=[in_memory(marks, "chats.jsonl")]), "padding").what


def test_graded_padding_is_refused_in_examples_and_in_batches(make: Make) -> None:
    inputs = make()

    def padded(it: Marked) -> Marked:
        assert it.graded is not None
        return replace(it, ids=np.append(it.ids, np.full(6, 2, np.int32)), graded=np.append(it.graded, [True] * 6))

    refused(replace(inputs, train=[changed(inputs.train[0], padded)]), "padding")
    good = collate([[inputs.train[0][0]]], shifts=True, pad=2, width=96)
    assert not inspect(replace(inputs, batches=[good])).refusals
    bad = replace(good, weights=torch.ones_like(good.weights))
    one = refused(replace(inputs, batches=[good, bad]), "padding")
    assert "batch 2, row 1" in one.what


@pytest.mark.parametrize(("allow", "is_refused"), [("[]", True), ('["template"]', False)])
def test_a_template_that_is_not_the_models_is_refused(
    make: Make, tokenizer: Tokenizer, allow: str, is_refused: bool
) -> None:
    turn = "<|im_start|>{{ m.role }}: {{ m.content }}<|im_end|>\n"
    opening = "{% if add_generation_prompt %}<|im_start|>assistant: {% endif %}"
    other = "{% for m in messages %}" + turn + "{% endfor %}" + opening
    mine = copy_of(tokenizer, template=ChatTemplate(other))
    data, held = (encoded([chat(at) for at in places], mine) for places in (range(40), range(100, 110)))
    inputs = make(data, held, tokenizer=mine, run=run(gate__allow=allow))
    if is_refused:
        what = refused(inputs, "template").what
        assert "<|im_start|>user: What" in what and "<|im_start|>system" in what and "from character 12 on" in what
    else:
        found = inspect(inputs)
        assert not found.refusals and any('overruled (gate.allow has "template")' in one for one in found.notices)


def test_the_same_template_in_another_spelling_passes(make: Make, tokenizer: Tokenizer) -> None:
    assert tokenizer.template is not None
    spelled = replace(tokenizer.template, source="{# the same #}" + tokenizer.template.source)
    assert not inspect(make(tokenizer=copy_of(tokenizer, template=spelled))).refusals


def test_a_base_model_without_a_template_is_told_of(make: Make, tokenizer: Tokenizer) -> None:
    found = inspect(make(base=copy_of(tokenizer, template=None)))
    assert not found.refusals and "no chat template" in found.notices[0]


def test_answers_cut_by_the_context_are_refused_above_the_share_and_told_below(
    make: Make, tokenizer: Tokenizer
) -> None:
    long = [chat(number, sentence(number, 200) if number < 4 else None) for number in range(40)]
    inputs = make(encoded(long, tokenizer))
    one = refused(inputs, "cut")
    assert "4 of 40 answers (10.0%)" in one.what and "chats.jsonl, line 1" in one.what
    assert "cut" in {piece.kind for piece in one.sample}
    found = inspect(replace(inputs, run=run(gate__most_cut="0.1")))
    assert not found.refusals and any("4 of 40 answers" in it for it in found.notices) and found.facts.cut == 4
    assert not inspect(replace(inputs, run=run(data__packing='"wrapped"'))).notices


def test_an_answer_that_just_fits_is_not_cut(make: Make) -> None:
    inputs = make()
    longest = int(inputs.train[0].lengths.max())
    # the last token, a line break, is not graded; with shifted targets the one before it needs no position of its own
    assert not inspect(replace(inputs, run=run(data__context=longest - 2))).refusals
    assert inspect(replace(inputs, run=run(data__context=longest - 2))).facts.cut == 0
    assert inspect(replace(inputs, run=run(data__context=longest - 3))).facts.cut > 0


def test_long_plain_texts_go_on_in_the_next_row_and_are_not_cut(make: Make, tokenizer: Tokenizer) -> None:
    text = encoded([Text(sentence(1, 400)), Text(sentence(2, 12))], tokenizer, "next_token")
    held = encoded([Text(sentence(9, 10))], tokenizer, "next_token")
    assert not inspect(make(text, held, run=run(use="next_token"))).refusals


def test_empty_data_are_refused_even_if_allowed(make: Make) -> None:
    inputs = make(validation=in_memory([]))
    empty = replace(inputs, train=[in_memory([])], run=run(gate__allow='["empty"]'))
    assert "chats.jsonl" in refused(empty, "empty").what
    refused(replace(empty, train=[]), "empty")


def test_no_validation_is_told_and_refused_where_it_decides_when_to_stop(make: Make) -> None:
    inputs = replace(make(), validation=[])
    found = inspect(inputs)
    assert not found.refusals and "no validation" in found.notices[0]
    assert "patience = 3" in refused(replace(inputs, run=run(train__patience=3)), "validation").what


def test_exact_copies_in_train_and_validation_are_refused(make: Make, tokenizer: Tokenizer) -> None:
    held = encoded([chat(number) for number in (100, 101, 7, 8)], tokenizer)
    one = refused(make(validation=held), "duplicates")
    assert "2 of 4" in one.what and "chats.jsonl, line 3 is chats.jsonl, line 8" in one.what


def test_a_tokenizer_with_more_tokens_than_the_embedding_has_rows_is_refused(make: Make) -> None:
    assert "49,152 tokens" in refused(make(rows=49_151), "vocabulary").what
    assert not inspect(make(rows=49_280)).refusals


def test_special_tokens_outside_the_embedding_are_refused(make: Make, tokenizer: Tokenizer) -> None:
    for fields in ({"pad": 49_152}, {"eos": (2, 60_000)}, {"bos": -1}):
        strange = copy_of(tokenizer, **fields)
        refused(make(tokenizer=strange, base=strange), "vocabulary")


def test_ids_outside_the_embedding_are_refused(make: Make) -> None:
    inputs = make()
    marks = [inputs.train[0][number] for number in range(40)]
    marks[5] = replace(marks[5], ids=np.where(marks[5].ids == 2, 50_000, marks[5].ids).astype(np.int32))
    one = refused(replace(inputs, train=[in_memory(marks, "chats.jsonl")]), "vocabulary")
    assert "50,000" in one.what and "chats.jsonl, line 6" in one.what


def test_tokens_that_mean_something_else_to_the_model_are_refused_new_ones_are_not(
    make: Make, tokenizer: Tokenizer
) -> None:
    plain = tokenizer.backend.to_str()
    other = json.loads(plain)
    vocabulary = other["model"]["vocab"]
    vocabulary["!"], vocabulary["~"] = vocabulary["~"], vocabulary["!"]
    swapped = type(tokenizer.backend).from_str(json.dumps(other))
    one = refused(make(base=copy_of(tokenizer, backend=swapped)), "vocabulary")
    assert "2 of 49,152" in one.what and "17 is '~' there and '!' in" in one.what
    grown = type(tokenizer.backend).from_str(plain)
    grown.add_tokens([AddedToken("<new>", special=True)])
    more = copy_of(tokenizer, backend=grown, vocab_size=tokenizer.vocab_size + 1)
    assert not inspect(make(tokenizer=more, rows=more.vocab_size)).refusals


def test_unknown_names_in_allow_are_an_error(make: Make) -> None:
    with pytest.raises(ConfigError, match="overlapp") as error:
        inspect(make(run=run(gate__allow='["overlapp"]')))
    assert "overlap" in error.value.fix


def test_several_refusals_are_all_told_each_with_its_fix(make: Make, tokenizer: Tokenizer) -> None:
    held = encoded([chat(7)], tokenizer)
    inputs = make(validation=held)
    by_id = changed(inputs.train[0], lambda it: masked(it, [2]))
    found = inspect(replace(inputs, train=[by_id, inputs.train[0]]))
    assert [one.name for one in found.refusals] == ["padding", "duplicates"]
    with pytest.raises(RefusedError) as error:
        found.raise_if_refused()
    assert str(error.value).count("\n  fix: ") == 2


def test_an_absurd_learning_rate_is_a_notice(make: Make) -> None:
    found = inspect(make(run=run(train__lr="0.5", model__use='"smollm2"')))
    assert not found.refusals and "train.lr = 0.5" in found.notices[0]
    assert not inspect(make(run=run(train__lr="1e-5", model__use='"smollm2"'))).notices


def test_an_end_of_turn_at_which_the_model_does_not_stop_is_told(make: Make, tokenizer: Tokenizer) -> None:
    other = copy_of(tokenizer, eos=(0,), pad=0)
    found = inspect(make(tokenizer=other, base=other))
    assert not found.refusals and "do not stop" in found.notices[0]


def test_half_of_an_answer_is_not_taken_for_a_system_prompt(make: Make, tokenizer: Tokenizer) -> None:
    system = Message(role="system", content=sentence(5, 28))
    with_system = [Chat((system, *chat(number).messages)) for number in range(6)]
    held = [Chat((system, *chat(number).messages)) for number in range(100, 103)]
    assert not inspect(make(encoded(with_system, tokenizer), encoded(held, tokenizer))).refusals


def test_padding_batches_need_no_documents(make: Make) -> None:
    batch = Batch(torch.full((1, 4), 2), torch.full((1, 4), 2), torch.zeros(1, 4))
    assert {one.name for one in inspect(make(batches=[batch])).refusals} == {"graded"}
