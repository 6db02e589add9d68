"""How fast a compiled model runs on this machine, and how near that is to what the machine allows.

A step of R rows cannot be faster than its weights and its keys and values come from memory, nor than its products are
computed (the roofline: https://doi.org/10.1145/1498765.1498785):

    seconds ≥ max((weights + keys and values seen) / bytes read per second, 2 × R × weights / operations per second)

Bytes per second are measured, and so are operations per second of float32; with VNNI bytes have four times as many.
What is generated is greedy, without guesses and without a prompt that was read before.
"""

import itertools
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hanlin import kernels
from hanlin.core.errors import ConfigError
from hanlin.core.machine import allowed_cores, allowed_memory
from hanlin.core.measure import product_speed, read_speed
from hanlin.infer.engine import Engine, EngineSettings, Request
from hanlin.infer.model import Model
from hanlin.infer.sampling import Sampling
from hanlin.kernels.plan import Kind, Plan
from hanlin.model.compiled import Compiled

BYTES_A_FLOAT = 4
"""Products of bytes for one of floats in an instruction of the same length, where there are any."""
LEAST = 8
"""Tokens of the shortest prompt."""


@dataclass(frozen=True)
class Machine:
    """What bounds a model here."""

    read_bytes_per_second: float
    operations_per_second: float
    """Of products of bytes; a multiplication and an addition are two."""

    def least_seconds(self, plan: Plan, block_bytes: int, rows: int, depth: int, *, logits: int) -> float:
        """Of a step of some rows that see `depth` positions together, `logits` of which are asked about."""
        seen = block_bytes / 32 * depth
        operations = 2 * (weights(plan) * rows + plan.head.outputs * plan.head.inputs * logits)
        return max((plan.bytes + seen) / self.read_bytes_per_second, operations / self.operations_per_second)


@dataclass(frozen=True)
class Speed:
    """One figure of a model's speed."""

    what: str
    """prefill, decode or streams."""
    depth: int
    """Tokens read before; of prefill those read."""
    streams: int
    tokens_per_second: float
    """The median, of all streams together."""
    low: float
    high: float
    """The quarters around it."""
    limit: float
    """Tokens per second that this machine allows."""

    @property
    def share(self) -> float:
        """Of the limit."""
        return self.tokens_per_second / self.limit


def machine() -> Machine:
    """What this one allows, measured on all cores that may be used; about a second."""
    before = torch.get_num_threads()
    torch.set_num_threads(allowed_cores().count)
    try:
        read = read_speed(min(512 << 20, allowed_memory().available_bytes // 8))
        operations = product_speed("float32") * (BYTES_A_FLOAT if "vnni" in kernels.path() else 1)
    finally:
        torch.set_num_threads(before)
    return Machine(read, operations)


def weights(plan: Plan) -> int:
    """Those of the layers that a row is multiplied with."""
    found = 0
    for op in plan.ops:
        if op.kind is Kind.MULTIPLY and op.matrix is not None:
            found += op.matrix.outputs * op.matrix.inputs
        if op.experts is not None:
            them = op.experts
            one = [matrix[0] for matrix in (them.gate_ups, them.ups, them.downs) if matrix]
            found += sum(matrix.outputs * matrix.inputs for matrix in one) * them.chosen
    return found


class Bench:
    """A model that is asked again and again for tokens nobody needs."""

    def __init__(self, model: Model, streams: int = 1, *, keeps: bool = False) -> None:
        """Room for `streams` answers at once; `keeps`: what was read is not read again.

        Raises:
            ConfigError: the model computes with torch.
        """
        if not isinstance(model.network, Compiled):
            raise ConfigError(f"{model.name} computes with torch", 'load it with dtype="int8"')
        settings = EngineSettings(streams=streams, has_prefix_cache=keeps, speculates=False)
        self.engine = Engine(model.network.plan, model.tokenizer, model.context, settings)
        self.vocabulary = min(model.config.vocabulary, model.tokenizer.vocab_size)
        self._draws = itertools.count()

    def run(self, depth: int, tokens: int, streams: int = 1) -> tuple[float, float]:
        """Seconds to the first token of the last of some prompts, and tokens per second of all answers after that."""
        draw = np.random.default_rng(next(self._draws))
        return self.ask([draw.integers(0, self.vocabulary, max(LEAST, depth)).tolist() for _ in range(streams)], tokens)

    def ask(self, prompts: Sequence[Sequence[int]], tokens: int) -> tuple[float, float]:
        """The same of these prompts."""
        sampling, streams = Sampling(max_tokens=tokens, min_tokens=tokens), len(prompts)
        began = time.perf_counter()
        for prompt in prompts:
            self.engine.submit(Request(tuple(prompt), sampling))
        said: set[int] = set()
        count, first = 0, began
        while not self.engine.is_idle:
            for one in self.engine.step():
                if one.error is not None:
                    raise one.error
                if len(said) == streams:
                    count += 1
                said.add(one.handle)
                if len(said) == streams and first == began:
                    first = time.perf_counter()
        return first - began, count / max(time.perf_counter() - first, 1e-9)


def speeds(
    model: Model,
    depths: Sequence[int] = (0, 1000, 4000),
    streams: Sequence[int] = (4, 16),
    prompts: Sequence[int] = (512,),
    rounds: int = 5,
    tokens: int = 32,
) -> Iterator[Speed]:
    """Each figure as it is found; those that do not fit the model's context are left out.

    Raises:
        ConfigError: the model computes with torch.
    """
    here, bench = machine(), Bench(model, max((1, *streams)))
    plan, block = bench.engine.plan, bench.engine.kv.block_bytes
    most = bench.engine.context - tokens - 1
    for count in prompts:
        if count <= most:
            some = [count / bench.run(count, 1)[0] for _ in range(rounds + 1)][1:]
            limit = here.least_seconds(plan, block, count, count, logits=1)
            yield _speed("prefill", count, 1, some, count / limit)
    for depth in depths:
        if depth <= most:
            some = [bench.run(depth, tokens)[1] for _ in range(rounds + 1)][1:]
            yield _speed("decode", depth, 1, some, 1 / here.least_seconds(plan, block, 1, depth, logits=1))
    for count in streams:
        some = [bench.run(LEAST, tokens, count)[1] for _ in range(rounds + 1)][1:]
        limit = here.least_seconds(plan, block, count, LEAST * count, logits=count)
        yield _speed("streams", 0, count, some, count / limit)


def _speed(what: str, depth: int, streams: int, found: Sequence[float], limit: float) -> Speed:
    low, middle, high = statistics.quantiles(found, n=4) if len(found) > 1 else [found[0]] * 3
    return Speed(what, depth, streams, middle, low, high, limit)
