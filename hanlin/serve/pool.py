"""Models by name: loaded when asked for, within a budget of memory, let go of when idle, replaced while busy."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from hanlin import kernels
from hanlin.core.errors import CapacityError, ConfigError, HanlinError, RefusedError, StoreError, did_you_mean, shown
from hanlin.core.machine import allowed_memory
from hanlin.infer.engine import Engine, EngineSettings
from hanlin.infer.engine.pages import SIZE
from hanlin.infer.engine.shelf import identity
from hanlin.infer.head import headed
from hanlin.infer.model import Model, load
from hanlin.model.adapters.origin import check
from hanlin.model.compiled import Compiled
from hanlin.model.store import DEFAULT, find, stored
from hanlin.serve.elsewhere.opening import meet
from hanlin.serve.elsewhere.vllm import Remote
from hanlin.serve.errors import BusyError, FieldError, UnknownModelError
from hanlin.serve.keeper import Keeper
from hanlin.serve.settings import ServeSettings
from hanlin.serve.tools.kind import ToolKind, kind_of
from hanlin.serve.turns import Turns

Loader = Callable[[str, str | None], Model]


@dataclass(eq=False)
class Served:
    """A model that is loaded, and its keeper."""

    name: str
    where: str
    """What it was loaded from: a stored name, a folder, a file."""
    model: Model
    keeper: Keeper | Remote
    context: int
    bytes: int
    """Of weights, and of keys and values."""
    loaded_at: float
    """Seconds since 1970."""
    load_seconds: float
    used: float = field(default_factory=time.monotonic)
    users: int = 0
    """Requests that hold it."""
    is_leaving: bool = False
    head: Any = None
    """What judges texts (`hanlin.serve.heads`), once it was asked for."""
    has_grammars: bool = True
    """Answers can be held to grammars, and so to tools."""

    @property
    def is_elsewhere(self) -> bool:
        """Another server computes it."""
        return isinstance(self.keeper, Remote)

    def network_here(self) -> Any:
        """What computes, for what is no generation.

        Raises:
            FieldError: it is not in this process.
        """
        if self.is_elsewhere:
            what = f"{self.name} is computed by vLLM, which tells tokens and no vectors"
            raise FieldError("model", what, "ask a server that computes it itself: hanlin serve without --engine")
        return self.model.network

    @cached_property
    def tools(self) -> ToolKind:
        """How it calls tools, found out once.

        Raises:
            TokenizerError: it has no chat template.
        """
        return kind_of(self.model.tokenizer)


class Pool:
    """All models of a server. Everything runs on the server's event loop, loading in a thread."""

    def __init__(self, models: dict[str, str], settings: ServeSettings, loader: Loader = load) -> None:
        """`models` are names and what to load for each.

        Raises:
            ConfigError: an alias is none, or names no model.
        """
        self.settings, self._load = settings, loader
        self.named = dict(models) or {DEFAULT: DEFAULT}
        self.aliases = dict(self._alias(text) for text in settings.alias)
        budget = settings.memory_mb
        self.budget_bytes = budget * 1_000_000 if budget else int(0.8 * allowed_memory().available_bytes)
        self.adapters = {name: (self.default, folder) for name, folder in map(_adapter, settings.adapter)}
        """Of each adapter the model it is for, and its folder."""
        self.loaded: dict[str, Served] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._leaving: set[Served] = set()

    def _alias(self, text: str) -> tuple[str, str]:
        name, sign, model = text.partition("=")
        if not sign or not name or model not in self.named:
            raise ConfigError(f"alias = {shown(text)} names no model", f"write NAME=MODEL: {', '.join(self.named)}")
        return name, model

    @property
    def default(self) -> str:
        """The model of a request that names none."""
        return next(iter(self.named))

    def names(self) -> list[str]:
        """All that may be asked for."""
        more = [model.name for model in stored() if not model.problem] if self.settings.on_demand else []
        return list(dict.fromkeys([*self.named, *self.aliases, *self.adapters, *more]))

    def real_name(self, name: str | None) -> str:
        """The name of a model from what a request says.

        Raises:
            UnknownModelError: it is not served.
        """
        wanted = self.aliases.get(name or self.default, name or self.default)
        wanted, _ = self.adapters.get(wanted, (wanted, ""))
        if wanted in self.named:
            return wanted
        if self.settings.on_demand and any(model.name == wanted for model in stored()):
            return wanted
        raise UnknownModelError(f"there is no model {shown(name)} here", did_you_mean(str(name), self.names()))

    def adapter_of(self, name: str | None) -> str | None:
        """The adapter that a request's model is, if it is one."""
        return name if name in self.adapters else None

    async def load_adapter(self, name: str, folder: str, model: str | None) -> None:
        """Have a LoRA beside a model: requests that name it are computed with it, in one batch with all others.

        Raises:
            UnknownModelError: the model is not served.
            RefusedError: the name is taken, the adapter was trained on other weights, or it or the model cannot be
                carried this way.
            WeightsError: the folder is damaged, or of another kind of model.
        """
        if name in self.names():
            raise RefusedError(f"there is a model {shown(name)} already", "choose another name")
        async with self.lease(model) as served:
            await served.keeper.do(lambda: _with_adapter(served, name, folder))
            self.adapters[name] = (served.name, folder)

    async def unload_adapter(self, name: str) -> None:
        """Know an adapter no longer.

        Raises:
            UnknownModelError: there is none of this name.
            RefusedError: answers are being made with it.
        """
        if name not in self.adapters:
            raise UnknownModelError(f"there is no adapter {shown(name)}", did_you_mean(name, self.adapters))
        served = self.loaded.get(self.adapters[name][0])
        if served is not None and isinstance(engine := served.keeper.engine, Engine):
            await served.keeper.do(lambda: engine.unload_adapter(name))
        del self.adapters[name]

    @asynccontextmanager
    async def lease(self, name: str | None) -> AsyncIterator[Served]:
        """A model for the time of a request; it is not let go of before.

        Raises:
            UnknownModelError: it is not served.
            BusyError: there is no memory for it while others are busy.
            HanlinError: it cannot be loaded.
        """
        served = await self._get(self.real_name(name))
        served.users += 1
        try:
            yield served
        finally:
            served.users -= 1
            served.used = time.monotonic()
            if served.is_leaving and not served.users:
                self._close(served)

    async def _get(self, name: str) -> Served:
        async with self._locks.setdefault(name, asyncio.Lock()):
            if name not in self.loaded:
                self.loaded[name] = await self._open(name, self.named.get(name, name))
            return self.loaded[name]

    def is_loading(self, name: str) -> bool:
        """Whether a model is on its way into memory."""
        lock = self._locks.get(name)
        return lock is not None and lock.locked() and name not in self.loaded

    async def _open(self, name: str, where: str) -> Served:
        path = find(where) if self.settings.engine == "own" else None
        self._make_room(name, _size(path) if path else 0)
        served = await asyncio.to_thread(self._opened, name, where)
        try:
            self._make_room(name, served.bytes)
        except HanlinError:
            self._close(served)
            raise
        return served

    def _make_room(self, name: str, needed: int) -> None:
        """Let go of idle models, those first that nobody asked for longest.

        Raises:
            CapacityError: it would not fit if it were alone.
            BusyError: those in memory are in use.
        """
        if needed > self.budget_bytes:
            what = f"{name} needs {needed / 1e6:,.0f} MB and models may take {self.budget_bytes / 1e6:,.0f}"
            raise CapacityError(what, "serve it with more --memory-mb, with less --kv-mb, or take a smaller one")
        while needed + self.bytes > self.budget_bytes:
            idle = [one for one in self.loaded.values() if not one.users and not one.keeper.load]
            if not idle:
                what = f"{name} needs {needed / 1e6:,.0f} MB, and the models in memory are in use"
                raise BusyError(what, "try again", seconds=5, status=503)
            self.unload(min(idle, key=lambda one: one.used).name)

    def _opened(self, name: str, where: str) -> Served:
        if self.settings.engine == "vllm":
            return self._met(name, where)
        began = time.monotonic()
        dtype = self.settings.dtype
        if dtype == "auto":
            dtype = "float32" if kernels.missing() or headed(where) else "int8"
        model = self._load(where, dtype)
        network, limit = model.network, self.settings.context
        context = min(model.context, limit) if limit else model.context
        size = weights_bytes(model)
        if isinstance(network, Compiled):
            given = self._engine_settings(network, context)
            whose = identity(model.checkpoint.path, network.kind) if given.prefix_folder else None
            engine = Engine(network.plan, model.tokenizer, context, given, config=model.config, whose=whose)
            size += engine.kv.count * engine.kv.block_bytes
            for adapter, (base, folder) in self.adapters.items():
                if base == name:
                    check(model.checkpoint.path, Path(folder))
                    engine.load_adapter(adapter, folder)
        else:
            engine = Turns(network, model.tokenizer, context)
        seconds = time.monotonic() - began
        return Served(name, where, model, Keeper(engine, name), context, size, time.time(), seconds)

    def _met(self, name: str, where: str) -> Served:
        began = time.monotonic()
        met = meet(self.settings.vllm_url, name, where, self.settings.context)
        self.adapters |= {adapter: (name, folder) for adapter, folder in met.adapters.items()}
        passed = time.monotonic() - began
        model = met.model
        served = Served(name, where, model, met.remote, model.context, 0, time.time(), passed)
        served.has_grammars = met.has_grammars
        return served

    def _engine_settings(self, network: Compiled, context: int) -> EngineSettings:
        """Room for all streams' full contexts, but no more than an eighth of the budget, and one context at least."""
        streams, store = self.settings.streams, self.settings.kv_store
        one = network.plan.blocks(0, store).block_bytes
        each = context // SIZE + 2
        given_mb = self.settings.kv_mb
        blocks = given_mb * 1_000_000 // one if given_mb else min(streams * each, self.budget_bytes // 8 // one)
        return EngineSettings(
            streams=streams,
            kv_store=store,
            kv_blocks=max(2 if given_mb else each, blocks),
            prefix_folder=self.settings.prefix_folder,
            prefix_mb=self.settings.prefix_mb,
        )

    @property
    def bytes(self) -> int:
        """Memory of all that is loaded."""
        return sum(one.bytes for one in (*self.loaded.values(), *self._leaving))

    def unload(self, name: str) -> None:
        """Let go of a model; one that is in use goes on until its last request is over, and takes no new ones.

        Raises:
            UnknownModelError: it is not loaded.
        """
        served = self.loaded.pop(name, None)
        if served is None:
            raise UnknownModelError(f"{shown(name)} is not loaded", did_you_mean(name, self.loaded))
        served.is_leaving = True
        if served.users:
            self._leaving.add(served)
        else:
            self._close(served)

    def _close(self, served: Served) -> None:
        self._leaving.discard(served)
        served.keeper.close()

    async def replace(self, name: str, where: str) -> Served:
        """Load a better version and let it take the name; requests that hold the old one end with it.

        Raises:
            UnknownModelError: the name is not served.
            StoreError: there is nothing to load at `where`.
        """
        name = self.real_name(name)
        if find(where) is None:
            raise StoreError(f"there is no model at {shown(where)}", "give a stored name, a folder or a .gguf file")
        fresh = await self._open(name, where)
        async with self._locks.setdefault(name, asyncio.Lock()):
            if name in self.loaded:
                self.unload(name)
            self.named[name], self.loaded[name] = where, fresh
        return fresh

    def drop_idle(self) -> list[str]:
        """Let go of models that nobody asked for so long; their names."""
        limit = self.settings.idle_seconds
        if limit is None:
            return []
        border = time.monotonic() - limit
        idle = [one.name for one in self.loaded.values() if not one.users and not one.keeper.load and one.used < border]
        for name in idle:
            self.unload(name)
        return idle

    def close(self) -> None:
        """Let go of all."""
        for served in [*self.loaded.values(), *self._leaving]:
            served.keeper.close()
        self.loaded.clear()


