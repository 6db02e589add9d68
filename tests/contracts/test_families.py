"""What every family of models keeps: equal to Transformers, causal, one with its cache, the same after save and load.

Each family's TINY configs turn all of its switches; weights are random, norms and biases too.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.gemma3.modeling_gemma3 import eager_attention_forward

from hanlin.core.errors import RefusedError, WeightsError
from hanlin.core.plugins import find, names
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.decoder import Decoder
from hanlin.model.load import load
from hanlin.model.opened import FAMILIES
from hanlin.model.parts import parameters
from hanlin.model.save import save_folder, save_gguf

CASES = [(family, case) for family in names(FAMILIES) for case in find(FAMILIES, family).TINY]
each_case = pytest.mark.parametrize(("family", "case"), CASES, ids=lambda it: it.replace(" ", "-"))
each_family = pytest.mark.parametrize("family", names(FAMILIES))
TOKENS = torch.randint(0, 97, (2, 24), generator=torch.Generator().manual_seed(0))
CLOSE = {"atol": 1e-4, "rtol": 0}


def tiny(family: str, case: str) -> Checkpoint:
    """A family's model with random weights, none of them where a mistake would not show."""
    module = find(FAMILIES, family)
    config = module.TINY[case]
    torch.manual_seed(0)
    network = Decoder(module.parts(config)).eval()
    chance = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn(weight.shape, generator=chance) * 0.2)
    return Checkpoint(network=network, config=config, family=family, tokenizer=None)


def theirs(folder: Path) -> PreTrainedModel:
    """What Transformers makes of a folder."""
    # Transformers' own Gemma 3 forgets to hand the cap on scores to its attention; its attention can do it.
    ALL_ATTENTION_FUNCTIONS.register("capped", capped)
    kind = json.loads((folder / "config.json").read_text())
    capping = {"attn_implementation": "capped"} if kind.get("attn_logit_softcapping") else {}
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **capping).eval()


def capped(module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **rest: Any) -> Any:
    """Transformers' plain attention with the cap its config asks for, and the mask it leaves out where it is causal."""
    if mask is None:
        window = module.sliding_window or key.shape[2]
        seen = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool).tril()
        mask = torch.zeros(seen.shape).masked_fill(~seen.triu(1 - window), -torch.inf)
    rest["softcap"] = module.attn_logit_softcapping
    return eager_attention_forward(module, query, key, value, mask, **rest)


def logits(network: Decoder, tokens: Tensor = TOKENS) -> Tensor:
    with torch.inference_mode():
        return network(tokens)


@each_case
def test_a_network_has_the_parameters_that_its_parts_say(family: str, case: str) -> None:
    network = tiny(family, case).network
    said = [(name, it.shape) for name, it in parameters(network.parts).items()]
    assert said == [(name, tuple(it.shape)) for name, it in network.named_parameters()]
    for name, it in parameters(network.parts).items():
        rows = getattr(network.get_submodule(name.rpartition(".")[0]), "rows", it.shape[:1])
        assert it.rows == rows


@each_case
def test_logits_equal_those_of_transformers_both_ways(family: str, case: str, tmp_path: Path) -> None:
    ours = tiny(family, case)
    save_folder(ours, tmp_path / "ours")
    model = theirs(tmp_path / "ours")
    with torch.inference_mode():
        expected = model(TOKENS).logits
    assert expected.std() > 0.05, "logits that say nothing prove nothing"
    torch.testing.assert_close(logits(ours.network), expected, **CLOSE)

    model.save_pretrained(tmp_path / "theirs")
    back = load(tmp_path / "theirs")
    torch.testing.assert_close(logits(back.network), expected, **CLOSE)
    weights = dict(ours.network.named_parameters())
    assert {name: bool(torch.equal(weight, weights[name])) for name, weight in back.network.named_parameters()} == (
        dict.fromkeys(weights, True)
    )


@each_case
def test_future_tokens_change_nothing(family: str, case: str) -> None:
    network = tiny(family, case).network
    changed = TOKENS.clone()
    changed[:, 10:] = (changed[:, 10:] + 5) % 97
    before, after = logits(network), logits(network, changed)
    torch.testing.assert_close(after[:, :10], before[:, :10], atol=1e-5, rtol=0)
    assert not torch.allclose(after[:, 10:], before[:, 10:], atol=1e-3)


@each_case
@pytest.mark.parametrize("cuts", [[1] * 24, [7, 1, 5, 11], [24], [23, 1]], ids=["tokens", "chunks", "whole", "last"])
def test_cached_decoding_equals_one_pass(family: str, case: str, cuts: list[int]) -> None:
    network = tiny(family, case).network
    cache = network.cache(2, 24)
    with torch.inference_mode():
        parts = [network(chunk, cache) for chunk in TOKENS.split(cuts, 1)]
    assert cache.length == 24
    torch.testing.assert_close(torch.cat(parts, 1), logits(network), **CLOSE)


