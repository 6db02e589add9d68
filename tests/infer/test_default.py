"""The embedded default model at work, as its users meet it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import hanlin
from hanlin import kernels
from hanlin.core.errors import ConfigError
from hanlin.infer.model import Model

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
ANSWER = "The capital of France is Paris."


@pytest.fixture(scope="module")
def model(smollm2: Path) -> Model:
    return hanlin.load()


def test_the_default_answers_the_canary_question(model: Model) -> None:
    """It sits on a numerical edge: any loss of precision on the way tips the first token over."""
    events = list(model.chat(QUESTION))
    assert "".join(event.text for event in events) == ANSWER
    assert events[-1].finish == "stop"


@pytest.mark.skipif(kernels.missing() is not None, reason=f"no native kernels: {kernels.missing()}")
@pytest.mark.parametrize("dtype", ["int8", "int4", "stored"])
def test_the_canary_holds_in_every_preset(smollm2: Path, dtype: str) -> None:
    """Where llama.cpp's path of eight bits says something else."""
    assert "".join(event.text for event in hanlin.load(dtype=dtype).chat(QUESTION)) == ANSWER


def test_a_folder_has_no_codes_to_keep(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ConfigError, match="no GGUF file with codes"):
        hanlin.load(tmp_path, dtype="stored")


def test_the_command_line_gives_the_same_answer(smollm2: Path) -> None:
    hanlin = Path(sys.executable).with_name("hanlin")
    run = [hanlin, "generate", "--chat", "-p", QUESTION[0]["content"], "--json"]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert told["text"] == ANSWER
    assert told["finish_reason"] == "stop"


def test_chinese_streams_in_whole_characters(model: Model) -> None:
    events = list(model.generate("床前明月光，", max_tokens=40, temperature=1.5, seed=5))
    shown = "".join(event.text for event in events)
    assert shown == model.tokenizer.decode([event.token for event in events], skip_special=True)
    assert any(len(text.encode()) > len(text) for text in shown)


def test_a_text_it_knows_scores_better_than_the_same_words_shuffled(model: Model) -> None:
    known = model.score("It is a truth universally acknowledged, that a single man in possession of a good fortune")
    shuffled = model.score("a fortune acknowledged, truth It in universally is good that possession single a man of a")
    assert known.bits_per_byte < shuffled.bits_per_byte / 2
    assert known.bytes == pytest.approx(shuffled.bytes, abs=3)
