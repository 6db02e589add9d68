"""The default model, the real thing: equal to Transformers, and the answer it is known by."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from hanlin.model.checkpoint import Checkpoint
from hanlin.model.load import load
from hanlin.model.save import save_folder
from hanlin.text.message import Message

QUESTION = "What is the capital of France?"


@pytest.fixture(scope="module")
def checkpoint(smollm2: Path) -> Checkpoint:
    return load(smollm2)


def test_logits_agree_with_transformers(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_folder(checkpoint, tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    assert checkpoint.tokenizer is not None
    tokens = torch.tensor([checkpoint.tokenizer.encode("The cat sat on the mat, and 猫坐在垫子上。 " * 4)])
    with torch.inference_mode():
        expected, found = model(tokens).logits, checkpoint.network(tokens)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


def test_it_knows_the_capital_of_france(checkpoint: Checkpoint) -> None:
    tokenizer = checkpoint.tokenizer
    assert tokenizer is not None
    prompt = tokenizer.chat([Message(role="user", content=QUESTION)])
    cache = checkpoint.network.cache(1, len(prompt) + 16)
    chunk, answer = torch.tensor([prompt]), []
    with torch.inference_mode():
        while not answer or answer[-1] not in tokenizer.eos:
            chunk = checkpoint.network(chunk, cache)[:, -1:].argmax(-1)
            answer.append(int(chunk))
    assert tokenizer.decode(answer, skip_special=True) == "The capital of France is Paris."


@pytest.mark.parametrize(
    ("name", "text", "goes_on"),
    [("qwen2.5-coder-0.5b", "def add(a, b):\n    return", " a + b"), ("gemma3-270m-base", "1, 2, 3, 4, 5,", " 6, 7")],
)
def test_other_real_models_make_sense(resource, name: str, text: str, goes_on: str) -> None:
    checkpoint = load(resource(name))
    assert checkpoint.tokenizer is not None
    tokens = checkpoint.tokenizer.encode(text)
    expected = checkpoint.tokenizer.encode(text + goes_on)
    assert expected[: len(tokens)] == tokens
    with torch.inference_mode():
        for place in range(len(tokens), len(expected)):
            assert int(checkpoint.network(torch.tensor([expected[:place]]))[0, -1].argmax()) == expected[place]
