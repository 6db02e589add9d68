"""Files we write, read back by ourselves and by the `gguf` library."""

import resource
import tracemalloc
from pathlib import Path

import gguf
import gguf.quants
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from hanlin.core.errors import CapacityError, StoreError, WeightsError
from hanlin.model.gguf.format import TensorType
from hanlin.model.gguf.quantise import MAKE
from hanlin.model.gguf.read import GGUFFile
from hanlin.model.gguf.write import Later, write

METADATA = {
    "general.architecture": "llama",
    "llama.block_count": 2,
    "llama.attention.layer_norm_rms_epsilon": 1e-5,
    "tokenizer.ggml.add_bos_token": False,
    "tokenizer.ggml.tokens": ["a", "翰林", ""],
    "tokenizer.ggml.token_type": [1, 1, 3],
    "tokenizer.ggml.scores": [0.0, -1.5, 2.0],
    "flags": [True, False],
    "negative": -5,
    "large": 2**40,
    "small": np.int8(-3),
    "precise": np.float64(0.1),
    "bytes": np.arange(4, dtype=np.uint8),
    "no words": [],
}
KINDS = {
    "llama.block_count": "UINT32",
    "llama.attention.layer_norm_rms_epsilon": "FLOAT32",
    "tokenizer.ggml.add_bos_token": "BOOL",
    "tokenizer.ggml.token_type": "INT32",
    "tokenizer.ggml.scores": "FLOAT32",
    "negative": "INT32",
    "large": "INT64",
    "small": "INT8",
    "precise": "FLOAT64",
    "bytes": "UINT8",
}
FARTHEST = {"Q4_0": 0.5, "Q4_1": 0.25}
"""How far a draw from the normal distribution may lie from itself in these types."""
RNG = np.random.default_rng(0)


def test_metadata_comes_back_in_the_kinds_llama_cpp_looks_for(tmp_path):
    path = tmp_path / "m.gguf"
    write(path, METADATA, [])
    found = GGUFFile.open(path).metadata
    assert list(found) == list(METADATA)
    for key, value in METADATA.items():
        wanted = value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
        assert found[key] == (pytest.approx(wanted, rel=1e-7) if isinstance(wanted, float) else wanted), key
    theirs = gguf.GGUFReader(path)
    for key, kind in KINDS.items():
        assert theirs.fields[key].types[-1].name == kind, key
        assert theirs.fields[key].contents() == found[key]


@pytest.mark.parametrize("alignment", [None, 8, 32, 4096])
def test_tensors_of_every_kind_come_back(tmp_path, alignment):
    path = tmp_path / "m.gguf"
    shapes = [(64,), (3, 32), (5, 96), (2, 3, 64), (2, 3, 4, 32)]
    tensors = [
        (f"{kind.name}.{number}", kind, RNG.normal(size=shape).astype(np.float32))
        for kind in MAKE
        for number, shape in enumerate(shapes)
    ]
    write(path, METADATA | ({"general.alignment": alignment} if alignment else {}), iter(tensors))
    ours, theirs = GGUFFile.open(path), gguf.GGUFReader(path)
    assert len(theirs.tensors) == len(ours.tensors) == len(tensors)
    for (name, kind, weights), entry in zip(tensors, theirs.tensors, strict=True):
        assert (entry.name, tuple(entry.shape[::-1]), entry.tensor_type.name) == (name, weights.shape, kind.name)
        assert ours.tensors[name].offset % (alignment or 32) == 0
        wanted = gguf.quants.dequantize(entry.data, entry.tensor_type)
        np.testing.assert_array_equal(ours.float32(name), wanted)
        np.testing.assert_array_equal(wanted, weights if kind is TensorType.F32 else wanted)
        assert np.abs(wanted - weights).max() < FARTHEST.get(kind.name, 0.03)


def test_large_tensors_are_quantised_by_rows_to_the_same_bytes(tmp_path, monkeypatch):
    weights = RNG.normal(size=(33, 64)).astype(np.float32)
    write(tmp_path / "whole.gguf", {}, [("w", TensorType.Q8_0, weights)])
    monkeypatch.setattr("hanlin.model.gguf.write.PIECE", 64 * 5)
    write(tmp_path / "rows.gguf", {}, [("w", TensorType.Q8_0, weights)])
    assert (tmp_path / "whole.gguf").read_bytes() == (tmp_path / "rows.gguf").read_bytes()


