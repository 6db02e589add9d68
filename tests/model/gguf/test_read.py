"""Files read as the format says: against bytes made by hand, the `gguf` library, and a real model."""

import struct
import time
from pathlib import Path

import gguf
import gguf.quants
import numpy as np
import pytest

from hanlin.core.errors import WeightsError
from hanlin.model.gguf.format import TensorType
from hanlin.model.gguf.read import GGUFFile
from hanlin.model.gguf.write import write
from model.gguf.handmade import ARRAY, BOOL, FLOAT32, STRING, UINT8, array, key, tensor, text
from model.gguf.handmade import gguf as made


def opened(tmp_path: Path, content: bytes) -> GGUFFile:
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    return GGUFFile.open(path)


@pytest.mark.parametrize(
    ("kind", "form", "value"),
    [
        (0, "<B", 255),
        (1, "<b", -128),
        (2, "<H", 65535),
        (3, "<h", -32768),
        (4, "<I", 2**32 - 1),
        (5, "<i", -(2**31)),
        (6, "<f", 1.5),
        (7, "<?", True),
        (10, "<Q", 2**64 - 1),
        (11, "<q", -(2**63)),
        (12, "<d", 0.1),
    ],
)
def test_every_kind_of_number_alone_and_in_an_array(tmp_path, kind, form, value):
    raw = struct.pack(form, value)
    found = opened(tmp_path, made([key("one", kind, raw), key("many", ARRAY, array(kind, 3, raw * 3))])).metadata
    assert found == {"one": value, "many": [value] * 3}
    assert type(found["one"]) is type(value) is type(found["many"][0])


def test_texts_and_nested_arrays(tmp_path):
    words = ["", "Ġthe", "翰林", "👩‍👩‍👧", "x" * 300]
    inner = [array(UINT8, 2, b"\1\2"), array(STRING, 1, text("deep")), array(BOOL, 0, b"")]
    keys = [
        key("texts", ARRAY, array(STRING, len(words), b"".join(map(text, words)))),
        key("nested", ARRAY, array(ARRAY, 3, b"".join(inner))),
        key("text", STRING, text("翰林")),
    ]
    for version in (2, 3):
        found = opened(tmp_path, made(keys, version=version)).metadata
        assert found == {"texts": words, "nested": [[1, 2], ["deep"], []], "text": "翰林"}


def test_a_file_of_the_librarys_writer_reads_the_same(tmp_path):
    path = tmp_path / "lib.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_uint32("llama.block_count", 3)
    writer.add_array("tokenizer.ggml.tokens", ["a", "翰", "Ġb"])
    writer.add_array("tokenizer.ggml.scores", [0.5, -1.0])
    writer.add_bool("tokenizer.ggml.add_bos_token", False)
    writer.add_custom_alignment(64)
    rng = np.random.default_rng(0)
    arrays = {"one": rng.normal(size=7), "two": rng.normal(size=(3, 5)), "three": rng.normal(size=(2, 3, 4))}
    arrays = {name: values.astype(np.float32) for name, values in arrays.items()}
    for name, values in arrays.items():
        writer.add_tensor(name, values)
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    found = GGUFFile.open(path)
    assert found.metadata["general.architecture"] == "llama"
    assert found.metadata["tokenizer.ggml.tokens"] == ["a", "翰", "Ġb"]
    assert found.metadata["tokenizer.ggml.scores"] == [0.5, -1.0]
    assert found.metadata["tokenizer.ggml.add_bos_token"] is False
    for name, values in arrays.items():
        assert found.tensors[name].offset % 64 == 0
        assert found.tensors[name].shape == values.shape
        np.testing.assert_array_equal(found.float32(name), values)


def test_a_vocabulary_of_a_quarter_million_opens_in_under_half_a_second(tmp_path):
    words = [f"▁word{number}" for number in range(262_144)]
    merges = [f"{word[:3]} {word[3:]}" for word in words]
    numbers = np.arange(len(words), dtype="<f4")
    keys = [
        key("tokens", ARRAY, array(STRING, len(words), b"".join(map(text, words)))),
        key("merges", ARRAY, array(STRING, len(words), b"".join(map(text, merges)))),
        key("scores", ARRAY, array(FLOAT32, len(words), numbers.tobytes())),
    ]
    (tmp_path / "m.gguf").write_bytes(made(keys))
    seconds = []
    for _ in range(3):
        begin = time.process_time()
        found = GGUFFile.open(tmp_path / "m.gguf").metadata
        seconds.append(time.process_time() - begin)
    assert found == {"tokens": words, "merges": merges, "scores": numbers.tolist()}
    assert min(seconds) < 0.5


