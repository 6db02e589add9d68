"""Adapters by name, loaded and unloaded while an engine runs; which rows of a step are computed with which."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from hanlin.core.errors import ConfigError, RefusedError, did_you_mean
from hanlin.kernels.low import Adapted, Lows
from hanlin.kernels.plan import Plan
from hanlin.model.config import Shape


class Adapters:
    """Those of one engine."""

    def __init__(self, plan: Plan, config: Shape | None) -> None:
        """`config` is that of the model; without it none can be loaded."""
        self.plan, self.config = plan, config
        self.held: dict[str, Lows] = {}

    def load(self, name: str, path: Path | Lows) -> None:
        """See `Engine.load_adapter`."""
        if name in self.held:
            raise RefusedError(f"there is an adapter {name!r} already", "choose another name, or unload that one first")
        if isinstance(path, Lows):
            self.held[name] = path
            return
        if self.config is None:
            raise RefusedError("this engine was not told its model's config", "make it with Engine(…, config=…)")
        from hanlin.model.adapters.beside import beside  # torch reads adapters; answering goes without

        self.held[name] = beside(path, self.plan, self.config)

    def unload(self, name: str, used: Iterable[Lows | None]) -> None:
        """See `Engine.unload_adapter`; `used` are those of requests that are not over."""
        adapter = self.get(name)
        count = sum(one is adapter for one in used)
        if count:
            raise RefusedError(
                f"adapter {name!r} is in use: {count} answers", "wait until they are done, or cancel them"
            )
        del self.held[name]

    def get(self, name: str) -> Lows:
        """The one of this name.

        Raises:
            ConfigError: there is none.
        """
        if name not in self.held:
            raise ConfigError(f"there is no adapter {name!r}", did_you_mean(name, self.held))
        return self.held[name]


def adapted(owners: Sequence[int], adapters: Sequence[Lows | None]) -> Adapted | None:
    """Of rows with these owners, who have these adapters; None if nobody has one."""
    own = list(dict.fromkeys(one for one in adapters if one is not None))
    if not own:
        return None
    numbers = [-1 if one is None else own.index(one) for one in adapters]
    return Adapted(len(owners), [numbers[owner] for owner in owners], own)
