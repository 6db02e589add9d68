"""Models straight from their files for the native kernels: they say what torch says of the same weights."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from hanlin import kernels
from hanlin.core.errors import RefusedError, WeightsError
from hanlin.core.plugins import find, names
from hanlin.kernels import Packed
from hanlin.kernels.plan import Lookup, Plan
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.decoder import Decoder
from hanlin.model.gguf.format import TensorType
from hanlin.model.gguf.read import GGUFFile
from hanlin.model.gguf.write import write
from hanlin.model.load import load
from hanlin.model.native import load_native
from hanlin.model.opened import FAMILIES
from hanlin.model.plan import Bits, compiled
from hanlin.model.save import FILE_TYPES, Kind, save_folder, save_gguf

pytestmark = pytest.mark.skipif(kernels.missing() is not None, reason=f"no native kernels: {kernels.missing()}")
CASES = [(family, case) for family in names(FAMILIES) for case in find(FAMILIES, family).TINY]
each_kind = pytest.mark.parametrize("kind", FILE_TYPES)
MOST, SAME = 0.25, 0.8
"""What rounding may do to so small a model of random weights: deviations, share of likeliest tokens."""
LENGTH = 5
TEXTS = np.random.default_rng(0).integers(0, 97, (12, LENGTH))
NEAR = 1e-4
"""Between float32 sums in another order."""


@pytest.fixture(scope="module", params=CASES, ids=lambda it: "-".join(it).replace(" ", "-"))
def model(request: pytest.FixtureRequest) -> Checkpoint:
    return random_model(*request.param)


def random_model(family: str, case: str) -> Checkpoint:
    """Weights such that a mistake would show anywhere."""
    module = find(FAMILIES, family)
    torch.manual_seed(0)
    network = Decoder(module.parts(module.TINY[case])).eval()
    chance = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn(weight.shape, generator=chance) * 0.2)
    return Checkpoint(network=network, config=module.TINY[case], family=family, tokenizer=None)


def saved(model: Checkpoint, path: Path, kind: Kind) -> Path:
    """A GGUF file of the model, if there is a way to write one."""
    try:
        save_gguf(model, path, kind)
    except RefusedError as error:
        pytest.skip(error.what)
    return path


def by_plan(plan: Plan) -> np.ndarray:
    """Logits of every text."""
    here = np.arange(LENGTH)
    said = [
        plan.walk(plan.blocks(1), text, here, np.zeros_like(here), np.zeros((1, 1), np.int32), here).logits
        for text in TEXTS
    ]
    return np.stack(said)  # pyright: ignore[reportArgumentType, reportCallIssue]


def by_torch(checkpoint: Checkpoint) -> np.ndarray:
    with torch.inference_mode():
        return checkpoint.network(torch.from_numpy(TEXTS)).numpy()


def by_torch_with_rows_in_bytes(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """The same, what goes into each matrix but routers rounded as the kernels do."""
    multiply = F.linear
    routers = {id(weight) for name, weight in checkpoint.network.named_parameters() if "router" in name}

    def rounded(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        size = x.abs()
        most, usual = size.amax(-1, keepdim=True), 4 * size.mean(-1, keepdim=True)
        scale = usual.maximum(most / 256).minimum(most) / 127
        return multiply(x if id(weight) in routers else (x / scale).round() * scale, weight, bias)

    with monkeypatch.context() as patched:
        patched.setattr(F, "linear", rounded)
        return by_torch(checkpoint)


def off(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """By how much each text's logits differ, in standard deviations."""
    return np.sqrt(((found - wanted) ** 2).mean((1, 2))) / wanted.std()


