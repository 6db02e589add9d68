"""`hanlin quantize` and `hanlin quality`: what is written is read by others, and what is told of it is true."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from tokenizers import pre_tokenizers
from torch.nn.functional import kl_div

import hanlin
from hanlin import kernels
from hanlin.cli.main import main
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.decoder import Decoder
from hanlin.model.families import llama
from hanlin.model.save import save_folder
from infer import tiny

TEXT = "hello the cat, hello the hen. 翰林 abba\n" * 60
needs_kernels = pytest.mark.skipif(kernels.missing() is not None, reason=f"no native kernels: {kernels.missing()}")
Says = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer, folder = tiny.tokenizer(), tmp_path_factory.mktemp("quantize") / "tiny"
    tokenizer.backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # GPT-2's, which GGUF can name
    config = llama.Config(
        vocabulary=tokenizer.vocab_size,
        width=64,
        layers=2,
        heads=4,
        kv_heads=2,
        head_width=16,
        mlp=96,
        context=300,
        epsilon=1e-5,
        has_tied_head=False,
    )
    torch.manual_seed(5)
    network = Decoder(llama.parts(config)).eval().requires_grad_(False)
    for weight in network.parameters():
        weight.normal_(0, 0.15) if weight.ndim > 1 else weight.fill_(1)
    save_folder(Checkpoint(network, config, "llama", tokenizer), folder)
    return folder


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Says:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hanlin", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return run


def weights(file: Path) -> dict[str, tuple[str, np.ndarray]]:
    """As the gguf library reads them: type and values."""
    read = gguf.GGUFReader(file)
    return {one.name: (one.tensor_type.name, gguf.dequantize(one.data, one.tensor_type)) for one in read.tensors}


@pytest.mark.parametrize(("to", "kind", "steps"), [("int8", "Q8_0", 127), ("int4", "Q4_1", 7.5)])
def test_what_is_written_is_within_half_a_step_of_the_model(
    model: Path, says: Says, to: str, kind: str, steps: float
) -> None:
    code, out, err = says("quantize", model, "--to", to)
    assert code == 0, err
    assert out.startswith(f"tiny-{to}.gguf: ") and kind in out
    found = weights(Path(f"tiny-{to}.gguf"))
    assert {name for name, (its, _) in found.items() if its == kind} >= {"blk.0.ffn_up.weight", "blk.1.attn_q.weight"}
    assert found["token_embd.weight"][0] == found["output.weight"][0] == "Q8_0"
    wanted = hanlin.load(model).network.state_dict()
    down = wanted["layers.1.mlp.down.weight"].view(64, -1, 32)
    error = np.abs(found["blk.1.ffn_down.weight"][1].reshape(64, -1, 32) - down.numpy()).max(2)
    assert (error <= 0.57 * down.abs().amax(2).numpy() / steps).all() and error.max() > 0
    assert Path(f"tiny-{to}.gguf.lineage.json").is_file()


def test_errors_are_mended_on_ones_own_text(model: Path, says: Says, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    assert says("quantize", model, "--to", "int4", "--out", "plain.gguf")[0] == 0
    code, out, err = says("quantize", model, "--to", "int4", "--calibrate", "text.txt", "--out", "mended.gguf")
    assert code == 0 and "calibrated" in out and "calibrating" in err
    base = hanlin.load(model)
    ids = torch.tensor([base.tokenizer.encode(TEXT)[:256]])
    before = base.logits(ids).log_softmax(-1)
    lost = [
        float(
            kl_div(hanlin.load(tmp_path / name).logits(ids).log_softmax(-1), before, log_target=True, reduction="sum")
        )
        for name in ("plain.gguf", "mended.gguf")
    ]
    assert lost[1] < 0.8 * lost[0]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--to", "int4", "--group", "64"], "--group 64: GGUF files have groups of 32"),
        (["--to", "int8", "--calibrate", "text.txt"], "--calibrate mends what four bits do"),
        (["--to", "int4", "--calibrate", "short.txt"], "the text for --calibrate has"),
        (["--to", "int8", "--out", "model.bin"], "model.bin is no name of a GGUF file"),
        (["--to", "int8", "--out", "there.gguf"], "there.gguf is there already"),
    ],
)
def test_what_makes_no_sense_is_told_with_what_to_do(
    model: Path, says: Says, tmp_path: Path, given: list[str], told: str
) -> None:
    for name, text in (("text.txt", TEXT), ("short.txt", "hello"), ("there.gguf", "")):
        (tmp_path / name).write_text(text)
    code, _, err = says("quantize", model, *given)
    assert code == 2 and told in err and "fix: " in err
    assert not list(tmp_path.glob("tiny*"))


@needs_kernels
def test_quality_tells_the_divergence_that_logits_have(model: Path, says: Says, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    code, out, err = says("quality", model, "--text", "text.txt", "--json")
    assert code == 0, err
    (table,) = json.loads(out)["models"]
    rows = {row["preset"]: row for row in table["rows"]}
    base, other = hanlin.load(model), hanlin.load(model, "int4")
    ids = base.tokenizer.encode(TEXT, add_special=False)[:4096]
    kl, flips, count = 0.0, 0, 0
    for at in range(0, len(ids), 256):
        row = torch.tensor([ids[at : at + 256][:-1]])
        if row.shape[1]:
            first, second = (one.logits(row)[0].double().log_softmax(-1) for one in (base, other))
            kl += float(kl_div(second, first, log_target=True, reduction="sum"))
            flips += int((first.argmax(-1) != second.argmax(-1)).sum())
            count += row.shape[1]
    assert table["tokens"] == count
    assert rows["int4"]["kl"] == pytest.approx(kl / count, rel=1e-3)
    assert rows["int4"]["flips"] == pytest.approx(flips / count)
    assert rows["float32"]["kl"] < 1e-9 < rows["int8"]["kl"] < rows["int4"]["kl"]
    assert rows["float32"]["bytes"] > rows["int8"]["bytes"] > rows["int4"]["bytes"]
    assert all(row["tokens_per_second"] > 0 for row in rows.values())


@needs_kernels
def test_a_file_is_held_against_the_model_it_was_made_from(model: Path, says: Says, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    assert says("quantize", model, "--to", "int4")[0] == 0
    given = ("--text", "text.txt", "--bits", "32", "--json")
    alone, beside = (
        json.loads(says("quality", "tiny-int4.gguf", *given, *more)[1])["models"][0]["rows"][0]["kl"]
        for more in ((), ("--against", str(model)))
    )
    assert alone < 1e-9 < beside
    code, out, _ = says("quality", model, "--text", "text.txt", "--bits", "8")
    assert code == 0 and "int8" in out and "mean KL" in out
    assert "is no list of 32, 8 and 4" in says("quality", model, "--bits", "8,5")[2]
