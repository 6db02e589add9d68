"""`hanlin.load` and the Model it gives, beside Transformers with the same weights."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import hanlin
from hanlin.core.errors import CapacityError, ConfigError, DataError, HanlinError, RefusedError, TokenizerError
from hanlin.core.machine import allowed_cores, allowed_memory
from hanlin.infer.model import Model
from hanlin.infer.opening import precision
from hanlin.infer.sampling import Sampling
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.decoder import Decoder
from hanlin.model.save import save_folder
from hanlin.text.message import Message
from hanlin.text.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def folder(network: Decoder, bytewise: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, saved as Transformers reads it."""
    path = tmp_path_factory.mktemp("tiny")
    save_folder(Checkpoint(network, network.config, "llama", bytewise), path)
    return path


@pytest.fixture(scope="module")
def model(folder: Path) -> Iterator[Model]:
    threads = torch.get_num_threads()
    yield hanlin.load(folder)
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def test_loading_takes_the_allowed_cores(model: Model) -> None:
    assert torch.get_num_threads() == allowed_cores().count


def greedy(theirs: Any, ids: list[int], **how: Any) -> list[int]:
    """Transformers' answer; the rows of the head that are no tokens it has to be told."""
    rows = list(range(267, 272))
    made = theirs.generate(
        torch.tensor([ids]), max_new_tokens=30, do_sample=False, pad_token_id=0, suppress_tokens=rows, **how
    )
    return made[0, len(ids) :].tolist()


def test_greedy_answers_are_those_of_transformers(model: Model, theirs: Any) -> None:
    ids = model.tokenizer.encode("hello the 翰林")
    assert [event.token for event in model.generate(ids, max_tokens=30)] == greedy(theirs, ids)


def test_penalised_greedy_answers_are_those_of_transformers(model: Model, theirs: Any) -> None:
    ids = model.tokenizer.encode("hello the 翰林")
    mine = [event.token for event in model.generate(ids, max_tokens=30, repetition_penalty=1.3)]
    assert mine == greedy(theirs, ids, repetition_penalty=1.3)


def test_a_score_is_the_loss_of_transformers_on_the_same_tokens(model: Model, theirs: Any) -> None:
    text = "It is a truth universally acknowledged. 翰林"
    ids = torch.tensor([[model.tokenizer.eos[0], *model.tokenizer.encode(text)]])
    with torch.no_grad():
        loss = float(theirs(ids, labels=ids).loss)
    found = model.score(text)
    assert -found.loglikelihood / found.tokens == pytest.approx(loss, abs=1e-5)
    assert found.tokens == ids.shape[1] - 1


def test_logits_are_those_of_transformers(model: Model, theirs: Any) -> None:
    ids = torch.tensor([[5, 9, 30], [2, 2, 260]])
    torch.testing.assert_close(model.logits(ids), theirs(ids).logits.detach(), atol=1e-4, rtol=1e-4)


def test_a_chat_is_the_template_continued(model: Model) -> None:
    turns = [Message(role="system", content="be"), {"role": "user", "content": "hi"}]
    whole = model.tokenizer.encode("<turn>system: be<turn>user: hi<turn>")
    expected = [event.token for event in model.generate(whole, max_tokens=9)]
    assert [event.token for event in model.chat(turns, max_tokens=9)] == expected


def test_long_prompts_have_the_ids_of_the_whole(model: Model) -> None:
    text = "<turn>The quick brown fox.\n翰林 " * 5000
    assert model.encode(text, Sampling(overflow="slide")) == model.tokenizer.encode(text)


@pytest.mark.parametrize(("name", "dtype"), [("bfloat16", torch.bfloat16), (torch.float16, torch.float16)])
def test_a_precision_can_be_asked_for(folder: Path, name: Any, dtype: torch.dtype) -> None:
    loaded = hanlin.load(folder, name)
    assert {weight.dtype for weight in loaded.network.parameters()} == {dtype}
    assert len(list(loaded.generate("hello", max_tokens=3))) <= 3


@pytest.mark.parametrize("wrong", ["int8", "float", torch.int8])
def test_a_precision_that_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="precision"):
        precision(wrong)


MISTAKES: dict[str, tuple[type[HanlinError], Any]] = {
    "id too large": (DataError, lambda model: model.generate([1, 272])),
    "id negative": (DataError, lambda model: model.generate([-1])),
    "logits of an unknown id": (DataError, lambda model: model.logits(torch.tensor([[999]]))),
    "logits past the window": (CapacityError, lambda model: model.logits(torch.zeros(1, 65, dtype=torch.long))),
    "empty prompt": (RefusedError, lambda model: model.generate("")),
    "no ids": (RefusedError, lambda model: model.generate([])),
    "prompt past the window": (CapacityError, lambda model: model.generate("x" * 65)),
    "10 MB": (CapacityError, lambda model: model.generate("word " * 2_000_000)),
    "unknown setting": (ConfigError, lambda model: model.generate("a", temprature=1)),
    "setting out of range": (ConfigError, lambda model: model.chat([{"role": "user", "content": "a"}], top_p=2)),
    "half a character": (DataError, lambda model: model.generate("\ud800")),
    "empty conversation": (TokenizerError, lambda model: model.chat([])),
    "no role": (ConfigError, lambda model: model.chat([{"content": "hi"}])),
    "10 MB of chat": (CapacityError, lambda model: model.chat([{"role": "user", "content": "hi " * 3_000_000}])),
    "next of nothing": (RefusedError, lambda model: model.next("")),
    "no rows": (ConfigError, lambda model: model.next("a", 0)),
    "next past the window": (CapacityError, lambda model: model.next("x" * 65)),
    "score of nothing": (DataError, lambda model: model.score("")),
    "window past the window": (CapacityError, lambda model: model.score("a", window=65)),
    "stride past the window": (ConfigError, lambda model: model.score("a", window=8, stride=9)),
}


@pytest.mark.parametrize(("kind", "mistake"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_found_at_the_call_and_has_a_fix(model: Model, kind: type[HanlinError], mistake: Any) -> None:
    with pytest.raises(kind) as caught:
        mistake(model)
    assert caught.value.fix
    assert "\n" not in caught.value.what
    assert len(caught.value.what) < 300


def test_a_model_without_a_tokenizer_still_gives_logits(network: Decoder) -> None:
    bare = Model(Checkpoint(network, network.config, "llama", None, path=Path("bare")))
    assert bare.logits(torch.tensor([[1, 2]])).shape == (1, 2, network.config.vocabulary)
    with pytest.raises(TokenizerError, match="bare has no tokenizer"):
        bare.generate("hello")


def test_logits_larger_than_free_memory_are_refused(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    free = replace(allowed_memory(), available_bytes=2 * 272 * 4)
    monkeypatch.setattr("hanlin.infer.model.allowed_memory", lambda: free)
    model.logits(torch.tensor([[1, 2]]))
    with pytest.raises(CapacityError, match="3,264 bytes"):
        model.logits(torch.tensor([[1, 2, 3]]))
