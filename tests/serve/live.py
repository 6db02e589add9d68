"""A server of our own in a thread, with a tiny model or a real one, for whoever speaks HTTP to it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hanlin.infer.engine import Engine
from hanlin.infer.model import Model
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.compiled import Compiled
from hanlin.model.decoder import Decoder
from hanlin.model.families import llama
from hanlin.model.plan import compiled
from hanlin.serve.keys import Keys
from hanlin.serve.pool import Pool
from hanlin.serve.server import Server
from hanlin.serve.settings import ServeSettings
from hanlin.serve.state import State
from hanlin.serve.thread import running
from infer import tiny

CONTEXT = 1024


def tiny_model(name: str, dtype: str | None = None) -> Model:
    """A tiny llama with a window of its own; in floats with torch, else with our kernels."""
    tokenizer = tiny.tokenizer()
    small = tiny.network(tokenizer)
    assert isinstance(small.config, llama.Config)
    config = small.config.model_copy(update={"context": CONTEXT})
    torch.manual_seed(7)
    network = Decoder(llama.parts(config)).eval().requires_grad_(False)
    network.load_state_dict(small.state_dict())
    checkpoint = Checkpoint(network, config, "llama", tokenizer, {}, Path(name))
    if dtype == "float32":
        return Model(checkpoint, name)
    return Model(checkpoint, name, Compiled(compiled(network, CONTEXT, 8), config, "int8"))


@dataclass
class Live:
    """A server that listens."""

    url: str
    server: Server
    keys: Keys

    @property
    def api(self) -> str:
        """What clients of OpenAI's call the base URL."""
        return f"{self.url}/v1"


@contextmanager
def live(folder: Path, models: dict[str, str] | None = None, loader: Any = tiny_model, **given: Any) -> Iterator[Live]:
    """Serve until the block ends."""
    settings = ServeSettings.model_validate({"port": 0, "streams": 4, "studio": False, **given})
    keys = Keys(folder / "keys.json")
    pool = Pool(models or {"tiny": "tiny"}, settings, loader)
    state = State(settings.state or folder / "state.db")
    with running(pool, settings, keys, state) as (url, server):
        yield Live(url, server, keys)


def until(true: Any, seconds: float = 10) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.01)


def slowed(server: Live, seconds: float, name: str = "tiny") -> Any:
    """Steps of a model take so long; call what is returned to undo it."""
    engine = server.server.pool.loaded[name].keeper.engine
    assert isinstance(engine, Engine)
    step = engine.step

    def slow() -> Any:
        time.sleep(seconds)
        return step()

    engine.step = slow  # pyright: ignore[reportAttributeAccessIssue]
    return lambda: setattr(engine, "step", step)
