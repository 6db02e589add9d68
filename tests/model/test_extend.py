"""A model whose tokenizer grew: old tokens mean what they meant, new rows are the means of their pieces."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hanlin.infer.score import score
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.decoder import Decoder
from hanlin.model.extend import extended
from hanlin.model.families import llama
from hanlin.model.load import load
from hanlin.model.save import save_folder, save_gguf
from hanlin.text.learn.extend import from_corpus
from hanlin.text.learn.settings import LearnSettings
from hanlin.text.learn.train import learn
from model.gguf.llamacpp import ask

TEXT = "明月幾時有？把酒問青天。\nthe moon and the wine, the moon and the sky\n"
PIECES = {300: (1, 2, 3), 301: (5,), 302: (299, 0)}


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def model(request: pytest.FixtureRequest) -> Checkpoint:
    tokenizer = learn([TEXT * 9], LearnSettings(vocabulary=300))
    config = llama.TINY["shared heads"].model_copy(
        update={"vocabulary": tokenizer.vocab_size, "has_tied_head": request.param}
    )
    torch.manual_seed(0)
    return Checkpoint(Decoder(llama.parts(config)).eval(), config, "llama", tokenizer)


def test_new_rows_are_means_and_nothing_else_changes(model: Checkpoint) -> None:
    assert model.tokenizer is not None
    made = extended(model, replace(model.tokenizer, vocab_size=303), PIECES)
    before, after = model.network.state_dict(), made.network.state_dict()
    rows = {"embed.weight", "unembed.weight"} & before.keys()
    assert len(rows) == 2 - model.config.has_tied_head
    for name, weight in before.items():
        if name not in rows:
            assert after[name].data_ptr() == weight.data_ptr()
            continue
        assert torch.equal(after[name][:300], weight)
        for at, parts in PIECES.items():
            torch.testing.assert_close(after[name][at], torch.stack([weight[part] for part in parts]).mean(0))
    assert made.config.vocabulary == 303
    assert model.config.vocabulary == 300
    tokens = torch.arange(24).reshape(2, 12)
    with torch.inference_mode():
        assert torch.equal(made.network(tokens)[..., :300], model.network(tokens))


def test_rows_that_were_spare_are_filled_and_not_added(model: Checkpoint) -> None:
    """Qwen's embedding has more rows than its tokenizer has tokens."""
    assert model.tokenizer is not None
    made = extended(model, replace(model.tokenizer, vocab_size=299), {298: (1, 2)})
    weight = model.network.embed.weight
    assert made.network.embed.weight.shape == weight.shape
    torch.testing.assert_close(made.network.embed.weight[298], weight[1:3].mean(0))


def test_transformers_and_llama_cpp_run_the_extended_model(model: Checkpoint, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    assert model.tokenizer is not None
    grown = from_corpus(model.tokenizer, ["把酒問青天，明月青天\n" * 5], 6)
    made = extended(model, grown.tokenizer, grown.made_of)
    save_folder(made, tmp_path / "folder")
    ours, theirs = load(tmp_path / "folder"), AutoModelForCausalLM.from_pretrained(tmp_path / "folder")
    ids = grown.tokenizer.encode(TEXT)
    assert max(ids) >= 300
    assert AutoTokenizer.from_pretrained(tmp_path / "folder")(TEXT)["input_ids"] == ids
    with torch.inference_mode():
        wanted = made.network(torch.tensor([ids]))
        torch.testing.assert_close(ours.network(torch.tensor([ids])), wanted)
        torch.testing.assert_close(theirs(torch.tensor([ids])).logits, wanted, atol=1e-4, rtol=1e-4)
    save_gguf(made, tmp_path / "made.gguf", "F32")
    reply = ask(tmp_path / "made.gguf", tmp_path, prompt=TEXT, n_predict=1)
    assert reply["usage"]["prompt_tokens"] == len(ids)  # llama.cpp cuts the text as we do


def test_the_default_model_is_sane_right_after(smollm2: Path) -> None:
    """Far from a model that does not know the new tokens, and on other text nearly what it was."""
    model = load(smollm2)
    assert model.tokenizer is not None
    grown = from_corpus(model.tokenizer, [TEXT * 3], 8)
    made = extended(model, grown.tokenizer, grown.made_of)
    strange = extended(model, grown.tokenizer, {})  # all new rows the mean of all
    held = "青天有明月，把酒問明月。"

    def bits(checkpoint: Checkpoint, text: str) -> float:
        assert checkpoint.tokenizer is not None
        *_, last = score(checkpoint.network, checkpoint.tokenizer, [text])
        return last.bits_per_byte

    assert bits(made, held) < bits(strange, held)
    assert bits(made, held) < 1.6 * bits(model, held)
    english = "The moon rose over the hills, and the travellers drank their wine in silence."
    assert abs(bits(made, english) - bits(model, english)) < 0.02