@each_kind
def test_a_plan_of_a_file_is_torch_on_its_weights(
    model: Checkpoint, kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In floats closely. In bytes as torch with its rows rounded alike, since the weights are exact; unless a number
    between two bytes goes the other way, which all that follows in that text feels.
    """
    path = saved(model, tmp_path / "model.gguf", kind)
    checkpoint = load(path)
    exact = by_torch(checkpoint)
    assert np.abs(by_plan(load_native(path, LENGTH, bits=32).plan) - exact).max() < NEAR
    found = by_plan(load_native(path, LENGTH).plan)
    if kind in ("Q8_0", "Q4_0"):
        apart = off(found, by_torch_with_rows_in_bytes(checkpoint, monkeypatch))
        assert np.median(apart) < NEAR
    unlike = int(checkpoint.family == "qwen3_moe")  # a router between two experts may go the other way, too
    assert np.sort(off(found, exact))[-1 - unlike] < MOST
    assert (found.argmax(-1) == exact.argmax(-1)).mean() >= SAME


def mixed(path: Path, kinds: dict[str, TensorType]) -> Path:
    """The file with the tensors whose names have a word in them written in other types."""
    file = GGUFFile.open(path)
    tensors = [
        (name, next((kind for word, kind in kinds.items() if word in name), info.type), file.float32(name))
        for name, info in file.tensors.items()
    ]
    write(path.with_name("mixed.gguf"), file.metadata, tensors)
    return path.with_name("mixed.gguf")


@pytest.mark.parametrize("family", ["llama", "qwen3_moe"])
def test_queries_keys_and_values_may_be_of_different_types_and_gates_and_ups(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = random_model(family, "qwen2" if family == "llama" else "experts")
    save_gguf(network, tmp_path / "model.gguf", "Q8_0")
    path = mixed(
        tmp_path / "model.gguf",
        {"attn_k.w": TensorType.Q4_0, "ffn_gate": TensorType.Q4_0, "ffn_up_exps": TensorType.Q8_0},
    )
    model = load_native(path, LENGTH)
    assert model.kind in ("Q8_0 Q4_0", "Q4_0 Q8_0")
    offsets = {op.offset for op in model.plan.ops if op.matrix is not None}
    assert len(offsets) > 1
    apart = off(by_plan(model.plan), by_torch_with_rows_in_bytes(load(path), monkeypatch))
    assert np.median(apart) < NEAR


@pytest.mark.parametrize("bits", [8, 4, 32])
def test_a_folder_packed_matrix_by_matrix_is_the_network_packed(model: Checkpoint, bits: Bits, tmp_path: Path) -> None:
    try:
        save_folder(model, tmp_path / "model")
    except RefusedError as error:
        pytest.skip(error.what)
    found = load_native(tmp_path / "model", LENGTH, bits=bits)
    assert set(found.kind.split()) == {8: {"int8"}, 4: {"int4", "int8"}, 32: {"float32"}}[bits]  # a head has eight
    np.testing.assert_array_equal(
        by_plan(found.plan), by_plan(compiled(load(tmp_path / "model").network, LENGTH, bits))
    )


def test_an_embedding_that_is_no_head_stays_in_the_file(tmp_path: Path) -> None:
    save_gguf(random_model("llama", "own head"), tmp_path / "model.gguf", "Q8_0")
    model = load_native(tmp_path / "model.gguf", LENGTH)
    assert isinstance(model.plan.embedding, Lookup)
    exact = load(tmp_path / "model.gguf").network.get_parameter("embed.weight").detach()
    tokens = np.array([3, 90, 3, 0], np.int32)
    np.testing.assert_array_equal(model.plan.embedding.rows(tokens), exact[tokens].numpy())
    with pytest.raises(ValueError, match="tokens from 97"):
        model.plan.walk(model.plan.blocks(1), *(np.array([n]) for n in (97, 0, 0)), np.zeros((1, 1)), np.array([0]))
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(WeightsError, match="ends before row"):
        model.plan.embedding.rows(tokens)


def test_an_adapter_and_a_classifier_are_refused_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    with pytest.raises(RefusedError, match="adapter") as caught:
        load_native(tmp_path / "adapter", LENGTH)
    assert "hanlin merge" in caught.value.fix
    save_folder(random_model("llama", "shared heads"), tmp_path / "model")
    (tmp_path / "model" / "classes.json").write_text("{}")
    with pytest.raises(RefusedError, match=r"classes\.json"):
        load_native(tmp_path / "model", LENGTH)


@pytest.mark.parametrize("kind", ["F32", "Q8_0"])
def test_weights_that_are_no_numbers_are_named(kind: Kind, tmp_path: Path) -> None:
    model = random_model("llama", "shared heads")
    save_gguf(model, tmp_path / "model.gguf", kind)
    file = GGUFFile.open(tmp_path / "model.gguf")
    info = file.info("blk.1.ffn_down.weight")
    data = bytearray((tmp_path / "model.gguf").read_bytes())
    data[info.offset : info.offset + 4] = (
        np.array([np.nan], np.float32).tobytes() if kind == "F32" else b"\x00\x7e\x00\x00"
    )
    (tmp_path / "bad.gguf").write_bytes(data)
    with pytest.raises(WeightsError, match=r"layers\.1\.mlp\.down\.weight holds infinite"):
        load_native(tmp_path / "bad.gguf", LENGTH)


def test_the_default_model_keeps_its_codes_and_writes_what_torch_writes(smollm2: Path) -> None:
    model = load_native(smollm2, 64)
    assert model.kind == "Q4_1 Q8_0"
    assert model.plan.head is model.plan.embedding
    assert model.tokenizer is not None
    text = np.array(model.tokenizer.encode("The capital of France is"))
    here = np.arange(len(text))
    said = model.plan.walk(model.plan.blocks(2), text, here, 0 * here, np.arange(2)[None], here[-1:]).logits
    assert said is not None
    assert model.tokenizer.decode([int(said.argmax())]) == " Paris"


@pytest.mark.parametrize(("family", "case"), [case for case in CASES if case[0] in ("llama", "qwen3_moe", "gpt2")])
@pytest.mark.parametrize("kind", ["F32", "Q8_0"])
def test_large_matrices_that_are_read_some_outputs_at_a_time_are_the_same(
    family: str, case: str, kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(random_model(family, case), tmp_path / "model.gguf", kind)
    whole = load_native(path, LENGTH, bits=8).plan
    monkeypatch.setattr("hanlin.model.native.ROOM", 1 << 9)
    made: list[Packed] = []
    sliced = Packed.int8_of

    def counted(pieces: Iterable[np.ndarray], outputs: int, inputs: int) -> Packed:
        made.append(sliced(pieces, outputs, inputs))
        return made[-1]

    monkeypatch.setattr(Packed, "int8_of", counted)
    assert np.array_equal(by_plan(load_native(path, LENGTH, bits=8).plan), by_plan(whole))
    assert made
