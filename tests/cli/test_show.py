"""`hanlin show`: its counts agree with Transformers, the gguf library and the network itself; no weight is read."""

import json
import sys
from collections import Counter
from pathlib import Path

import gguf
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from hanlin.cli.main import main
from hanlin.cli.show.anatomy import part_of
from hanlin.cli.show.facts import gather
from hanlin.model.load import load
from infer import tiny


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["hanlin", "show", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code if isinstance(ended.value.code, int) else 1


def saved(folder: Path, *, is_tied: bool) -> LlamaForCausalLM:
    """A tiny llama as Transformers saves it, with a tokenizer of our own."""
    tokenizer = tiny.tokenizer()
    config = LlamaConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        intermediate_size=48,
        max_position_embeddings=64,
        tie_word_embeddings=is_tied,
        bos_token_id=None,
        eos_token_id=tokenizer.eos[0],
    )
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.backend.save(str(folder / "tokenizer.json"))
    return model


@pytest.mark.parametrize("is_tied", [True, False])
def test_counts_agree_with_transformers_and_the_cache_with_the_network(tmp_path: Path, is_tied: bool) -> None:
    model = saved(tmp_path, is_tied=is_tied)
    facts = gather("tiny", tmp_path)
    counts = facts["parameters"]["parts"]
    assert facts["parameters"]["total"] == model.num_parameters()
    assert counts["embedding"] == model.model.embed_tokens.weight.numel()
    assert counts["mlp"] == sum(weight.numel() for layer in model.model.layers for weight in layer.mlp.parameters())
    attention = sum(weight.numel() for layer in model.model.layers for weight in layer.self_attn.parameters())
    assert counts["attention"] == attention
    assert counts.get("head", 0) == (0 if is_tied else model.lm_head.weight.numel())
    assert facts["parameters"]["has_tied_head"] == is_tied
    assert facts["memory"]["stored_bytes"] == 4 * model.num_parameters()
    cache = load(tmp_path).network.cache(1, 1024)
    kept = sum(slab.keys.nbytes + slab.values.nbytes for slab in cache.slabs)
    assert facts["memory"]["cache_bytes_per_1024_tokens"]["float32"] == kept
    assert facts["config"]["width"] == 32
    assert facts["config"]["kv_heads"] == 2
    assert facts["problems"] == []


def test_the_mix_of_types_agrees_with_the_gguf_library(smollm2: Path) -> None:
    facts = gather("smollm2", smollm2)
    tensors = gguf.GGUFReader(smollm2).tensors
    assert {row["type"]: row["tensors"] for row in facts["types"]} == Counter(one.tensor_type.name for one in tensors)
    assert facts["memory"]["stored_bytes"] == sum(int(one.n_bytes) for one in tensors)
    assert facts["parameters"]["total"] == sum(int(one.n_elements) for one in tensors) == 134_515_008


def test_the_default_model_shows_its_lineage_tokens_and_template(
    smollm2: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, str(smollm2)) == 0
    page = capsys.readouterr().out
    for part in (
        "llama",
        "width = 576",
        "134,515,008",
        "tied",
        "Q4_1",
        "<|im_end|> 2",
        "那么中国的首都呢？",
        "from pypi",
    ):
        assert part in page, part
    facts = gather("smollm2", smollm2)
    pieces = facts["template"]["pieces"]
    assert "".join(piece["text"] for piece in pieces) == facts["template"]["text"]
    assert {piece["text"] for piece in pieces if piece["is_special"]} == {"<|im_start|>", "<|im_end|>"}


def test_json_is_one_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(tmp_path, is_tied=True)
    capsys.readouterr()
    assert run(monkeypatch, "--json", str(tmp_path)) == 0
    assert json.loads(capsys.readouterr().out)["family"] == "llama"


def test_no_weight_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path, is_tied=False)

    def read(*_: object, **__: object) -> None:
        raise AssertionError("a weight was read")

    monkeypatch.setattr(torch, "frombuffer", read)
    assert gather("tiny", tmp_path)["problems"] == []


def test_a_family_we_do_not_carry_is_shown_as_far_as_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = saved(tmp_path, is_tied=False)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "model_type": "mamba"}))
    capsys.readouterr()
    assert run(monkeypatch, str(tmp_path)) == 0
    page = capsys.readouterr().out
    assert "'mamba'" in page
    assert "fix:" in page
    assert f"{model.num_parameters():,}" in page


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer.json", "{"),
        ("generation_config.json", "[]"),
        ("config.json", "{}"),
        ("chat_template.jinja", "{% for"),
    ],
)
def test_a_damaged_paper_is_told_and_the_rest_is_shown(
    tmp_path: Path, name: str, content: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(tmp_path, is_tied=False)
    (tmp_path / name).write_text(content)
    capsys.readouterr()
    assert run(monkeypatch, str(tmp_path)) == 0
    page = capsys.readouterr().out
    assert "parameters" in page
    assert "fix:" in page


def test_damaged_weights_and_no_model_are_two_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(b"GGUF\x03\x00\x00\x00" + b"\xff" * 16)
    folder = tmp_path / "folder"
    saved(folder, is_tied=True)
    (folder / "model.safetensors").write_bytes(b"\xff" * 64)
    capsys.readouterr()
    for path in (tmp_path / "empty", cut, folder, tmp_path / "none.gguf"):
        assert run(monkeypatch, str(path)) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 2, lines
        assert lines[1].startswith("  fix: ")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("token_embd.weight", "embedding"),
        ("model.embed_tokens.weight", "embedding"),
        ("transformer.wte.weight", "embedding"),
        ("position_embd.weight", "embedding"),
        ("blk.0.attn_q.weight", "attention"),
        ("transformer.h.0.attn.c_attn.weight", "attention"),
        ("model.layers.0.self_attn.q_norm.weight", "norms"),
        ("blk.0.attn_norm.weight", "norms"),
        ("transformer.h.0.ln_1.weight", "norms"),
        ("transformer.ln_f.bias", "norms"),
        ("output_norm.weight", "norms"),
        ("blk.0.ffn_down.weight", "mlp"),
        ("transformer.h.0.mlp.c_fc.weight", "mlp"),
        ("blk.0.ffn_down_exps.weight", "experts"),
        ("blk.0.ffn_gate_inp.weight", "experts"),
        ("model.layers.0.mlp.experts.3.up_proj.weight", "experts"),
        ("model.layers.0.mlp.gate.weight", "experts"),
        ("model.layers.0.mlp.gate_proj.weight", "mlp"),
        ("output.weight", "head"),
        ("lm_head.weight", "head"),
        ("blk.0.attn_output.weight", "attention"),
        ("rope_freqs.weight", "other"),
    ],
)
def test_a_tensors_part_is_told_by_its_name(name: str, part: str) -> None:
    assert part_of(name) == part
