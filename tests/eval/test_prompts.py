"""Prompts, choices and right answers are those of lm-eval's own task files, read from its package."""

from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from hanlin.eval.task import task

ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "arc": (
        "arc/arc_easy.yaml",
        {"question": "Which is a gas? ", "choices": {"text": ["a", "b c"], "label": ["A", "B"]}, "answerKey": "B"},
    ),
    "gsm8k": ("gsm8k/gsm8k.yaml", {"question": "Two and\n three?", "answer": "It is\n#### 5"}),
    "ceval": (
        "ceval/_default_ceval_yaml",
        {"question": " 水是？ ", "A": "甲", "B": "乙", "C": "丙 ", "D": "丁", "answer": "C"},
    ),
    "cmmlu": (
        "cmmlu/_default_template_yaml",
        {"Question": "水是？\n", "A": "甲", "B": "乙", "C": "丙", "D": "丁", "Answer": "D"},
    ),
    "mbpp": (
        "mbpp/mbpp.yaml",
        {"task_id": 1, "text": "Add.", "code": "x", "test_list": ["assert 1", "assert 2", "assert 3"]},
    ),
    "truthfulqa": (
        "truthfulqa/truthfulqa_mc1.yaml",
        {"question": "Do bulls?", "mc1_targets": {"choices": ["No.", "Yes."], "labels": [1, 0]}},
    ),
}


class Loader(yaml.SafeLoader):
    """Functions of theirs are left out."""


Loader.add_multi_constructor("!function", lambda *_: None)


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_prompt_is_lm_evals(name: str) -> None:
    place, row = ROWS[name]
    lm_eval = pytest.importorskip("lm_eval")
    plan = yaml.load((Path(lm_eval.__file__).parent / "tasks" / place).read_text("utf-8"), Loader)
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)

    def told(text: str) -> str:
        return environment.from_string(text).render(**row)

    one = task(name, "x")
    made = one.sample(row)
    assert made.prompt == told(plan["doc_to_text"])
    assert made.between == plan.get("target_delimiter", " ")
    if one.kind == "choose":
        choices = plan["doc_to_choice"]
        wanted = choices if isinstance(choices, list) else eval(told(choices))
        assert list(made.choices) == wanted
        target = plan["doc_to_target"]
        assert made.gold == ((target if isinstance(target, int) else int(told(target))),)
    else:
        assert set(one.stop) == set(plan["generation_kwargs"]["until"])


def test_hellaswags_scenes_are_mended_as_lm_eval_does() -> None:
    utils = pytest.importorskip("lm_eval.tasks.hellaswag.utils")
    row = {
        "activity_label": "How to bake",
        "ctx_a": "[header] Bake a cake [title] Mix it. [step] Take  flour.",
        "ctx_b": "then the COOK",
        "endings": [" [substeps] goes home. ", "sleeps [title] Rest."],
        "label": "1",
    }

    class Rows(list[dict[str, Any]]):
        def map(self, change: Any) -> list[dict[str, Any]]:
            return [change(row) for row in self]

    (theirs,) = utils.process_docs(Rows([row]))
    made = task("hellaswag", "x").sample(row)
    assert (made.prompt, list(made.choices), made.gold) == (theirs["query"], theirs["choices"], (theirs["gold"],))
    with pytest.raises(ValueError, match="it has no label"):
        task("hellaswag", "x").sample({**row, "label": ""})