def test_rows_come_in_the_asked_order_into_the_asked_place(tmp_path):
    weights = np.random.default_rng(0).normal(size=(8, 64)).astype(np.float32)
    write(tmp_path / "m.gguf", {}, [("w", TensorType.Q8_0, weights)])
    found = GGUFFile.open(tmp_path / "m.gguf")
    plain = found.float32("w")
    order = np.array([7, 0, 3])
    fused = np.zeros((2, 3, 64), np.float32)
    assert found.float32("w", fused[1], order) is not None
    np.testing.assert_array_equal(fused[1], plain[order])
    assert not fused[0].any()
    assert found.blocks("w").shape == (8, 2 * 34)
    assert not found.blocks("w").flags.writeable


@pytest.mark.parametrize("threads", [1, 3])
def test_many_threads_fill_what_one_call_gives(tmp_path, monkeypatch, threads):
    rng = np.random.default_rng(0)
    names = ["a", "b", "c"]
    write(tmp_path / "m.gguf", {}, [(name, TensorType.Q4_0, rng.normal(size=(40, 64))) for name in names])
    found = GGUFFile.open(tmp_path / "m.gguf")
    monkeypatch.setattr("hanlin.model.gguf.read.PIECE", 64 * 7)
    order = rng.permutation(40)
    fused = np.empty((3, 40, 64), np.float32)
    found.fill([(name, fused[number], order if name == "b" else None) for number, name in enumerate(names)], threads)
    for number, name in enumerate(names):
        plain = found.float32(name)
        np.testing.assert_array_equal(fused[number], plain[order] if name == "b" else plain)


def test_fill_says_which_tensor_has_a_type_we_do_not_carry(tmp_path):
    found = opened(tmp_path, made([], [tensor("odd", (256,), TensorType.IQ1_S.value)], bytes(50)))
    with pytest.raises(WeightsError, match="tensor 'odd': IQ1_S"):
        found.fill([("odd", np.empty(256, np.float32), None)], threads=2)


def test_a_tensor_that_is_not_there_is_named_with_its_neighbour(tmp_path):
    found = opened(tmp_path, made([], [tensor("output.weight", (8,))], bytes(32)))
    with pytest.raises(WeightsError, match=r"no tensor 'outputs.weight'\s+fix: did you mean 'output.weight'"):
        found.float32("outputs.weight")


def test_the_default_model_equals_the_library(smollm2):
    ours, theirs = GGUFFile.open(smollm2), gguf.GGUFReader(smollm2)
    assert list(ours.tensors) == [tensor.name for tensor in theirs.tensors]
    for entry in theirs.tensors:
        info = ours.tensors[entry.name]
        assert (info.shape, info.type.value) == (tuple(entry.shape.tolist()[::-1]), entry.tensor_type.value)
        rows = ours.blocks(entry.name)[:64]
        np.testing.assert_array_equal(rows, entry.data.view(np.uint8).reshape(info.rows, -1)[:64])
    for name in ("token_embd.weight", "blk.7.ffn_down.weight", "output_norm.weight"):
        entry = next(entry for entry in theirs.tensors if entry.name == name)
        rows = np.arange(min(ours.tensors[name].rows, 1000))
        wanted = gguf.quants.dequantize(entry.data.reshape(ours.tensors[name].rows, -1)[rows], entry.tensor_type)
        np.testing.assert_array_equal(ours.float32(name, order=rows), wanted)
    for key_, field in theirs.fields.items():
        if not key_.startswith("GGUF."):
            assert ours.metadata[key_] == field.contents()


@pytest.mark.parametrize("name", ["gemma3-270m-base", "qwen2.5-coder-0.5b"])
def test_real_k_quants_equal_the_library(resource, name):
    found = GGUFFile.open(next(resource(name).rglob("*.gguf")))
    first = {info.type: info for info in reversed(found.tensors.values())}
    assert {TensorType.Q4_K, TensorType.Q6_K, TensorType.Q5_0, TensorType.Q8_0} <= first.keys()
    for kind, info in first.items():
        rows = np.arange(min(info.rows, 300))
        weights = found.float32(info.name, order=rows)
        wanted = gguf.quants.dequantize(found.blocks(info.name)[rows], gguf.GGMLQuantizationType(kind.value))
        np.testing.assert_array_equal(weights, wanted.reshape(weights.shape))
        assert np.isfinite(weights).all() and 0 < np.abs(weights).max() < 1000
