"""`--adapter DIR`: a model answers, scores and is replayed with a LoRA beside it, as PEFT's own model with it does."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

import hanlin
from hanlin import kernels
from hanlin.cli.main import main
from hanlin.core.errors import ConfigError, RefusedError, WeightsError
from hanlin.model.adapters import peft
from hanlin.model.adapters.lora import add
from hanlin.model.adapters.settings import AdapterSettings
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.load import load
from hanlin.model.save import save_folder
from infer import tiny
from model.adapters.additions import OLD

pytestmark = OLD
HOW = [None, *(["int8"] if kernels.missing() is None else [])]
PROMPT = "hello the 翰林"


def saved(folder: Path, seed: int) -> Path:
    tokenizer = tiny.tokenizer()
    network = tiny.network(tokenizer)
    with torch.no_grad():
        for weight in network.parameters():
            weight += torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed)) * 0.1
    save_folder(Checkpoint(network, network.config, "llama", tokenizer), folder)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("adapters") / "base", 1)


@pytest.fixture(scope="module")
def adapter(base: Path) -> Path:
    settings, chance = AdapterSettings(rank=4, alpha=8), torch.Generator().manual_seed(3)
    network = load(base).network
    add(network, settings, chance)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.requires_grad:
                weight += torch.randn(weight.shape, generator=chance) * 0.2
    peft.save(network, base.parent / "adapter", str(base), settings)
    return base.parent / "adapter"


@pytest.fixture
def hanlin_says(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def run(*arguments: str, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["hanlin", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        assert int(left.value.code or 0) == code, said.err
        return said.out

    return run


@pytest.mark.parametrize("dtype", HOW)
def test_what_it_reads_is_what_pefts_model_reads(base: Path, adapter: Path, dtype: str | None) -> None:
    from peft import PeftModel

    ids = tiny.tokenizer().encode(PROMPT)
    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(adapter))
    with torch.inference_mode():
        wanted = theirs(torch.tensor([ids])).logits[0]
        plain = hanlin.load(base).logits(torch.tensor([ids]))[0]
        found = hanlin.load(base, dtype, adapter).logits(torch.tensor([ids]))[0]
    off = float((found - wanted).norm() / wanted.norm())
    assert off < (1e-5 if dtype is None else 0.1) < float((plain - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("dtype", HOW)
def test_an_adapters_folder_is_the_model_it_names_with_it(base: Path, adapter: Path, dtype: str | None) -> None:
    one, other = hanlin.load(base, dtype, adapter), hanlin.load(adapter, dtype)
    assert list(one.generate(PROMPT, max_tokens=9)) == list(other.generate(PROMPT, max_tokens=9))
    assert np.array_equal(one.embed([PROMPT]), other.embed([PROMPT]))
    assert one.score(PROMPT, [" he", " a"]) == other.score(PROMPT, [" he", " a"])
    with pytest.raises(ConfigError, match="is an adapter, and so is"):
        hanlin.load(adapter, dtype, adapter)


@pytest.mark.parametrize("dtype", HOW)
def test_one_of_other_weights_is_refused(base: Path, adapter: Path, tmp_path: Path, dtype: str | None) -> None:
    other = saved(tmp_path / "other", 2)
    with pytest.raises(RefusedError, match="the weights here are not the same"):
        hanlin.load(other, dtype, adapter)
    with pytest.raises(WeightsError, match="no adapter's folder"):
        hanlin.load(base, dtype, base)


@pytest.mark.parametrize("dtype", HOW)
def test_a_receipt_names_it_and_replay_honours_it(
    base: Path, adapter: Path, hanlin_says: Callable[..., str], tmp_path: Path, dtype: str | None
) -> None:
    kind, paper = ["--dtype", dtype] if dtype else [], tmp_path / "receipt.json"
    made = ["generate", str(base), "-p", PROMPT, "--max-tokens", "9", "--json", *kind]
    plain = json.loads(hanlin_says(*made))
    told = json.loads(hanlin_says(*made, "--adapter", str(adapter), "--receipt", str(paper)))
    assert told["answers"] != plain["answers"]
    found = json.loads(paper.read_text())
    assert found["adapter"] == str(adapter) and len(found["hashes"]["adapter"]) == 64
    assert hanlin_says("replay", str(paper)).startswith("proved: ")
    without = found["hashes"].pop("adapter")
    paper.write_text(json.dumps({key: value for key, value in found.items() if key != "adapter"}))
    assert "adapter: " not in hanlin_says("replay", str(paper), code=1)
    found["hashes"]["adapter"] = without[::-1]
    paper.write_text(json.dumps(found))
    assert "the adapter is another one" in hanlin_says("replay", str(paper), code=1)


def test_every_verb_that_reads_takes_it(
    base: Path, adapter: Path, hanlin_says: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_text(PROMPT * 3)
    for verb in (["next", str(base), PROMPT], ["score", str(base), str(tmp_path / "text.txt")]):
        assert hanlin_says(*verb) != hanlin_says(*verb, "--adapter", str(adapter))
