"""Loading: what is read equals what the safetensors library wrote; what is wrong with a model is named, with a fix."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from hanlin.core.errors import ConfigError, HanlinError, RefusedError, WeightsError
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.decoder import Decoder
from hanlin.model.families import llama
from hanlin.model.gguf.dequantise import dequantise
from hanlin.model.gguf.read import GGUFFile
from hanlin.model.gguf.write import write
from hanlin.model.load import load
from hanlin.model.save import save_folder, save_gguf

TOKENS = torch.arange(12).reshape(2, 6)
Change = Callable[..., Path]


def logits(checkpoint: Checkpoint) -> Tensor:
    with torch.inference_mode():
        return checkpoint.network(TOKENS)


def rewrite(folder: Path, edit: Callable[[dict[str, Tensor]], object]) -> Path:
    """Change the stored tensors, through the library."""
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors")
    return folder


def test_our_files_open_in_the_safetensors_library(tiny: Checkpoint, folder: Path) -> None:
    stored = load_file(folder / "model.safetensors")
    assert "lm_head.weight" not in stored
    qkv = tiny.network.get_parameter("layers.1.attention.qkv.weight")
    torch.testing.assert_close(torch.cat([stored[f"model.layers.1.self_attn.{x}_proj.weight"] for x in "qkv"]), qkv)


def test_parts_with_an_index_load_as_one(tiny: Checkpoint, folder: Path) -> None:
    whole = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(whole)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for part, inside in parts.items():
        save_file({name: whole[name] for name in inside}, folder / part)
    weight_map = {name: part for part, inside in parts.items() for name in inside}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    assert torch.equal(logits(load(folder)), logits(tiny))

    (folder / "b.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"b\.safetensors is missing"):
        load(folder)
    index.write_text(json.dumps({"weight_map": weight_map | {names[0]: "../a.safetensors"}}))
    with pytest.raises(WeightsError, match="not a file beside it"):
        load(folder)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("stored", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_every_stored_precision_loads_in_every_one(
    tiny: Checkpoint, folder: Path, stored: torch.dtype, dtype: torch.dtype
) -> None:
    rewrite(folder, lambda all_: all_.update({name: it.to(stored) for name, it in all_.items()}))
    found = load(folder, dtype).network.get_parameter("layers.0.mlp.down.weight")
    expected = tiny.network.get_parameter("layers.0.mlp.down.weight").to(stored).to(dtype)
    assert found.dtype == dtype
    assert torch.equal(found, expected)


def test_without_a_wish_the_precision_is_float32(folder: Path) -> None:
    rewrite(folder, lambda all_: all_.update({name: it.bfloat16() for name, it in all_.items()}))
    assert {weight.dtype for weight in load(folder).network.parameters()} == {torch.float32}
    with pytest.raises(WeightsError, match="int8"):
        load(folder, torch.int8)


def test_names_without_the_outer_prefix_are_understood(tiny: Checkpoint, folder: Path) -> None:
    def strip(tensors: dict[str, Tensor]) -> None:
        for name in list(tensors):
            tensors[name.removeprefix("model.")] = tensors.pop(name)

    assert torch.equal(logits(load(rewrite(folder, strip))), logits(tiny))


def test_a_tied_head_may_be_stored_if_it_is_the_embedding(tiny: Checkpoint, folder: Path) -> None:
    embedding = tiny.network.embed.weight.detach()
    rewrite(folder, lambda all_: all_.update({"lm_head.weight": embedding.clone()}))
    assert torch.equal(logits(load(folder)), logits(tiny))
    rewrite(folder, lambda all_: all_.update({"lm_head.weight": embedding + 1}))
    with pytest.raises(WeightsError, match=r"lm_head\.weight is another tensor"):
        load(folder)


DAMAGE: dict[str, tuple[Callable[[dict[str, Tensor]], object], str]] = {
    "missing": (lambda all_: all_.pop("model.norm.weight"), "lacks the tensor 'model.norm.weight'"),
    "unexpected": (lambda all_: all_.update(extra=torch.ones(2)), "has the tensor 'extra'"),
    "misshapen": (
        lambda all_: all_.update({"model.norm.weight": torch.ones(33)}),
        r"shape \[33\]; the config asks for \[32\]",
    ),
    "NaN": (lambda all_: all_["model.layers.2.mlp.up_proj.weight"][3].fill_(torch.nan), r"layers\.2\.mlp\.gate_up"),
    "infinite": (lambda all_: all_["model.norm.weight"][3].fill_(torch.inf), r"norm\.weight holds infinite"),
    "integers": (
        lambda all_: all_.update({"model.norm.weight": torch.ones(32, dtype=torch.int8)}),
        "of type I8",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_wrong_weights_are_named(folder: Path, damage: str) -> None:
    edit, said = DAMAGE[damage]
    with pytest.raises(WeightsError, match=said) as caught:
        load(rewrite(folder, edit))
    assert caught.value.fix


def test_large_finite_weights_are_not_taken_for_infinite(folder: Path) -> None:
    rewrite(folder, lambda all_: all_["model.norm.weight"].fill_(3e38))
    load(folder)


@pytest.mark.parametrize("length", [0, 7, 8, 100, -1, -1000])
def test_a_truncated_file_is_refused(folder: Path, length: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        load(folder)


@pytest.mark.parametrize("length", [1 << 60, (1 << 64) - 1, 1 << 30, 0, 3])
def test_a_header_that_lies_about_its_length_is_refused(folder: Path, length: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        load(folder)


def test_no_flipped_bit_of_the_header_does_more_than_an_error(folder: Path) -> None:
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    outcomes = set()
    for byte in range(0, header, 7):
        flipped = bytearray(whole)
        flipped[byte] ^= 1 << byte % 8
        path.write_bytes(flipped)
        try:
            load(folder)
            outcomes.add("loaded")  # a flipped bit in a note or between spaces changes nothing
        except HanlinError as error:
            assert error.fix
            outcomes.add("refused")
    assert "refused" in outcomes


@pytest.mark.parametrize(
    "header",
    [
        b"[]",
        b'{"a": 3}',
        b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1099511627776, 1099511627776], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F31", "shape": [1], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "b": {"dtype": "F32", "shape": [1], '
        b'"data_offsets": [0, 4]}}',
        b"[" * 100_000,
    ],
    ids=["list", "number", "negative", "huge", "dtype", "gap", "overlap", "deep"],
)
def test_a_hostile_header_is_refused(folder: Path, header: bytes) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        load(folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model_type": "lama"}, "did you mean 'llama'"),
        ({"model_type": "mamba"}, "no family we carry"),
        ({"model_type": None}, "no family we carry"),
        ({"hidden_size": None}, "does not say hidden_size"),
        ({"hidden_size": 48}, "the config and the weights are of different models"),
        ({"num_hidden_layers": 2}, "has the tensor"),
        ({"num_hidden_layers": 1 << 30}, "more layers than any model has"),
        ({"num_key_value_heads": 3}, "cannot share"),
        ({"head_dim": 7}, "odd width"),
        ({"hidden_act": "snake"}, "hidden_act"),
        ({"rope_parameters": {"rope_type": "spiral"}}, "rope_type = 'spiral'"),
        ({"rope_parameters": {"rope_type": "default", "twist": 2}}, "twist = 2"),
        ({"rope_parameters": {"rope_type": "llama3"}}, "does not say factor"),
        ({"rope_parameters": None, "rope_scaling": {"type": "linear"}}, "does not say factor"),
        ({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}, "partial_rotary_factor"),
        ({"is_encoder_decoder": True}, "is_encoder_decoder = True is not handled"),
        ({"pruned_heads": {"0": [1]}}, "pruned_heads"),
    ],
)
def test_a_config_we_cannot_take_is_refused_by_name(change: Change, changes: dict[str, object], said: str) -> None:
    with pytest.raises((WeightsError, ConfigError)) as caught:
        load(change(**changes))
    assert said in str(caught.value)


def test_older_spellings_of_the_rope_mean_the_same(tiny: Checkpoint, change: Change) -> None:
    old = load(change(rope_parameters=None, rope_theta=10_000.0, rope_scaling=None))
    assert old.config == tiny.config
    scaled = load(change(rope_scaling={"type": "linear", "factor": 4}))
    assert (scaled.config.rope.kind, scaled.config.rope.factor) == ("linear", 4.0)  # pyright: ignore


def test_a_checkpoint_that_brings_code_is_refused(change: Change) -> None:
    with pytest.raises(RefusedError, match="auto_map"):
        load(change(auto_map={"AutoModelForCausalLM": "modeling_evil.Model"}))


def test_pickles_are_refused_unopened(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch /tmp/owned'\ntR.")
    with pytest.raises(RefusedError, match=r"pytorch_model\.bin, a pickle") as caught:
        load(folder)
    assert ".safetensors" in caught.value.fix


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "\xff", "[" * 100_000], ids=repr)
def test_a_config_that_is_no_table_is_refused(folder: Path, text: str) -> None:
    (folder / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(WeightsError, match=r"config\.json"):
        load(folder)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is not there"):
        load(tmp_path / "nothing")
    with pytest.raises(WeightsError, match="neither"):
        load(tmp_path)


def test_a_folder_with_one_gguf_file_is_that_model(tiny: Checkpoint, tmp_path: Path) -> None:
    save_gguf(tiny, tmp_path / "one.gguf", "F32")
    assert torch.equal(logits(load(tmp_path)), logits(tiny))
    save_gguf(tiny, tmp_path / "two.gguf", "F32")
    with pytest.raises(WeightsError, match=r"2 \.gguf files"):
        load(tmp_path)


@pytest.mark.parametrize(("kind", "error"), [("F16", 1e-3), ("BF16", 5e-3), ("Q8_0", 1e-2), ("Q4_0", 0.2)])
def test_every_kind_of_gguf_is_near_the_weights(tiny: Checkpoint, tmp_path: Path, kind: str, error: float) -> None:
    save_gguf(tiny, tmp_path / "some.gguf", kind)  # pyright: ignore
    back = load(tmp_path / "some.gguf")
    assert (logits(back) - logits(tiny)).abs().mean() < error * logits(tiny).abs().mean() + error / 10
    assert back.network.get_parameter("norm.weight").equal(tiny.network.get_parameter("norm.weight"))


def test_the_packed_weights_are_the_parameters(tiny: Checkpoint, tmp_path: Path) -> None:
    save_gguf(tiny, tmp_path / "packed.gguf", "Q8_0")
    back = load(tmp_path / "packed.gguf")
    assert back.quantised is not None
    for name, parts in back.quantised.items():
        parameter = back.network.get_parameter(name).detach()
        for part in parts:
            rows = torch.from_numpy(dequantise(part.type, part.ordered()))
            torch.testing.assert_close(rows.view_as(parameter[part.rows]), parameter[part.rows], atol=0, rtol=0)


def test_a_gguf_key_that_nobody_handles_is_refused(tiny: Checkpoint, tmp_path: Path) -> None:
    save_gguf(tiny, tmp_path / "fine.gguf", "F32")
    file = GGUFFile.open(tmp_path / "fine.gguf")
    tensors = [(name, info.type, file.float32(name)) for name, info in file.tensors.items()]
    for changes, said in (
        ({"llama.attention.twist": 2}, "llama.attention.twist = 2 is not handled"),
        ({"llama.attention.head_count_kv": [2, 2, 1]}, "head_count_kv"),
        ({"general.architecture": "lama"}, "did you mean 'llama'"),
        ({"llama.block_count": 4}, "lacks the tensor"),
        ({"llama.rope.scaling.type": "spiral"}, "scaling.type"),
        ({"llama.rope.dimension_count": 4}, "dimension_count"),
    ):
        write(tmp_path / "changed.gguf", file.metadata | changes, tensors)
        with pytest.raises(WeightsError) as caught:
            load(tmp_path / "changed.gguf")
        assert said in str(caught.value)


def test_generation_settings_survive(tiny: Checkpoint, folder: Path, tmp_path: Path) -> None:
    (folder / "generation_config.json").write_text('{"eos_token_id": [3, 4], "temperature": 0.6}')
    back = load(folder)
    assert back.generation == {"eos_token_id": [3, 4], "temperature": 0.6}
    save_folder(back, tmp_path / "again")
    assert load(tmp_path / "again").generation == back.generation


def test_loading_never_holds_the_weights_twice(tmp_path: Path) -> None:
    config = llama.TINY["own head"].model_copy(update={"vocabulary": 100_000, "width": 256})
    network = Decoder(llama.parts(config))
    save_folder(Checkpoint(network=network, config=config, family="llama", tokenizer=None), tmp_path)
    size = sum(weight.numel() * 4 for weight in network.parameters())
    assert size > 200_000_000
    done = subprocess.run([sys.executable, "-c", MEASURE, tmp_path], check=True, capture_output=True, text=True)
    assert int(done.stdout) < 1.25 * size


MEASURE = """
import re, sys, torch
from pathlib import Path
from hanlin.model.load import load
import hanlin.model.families.llama
def held(what):
    return int(re.search(what + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
before = held("VmRSS")
load(Path(sys.argv[1]))
print(held("VmHWM") - before)
"""
