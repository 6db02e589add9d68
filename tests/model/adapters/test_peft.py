"""PEFT reads what we write, we read what PEFT writes, and what neither of us should read is refused by name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from hanlin.core.errors import HanlinError, RefusedError, WeightsError
from hanlin.core.plugins import names
from hanlin.model.adapters import peft
from hanlin.model.adapters.lora import add
from hanlin.model.adapters.settings import AdapterSettings
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.opened import FAMILIES
from model.adapters.additions import KINDS, LONG, OLD, Tiny, seed, stir, wrapped

pytestmark = OLD
Theirs = Callable[[Checkpoint], nn.Module]


def opened(model: nn.Module, path: Path) -> nn.Module:
    from peft import PeftModel

    return PeftModel.from_pretrained(model, str(path)).eval()  # pyright: ignore[reportArgumentType]


@pytest.fixture
def written(tiny: Tiny, tmp_path: Path) -> Path:
    """An adapter of the tiny llama."""
    network = tiny("llama").network
    add(network, AdapterSettings(rank=4), seed())
    stir(network)
    peft.save(network, tmp_path / "adapter", "tiny", AdapterSettings(rank=4))
    return tmp_path / "adapter"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma3", "olmo2"])
def test_peft_loads_ours_and_answers_the_same(
    family: str, kind: str, tiny: Tiny, theirs: Theirs, tokens: Tensor, tmp_path: Path
) -> None:
    ours = tiny(family)
    base = theirs(ours)
    add(ours.network, KINDS[kind], seed())
    stir(ours.network)
    peft.save(ours.network, tmp_path / "ours", "tiny", KINDS[kind])
    with torch.no_grad():
        torch.testing.assert_close(
            opened(base, tmp_path / "ours")(tokens).logits, ours.network(tokens), atol=1e-4, rtol=1e-4
        )


@pytest.mark.parametrize("targets", [("q", "k", "v", "up"), ("o",), ("down",), AdapterSettings().targets], ids=str)
def test_gpt2_s_one_map_of_queries_keys_and_values_has_one_addition_as_in_peft(
    targets: tuple[str, ...], tiny: Tiny, theirs: Theirs, tokens: Tensor, tmp_path: Path
) -> None:
    ours = tiny("gpt2")
    base = theirs(ours)
    settings = AdapterSettings(use="dora", rank=4, targets=targets)
    add(ours.network, settings, seed())
    stir(ours.network)
    peft.save(ours.network, tmp_path / "ours", "tiny", settings)
    with torch.no_grad():
        torch.testing.assert_close(
            opened(base, tmp_path / "ours")(tokens).logits, ours.network(tokens), atol=1e-4, rtol=1e-4
        )


@pytest.mark.parametrize("kind", KINDS)
def test_we_load_peft_s_own_and_answer_the_same(
    kind: str, tiny: Tiny, theirs: Theirs, tokens: Tensor, tmp_path: Path
) -> None:
    ours = tiny("qwen3")
    model = wrapped(theirs(ours), KINDS[kind])
    stir(model)
    model.save_pretrained(tmp_path / "theirs")  # pyright: ignore[reportCallIssue]
    got = peft.load(ours.network, tmp_path / "theirs")
    assert got == KINDS[kind].model_copy(update={"path": str(tmp_path / "theirs")})
    with torch.no_grad():
        torch.testing.assert_close(ours.network(tokens), model(tokens).logits, atol=1e-4, rtol=1e-4)


def test_ranks_and_alphas_that_differ_by_map_are_carried_both_ways(
    tiny: Tiny, theirs: Theirs, tokens: Tensor, tmp_path: Path
) -> None:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=4,
        lora_alpha=8,
        target_modules=list(LONG.values()),
        layers_to_transform=[0, 2],
        rank_pattern={"q_proj": 2, "layers.2.mlp.down_proj": 6},
        alpha_pattern={"up_proj": 3, "q_proj": 5},
    )
    ours = tiny("llama")
    model: Any = get_peft_model(theirs(ours), config).eval()  # pyright: ignore[reportArgumentType]
    stir(model)
    model.save_pretrained(tmp_path / "theirs")
    settings = peft.load(ours.network, tmp_path / "theirs")
    with torch.no_grad():
        expected = model(tokens).logits
        torch.testing.assert_close(ours.network(tokens), expected, atol=1e-4, rtol=1e-4)
        peft.save(ours.network, tmp_path / "again", "tiny", settings)
        again = opened(theirs(tiny("llama")), tmp_path / "again")
        torch.testing.assert_close(again(tokens).logits, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("use", ["lora", "dora"])
@pytest.mark.parametrize("family", names(FAMILIES))
def test_what_is_written_comes_back_bit_for_bit(
    family: str, use: str, tiny: Tiny, tokens: Tensor, tmp_path: Path
) -> None:
    ours, again = tiny(family).network, tiny(family).network
    settings = AdapterSettings.model_validate({"use": use, "rank": 3, "alpha": 5, "dropout": 0.25})
    add(ours, settings, seed())
    stir(ours)
    peft.save(ours, tmp_path / "a", "tiny", settings)
    got = peft.load(again, tmp_path / "a")
    held = ("q", "k", "v", "o", "up", "down") if family == "gpt2" else settings.targets
    assert got == settings.model_copy(update={"path": str(tmp_path / "a"), "targets": held})
    assert torch.equal(again(tokens), ours(tokens))
    assert [*map(torch.equal, again.parameters(), ours.parameters())] == [True] * len([*ours.parameters()])
    peft.save(again, tmp_path / "b", "tiny", got)
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_an_adapter_gone_on_from_keeps_its_kind_whatever_the_run_file_says(tiny: Tiny, tmp_path: Path) -> None:
    network, again = tiny("llama").network, tiny("llama").network
    add(network, AdapterSettings(use="dora", rank=3, alpha=5), seed())
    peft.save(network, tmp_path, "tiny", AdapterSettings(path="elsewhere"))
    got = peft.load(again, tmp_path)
    assert (got.use, got.rank) == ("dora", 16)  # the rank of maps without one of their own: here all have
    assert [*map(torch.equal, again.parameters(), network.parameters())] == [True] * len([*network.parameters()])


def test_an_adapter_goes_onto_a_quantised_base(tiny: Tiny, written: Path, tokens: Tensor) -> None:
    whole, packed = tiny("llama").network, tiny("llama").network
    peft.load(whole, written)
    assert peft.load(packed, written, "int8").base == "int8"
    with torch.no_grad():
        expected = whole(tokens)
        assert 0 < (packed(tokens) - expected).std() < 0.05 * expected.std()


def test_saving_a_network_without_adapters_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="no adapter to save"):
        peft.save(tiny("llama").network, tmp_path / "a", "tiny", AdapterSettings())


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"peft_type": "IA3"}, RefusedError, "type 'IA3'"),
        ({"bias": "all"}, RefusedError, "bias = 'all'"),
        ({"modules_to_save": ["lm_head"]}, RefusedError, "modules_to_save"),
        ({"init_lora_weights": "pissa"}, RefusedError, "init_lora_weights = 'pissa'"),
        ({"lora_bias": True}, RefusedError, "lora_bias = True"),
        ({"a_new_idea": 3}, RefusedError, "a_new_idea = 3"),
        ({"rank_pattern": {"(a+)+$": 4}}, RefusedError, "a regular expression"),
        ({"rank_pattern": {"q_proj": -4}}, WeightsError, "rank_pattern says -4"),
        ({"rank_pattern": {"q_proj": 2.5}}, WeightsError, "rank_pattern says 2.5"),
        ({"alpha_pattern": [4]}, WeightsError, "is no table"),
        ({"r": -1}, WeightsError, "rank = -1 makes no sense"),
        ({"r": "x"}, WeightsError, "rank = 'x' makes no sense"),
        ({"r": 5}, WeightsError, r"has shape \[4, \d+\], and \[5, \d+\] would fit"),
        ({"use_dora": True}, WeightsError, "has a, b; dora is made of a, b, magnitude"),
    ],
    ids=str,
)
def test_a_config_that_asks_for_more_than_we_carry_is_refused_by_name(
    changes: dict[str, Any], kind: type[HanlinError], words: str, written: Path, tiny: Tiny
) -> None:
    path = written / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    network = tiny("llama").network
    with pytest.raises(kind, match=words) as caught:
        peft.load(network, written)
    assert caught.value.fix
    assert all(map(torch.equal, network.parameters(), tiny("llama").network.parameters()))
    assert all(weight.requires_grad for weight in network.parameters())


def test_files_that_are_missing_damaged_or_pickles_are_refused(written: Path, tiny: Tiny) -> None:
    network = tiny("llama").network
    weights = written / "adapter_model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-8])
    with pytest.raises(WeightsError, match="8 bytes are missing"):
        peft.load(network, written)
    tensors = {name: it.clone() for name, it in load_file(save(weights, content)).items()}
    name = next(iter(tensors))
    save_file(tensors | {name: tensors[name] * torch.nan}, weights)
    with pytest.raises(WeightsError, match="not numbers"):
        peft.load(network, written)
    save_file(tensors | {"base_model.model.lm_head.lora_A.weight": torch.zeros(4, 32)}, weights)
    with pytest.raises(WeightsError, match="changes 'lm_head', which this model does not have"):
        peft.load(network, written)
    save_file(tensors | {"base_model.model.model.embed_tokens.lora_embedding_A": torch.zeros(4, 97)}, weights)
    with pytest.raises(RefusedError, match="lora_embedding_A' is no part"):
        peft.load(network, written)
    weights.rename(written / "adapter_model.bin")
    with pytest.raises(RefusedError, match=r"adapter_model\.bin, a pickle"):
        peft.load(network, written)
    (written / "adapter_model.bin").unlink()
    with pytest.raises(WeightsError, match="has no adapter_model"):
        peft.load(network, written)
    (written / "adapter_config.json").write_text("[1]")
    weights.write_bytes(content)
    with pytest.raises(WeightsError, match="not a table"):
        peft.load(network, written)
    with pytest.raises(WeightsError, match=r"has no adapter_config\.json"):
        peft.load(network, written.parent)


def save(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_another_base_is_noticed_by_names_by_shapes_and_by_its_weights(written: Path, tiny: Tiny) -> None:
    with pytest.raises(WeightsError, match="which this model does not have"):
        peft.load(tiny("gpt2").network, written)
    with pytest.raises(WeightsError, match="would fit"):
        peft.load(tiny("qwen3", "own head").network, written)
    other = tiny("llama").network
    with torch.no_grad():
        other.embed.weight[3, 3] += 1
    with pytest.raises(RefusedError, match="was trained on tiny, and the weights here are not the same"):
        peft.load(other, written)
    peft.load(tiny("llama").network.bfloat16(), written)
    (written / "base.json").unlink()
    peft.load(other, written)
