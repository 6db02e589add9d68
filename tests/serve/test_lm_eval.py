"""lm-evaluation-harness drives our server unchanged, and prints the figures that our own process computes."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from hanlin.infer.model import Model, load
from serve.live import Live

QUESTIONS = [
    ("What is the capital of France?", ["Paris", "London", "Rome"], 0),
    ("Two plus two is", ["four", "a very large number", "five"], 0),
    ("Which animal barks?", ["the cat", "the dog", "the fish"], 1),
    ("法国的首都是哪里？", ["巴黎", "伦敦"], 0),
    ("The sun rises in the", ["west", "east"], 1),
]
# Of a window of 512 lm-eval keeps one token for what is generated and one for the first context: 510 are predicted.
TEXTS = ["The history of the kingdom is long." * 120, "Short text, with 中文 inside.", "One two three four five."]
HEAD = "dataset_path: json\ntest_split: test\ndataset_kwargs: {{data_files: {{test: {file}}}}}\n"
CHOICE = """task: ours_choice
output_type: multiple_choice
doc_to_text: "{{q}}\\nAnswer:"
doc_to_choice: "{{choices}}"
doc_to_target: answer
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
"""
ROLLING = """task: ours_rolling
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list:
  - {metric: word_perplexity, aggregation: weighted_perplexity, higher_is_better: false}
  - {metric: bits_per_byte, aggregation: bits_per_byte, higher_is_better: false}
"""
WRITING = """task: ours_writing
output_type: generate_until
doc_to_text: "{{q}}\\nAnswer:"
doc_to_target: "{{choices[answer]}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 8, do_sample: false}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
"""


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    rows = [{"q": question, "choices": choices, "answer": answer} for question, choices, answer in QUESTIONS]
    (folder / "q.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "t.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in TEXTS))
    for name, body, file in (("choice", CHOICE, "q"), ("rolling", ROLLING, "t"), ("writing", WRITING, "q")):
        (folder / f"{name}.yaml").write_text(HEAD.format(file=folder / f"{file}.jsonl") + body)
    return folder


@pytest.fixture(scope="module")
def model(smollm2: Path) -> Model:
    return load(smollm2, "int8")


def judged(server: Live, tasks: Path, size: int) -> dict[str, Any]:
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    found = simple_evaluate(
        model="local-completions",
        model_args={
            "model": "smol",
            "base_url": f"{server.api}/completions",
            "tokenizer_backend": "remote",
            "max_length": 512,
            "num_concurrent": 2 if size > 1 else 1,
        },
        tasks=["ours_choice", "ours_rolling", "ours_writing"],
        batch_size=size,
        task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
        bootstrap_iters=0,
    )
    assert found is not None
    return found


@pytest.mark.filterwarnings("ignore")
def test_lm_eval_prints_what_we_compute_at_any_batch_size(
    real_server: Live, tasks: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    one, eight = (judged(real_server, tasks, size) for size in (1, 8))
    right = normal = 0
    for question, choices, answer in QUESTIONS:
        told = [choice.loglikelihood for choice in model.score(f"{question}\nAnswer:", [f" {c}" for c in choices])]
        right += told.index(max(told)) == answer
        means = [value / len(choice) for value, choice in zip(told, choices, strict=True)]
        normal += means.index(max(means)) == answer
    whole = model.score(TEXTS[0], window=510)
    for text in TEXTS[1:]:
        whole += model.score(text, window=510)
    for results in (one["results"], eight["results"]):
        assert results["ours_choice"]["acc,none"] == right / len(QUESTIONS)
        assert results["ours_choice"]["acc_norm,none"] == normal / len(QUESTIONS)
        assert math.isclose(results["ours_rolling"]["bits_per_byte,none"], whole.bits_per_byte, rel_tol=1e-6)
        assert math.isclose(results["ours_rolling"]["word_perplexity,none"], whole.word_perplexity, rel_tol=1e-5)
    for task in one["samples"]:
        alone, beside = ([sample["resps"] for sample in found["samples"][task]] for found in (one, eight))
        assert alone == beside, "the same bits at any batch size"
    for sample, (question, *_) in zip(one["samples"]["ours_writing"], QUESTIONS, strict=True):
        events = model.generate(f"{question}\nAnswer:", max_tokens=8, stop=["\n"])
        assert sample["resps"][0][0] == "".join(event.text for event in events)
