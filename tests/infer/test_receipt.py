"""A receipt proves an answer, and refutes what is not the same in any part."""

import json
from pathlib import Path

import pytest

import hanlin
from hanlin import kernels
from hanlin.cli.commands.generate import command as generate
from hanlin.cli.commands.replay import command as replay
from hanlin.core.errors import DataError
from hanlin.infer import receipt
from hanlin.infer.model import Model

HOW = [None, *(["int8"] if kernels.missing() is None else [])]


@pytest.fixture(scope="module", params=HOW)
def paper(request: pytest.FixtureRequest, smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two answers that were drawn."""
    path = tmp_path_factory.mktemp("receipts") / "receipt.json"
    drawn = ["--temperature", "1", "--seed", "7", "--n", "2", "--max-tokens", "9", "--regex", "[a-z ,]+"]
    given = ["-p", "The cat sat", *drawn, "--receipt", str(path), "--json"]
    generate.main(given + (["--dtype", request.param] if request.param else []), standalone_mode=False)
    return path


@pytest.fixture(scope="module")
def model(paper: Path) -> Model:
    return hanlin.load(dtype=json.loads(paper.read_text())["dtype"])


def test_it_is_proved_by_the_command(paper: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        replay.main([str(paper)], standalone_mode=False)
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("proved: ")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda found: found["hashes"].update(model="0" * 64), "the model is another one"),
        (lambda found: found["hashes"].update(template="0" * 64), "the template is another one"),
        (lambda found: found["sampling"].update(seed=8), "token"),
        (lambda found: found["prompt"].append(found["prompt"][0]), "token"),
        (lambda found: found["answers"][1]["logprobs"].__setitem__(0, -0.5), "log-probabilities up to"),
        (lambda found: found["answers"][0]["tokens"].__setitem__(1, 3), "answer 1, token 2: id"),
        (lambda found: found["made_with"].update(weights="float8"), "when it was made"),
    ],
)
def test_what_was_changed_is_refuted(paper: Path, model: Model, change, says: str) -> None:
    found = json.loads(paper.read_text())
    change(found)
    assert any(says in line for line in receipt.replay(found, model))


def test_answers_that_do_not_match_their_hash_are_no_receipt(paper: Path, tmp_path: Path) -> None:
    found = json.loads(paper.read_text())
    found["answers"][0]["tokens"][0] += 1
    (tmp_path / "changed.json").write_text(json.dumps(found))
    with pytest.raises(DataError, match="was changed"):
        receipt.read(tmp_path / "changed.json")
    for text, says in (
        ("[1]", "has no version"),
        ("{", "no receipt"),
        (json.dumps(found | {"version": 9}), "version 9"),
    ):
        (tmp_path / "other.json").write_text(text)
        with pytest.raises(DataError, match=says):
            receipt.read(tmp_path / "other.json")
