"""How fast are the native products beside torch's own, and how near to what this machine allows?

    python bench/kernels.py [--threads 2] [--rounds 15] [--shapes 2048x3072x576,1x3072x576] [--path avx2]
        [--clock processor]

Shapes are rows × outputs × inputs. Contenders take turns within each round: torch in float32, torch's product of bytes
(oneDNN; rows and weights rounded beforehand), and ours in each form, rounding of the rows included. Figures are medians
of wall time, with the middle half; `--clock processor` counts processor time instead, all there is to compare by on a
busy machine. Limits: for many rows what oneDNN reached in this run, for a few the bandwidth that
reading weights from memory has; what stays in a cache can be faster.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from common import record

from hanlin import kernels
from hanlin.core.machine import allowed_cores, allowed_memory
from hanlin.core.measure import read_speed
from hanlin.kernels import Packed
from hanlin.kernels.library import library

SHAPES = "2048x960x576,2048x3072x576,2048x576x1536,16x3072x576,1x3072x576,1x49152x576"
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
FORMS: dict[str, Callable[[torch.Tensor], Packed]] = {
    "int8": Packed.int8,
    "int8_group32": lambda weight: Packed.int8(weight, 32),
    "int4_group32": Packed.int4,
    "int4_group32_minimum": lambda weight: Packed.int4(weight, has_minimum=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=allowed_cores().count)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--shapes", default=SHAPES)
    parser.add_argument("--path", default="")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    library().hanlin_set_threads(given.threads)
    kernels.choose(given.path)
    kernels.share_threads()
    bandwidth = read_speed(min(512 << 20, allowed_memory().available_bytes // 8))
    shapes = [tuple(map(int, shape.split("x"))) for shape in given.shapes.split(",")]
    setup = {"path": kernels.path(), "threads": given.threads, "clock": given.clock}
    found = {
        f"{rows}x{outputs}x{inputs}": against(rows, outputs, inputs, given.rounds, bandwidth, CLOCKS[given.clock])
        for rows, outputs, inputs in shapes
    }
    figures = {**setup, "read_bytes_per_second": round(bandwidth), **found}
    record("kernels", figures)


def against(
    rows: int, outputs: int, inputs: int, rounds: int, bandwidth: float, clock: Callable[[], float]
) -> dict[str, Any]:
    """The figures of one shape."""
    draw = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(count, inputs, generator=draw) for count in (rows, outputs))
    out = torch.empty(rows, outputs)
    forms = {name: make(weight) for name, make in FORMS.items()}
    calls: dict[str, Callable[[], object]] = {
        "float32": lambda: torch.mm(x, weight.T, out=out),
        "onednn": onednn(x, weight),
        **{name: lambda form=form: form(x, out) for name, form in forms.items()},
    }
    sizes = {"float32": weight.numel() * 4, "onednn": weight.numel(), **{n: form.bytes for n, form in forms.items()}}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 2):
        for name, call in calls.items():
            began = clock()
            call()
            if number > 1:
                times[name].append(clock() - began)
    operations = 2 * rows * outputs * inputs
    peak = operations / statistics.median(times["onednn"])
    return {
        name: {
            "milliseconds": round(statistics.median(took) * 1e3, 4),
            "middle_half": [round(part * 1e3, 4) for part in np.percentile(took, (25, 75)).tolist()],
            "giga_operations_per_second": round(operations / statistics.median(took) / 1e9, 1),
            "giga_bytes_per_second": round(sizes[name] / statistics.median(took) / 1e9, 1),
            "share_of_limit": round(max(operations / peak, sizes[name] / bandwidth) / statistics.median(took), 2)
            if rows > 4
            else round(sizes[name] / bandwidth / statistics.median(took), 2),
        }
        for name, took in times.items()
    }


def onednn(x: torch.Tensor, weight: torch.Tensor) -> Callable[[], object]:
    """torch's product of unsigned with signed bytes."""
    scale = weight.abs().amax(1) / 127
    packed = torch.ops.onednn.qlinear_prepack((weight / scale[:, None]).round().to(torch.int8), None)
    codes = (x / (x.abs().amax(1, keepdim=True) / 127)).round().add(128).to(torch.uint8)
    zeros = torch.zeros(len(weight), dtype=torch.int32)
    kind = torch.float32
    return lambda: torch.ops.onednn.qlinear_pointwise(
        codes, 1.0, 128, packed, scale, zeros, None, 1.0, 0, kind, "none", [], ""
    )


if __name__ == "__main__":
    main()
