"""An adapter's folder, or a run's, is named like any model, and brings the model it changes along."""

import json
from pathlib import Path

import pytest
import torch

import hanlin
from hanlin.core.errors import HanlinError
from hanlin.model.adapters import peft
from hanlin.model.adapters.lora import add
from hanlin.model.adapters.settings import AdapterSettings
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.decoder import Decoder
from hanlin.model.families import llama
from hanlin.model.load import load
from hanlin.model.save import save_folder
from hanlin.model.store import resolve

TOKENS = torch.tensor([[5, 8, 13, 21]])


@pytest.fixture
def adapter(tmp_path: Path) -> tuple[Path, torch.Tensor]:
    """A folder, and the logits of the adapted model."""
    torch.manual_seed(0)
    config = llama.TINY["shared heads"]
    save_folder(Checkpoint(Decoder(llama.parts(config)), config, "llama", None), tmp_path / "base")
    network = load(tmp_path / "base").network
    settings = AdapterSettings(rank=2)
    add(network, settings, torch.Generator().manual_seed(1))
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.endswith((".b0", ".b1", ".b2")):
                weight.normal_(0, 0.3)
    folder = tmp_path / "run" / "model"
    peft.save(network, folder, str(tmp_path / "base"), settings)
    with torch.no_grad():
        return folder, network(TOKENS)


def test_an_adapter_is_loaded_with_the_model_it_changes(adapter: tuple[Path, torch.Tensor]) -> None:
    folder, logits = adapter
    with torch.no_grad():
        assert torch.equal(load(resolve(str(folder))).network(TOKENS), logits)
        assert not torch.equal(load(folder.parents[1] / "base").network(TOKENS), logits)


def test_a_run_folder_means_the_model_it_made(adapter: tuple[Path, torch.Tensor]) -> None:
    folder, logits = adapter
    (folder.parent / "run.toml").write_text('verb = "train"\n')
    with torch.no_grad():
        assert torch.equal(hanlin.load(str(folder.parent)).network(TOKENS), logits)


def test_an_adapter_whose_model_is_gone_says_so(adapter: tuple[Path, torch.Tensor]) -> None:
    folder, _ = adapter
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "base_model_name_or_path": ""}))
    with pytest.raises(HanlinError, match="names no model that it changes"):
        load(folder)
