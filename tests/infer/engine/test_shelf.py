"""What is read from disk changes no bit, and what is damaged there is told and computed again."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

import hanlin
from hanlin import kernels
from hanlin.core.errors import ConfigError, StoreError
from hanlin.infer.engine import Engine, EngineSettings, Request
from hanlin.infer.engine.shelf import identity
from hanlin.infer.event import Event
from hanlin.infer.sampling import Sampling
from hanlin.kernels.plan import Plan
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.decoder import Decoder
from hanlin.model.plan import compiled
from hanlin.model.save import save_folder
from hanlin.text.tokenizer import Tokenizer
from infer.engine.test_engine import CONTEXT, all_of, alone, mixed

pytestmark = pytest.mark.skipif(kernels.missing() is not None, reason=f"no native kernels: {kernels.missing()}")
PROMPT = tuple(range(3, 103))
REQUEST = Request(PROMPT, Sampling(max_tokens=20, temperature=1.0, seed=2, logprobs=2))
Make = Callable[..., Engine]


@pytest.fixture(scope="module")
def plan(network: Decoder) -> Plan:
    return compiled(network, CONTEXT, 8)


@pytest.fixture
def make(plan: Plan, bytewise: Tokenizer, tmp_path: Path) -> Make:
    """An engine of a new program; `whose` stands for the model."""

    def made(whose: bytes = b"one", **settings: object) -> Engine:
        given = EngineSettings.model_validate({"prefix_folder": str(tmp_path / "kept"), **settings})
        return Engine(plan, bytewise, CONTEXT, given, whose=whose)

    return made


def test_a_model_that_is_loaded_again_reads_what_it_read(network: Decoder, bytewise: Tokenizer, tmp_path: Path) -> None:
    save_folder(Checkpoint(network, network.config, "llama", bytewise), tmp_path / "model")
    kept, prompt = EngineSettings(prefix_folder=str(tmp_path / "kept")), [*range(40)]
    first, again = (hanlin.load(tmp_path / "model", "int8", engine=kept) for _ in range(2))
    wanted = list(hanlin.load(tmp_path / "model", "int8").generate(prompt, max_tokens=9))
    assert list(first.generate(prompt, max_tokens=9)) == list(again.generate(prompt, max_tokens=9)) == wanted
    assert (first.engine.counts.found, again.engine.counts.found) == (0, 32)
    with pytest.raises(ConfigError, match="torch"):
        hanlin.load(tmp_path / "model", engine=kept)


def files(path: Path) -> list[Path]:
    return sorted((path / "kept").glob("*.kv"))


def test_mixed_requests_get_the_same_bits_from_disk_as_alone(make: Make, plan: Plan, bytewise: Tokenizer) -> None:
    asked = mixed(40, seed=8)
    wanted = [alone(plan, bytewise, request) for request in asked]
    for settings in ({}, {}, {"kv_blocks": 9, "step_tokens": 32}):
        engine = make(**settings)
        handles = [engine.submit(request) for request in asked]
        told = all_of(engine)
        assert [told[handle] for handle in handles] == wanted
        assert engine.pages.free == engine.pages.count, "blocks were lost"
    assert engine.shelf is not None and engine.shelf.read
    assert not engine.shelf.damaged


def test_only_whole_blocks_of_prompts_are_kept_and_once(make: Make, tmp_path: Path) -> None:
    list(make().generate(REQUEST))
    assert len(files(tmp_path)) == len(PROMPT) // 32
    assert {path.stat().st_mode & 0o777 for path in files(tmp_path)} == {0o600}
    engine = make()
    list(engine.generate(REQUEST))
    assert engine.shelf is not None and engine.shelf.read == 3 and not engine.shelf.written
    assert engine.counts.found == 96


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def exchange(path: Path) -> None:
    path.write_bytes(next(other for other in path.parent.glob("*.kv") if other != path).read_bytes())


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut, lengthen, flip, exchange, empty])
def test_what_is_damaged_is_told_removed_and_computed_again(
    make: Make, damage: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = list(make().generate(REQUEST))
    for path in files(tmp_path):
        damage(path)
    engine = make()
    with caplog.at_level(logging.WARNING):
        got: list[Event] = list(engine.generate(REQUEST))
    assert got == wanted
    assert "is damaged: it was removed, and is computed again" in caplog.text
    assert engine.shelf is not None and engine.shelf.damaged
    fresh = make()
    assert list(fresh.generate(REQUEST)) == wanted
    assert list(make().generate(REQUEST)) == wanted


def test_another_model_store_or_code_finds_nothing(make: Make, tmp_path: Path) -> None:
    list(make().generate(REQUEST))
    for engine in (make(whose=b"two"), make(kv_store="int8"), make(whose=b"one", kv_store="bfloat16")):
        list(engine.generate(REQUEST))
        assert engine.shelf is not None and not engine.shelf.read and engine.shelf.written == 3
    (tmp_path / "model").write_bytes(b"weights")
    first = identity(tmp_path / "model", "int8")
    assert first == identity(tmp_path / "model", "int8") != identity(tmp_path / "model", "int4")
    (tmp_path / "model").write_bytes(b"weightz")
    assert identity(tmp_path / "model", "int8") != first


def test_the_folder_keeps_its_size_and_what_was_used_last(make: Make, tmp_path: Path) -> None:
    engine = make()
    assert engine.shelf is not None
    engine.shelf.most_bytes = most = 12 * (engine.kv.block_bytes + 40)
    for first in range(20):
        list(engine.generate(Request(tuple((first + token) % 250 for token in PROMPT), Sampling(max_tokens=1))))
        assert sum(path.stat().st_size for path in files(tmp_path)) == engine.shelf.bytes <= most
    last = make()
    list(last.generate(Request(tuple((19 + token) % 250 for token in PROMPT), Sampling(max_tokens=1))))
    assert last.counts.found == 96


def test_a_folder_that_cannot_be_is_told(make: Make, tmp_path: Path, plan: Plan, bytewise: Tokenizer) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot hold"):
        make(prefix_folder=str(tmp_path / "file"))
    with pytest.raises(ConfigError, match="identity"):
        Engine(plan, bytewise, CONTEXT, EngineSettings(prefix_folder=str(tmp_path / "kept")))
    with pytest.raises(ConfigError, match="has_prefix_cache"):
        make(has_prefix_cache=False)
