"""A model in several files reads as one; parts that do not belong together are refused."""

from pathlib import Path

import numpy as np
import pytest

from hanlin.core.errors import WeightsError
from hanlin.model.gguf.format import TensorType
from hanlin.model.gguf.read import GGUFFile
from hanlin.model.gguf.write import write

WEIGHTS = np.random.default_rng(0).normal(size=(3, 4, 32)).astype(np.float32)


def split(folder: Path, **changes) -> list[Path]:
    """Three parts with one tensor each; `part1={"split.no": 7}` changes a part's metadata."""
    paths = []
    for number in range(3):
        metadata = {"split.no": number, "split.count": 3, "split.tensors.count": 3}
        metadata |= {"general.architecture": "llama"} if number == 0 else {}
        metadata |= changes.get(f"part{number}", {})
        paths.append(folder / f"m-{number + 1:05}-of-00003.gguf")
        write(paths[-1], metadata, [(changes.get(f"name{number}", f"t{number}"), TensorType.F32, WEIGHTS[number])])
    return paths


def test_any_part_opens_the_whole(tmp_path):
    for path in split(tmp_path):
        found = GGUFFile.open(path)
        assert found.metadata["general.architecture"] == "llama"
        for number in range(3):
            np.testing.assert_array_equal(found.float32(f"t{number}"), WEIGHTS[number])


def test_a_missing_part_is_named(tmp_path):
    paths = split(tmp_path)
    paths[1].unlink()
    with pytest.raises(WeightsError, match=r"'m-00002-of-00003\.gguf'"):
        GGUFFile.open(paths[0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"part1": {"split.no": 2}}, r"m-00002-of-00003.gguf says it is part 2 \(from 0\) of 3"),
        ({"part2": {"split.count": 4}}, r"m-00003-of-00003.gguf says it is part 2 \(from 0\) of 4"),
        ({"part0": {"split.count": 2}}, "is one of 2 parts, and its name does not say so"),
        ({"part0": {"split.count": 2**31}}, "split.count is 2147483648"),
        ({"part0": {"split.count": "3"}}, "split.count is '3'"),
        ({"part0": {"split.tensors.count": 9}}, "hold 3 tensors, where 9 are announced"),
        ({"name2": "t0"}, "tensor 't0' is in an earlier part too"),
    ],
)
def test_parts_that_do_not_fit_are_refused(tmp_path, changes, message):
    paths = split(tmp_path, **changes)
    with pytest.raises(WeightsError, match=message):
        GGUFFile.open(paths[0])


def test_a_part_whose_name_lost_its_number_is_refused(tmp_path):
    renamed = split(tmp_path)[0].rename(tmp_path / "model.gguf")
    with pytest.raises(WeightsError, match="name the parts as"):
        GGUFFile.open(renamed)
