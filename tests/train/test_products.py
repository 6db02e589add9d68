"""Runs that multiply by bytes: refused where they cannot, and as good as others where they can."""

from pathlib import Path
from typing import Any

import pytest
import torch

from hanlin import kernels
from hanlin.core.errors import ConfigError
from hanlin.kernels.library import opened
from hanlin.train.loop import fit
from hanlin.train.products import FIX, choose_products
from train import tiny

BYTES = {"train": {"products": "int8"}}


@pytest.mark.parametrize(
    ("train", "objective", "dtype", "device", "said"),
    [
        ({}, {}, torch.float32, "cuda", "this run is on cuda"),
        ({}, {}, torch.bfloat16, "cpu", "computes in torch.bfloat16"),
        ({}, {"use": "dpo"}, torch.float32, "cpu", "dpo compares two models"),
        ({"compile": "on"}, {}, torch.float32, "cpu", "is not compiled"),
        ({"sharding": "fsdp"}, {}, torch.float32, "cpu", "needs whole matrices"),
    ],
)
def test_what_bytes_do_not_go_with_is_refused_with_the_fix(
    tmp_path: Path, train: dict[str, Any], objective: dict[str, Any], dtype: torch.dtype, device: str, said: str
) -> None:
    more: dict[str, Any] = {"objective": objective} if objective else {}
    settings = tiny.settings(tmp_path, train={"products": "int8", **train}, **more)
    with pytest.raises(ConfigError, match=said) as caught:
        choose_products(tiny.work(tmp_path).pupil.network, settings, dtype, torch.device(device))
    assert caught.value.fix == FIX


def test_without_kernels_the_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANLIN_KERNELS", "off")
    opened.cache_clear()
    try:
        with pytest.raises(ConfigError, match="HANLIN_KERNELS is off"):
            choose_products(
                tiny.work(tmp_path).pupil.network, tiny.settings(tmp_path, **BYTES), torch.float32, torch.device("cpu")
            )
    finally:
        opened.cache_clear()


@pytest.mark.skipif(kernels.missing() is not None, reason=f"no native kernels: {kernels.missing()}")
@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_a_run_learns_as_much_with_bytes_as_with_floats(tmp_path: Path, optimiser: str) -> None:
    def losses(name: str, products: str) -> list[float]:
        setup = {"steps": 60, "products": products, "optimiser": {"use": optimiser}}
        work = tiny.work(tmp_path / name, train=setup)
        choose_products(work.pupil.network, work.settings, torch.float32, torch.device("cpu"))
        return [step.loss for step in fit(work)]

    floats, bytes_ = losses("floats", "float"), losses("bytes", "int8")
    assert bytes_ != floats
    assert sum(bytes_[-8:]) == pytest.approx(sum(floats[-8:]), rel=0.02)
    assert sum(bytes_[-8:]) < 0.9 * sum(bytes_[:8])
