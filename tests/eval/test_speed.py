"""Speeds are counted as they are told, and limits are what the formula says."""

import json
import time
from pathlib import Path

import pytest
import torch

import hanlin
from hanlin import kernels
from hanlin.core.errors import ConfigError
from hanlin.eval.speed import Bench, Machine, speeds, weights
from hanlin.infer.model import Model
from hanlin.kernels.kv import KVBlocks
from hanlin.model.blocks import Linear
from hanlin.model.load import load

pytestmark = pytest.mark.skipif(kernels.missing() is not None, reason=f"no native kernels: {kernels.missing()}")


@pytest.fixture(scope="module")
def model(smollm2: Path) -> Model:
    return hanlin.load(smollm2, dtype="int8")


def test_every_weight_of_the_layers_counts_once(model: Model, smollm2: Path) -> None:
    network = load(smollm2).network
    maps = sum(part.weight.numel() for part in network.modules() if isinstance(part, Linear))
    assert weights(Bench(model).engine.plan) == maps


def test_the_limit_is_the_longer_of_reading_and_computing(model: Model) -> None:
    bench = Bench(model)
    plan, block = bench.engine.plan, bench.engine.kv.block_bytes
    head = plan.head.outputs * plan.head.inputs
    slow = Machine(read_bytes_per_second=1e9, operations_per_second=1e15)
    keys_and_values = 2 * 3 * 64 * 30 * 4 * 1000  # of 1,000 positions: 3 heads of 64, 30 layers, floats
    assert block == keys_and_values / 1000 * KVBlocks.SIZE
    found = slow.least_seconds(plan, block, 1, 1000, logits=1)
    assert found == pytest.approx((plan.bytes + keys_and_values) / 1e9)
    narrow = Machine(read_bytes_per_second=1e15, operations_per_second=1e9)
    found = narrow.least_seconds(plan, block, 512, 256, logits=1)
    assert found == pytest.approx(2 * (512 * weights(plan) + head) / 1e9)


def test_tokens_and_seconds_are_those_of_the_clock(model: Model) -> None:
    bench = Bench(model, streams=3)
    began = time.perf_counter()
    first, speed = bench.run(20, 9, streams=3)
    passed = time.perf_counter() - began
    assert 0 < first < passed
    assert passed - first == pytest.approx(3 * 8 / speed, rel=0.5)  # eight more of each, but for those of the same step


def test_what_does_not_fit_the_context_is_left_out(model: Model) -> None:
    found = list(speeds(model, depths=(0, 10_000), streams=(2,), prompts=(40, 9_000), rounds=2, tokens=4))
    assert [(one.what, one.depth, one.streams) for one in found] == [
        ("prefill", 40, 1),
        ("decode", 0, 1),
        ("streams", 0, 2),
    ]
    assert all(0 < one.low <= one.tokens_per_second <= one.high and 0 < one.share < 3 for one in found)
    assert torch.get_num_threads() == 1  # as the engine wants it


def test_a_model_of_torch_has_no_kernels_to_measure(smollm2: Path) -> None:
    with pytest.raises(ConfigError, match="computes with torch"):
        Bench(hanlin.load(smollm2))


def test_the_command_gives_one_object(capsys: pytest.CaptureFixture[str], smollm2: Path) -> None:
    from hanlin.cli.commands.bench import command

    command.main(
        ["--depths", "0", "--prompts", "16", "--streams", "2", "--rounds", "1", "--json"], standalone_mode=False
    )
    told = json.loads(capsys.readouterr().out)
    assert [one["what"] for one in told["speeds"]] == ["prefill", "decode", "streams"]
    assert told["bytes"] > 1e8
    with pytest.raises(ConfigError, match="no list of numbers"):
        command.main(["--streams", "0"], standalone_mode=False)
