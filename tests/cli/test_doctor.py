"""The doctor: what it finds agrees with other ways to ask, and each problem comes with its fix."""

import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from hanlin import kernels
from hanlin.cli.doctor import facts, network
from hanlin.cli.doctor.fits import fits
from hanlin.cli.main import main
from hanlin.core.measure import product_speed, read_speed
from hanlin.model.store.sources.hub import offline_switch


def doctor(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["hanlin", "doctor", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code if isinstance(ended.value.code, int) else 1


def test_kernels_that_are_not_there_are_a_note_that_says_why(
    healthy: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for wish, said in (("off", "HANLIN_KERNELS is off"), ("sse9", "sse9 is no set of instructions")):
        monkeypatch.setenv("HANLIN_KERNELS", wish)
        kernels.library.opened.cache_clear()
        healthy["kernels"] = facts.native()
        assert any("no native kernels" in note and said in note for note in facts.notes(healthy)), wish
    monkeypatch.undo()
    kernels.library.opened.cache_clear()


@pytest.fixture
def healthy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("HANLIN_HOME", str(tmp_path / "home"))
    return facts.gather()


def test_json_agrees_with_psutil_and_torch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HANLIN_HOME", str(tmp_path))
    (tmp_path / "weights").write_bytes(b"x" * 1000)
    assert doctor(monkeypatch, "--json", "--offline", "--quick") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["processor"]["cores"]["logical"] == psutil.cpu_count()
    assert found["torch"]["version"] == torch.__version__
    assert found["python"]["version"] == platform.python_version()
    assert found["cache"] == {**found["cache"], "folder": str(tmp_path), "used_bytes": 1000, "is_writable": True}
    assert found["network"] == {"skipped": "--offline"}
    assert found["kernels"]["missing"] == kernels.missing()
    assert "speed" not in found
    assert {row["name"] for row in found["packages"]} >= {"torch", "click", "tokenizers"}
    assert all(row["is_right"] for row in found["packages"])


def test_the_page_shows_cores_memory_and_what_fits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor(monkeypatch, "--offline") == 0
    page = capsys.readouterr().out
    for word in ("cores", "memory", "billion operations/s", "GB/s", "135M SmolLM2", "--offline"):
        assert word in page, word


def test_the_hubs_own_switch_is_honoured() -> None:
    assert offline_switch({"HF_HUB_OFFLINE": "1"}) == "HF_HUB_OFFLINE"
    assert offline_switch({"TRANSFORMERS_OFFLINE": "true"}) == "TRANSFORMERS_OFFLINE"
    assert not offline_switch({"HF_HUB_OFFLINE": "0"})
    assert not offline_switch({})


def test_an_address_that_does_not_answer_is_a_problem_with_a_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_index", lambda: {"is_reachable": False, "answer": "no"})
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    started = time.monotonic()
    found = network.look()
    assert time.monotonic() - started < 4
    assert not found["hub"]["is_reachable"]
    assert all(problem["what"] and problem["fix"] for problem in network.problems(found))
    assert len(network.problems(found)) == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda found: found["torch"].update(threads=64), "64 threads"),
        (lambda found: found["torch"].update(error="undefined symbol"), "undefined symbol"),
        (lambda found: found["memory"].update(available_bytes=1 << 20), "GiB of memory are left"),
        (lambda found: found["cache"].update(is_writable=False), "cannot be written"),
        (lambda found: found["cache"].update(free_bytes=1 << 20), "disk are free"),
        (lambda found: found["packages"][0].update(version="0.1", is_right=False), "0.1"),
        (lambda found: found["packages"][0].update(version=None, is_right=False), "missing"),
    ],
)
def test_each_problem_is_found_and_comes_with_its_fix(healthy: dict[str, Any], change: Any, says: str) -> None:
    before = len(list(facts.problems(healthy)))
    change(healthy)
    found = list(facts.problems(healthy))
    assert len(found) == before + 1
    assert any(says in problem["what"] and problem["fix"] for problem in found)


def test_strict_turns_a_problem_into_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("HANLIN_HOME", str(blocked / "home"))
    assert doctor(monkeypatch, "--offline", "--quick") == 0
    assert doctor(monkeypatch, "--offline", "--quick", "--strict") == 2
    assert "fix: move the store" in capsys.readouterr().out


def test_what_fits_follows_from_bytes_and_reading_speed() -> None:
    rows = {(row["model"], row["kind"]): row for row in fits(8 << 30, 20e9)}
    seven = rows["7B Qwen2.5", "bfloat16"]
    assert not seven["fits"]
    assert seven["needed_bytes"] > 7.616e9 * 2
    assert seven["most_tokens_per_second"] == pytest.approx(20e9 / (7.616e9 * 2))
    assert rows["7B Qwen2.5", "4-bit"]["fits"]
    assert all(row["most_tokens_per_second"] is None for row in fits(8 << 30, None))
    assert not any(row["fits"] for row in fits(0, 20e9))


def test_hidden_amx_is_told_by_the_processors_model() -> None:
    rapids = "cpu family\t: 6\nmodel\t\t: 143\nflags\t\t: avx2 avx512f\n"
    assert facts.is_amx_hidden(rapids)
    assert not facts.is_amx_hidden(rapids.replace("avx512f", "avx512f amx_int8"))
    assert not facts.is_amx_hidden(rapids.replace("143", "85"))
    assert not facts.is_amx_hidden("")


def test_measured_speeds_are_those_of_the_work_itself() -> None:
    left = torch.randn(512, 512)
    started = time.perf_counter()
    for _ in range(20):
        left @ left
    by_hand = 20 * 2 * 512**3 / (time.perf_counter() - started)
    measured = product_speed("float32", seconds=0.1)
    assert by_hand / 20 < measured < by_hand * 20  # the same order of magnitude, on a busy machine
    assert 1e8 < read_speed(8 << 20, seconds=0.05) < 1e13
    assert product_speed("int8", seconds=0.05) > 0
