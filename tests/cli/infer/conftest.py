"""The command line in this process, with a tiny model in place of a real one."""

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from hanlin.cli.main import main
from hanlin.infer.model import Model
from hanlin.model.checkpoint import Checkpoint
from infer import tiny


@dataclass(frozen=True)
class Done:
    """What a command left."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def tiny_model() -> Model:
    tokenizer = tiny.tokenizer()
    network = tiny.network(tokenizer)
    checkpoint = Checkpoint(network, network.config, "llama", tokenizer, {}, Path("tiny"), None)
    return Model(checkpoint, "tiny")


@pytest.fixture
def hanlin(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Callable[..., Done]:
    """`hanlin("generate", "-p", "x", stdin=b"…")` runs the command with the tiny model."""
    opened: list[tuple[object, ...]] = []

    def open_model(*given: object) -> Model:
        opened.append(given)
        return tiny_model

    monkeypatch.setattr("hanlin.cli.models.open_model", open_model)

    def run(*arguments: str, stdin: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "argv", ["hanlin", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as left:
            main()
        written = capsysbinary.readouterr()
        return Done(int(left.value.code or 0), written.out.decode(), written.err.decode())

    return run
