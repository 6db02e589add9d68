"""One test through the whole life, as far as it goes today: fetched, examined, talked to, saved both ways, the same."""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from hanlin.infer.model import Model, load
from hanlin.model.save import save_folder, save_gguf

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
TEXT = "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want."


def answer(model: Model) -> str:
    return "".join(event.text for event in model.chat(QUESTION, max_tokens=12))


def test_a_model_stays_itself_through_every_format(smollm2: Path, tmp_path: Path) -> None:
    first = load(str(smollm2))
    bits = first.score(TEXT).bits_per_byte
    assert answer(first) == "The capital of France is Paris."

    save_folder(first.checkpoint, tmp_path / "folder")
    second = load(tmp_path / "folder")
    assert answer(second) == answer(first)
    assert second.score(TEXT).bits_per_byte == bits, "float32 weights in, the same float32 weights out"

    save_gguf(second.checkpoint, tmp_path / "eight.gguf", kind="Q8_0")
    third = load(tmp_path / "eight.gguf")
    assert abs(third.score(TEXT).bits_per_byte - bits) < 0.02 * bits, "8 bits cost next to nothing"
    assert third.tokenizer.chat(QUESTION) == first.tokenizer.chat(QUESTION)

    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "folder", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "folder")
    prompt = tokenizer.apply_chat_template(QUESTION, add_generation_prompt=True)["input_ids"]
    assert prompt == first.tokenizer.chat(QUESTION)
    with torch.inference_mode():
        gap = (theirs(torch.tensor([prompt])).logits - second.logits(torch.tensor([prompt]))).abs().max()
    assert gap < 1e-3
