"""Event files hold what the steps hold, read back with the record format's own checksums and protobuf."""

import math
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tensorboardX.crc32c import crc32c
from tensorboardX.proto.event_pb2 import Event

from hanlin.core.errors import StoreError
from hanlin.train.step import Step, Validation
from hanlin.train.tensorboard import Board


def events(folder: Path) -> Iterator[Event]:
    """Every record: length, its masked CRC, the event, its masked CRC (TFRecord)."""

    def masked(raw: bytes) -> int:
        crc = crc32c(raw)
        return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF

    for path in sorted(folder.glob("events.out.tfevents.*")):
        raw = path.read_bytes()
        while raw:
            (length,), crc = struct.unpack("<Q", raw[:8]), struct.unpack("<I", raw[8:12])[0]
            assert crc == masked(raw[:8])
            body = raw[12 : 12 + length]
            assert struct.unpack("<I", raw[12 + length : 16 + length])[0] == masked(body)
            event = Event()
            event.ParseFromString(body)
            yield event
            raw = raw[16 + length :]


def step(number: int, **more: object) -> Step:
    values = {"loss": 2.5, "rate": 1e-3, "gradient_norm": 0.5, "rows": 4, "tokens": 256, "graded": 200}
    sizes = {"seconds": 0.5, "waiting_seconds": 0.1, "operations": 1e9}
    return Step(number=number, **{**values, **sizes, **more})  # pyright: ignore


def test_every_figure_of_a_step_is_read_back(tmp_path: Path) -> None:
    found = Validation(1.5, 0.75, 64, 0.1, {"accuracy": 0.5})
    with closing(Board(tmp_path)) as board:
        board.add(step(1, figures={"margin": 0.25}, sample="a\n猫", notes=("a note",)))
        board.add(step(2, loss=math.nan, validation=found))
    scalars, texts = {}, {}
    for event in events(tmp_path):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                scalars[event.step, value.tag] = value.simple_value
            else:
                texts[event.step, value.tag.removesuffix("/text_summary")] = value.tensor.string_val[0].decode()
    assert scalars[1, "loss"] == 2.5
    assert scalars[1, "tokens_per_second"] == 512
    assert scalars[1, "waiting_share"] == pytest.approx(0.2)
    assert scalars[1, "figures/margin"] == 0.25
    assert scalars[2, "validation/loss"] == 1.5
    assert scalars[2, "validation/bits_per_byte"] == 0.75
    assert scalars[2, "validation/accuracy"] == 0.5
    assert (2, "loss") not in scalars, "what is no number is left out"
    assert texts == {(1, "sample"): "    a\n    猫", (1, "notes"): "a note"}


def test_a_resumed_run_voids_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    with closing(Board(tmp_path, begin=7)) as board:
        board.add(step(7))
    starts = [event.step for event in events(tmp_path) if event.HasField("session_log")]
    assert starts == [7]


def test_a_folder_that_cannot_be_is_two_lines(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError) as found:
        Board(tmp_path / "file" / "board")
    assert len(str(found.value).splitlines()) == 2