def _adapter(text: str) -> tuple[str, str]:
    name, sign, folder = text.partition("=")
    if not sign or not name or not folder:
        raise ConfigError(f"adapter = {shown(text)} names no folder", "write NAME=FOLDER")
    return name, folder


def _with_adapter(served: Served, name: str, folder: str) -> None:
    engine = served.keeper.engine
    if served.is_elsewhere:
        what = f"{served.name} is computed by vLLM, which takes adapters when it starts"
        raise RefusedError(what, "start it with --enable-lora --lora-modules NAME=FOLDER; they are then served here")
    if not isinstance(engine, Engine):
        what = f"{served.name} computes with torch, and adapters are computed by the kernels"
        raise RefusedError(what, "serve it with dtype int8, int4 or stored; or merge the adapter: hanlin merge")
    check(served.model.checkpoint.path, Path(folder))
    engine.load_adapter(name, folder)


def weights_bytes(model: Model) -> int:
    """Memory that a model's weights take."""
    if isinstance(model.network, Compiled):
        return model.network.bytes
    tensors: list[torch.Tensor] = [*model.network.parameters(), *model.network.buffers()]
    return sum(one.numel() * one.element_size() for one in tensors)


def _size(path: Path) -> int:
    """About what the weights in a file or folder will take."""
    files = [path] if path.is_file() else [*path.glob("*.safetensors"), *path.glob("*.gguf")]
    return sum(file.stat().st_size for file in files)