def test_blocks_that_are_blocks_already_pass_through(tmp_path):
    blocks = RNG.integers(0, 256, (6, 2 * 144), dtype=np.uint8)
    write(tmp_path / "m.gguf", {}, [("k", TensorType.Q4_K, blocks)])
    found = GGUFFile.open(tmp_path / "m.gguf")
    assert found.tensors["k"].shape == (6, 512)
    np.testing.assert_array_equal(found.blocks("k"), blocks)


def test_only_one_tensor_is_in_memory_at_a_time(tmp_path):
    megabytes = 8
    shape = (megabytes << 8, 1024)

    def tensor(number: int) -> tuple[str, TensorType, Later]:
        return f"t{number}", TensorType.Q8_0, Later(shape, lambda: np.full(shape, number, np.float32))

    tracemalloc.start()
    write(tmp_path / "m.gguf", {}, [tensor(number) for number in range(10)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (3 * megabytes + 16) << 20
    assert GGUFFile.open(tmp_path / "m.gguf").float32("t9", order=np.array([0])).mean() == pytest.approx(9, rel=0.01)


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("name", "kind", "weights", "message"),
    [
        ("w", TensorType.Q8_0, np.zeros((2, 33)), r"tensor 'w' of shape \(2, 33\) does not fill Q8_0 blocks of 32"),
        ("w", TensorType.F32, np.zeros((0, 4)), r"tensor 'w' of shape \(0, 4\)"),
        ("w", TensorType.Q4_0, np.full((2, 32), np.nan), "tensor 'w': the weight nan cannot be written as Q4_0"),
        ("w", TensorType.F16, np.full((2, 32), 1e5), "tensor 'w': the weight 100000.0 cannot be written as F16"),
        ("n" * 64, TensorType.F32, np.zeros(4), "name of more than 63 bytes"),
        ("first", TensorType.F32, np.zeros(4), "tensor 'first' stands twice"),
        ("w", TensorType.Q6_K, np.zeros((2, 256)), "tensor 'w': Q6_K is not a type we write"),
    ],
)
def test_what_cannot_be_written_leaves_the_old_file_alone(tmp_path, name, kind, weights, message):
    path = tmp_path / "m.gguf"
    path.write_bytes(b"old")
    first = ("first", TensorType.F32, np.ones(4, np.float32))
    with pytest.raises(WeightsError, match=message):
        write(path, {}, [first, (name, kind, weights.astype(np.float32))])
    assert path.read_bytes() == b"old"
    assert leftovers(tmp_path) == ["m.gguf"]


@pytest.mark.parametrize("value", [None, {"a": 1}, [1, "a"], [1, 2.0], [[1]], 2**80, 1j, "\ud800", ["\ud800"]])
def test_values_gguf_has_no_kind_for_are_refused_by_key(tmp_path, value):
    with pytest.raises(WeightsError, match=r"my\.key"):
        write(tmp_path / "m.gguf", {"my.key": value}, [])
    assert leftovers(tmp_path) == []


def test_a_full_disk_leaves_nothing_behind(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(CapacityError):
            write(tmp_path / "m.gguf", {}, [("w", TensorType.F32, np.ones((300, 300), np.float32))])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert leftovers(tmp_path) == []


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(StoreError, match="cannot be written"):
        write(tmp_path / "none" / "m.gguf", {}, [])


KEYS = some.text(max_size=20)
VALUES = some.one_of(
    some.booleans(),
    some.integers(-(2**31), 2**32 - 1),
    some.floats(width=32, allow_nan=False),
    some.text(),
    some.lists(some.text()),
    some.lists(some.booleans(), min_size=1),
    some.lists(some.integers(-(2**31), 2**31 - 1), min_size=1),
)


@settings(max_examples=60, deadline=None)
@given(metadata=some.dictionaries(KEYS, VALUES))
def test_any_metadata_comes_back(tmp_path_factory, metadata):
    path = tmp_path_factory.mktemp("any") / "m.gguf"
    metadata.pop("general.alignment", None)
    metadata.pop("split.count", None)
    write(path, metadata, [("w", TensorType.F32, np.ones(3, np.float32))])
    found = GGUFFile.open(path)
    assert found.metadata == metadata
    assert found.float32("w").tolist() == [1, 1, 1]
