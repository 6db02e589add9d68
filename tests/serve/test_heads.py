"""/v1/classify without labels: the head of a model that was trained to classify, and its refusals."""

from pathlib import Path

import httpx
import pytest
import torch
from safetensors.torch import save_file

from hanlin import kernels
from hanlin.infer.classify import open_classifier
from hanlin.infer.head import HEAD, PLAN, HeadSettings
from hanlin.infer.model import load
from hanlin.model.save import save_folder
from serve.live import Live, live, tiny_model

pytestmark = pytest.mark.skipif(kernels.missing() is not None, reason=f"no native kernels: {kernels.missing()}")
TEXTS = ["hello the abc", "再见", "ab " * 40]


def headed(folder: Path, plan: HeadSettings) -> Path:
    """A tiny model with a head."""
    model = tiny_model("tiny", "float32")
    save_folder(model.checkpoint, folder)
    weight = torch.randn(plan.outputs, model.config.width, generator=torch.Generator().manual_seed(1))
    save_file({"weight": weight}, folder / HEAD)
    (folder / PLAN).write_text(plan.model_dump_json(), "utf-8")
    return folder


def test_it_says_what_the_head_says_in_process(tmp_path: Path) -> None:
    sorts = headed(tmp_path / "sorts", HeadSettings(objective="classify", classes=("好", "bad", "so"), context=64))
    rates = headed(tmp_path / "rates", HeadSettings(objective="regress", mean=3.0, deviation=2.0, context=64))
    models = {"sorts": str(sorts), "rates": str(rates)}
    with live(tmp_path, models, load, dtype="auto") as server:
        for name, folder in (("sorts", sorts), ("rates", rates)):
            reply = httpx.post(f"{server.api}/classify", json={"model": name, "input": TEXTS}, timeout=60)
            assert reply.status_code == 200, reply.text
            told, expected = reply.json(), list(open_classifier(folder).classify(TEXTS))
            for one, verdict in zip(told["data"], expected, strict=True):
                assert one["probabilities"] == pytest.approx(dict(verdict.classes), abs=1e-5)
                assert one["label"] == next(iter(verdict.classes), None)
                assert one["value"] == (
                    verdict.value if verdict.value is None else pytest.approx(verdict.value, abs=1e-4)
                )
                assert one["lost_tokens"] == verdict.lost
            assert told["data"][2]["lost_tokens"] > 0
        held = httpx.get(f"{server.api}/capabilities").json()["models"]
        assert held["sorts"]["classification_head"] and held["rates"]["classification_head"]
        body = {"model": "sorts", "input": "a", "template": "{text}?"}
        reply = httpx.post(f"{server.api}/classify", json=body, timeout=30)
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, "template")


def test_without_a_head_labels_are_needed(tiny_server: Live) -> None:
    reply = httpx.post(f"{tiny_server.api}/classify", json={"input": "a"}, timeout=30)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "labels")
