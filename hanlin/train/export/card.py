"""A certificate and what is known of a run in; the page that goes with the weights, as Markdown, out.

Front matter as the hub reads it: https://huggingface.co/docs/hub/model-cards
"""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

from hanlin.core.lineage import Lineage
from hanlin.data.files import package
from hanlin.train.export.certificate import Certificate
from hanlin.train.export.trained import Trained, licence_of
from hanlin.train.report.folder import objective_name, section, sources
from hanlin.train.report.read import Reading


def written(made: Certificate, trained: Trained, reading: Reading, origin: Lineage) -> str:
    """The card of an export."""
    licence = licence_of(trained.base)
    parts = [
        _front(made, trained, licence),
        _head(made, trained, reading, licence),
        _use(made, has_template=trained.tokenizer.template is not None),
        _origin(origin, trained),
        _scores(reading),
        _parity(made),
        _chinese(made, trained, licence),
    ]
    return "\n".join(parts)


def _front(made: Certificate, trained: Trained, licence: str) -> str:
    fields: dict[str, Any] = {"library_name": "gguf" if made.artefact.lower().endswith(".gguf") else "transformers"}
    if licence:
        fields["license"] = licence
    if trained.base:
        fields["base_model"] = trained.base
    fields["tags"] = ["hanlin"]
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()]
    return "\n".join(["---", *lines, "---", ""])


def _head(made: Certificate, trained: Trained, reading: Reading, licence: str) -> str:
    origin = f"trained from `{trained.base}`" if trained.base else "trained from nothing"
    how = f" with a {_adapter(trained)} adapter, merged" if trained.is_adapter else ""
    weights = sum(weight.numel() for weight in trained.checkpoint.network.parameters())
    if licence:
        rights = f"The base model's licence is **{licence}**; it holds for this model, too."
    elif trained.base:
        rights = "The licence of the base model is not known here: look it up before you pass this model on."
    else:
        rights = "Its maker states no licence; that of the data may bind it."
    return (
        f"# {made.artefact}\n\nA {trained.checkpoint.family} model of {weights:,} weights, {origin}{how}, by the run "
        f"**{made.run}** of Hanlin (翰林) {made.hanlin}: objective "
        f"{objective_name(trained.settings)}, {reading.last.number if reading.last else 0:,} steps. "
        f"Weights are {made.kind}.\n\n{rights}\n"
    )


def _adapter(trained: Trained) -> str:
    return {"dora": "DoRA"}.get(str(section(trained.settings, "adapter").get("use")), "LoRA")


def _use(made: Certificate, *, has_template: bool) -> str:
    is_file = made.artefact.lower().endswith(".gguf")
    verb = "chat" if has_template else "generate"
    lines = ["## Use", "", "```sh", f'hanlin {verb} -m ./{made.artefact} "Hello"', "```", ""]
    if is_file:
        option = "-cnv" if has_template else "-no-cnv"
        return "\n".join([*lines, "```sh", f'llama-cli -m {made.artefact} {option} -p "Hello"', "```", ""])
    return "\n".join(
        [
            *lines,
            "```python",
            "from transformers import AutoModelForCausalLM, AutoTokenizer",
            "",
            f'model = AutoModelForCausalLM.from_pretrained("{made.artefact}")',
            f'tokenizer = AutoTokenizer.from_pretrained("{made.artefact}")',
            "```",
            "",
        ]
    )


def _origin(lineage: Lineage, trained: Trained) -> str:
    """Every ancestor by hash."""
    rows = [f"| {name} | {kind or '–'} | `{digest}` |" for name, kind, digest in _ancestors(lineage)]
    paths = sources(trained.settings, "train")
    named = ", ".join(f"`{path if package(path)[0] else PurePath(path).name}`" for path in paths)
    said = f"Trained on {named}.\n\n" if named else ""
    table = "\n".join(["| what | kind | SHA-256 |", "|---|---|---|", *rows])
    return f"## Where it comes from\n\n{said}{table}\n\n`hanlin lineage` draws this and checks it.\n"


def _ancestors(lineage: Lineage) -> Iterator[tuple[str, str, str]]:
    yield lineage.name, lineage.kind, lineage.hash
    for parent in lineage.parents:
        yield from _ancestors(parent)


def _scores(reading: Reading) -> str:
    rows = []
    if reading.last:
        rows.append(("training loss, last step", f"{reading.last.loss:.4f}"))
    if reading.best:
        step, best = reading.best
        rows.append((f"validation loss, best (step {step:,})", f"{best.loss:.4f}"))
        if best.bits_per_byte is not None:
            rows.append(("bits per byte on validation", f"{best.bits_per_byte:.4f}"))
        rows += [(f"validation {name}", f"{value:.4f}") for name, value in best.figures.items()]
    if not rows:
        return "## Scores\n\nThe run measured none.\n"
    return "## Scores\n\n" + _table(("figure", "value"), rows) + "\n"


def _parity(made: Certificate) -> str:
    papers = [(it.what, f"{it.cases}", "yes" if it.is_equal else "NO") for it in made.papers]
    lines = [
        "## Parity",
        "",
        f"The files here were loaded again and compared with the trained model on {made.tokens:,} tokens "
        f"({made.probe}): **{'passed' if made.is_passed else 'FAILED'}**. Everything is in the certificate.",
        "",
        _table(("what", "cases", "same"), papers),
        "",
        _table(
            ("form", "weights", "largest logit difference", "mean KL, nats", "perplexity", "change"),
            [
                (
                    stage.name,
                    stage.kind,
                    f"{stage.largest_logit_difference:.2g} of {stage.largest_logit:.3g}",
                    f"{stage.mean_kl:.2g}",
                    f"{stage.perplexity:.4g}",
                    f"{stage.perplexity_change:+.3%}",
                )
                for stage in made.stages
            ],
        ),
        "",
        *(f"- {failure}" for failure in made.failures),
    ]
    return "\n".join(lines) + "\n"


def _chinese(made: Certificate, trained: Trained, licence: str) -> str:
    base = f"以 `{trained.base}` 为基础" if trained.base else "从零开始"
    result = "通过" if made.is_passed else "未通过"
    last = made.stages[-1]
    kl = f"{last.mean_kl:.2g}" if math.isfinite(last.mean_kl) else "不是数"
    rights = f"基础模型的许可证为 {licence}。" if licence else ""
    return (
        f"## 中文\n\n本模型由翰林（Hanlin）的训练任务 **{made.run}** {base}训练，权重格式为 {made.kind}。{rights}"
        f"导出后重新读入，与训练所得模型逐项比对（{made.tokens:,} 个词元，平均 KL {kl}）：**{result}**。"
        f"数据与模型的来历以 SHA-256 记录，用 `hanlin lineage` 查看。\n"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
