"""`hanlin classify` says of a text what the head said in training, in every form a trained model comes in."""

import json
import math
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from hanlin.cli.commands.classify import command
from hanlin.core.errors import CapacityError, ConfigError, DataError, WeightsError
from hanlin.core.settings import parse
from hanlin.data.batch import collate
from hanlin.data.example import Labelled
from hanlin.infer.classify import Classifier, open_classifier
from hanlin.text.message import Message
from hanlin.train.export.export import export
from hanlin.train.last import judged
from hanlin.train.objectives.reward import rewards
from hanlin.train.pairs import ending
from hanlin.train.session import session
from hanlin.train.settings import RunFile
from hanlin.train.work import Work

ROWS = [
    ("A fine day, and good company.", "good"),
    ("Rain, mud, and a broken shoe.", "bad"),
    ("这本书很好看。", "good"),
    ("房间又脏又吵，还很贵，再也不来了。", "bad"),
]
TEXTS = ["Good company!", "mud", "很好。", "a much longer text, which does not fit into the context of this model " * 3]


def trained(out: Path, rows: list[dict], context: int = 32, **sections: dict) -> Work:
    """A tiny run, taken to its end."""
    out.parent.mkdir(parents=True, exist_ok=True)
    data = out.parent / f"{out.name}.jsonl"
    data.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    plain = {
        "name": "tiny",
        "out": str(out),
        "model": {"family": "qwen3", "width": 32, "layers": 2, "heads": 2},
        "tokenizer": {"vocabulary": 400},
        "data": {"train": str(data), "context": context, "held_out": 0, "cache": str(out.parent / "cache")},
        "train": {"steps": 3, "batch": 4, "lr": 0.01, "dtype": "float32"},
        "gate": {"allow": ["cut", "labels", "duplicates"]},
        **sections,
    }
    work = [found for found in session(parse(RunFile, plain)) if isinstance(found, Work)]
    work[0].pupil.network.eval()
    return work[0]


def labelled(**extra: object) -> list[dict]:
    return [{"text": text, "label": label, **extra} for text, label in ROWS * 4]


@torch.no_grad()
def in_training(work: Work, texts: list[str], pair: str | None = None) -> torch.Tensor:
    """The head's figures for texts encoded by the objective, one by one."""
    objective, figures = work.settings.objective, []
    label = getattr(objective, "classes", ()) or ("1",)
    for text in texts:
        row = objective.encode([Labelled(text, label[0], pair)], work.pupil.tokenizer, work.settings.data.context)[0]
        figures.append(judged(work.pupil, collate([[row]], shifts=False, pad=0))[0][0])
    return torch.stack(figures)


def said(holder: Classifier, texts: list) -> torch.Tensor:
    verdicts = list(holder.classify(texts))
    return torch.tensor([[one.classes[name] for name in holder.plan.classes] for one in verdicts])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Work:
    return trained(tmp_path_factory.mktemp("classify") / "run", labelled(), objective={"use": "classify"})


def test_probabilities_are_those_of_the_head_in_training(run: Work) -> None:
    holder = open_classifier(run.run)
    expected = in_training(run, TEXTS).softmax(1)
    assert holder.plan.classes == ("bad", "good")
    torch.testing.assert_close(said(holder, TEXTS), expected, rtol=1e-5, atol=1e-6)
    assert (expected.max(1).values - expected.min(1).values).max() > 0.05, "the head has learnt to tell apart"
    assert [one.lost > 0 for one in holder.classify(TEXTS)] == [False, False, False, True]


def test_order_and_company_of_texts_change_nothing(run: Work) -> None:
    holder = open_classifier(run.run)
    many = [TEXTS[at % 4] + str(at) for at in range(150)]
    alone = torch.cat([said(holder, [text]) for text in many])
    torch.testing.assert_close(said(holder, many), alone, rtol=1e-4, atol=1e-5)


