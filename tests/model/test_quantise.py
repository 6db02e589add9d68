"""Four bits: blocks are those of the gguf package, errors are made good, and a file holds what was rounded."""

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

from hanlin.core.errors import WeightsError
from hanlin.core.plugins import find
from hanlin.model import quantise as four
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.decoder import Decoder
from hanlin.model.gguf.format import TensorType
from hanlin.model.gguf.quantise import quantise
from hanlin.model.load import load
from hanlin.model.save import save_gguf


def test_blocks_of_q4_1_are_those_of_the_gguf_package() -> None:
    weights = np.random.default_rng(0).normal(size=(40, 96)).astype(np.float32)
    weights[3], weights[5, :32] = 0, 0.25
    theirs = gguf.quants.quantize(weights, gguf.GGMLQuantizationType.Q4_1)
    assert np.array_equal(quantise(TensorType.Q4_1, weights), theirs)


def test_errors_are_made_good_where_the_text_sees_them() -> None:
    draw = torch.Generator().manual_seed(0)
    weight = torch.randn(48, 96, generator=draw)
    x = torch.randn(4000, 24, generator=draw) @ torch.randn(24, 96, generator=draw)
    x += 0.1 * torch.randn(x.shape, generator=draw)
    blocks = quantise(TensorType.Q4_1, weight.numpy())
    nearest = torch.from_numpy(gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType.Q4_1))
    mended = weight.clone()
    four._round(mended, x.T @ x / len(x), "w")
    before, after = (float(((weight - found) @ x.T).square().mean()) for found in (nearest, mended))
    assert after < 0.3 * before


def test_the_best_groups_err_less_than_the_nearest() -> None:
    weights = torch.randn(200, 32, generator=torch.Generator().manual_seed(0))
    blocks = quantise(TensorType.Q4_1, weights.numpy())
    nearest = torch.from_numpy(gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType.Q4_1))
    groups = four.best_groups(weights, torch.ones(32))
    found = groups.weights(groups.codes(weights))
    assert (weights - found).square().sum() < (weights - nearest).square().sum()


def test_activations_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(WeightsError, match="w is no numbers"):
        four._round(torch.ones(4, 32), torch.full((32, 32), torch.nan), "w")


@pytest.mark.parametrize("family", ["llama", "qwen3_moe"])
def test_a_file_holds_what_was_rounded(family: str, tmp_path: Path) -> None:
    module = find("hanlin.model.families", family)
    torch.manual_seed(0)
    config = next(iter(module.TINY.values()))
    network = Decoder(module.parts(config)).eval().requires_grad_(False)
    made = Checkpoint(network, config, family, None, path=tmp_path / "tiny")
    before = {name: it.clone() for name, it in network.named_parameters()}
    blocks = four.calibrated(network, torch.randint(0, config.vocabulary, (4, 16)))
    others = save_gguf(made, tmp_path / "tiny.gguf", "Q4_1", blocks)
    read = load(tmp_path / "tiny.gguf").network.state_dict()
    assert blocks.keys() == four.matrices(network).keys()
    for name, it in network.named_parameters():
        if name in blocks:
            assert torch.equal(read[name], it)
            assert not torch.equal(before[name], it)
        elif name in others:
            assert torch.allclose(read[name], before[name], atol=2e-3)
