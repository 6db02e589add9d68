"""Models we save as GGUF, opened by llama.cpp: each family with each switch, and the default model's answer."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch

from hanlin.core.errors import RefusedError
from hanlin.core.plugins import names
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.decoder import Decoder
from hanlin.model.load import load
from hanlin.model.opened import FAMILIES
from hanlin.model.save import save_gguf
from hanlin.text.gguf import from_metadata
from hanlin.text.message import Message
from model.gguf.llamacpp import ask, greedy

VOCABULARY = 97
LETTERS = [chr(number) for number in range(33, 126)]
TOKENIZER = {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "gpt-2",
    "tokenizer.ggml.tokens": [*LETTERS, "ab", "abc", "<s>", "</s>"],
    "tokenizer.ggml.token_type": [1] * 95 + [3] * 2,
    "tokenizer.ggml.merges": ["a b", "ab c"],
    "tokenizer.ggml.bos_token_id": 95,
    "tokenizer.ggml.eos_token_id": 96,
}
TOKENS = [int(token) for token in np.random.default_rng(0).integers(0, 95, 24)]
"""Longer than every tiny window and trained length."""
STEPS = 4
SHORTEST = 256
"""llama.cpp makes no shorter context."""
MODULES = {family: importlib.import_module(f"{FAMILIES}.{family}") for family in names(FAMILIES)}
CONFIGS = [(family, name) for family, module in MODULES.items() for name in module.TINY]
TOLERANCES = {"F32": 1e-5, "F16": 2e-3, "BF16": 1e-2, "Q8_0": 3e-2, "Q4_0": 3e-2}
"""Shares of the spread of the scores. llama.cpp rounds activations to fit the weights: only F32 is computed exactly,"""
ROUNDED_CURVE = {"gemma3": 1e-3, "gpt2": 1e-3}
"""and its GELU is a table of float16."""


def checkpoint(family: str, name: str) -> Checkpoint:
    torch.manual_seed(0)
    config = MODULES[family].TINY[name]
    if name == "longrope within":  # so that llama.cpp's context is within too
        config = config.model_copy(
            update={"context": SHORTEST, "rope": config.rope.model_copy(update={"trained": SHORTEST})}
        )
    network = Decoder(MODULES[family].parts(config)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
        network.embed.weight *= 0.3
    return Checkpoint(network, config, family, from_metadata(TOKENIZER), path=Path("tiny"))


def scores(network: Decoder, tokens: list[int]) -> np.ndarray:
    """Log-probabilities of the tokens that follow the last few."""
    with torch.no_grad():
        return network(torch.tensor([tokens])).log_softmax(-1)[0, -STEPS - 1 : -1].numpy()


def assert_llama_cpp_agrees(path: Path, made: Checkpoint, kind: str) -> None:
    answers = greedy(path, path.parent, TOKENS, STEPS, VOCABULARY, SHORTEST)
    wanted = scores(made.network, [*TOKENS, *(token for token, _ in answers)])
    found = np.array([[row[token] for token in range(VOCABULARY)] for _, row in answers])
    assert found.shape == wanted.shape
    away = np.abs(found - wanted).max(axis=1) / np.ptp(wanted, axis=1)
    worst = np.max(away) if kind == "F32" else np.median(away)  # rounding may turn one token to another expert
    assert worst < max(TOLERANCES[kind], ROUNDED_CURVE.get(made.family, 0))


@pytest.mark.parametrize(("family", "name"), CONFIGS)
def test_every_config_is_the_same_model_in_llama_cpp_or_refused(tmp_path, family, name):
    made = checkpoint(family, name)
    path = tmp_path / "tiny.gguf"
    try:
        save_gguf(made, path, "F32")
    except RefusedError as error:
        assert error.fix and not path.exists()
        return
    np.testing.assert_allclose(scores(load(path).network, TOKENS), scores(made.network, TOKENS), atol=1e-5)
    assert_llama_cpp_agrees(path, made, "F32")


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_0"])
@pytest.mark.parametrize("family", MODULES)
def test_every_kind_of_weights_is_the_same_model_in_llama_cpp(tmp_path, family, kind):
    path = tmp_path / "tiny.gguf"
    save_gguf(checkpoint(family, next(iter(MODULES[family].TINY))), path, kind)
    assert_llama_cpp_agrees(path, load(path), kind)


def test_the_default_model_answers_the_same_in_llama_cpp_after_we_saved_it(smollm2, tmp_path):
    original, path = load(smollm2), tmp_path / "smollm2.gguf"
    save_gguf(original, path, "F16")
    question = Message(role="user", content="What is the capital of France?")
    reply = ask(path, tmp_path, messages=[question.plain()], max_tokens=20)
    answer = reply["choices"][0]["message"]["content"]
    assert answer == "The capital of France is Paris."
    assert original.tokenizer
    prompt = original.tokenizer.chat([question])
    assert reply["usage"]["prompt_tokens"] == len(prompt)
    wanted = [*original.tokenizer.encode(answer, add_special=False), original.tokenizer.eos[0]]
    with torch.no_grad():
        logits = original.network(torch.tensor([prompt + wanted]))[0, len(prompt) - 1 : -1]
    assert logits.argmax(-1).tolist() == wanted
