"""`hanlin merge`: what it writes answers as the model with its adapter did, or it says why not."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hanlin.cli.main import main
from hanlin.model.adapters import peft
from hanlin.model.adapters.lora import add
from hanlin.model.adapters.settings import AdapterSettings
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.load import load
from hanlin.model.save import save_folder
from infer import tiny

SETTINGS = AdapterSettings(use="dora", rank=4, targets=("q", "v", "down"))
TOKENS = torch.arange(40)[None] * 3


@pytest.fixture
def base(tmp_path: Path) -> Path:
    tokenizer = tiny.tokenizer()
    network = tiny.network(tokenizer)
    with torch.no_grad():
        for weight in network.parameters():
            weight *= 0.3
    save_folder(Checkpoint(network, network.config, "llama", tokenizer), tmp_path / "base")
    return tmp_path / "base"


@pytest.fixture
def adapter(base: Path, tmp_path: Path) -> Path:
    network = load(base).network
    chance = torch.Generator().manual_seed(1)
    add(network, SETTINGS, chance)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.requires_grad:
                weight += torch.randn(weight.shape, generator=chance) * 0.05
    peft.save(network, tmp_path / "adapter", "base", SETTINGS)
    return tmp_path / "adapter"


@pytest.fixture
def merge(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    def run(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["hanlin", "merge", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code if isinstance(ended.value.code, int) else 0

    return run


@torch.inference_mode()
def expected(base: Path, adapter: Path) -> torch.Tensor:
    network = load(base).network
    plain = network(TOKENS)
    peft.load(network, adapter)
    assert (network(TOKENS) - plain).abs().max() > 0.05
    return network(TOKENS)


@torch.inference_mode()
def test_a_merged_folder_answers_the_same_for_us_and_for_transformers(
    base: Path, adapter: Path, merge: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoModelForCausalLM

    assert merge(base, adapter, "--out", tmp_path / "whole") == 0
    told = capsys.readouterr().out
    assert "DoRA of rank 4 on q v down, merged into" in told
    assert float(told.split("merged      ")[1].split()[0]) < 1e-5
    assert float(told.split("as written  ")[1].split()[0]) < 1e-5
    whole = load(tmp_path / "whole")
    torch.testing.assert_close(whole.network(TOKENS), expected(base, adapter), atol=1e-5, rtol=0)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "whole", dtype=torch.float32)
    torch.testing.assert_close(theirs(TOKENS).logits, expected(base, adapter), atol=1e-4, rtol=0)
    assert whole.tokenizer is not None
    assert whole.tokenizer.encode("the 翰林") == tiny.tokenizer().encode("the 翰林")


@pytest.mark.parametrize(("kind", "worst"), [("F32", 1e-5), ("F16", 0.01)])
@torch.inference_mode()
def test_a_merged_file_answers_as_near_as_its_kind_allows(
    kind: str, worst: float, base: Path, adapter: Path, merge: Callable[..., int], tmp_path: Path
) -> None:
    for file in base.glob("tokenizer*"):  # GGUF has no name for how the tiny one cuts text
        file.unlink()
    assert merge(base, adapter, "--out", tmp_path / "whole.gguf", "--kind", kind) == 0
    got = load(tmp_path / "whole.gguf").network(TOKENS)
    assert (got - expected(base, adapter)).abs().max() < worst


def test_bfloat16_is_told_with_what_it_costs(
    base: Path, adapter: Path, merge: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert merge(base, adapter, "--out", tmp_path / "whole", "--dtype", "bfloat16") == 0
    told = capsys.readouterr().out
    assert float(told.split("as written  ")[1].split()[0]) > 1e-4
    assert "(bfloat16)" in told
    assert (tmp_path / "whole" / "model.safetensors").stat().st_size < 0.6 * (base / "model.safetensors").stat().st_size


def test_mistakes_end_in_two_lines_and_write_nothing(
    base: Path, adapter: Path, merge: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "whole"

    def refused(words: str, *arguments: object) -> None:
        assert merge(*arguments) == 2
        told = capsys.readouterr().err.strip().splitlines()
        assert words in told[-2], told
        assert told[-1].startswith("  fix: "), told
        assert not out.exists()

    refused("has no adapter_config.json", base, base, "--out", out)
    refused("has no adapter_config.json", base, tmp_path / "nowhere", "--out", out)
    refused("is there already", base, adapter, "--out", adapter)
    refused("--kind says nothing about", base, adapter, "--out", out, "--kind", "F16")
    refused("--dtype says nothing about", base, adapter, "--out", tmp_path / "x.gguf", "--dtype", "float16")
    other = Path(shutil.copytree(base, tmp_path / "other"))
    changed = load(base)
    with torch.no_grad():
        changed.network.norm.weight += 1  # pyright: ignore[reportOperatorIssue]
    save_folder(changed, other)
    refused("was trained on base, and the weights here are not the same", other, adapter, "--out", out)
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    refused("a pickle", base, adapter, "--out", out)