@each_case
def test_a_left_padded_batch_equals_each_row_alone(family: str, case: str) -> None:
    network = tiny(family, case).network
    starts = torch.tensor([0, 9, 23])
    batch = TOKENS[[0, 1, 0]].clone()
    for row, start in enumerate(starts.tolist()):
        batch[row, :start] = 0
    cache = network.cache(3, 28, starts)
    more = TOKENS[[1, 0, 1], :4]
    with torch.inference_mode():
        padded = torch.cat([network(chunk, cache) for chunk in (batch[:, :20], batch[:, 20:], *more.split(1, 1))], 1)
        for row, start in enumerate(starts.tolist()):
            alone = network(torch.cat((batch[row, start:], more[row]))[None], network.cache(1, 28))
            torch.testing.assert_close(padded[row, start:], alone[0], **CLOSE)


@each_case
def test_rows_of_a_cache_go_on_by_themselves(family: str, case: str) -> None:
    network = tiny(family, case).network
    cache = network.cache(2, 24)
    with torch.inference_mode():
        network(TOKENS[:, :20], cache)
        three = cache.rows(torch.tensor([1, 0, 1]))
        gone_on = network(TOKENS[[1, 0, 1], 20:], three)
        cache.cut(5)
        again = network(TOKENS[:, 5:], cache)
    expected = logits(network)
    torch.testing.assert_close(gone_on, expected[[1, 0, 1], 20:], **CLOSE)
    torch.testing.assert_close(again, expected[:, 5:], **CLOSE)


@each_case
def test_gguf_gives_back_the_same_model_or_is_refused_by_name(family: str, case: str, tmp_path: Path) -> None:
    ours = tiny(family, case)
    path = tmp_path / "tiny.gguf"
    try:
        save_gguf(ours, path, "F32")
    except RefusedError as error:
        assert "llama.cpp" in error.what or "GGUF" in error.what, error
        assert not path.exists()
        assert case in REFUSED[family]
        return
    assert case not in REFUSED[family]
    back = load(path)
    torch.testing.assert_close(logits(back.network), logits(ours.network), **CLOSE)
    assert back.quantised is not None
    assert back.quantised.keys() == dict(back.network.named_parameters()).keys()


REFUSED = {
    "gemma3": {"biases", "logit cap", "soft caps", "own head"},
    "gpt2": {"own head", "unscaled", "scaled by layer"},
    "llama": {"biases", "dynamic", "yarn unrounded", "mistral window", "qwen2 windows"},
    "olmo2": {"biases"},
    "qwen3": {"biases", "windows"},
    "qwen3_moe": {"raw weights", "some dense", "biases", "window"},
}
"""What llama.cpp cannot compute, though Transformers can."""


@each_case
def test_the_config_survives_the_round_trip(family: str, case: str) -> None:
    module = find(FAMILIES, family)
    config = module.TINY[case]
    assert module.from_hf(json.loads(json.dumps(module.to_hf(config)))) == config


@each_family
def test_an_unknown_key_of_the_config_is_refused_by_name(family: str) -> None:
    module = find(FAMILIES, family)
    values = module.to_hf(next(iter(module.TINY.values())))
    with pytest.raises(WeightsError, match="attention_twist = 3 is not handled"):
        module.from_hf({**values, "attention_twist": 3})
    with pytest.raises(WeightsError, match="quantization_config"):
        module.from_hf({**values, "quantization_config": {"quant_method": "awq"}})
    with pytest.raises(RefusedError, match="auto_map"):
        module.from_hf({**values, "auto_map": {"AutoModel": "modeling.Evil"}})


@each_family
def test_every_number_of_the_config_must_make_sense(family: str) -> None:
    module = find(FAMILIES, family)
    values = module.to_hf(next(iter(module.TINY.values())))
    numbers = [key for key, value in values.items() if type(value) is int and value > 1]
    assert len(numbers) >= 5
    for key in numbers:
        for bad in (0, -3, 1 << 60, "many", 2.5, True):
            with pytest.raises(WeightsError, match=key):
                module.from_hf({**values, key: bad})


@each_case
def test_gradients_reach_every_weight(family: str, case: str) -> None:
    network = tiny(family, case).network.train()
    network(torch.arange(240).reshape(10, 24) % 97).logsumexp(-1).sum().backward()
    dead = [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not dead


@each_family
def test_hooks_on_any_part_are_called(family: str) -> None:
    network = tiny(family, next(iter(find(FAMILIES, family).TINY))).network
    layer = network.layers[1]
    seen: dict[str, tuple[int, ...]] = {}
    expected = logits(network)
    handles = [
        part.register_forward_hook(lambda _, __, out, name=name: seen.update({name: tuple(out.shape)}))
        for name, part in layer.named_modules()
        if name and "experts" not in name
    ]
    torch.testing.assert_close(logits(network), expected, atol=0, rtol=0)
    assert seen.keys() == {name for name, _ in layer.named_modules() if name and "experts" not in name}
    assert seen["attention"] == seen["mlp"] == (2, 24, 32)
    for handle in handles:
        handle.remove()
    seen.clear()
    layer.register_forward_hook(lambda _, __, out: out * 0)
    assert not torch.equal(logits(network), expected)
    assert not seen


@each_family
def test_bfloat16_is_near_float32(family: str) -> None:
    case = next(iter(find(FAMILIES, family).TINY))
    network = tiny(family, case).network
    expected = logits(network)
    got = logits(network.bfloat16())
    assert got.dtype == torch.bfloat16
    # The median: where rounding makes a router choose another expert, a few positions go their own way.
    assert (got.float() - expected).abs().median() < 0.02 * expected.abs().median() + 0.005
