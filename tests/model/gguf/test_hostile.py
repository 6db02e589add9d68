"""Damaged and hostile files: always one of our errors, with the value in it, and never much memory."""

import os
import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from hanlin.core.errors import HanlinError, WeightsError
from hanlin.model.gguf.format import TensorType
from hanlin.model.gguf.header import parse
from hanlin.model.gguf.read import GGUFFile
from hanlin.model.gguf.write import write
from model.gguf.handmade import ARRAY, BOOL, FLOAT32, STRING, UINT8, UINT32, array, key, tensor, text
from model.gguf.handmade import gguf as made

MEGABYTES = 1 << 20
HUGE = 1 << 60
Opener = Callable[[bytes], GGUFFile]


@pytest.fixture(scope="session")
def opener(tmp_path_factory) -> Opener:
    path = tmp_path_factory.mktemp("hostile") / "m.gguf"

    def opened(content: bytes) -> GGUFFile:
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        return GGUFFile.open(path)

    return opened


def nested(depth: int) -> bytes:
    payload = array(UINT8, 1, b"\1")
    for _ in range(depth):
        payload = array(ARRAY, 1, payload)
    return payload


WEIGHT = bytes(64)
BAD = {
    "empty": (b"", "is empty"),
    "three bytes": (b"GGU", "begins with b'GGU'"),
    "another format": (b"PK\3\4" + bytes(100), r"begins with b'PK\\x03\\x04', so it is not a GGUF file"),
    "only the magic": (b"GGUF", "the version at byte 4 needs 4 bytes where 0 are left"),
    "version 1": (made(version=1), "GGUF version 1"),
    "version 4": (made(version=4), "GGUF version 4; we read 2 and 3"),
    "big-endian": (made(version=3 << 24), "big-endian"),
    "2^60 tensors": (made(counts=(HUGE, 0)), f"a list of {HUGE} tensors"),
    "2^60 keys": (made(counts=(0, HUGE)), f"and {HUGE} keys"),
    "2^64 - 1 of both": (made(counts=(2**64 - 1, 2**64 - 1)), "needs"),
    "more keys than there are": (
        made([key("a", UINT8, b"\1")], counts=(0, 2), alignment=1),
        "a list of 0 tensors and 2 keys at byte 24 needs 26 bytes where 14 are left",
    ),
    "key of 2^60 bytes": (made([struct.pack("<Q", HUGE) + b"name" + bytes(64)]), f"key 0 at byte 32 needs {HUGE}"),
    "text of 2^60 bytes": (made([key("a", STRING, struct.pack("<Q", HUGE))]), f"'a' at byte .* needs {HUGE}"),
    "key not UTF-8": (made([key(b"\xff\xfe", UINT8, b"\1")]), r"b'\\xff\\xfe', not UTF-8"),
    "text not UTF-8": (made([key("a", STRING, text(b"\xc3("))]), "'a' at byte .*, not UTF-8"),
    "text in an array not UTF-8": (
        made([key("a", ARRAY, array(STRING, 2, text("ok") + text(b"\x80")))]),
        r"'a'\[1\] is b'\\x80', not UTF-8",
    ),
    "key twice": (made([key("a", UINT8, b"\1")] * 2), "the key 'a' stands twice"),
    "kind 13": (made([key("a", 13, bytes(64))]), "'a' is of kind 13; kinds run from 0 to 12"),
    "bool of 7": (made([key("a", BOOL, b"\7")]), "'a' is a bool of value 7"),
    "array of kind 99": (made([key("a", ARRAY, array(99, 1, bytes(64)))]), "'a' is of kind 99"),
    "array of 2^60 numbers": (made([key("a", ARRAY, array(UINT32, HUGE, b""))]), f"array entries to {HUGE}"),
    "4 million missing numbers": (
        made([key("a", ARRAY, array(UINT32, 1 << 22, b""))]),
        "needs 16777216 bytes",
    ),
    "4 million missing texts": (made([key("a", ARRAY, array(STRING, 1 << 22, b""))]), "needs 33554432 bytes"),
    "4 million missing arrays": (made([key("a", ARRAY, array(ARRAY, 1 << 22, b""))]), "needs 50331648 bytes"),
    "text past the end in an array": (
        made([key("a", ARRAY, array(STRING, 2, text("ok") + struct.pack("<Q", HUGE)))]),
        r"'a'\[1\] runs past the end",
    ),
    "arrays 5 deep": (made([key("a", ARRAY, nested(5))]), "more than 4 deep"),
    "arrays 100,000 deep": (made([key("a", ARRAY, nested(100_000))]), "more than 4 deep"),
    "alignment 0": (made([key("general.alignment", UINT32, struct.pack("<I", 0))]), "general.alignment is 0"),
    "alignment 24": (made([key("general.alignment", UINT32, struct.pack("<I", 24))]), "general.alignment is 24"),
    "alignment 1.5": (made([key("general.alignment", FLOAT32, struct.pack("<f", 1.5))]), "alignment is 1.5"),
    "alignment 2^31": (
        made([key("general.alignment", UINT32, struct.pack("<I", 1 << 31))], [tensor("w", (4,))], WEIGHT),
        "'w' of shape .4,. ends at byte 2147483664",
    ),
    "tensor twice": (made([], [tensor("w", (8,)), tensor("w", (8,), offset=32)], WEIGHT), "tensor 'w' stands twice"),
    "tensor name not UTF-8": (made([], [tensor(b"\xff", (8,))], WEIGHT), "the name of tensor 0 at byte 24 is"),
    "five dimensions": (made([], [tensor("w", (1,) * 5)], WEIGHT), "'w' has 5 dimensions; a tensor has 1 to 4"),
    "no dimensions": (made([], [tensor("w", ())], WEIGHT), "'w' has 0 dimensions"),
    "2^32 - 1 dimensions": (
        made([], [text("w") + struct.pack("<IIQ", 2**32 - 1, 0, 0)], WEIGHT),
        "'w' has 4294967295 dimensions",
    ),
    "nothing in it": (made([], [tensor("w", (0, 4))], WEIGHT), r"'w' has shape \(4, 0\): there is nothing in it"),
    "2^60 weights": (made([], [tensor("w", (HUGE,))], WEIGHT), f"ends at byte {(1 << 62) + 64}"),
    "a product past 2^64": (
        made([], [tensor("w", (2**32,) * 4)], WEIGHT),
        f"ends at byte {(1 << 130) + 96}",
    ),
    "unknown type": (made([], [tensor("w", (8,), kind=99)], WEIGHT), "'w' is of type 99, which we do not know"),
    "half a block": (made([], [tensor("w", (48,), kind=2)], WEIGHT), "'w' has rows of 48, which Q4_0 blocks of 32"),
    "offset past the end": (made([], [tensor("w", (8,), offset=1 << 20)], WEIGHT), "the file at 128"),
    "offset of 2^63": (made([], [tensor("w", (8,), offset=1 << 63)], WEIGHT), "ends at byte 9223372036854775904"),
    "offset off the grid": (made([], [tensor("w", (8,), offset=4)], WEIGHT), "at offset 4, not at a multiple of 32"),
    "overlap": (
        made([], [tensor("a", (16,)), tensor("b", (8,), offset=32)], WEIGHT),
        "tensor 'b' begins at byte 128, inside 'a'",
    ),
    "a name that breaks lines": (
        made([key("a\nb", UINT8, b"\1")] * 2),
        r"the key 'a\\nb' stands twice",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_two_lines_and_little_memory(opener, case):
    content, message = BAD[case]
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match=message) as caught:
            opener(content)
        assert tracemalloc.get_traced_memory()[1] < 20 * MEGABYTES
    finally:
        tracemalloc.stop()
    assert caught.value.fix
    assert str(caught.value).count("\n") == 1


def whole() -> bytes:
    """A small file with something in every region."""
    rng = np.random.default_rng(0)
    keys = [
        key("general.architecture", STRING, text("llama")),
        key("general.alignment", UINT32, struct.pack("<I", 32)),
        key("tokens", ARRAY, array(STRING, 3, text("a") + text("翰林") + text(""))),
        key("nested", ARRAY, array(ARRAY, 2, array(UINT8, 2, b"\1\2") + array(BOOL, 1, b"\1"))),
        key("scores", ARRAY, array(FLOAT32, 3, struct.pack("<3f", 1, 2, 3))),
    ]
    tensors = [
        tensor("plain", (3, 5), TensorType.F32.value, 0),
        tensor("small", (64, 2), TensorType.Q4_1.value, 64),
        tensor("large", (256,), TensorType.Q6_K.value, 160),
    ]
    return made(keys, tensors, rng.bytes(160 + 210))


WHOLE = whole()


def use(opened: GGUFFile) -> None:
    for name, info in opened.tensors.items():
        assert opened.float32(name).shape == info.shape


def test_the_small_file_itself_is_right(opener):
    opened = opener(WHOLE)
    assert opened.metadata["tokens"] == ["a", "翰林", ""]
    assert [info.type.name for info in opened.tensors.values()] == ["F32", "Q4_1", "Q6_K"]
    use(opened)


def test_a_file_cut_anywhere_is_an_error():
    for size in range(len(WHOLE)):
        with pytest.raises(WeightsError):
            parse(WHOLE[:size], Path("m.gguf"))


def loads_or_says_why(opener: Opener, content: bytes) -> None:
    tracemalloc.start()
    try:
        use(opener(content))
    except HanlinError as error:
        assert str(error).count("\n") == 1
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 200 * MEGABYTES


def test_single_bits_of_the_header_may_flip():
    front = WHOLE.index(b"large") + 64
    for bit in range(0, front * 8, 3):
        flipped = bytearray(WHOLE)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            tensors = parse(bytes(flipped), Path("m.gguf")).tensors
        except HanlinError as error:
            assert error.fix
        else:
            assert all(info.offset + info.bytes <= len(WHOLE) for info in tensors.values())


@settings(max_examples=200, deadline=None)
@given(
    edits=some.lists(
        some.tuples(some.integers(0, len(WHOLE) - 1), some.binary(min_size=1, max_size=8)), min_size=1, max_size=6
    )
)
def test_scribbled_files_load_or_say_why(opener, edits):
    content = bytearray(WHOLE)
    for place, junk in edits:
        content[place : place + len(junk)] = junk
    loads_or_says_why(opener, bytes(content))


@settings(max_examples=100, deadline=None)
@given(junk=some.binary(max_size=300), version=some.sampled_from([2, 3]))
def test_junk_after_the_magic_loads_or_says_why(opener, junk, version):
    loads_or_says_why(opener, b"GGUF" + struct.pack("<I", version) + junk)


def test_a_long_true_array_of_bytes_is_held_to_a_limit(opener):
    with pytest.raises(WeightsError, match="array entries to 8388608, where 4194304 are allowed"):
        opener(made([key("a", ARRAY, array(UINT8, 1 << 23, bytes(1 << 23)))]))


def test_many_keys_of_many_arrays_are_held_to_the_same_limit(opener):
    one = array(UINT8, 1 << 20, bytes(1 << 20))
    with pytest.raises(WeightsError, match="array entries to 5242880"):
        opener(made([key(str(number), ARRAY, one) for number in range(5)]))


def test_overlap_is_found_among_many_tensors_quickly(opener):
    count = 5_000
    tensors = [tensor(f"t{number}", (8,), offset=32 * number) for number in range(count)]
    tensors[-1] = tensor("last", (8,), offset=32 * (count - 2))
    content = made([], tensors, bytes(32 * count))
    begin = time.process_time()
    with pytest.raises(WeightsError, match="inside 't4998'"):
        opener(content)
    assert time.process_time() - begin < 3


@pytest.mark.parametrize("what", ["folder", "nothing", "fifo"])
def test_what_is_no_file_is_refused_without_waiting(tmp_path, what):
    path = tmp_path / "m.gguf"
    if what == "folder":
        path.mkdir()
    if what == "fifo":
        os.mkfifo(path)
    with pytest.raises(WeightsError, match="is not a file"):
        GGUFFile.open(path)


def test_the_default_model_cut_short_is_an_error(smollm2, tmp_path):
    cut = tmp_path / "cut.gguf"
    for size in (1 << 20, 50 << 20, smollm2.stat().st_size - 1):
        with smollm2.open("rb") as source:
            cut.write_bytes(source.read(size))
        with pytest.raises(WeightsError, match=r"^cut\.gguf: "):
            GGUFFile.open(cut)


def test_infinite_scales_are_weights_without_warnings(tmp_path: Path):
    blocks = np.frombuffer(np.float16(np.inf).tobytes() + bytes(16), np.uint8)[None]
    write(tmp_path / "m.gguf", {}, [("w", TensorType.Q4_0, blocks)])
    assert np.isneginf(GGUFFile.open(tmp_path / "m.gguf").float32("w")).all()