def test_pairs_are_joined_as_in_training(run: Work) -> None:
    expected = in_training(run, TEXTS[:2], pair="怎么样？").softmax(1)
    pairs = [(text, "怎么样？") for text in TEXTS[:2]]
    torch.testing.assert_close(said(open_classifier(run.run), pairs), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("base", ["as_is", "int8"])
def test_an_adapter_its_checkpoint_and_its_merged_export_say_the_same(run: Work, tmp_path: Path, base: str) -> None:
    adapter = {"use": "lora", "rank": 4, "base": base}
    sections = {"model": {"use": str(run.run / "model")}, "tokenizer": {}, "adapter": adapter}
    work = trained(tmp_path / "lora", labelled(), objective={"use": "classify"}, **sections)
    expected = in_training(work, TEXTS).softmax(1)
    for place in (work.run, work.run / "model", next((work.run / "checkpoints").glob("step-*3"))):
        torch.testing.assert_close(said(open_classifier(place), TEXTS), expected, rtol=1e-4, atol=1e-5)
    if base == "as_is":
        assert list(export(work.run, tmp_path / "merged", texts=TEXTS))
        torch.testing.assert_close(said(open_classifier(tmp_path / "merged"), TEXTS), expected, rtol=1e-3, atol=1e-4)


def test_several_classes_to_a_text_have_probabilities_of_their_own(tmp_path: Path) -> None:
    rows = [{"text": text, "labels": [label, "said"]} for text, label in ROWS * 4]
    work = trained(tmp_path / "run", rows, objective={"use": "classify"})
    holder = open_classifier(work.run)
    assert holder.plan.has_many
    torch.testing.assert_close(said(holder, TEXTS), in_training(work, TEXTS).sigmoid(), rtol=1e-5, atol=1e-6)


def test_numbers_come_in_the_unit_of_the_labels(tmp_path: Path) -> None:
    rows = [{"text": text, "label": 100.0 + 10 * at} for at, (text, _) in enumerate(ROWS * 4)]
    work = trained(tmp_path / "run", rows, objective={"use": "regress"})
    holder = open_classifier(work.run)
    values = [row["label"] for row in rows]
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    expected = (in_training(work, TEXTS)[:, 0] * deviation + mean).tolist()
    assert [one.value for one in holder.classify(TEXTS)] == pytest.approx(expected, rel=1e-5)


def test_rewards_are_those_of_training(tmp_path: Path, run: Work) -> None:
    rows = [{"prompt": f"What of {text}", "chosen": "Yes, good.", "rejected": "No."} for text, _ in ROWS * 2]
    chat = {"tokenizer": {"use": str(chat_tokenizer(tmp_path))}}
    work = trained(tmp_path / "run", rows, 128, objective={"use": "reward"}, **chat)
    holder = open_classifier(work.run)
    user, answer = Message(role="user", content="Why?"), Message(role="assistant", content="So.")
    with torch.no_grad():
        batch = collate([[ending((user,), (answer,), work.pupil.tokenizer)]], shifts=False, pad=0)
        expected = float(rewards(work.pupil, batch)[0])
    (found,) = holder.classify([("Why?", "So.")])
    assert found.value == pytest.approx(expected, rel=1e-5)
    with pytest.raises(DataError, match="no question"):
        list(holder.classify(["So."]))
    with pytest.raises(CapacityError, match="it was trained on 128"):
        list(holder.classify([("Why?", "So. " * 80)]))


def chat_tokenizer(tmp_path: Path) -> Path:
    from hanlin.text.learn.settings import LearnSettings
    from hanlin.text.learn.train import learn, save

    save(learn([text for text, _ in ROWS], LearnSettings(vocabulary=300, chat="chatml")), tmp_path / "chat")
    return tmp_path / "chat"


def test_the_command_prints_a_line_a_text_and_json(run: Work, tmp_path: Path) -> None:
    file = tmp_path / "reviews.txt"
    file.write_text("很好。\n\nmud\n", "utf-8")
    done = CliRunner().invoke(command, [str(run.run), "--lines", "--json", str(file)], catch_exceptions=False)
    told = json.loads(done.stdout)
    assert [row["text"] for row in told["texts"]] == ["很好。", "mud"]
    expected = in_training(run, ["很好。", "mud"]).softmax(1)
    assert [row["classes"]["good"] for row in told["texts"]] == pytest.approx(expected[:, 1].tolist(), rel=1e-5)
    done = CliRunner().invoke(command, [str(run.run), TEXTS[3]], catch_exceptions=False)
    assert "%" in done.stdout
    assert "1 texts are longer than the 32 tokens" in done.stderr


def test_what_is_no_classifier_is_refused_with_the_fix(run: Work, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="takes no prompt"):
        CliRunner().invoke(command, [str(run.run), "--prompt", "a", "b"], catch_exceptions=False)
    with pytest.raises(ConfigError, match="there is no text"):
        CliRunner().invoke(command, [str(run.run)], catch_exceptions=False)
    with pytest.raises(WeightsError, match=r"has no head\.safetensors") as caught:
        open_classifier(tmp_path)
    assert "classify" in caught.value.fix
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in (run.run / "model").iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    plan = json.loads((copy / "classes.json").read_text("utf-8"))
    (copy / "classes.json").write_text(json.dumps({**plan, "classes": ["a", "b", "c"]}), "utf-8")
    with pytest.raises(WeightsError, match=r"shape \[2, 32\]; \[3, 32\] would fit"):
        open_classifier(copy)
    (copy / "classes.json").unlink()
    with pytest.raises(WeightsError, match=r"has no classes\.json"):
        open_classifier(copy)
