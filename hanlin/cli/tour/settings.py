"""The tour's run file: `runs/tour.toml`, or these defaults."""

from typing import Literal

from pydantic import Field

from hanlin.core.settings import Settings

STAGES = (
    *("pull", "show", "next", "generate", "chat", "score", "tokenizer", "pretrain", "finetune", "export"),
    "serve",
)


class ModelSettings(Settings):
    """Which model the tour shows."""

    use: str = ""
    """A name in the store, a hub name, a folder or a GGUF file; empty for the default model."""


class PretrainSettings(Settings):
    """How long the tour's own model learns."""

    steps: int = Field(default=300, ge=1)
    """Updates of its weights; a step is 2,048 tokens, and with two quiet cores a quarter of a second."""


class FinetuneSettings(Settings):
    """How long the model that is shown learns its task."""

    steps: int = Field(default=20, ge=1)
    """Updates of the adapter; a step is 2 rows of 256 tokens, and with two quiet cores about two seconds."""


class RunFile(Settings):
    """The tour's settings; every key can be overridden as `key=value`."""

    verb: Literal["tour"] = "tour"
    """Which verb of `hanlin` runs this file."""
    name: str = "tour"
    """What this run is called."""
    out: str = Field(default="out/tour", min_length=1)
    """The run folder: report.html, log.jsonl and run.toml land there."""
    seed: int = 0
    """Seed of everything sampled."""
    lang: Literal["", "en", "zh"] = ""
    """Language of the explanations; empty follows the machine's own."""
    stages: tuple[str, ...] = Field(default=STAGES, min_length=1)
    """The stages to take, in order; each is a file of `hanlin/cli/tour/stages`."""
    model: ModelSettings = ModelSettings()
    """The model to show."""
    pretrain: PretrainSettings = PretrainSettings()
    """The stage that trains a tiny model from raw text."""
    finetune: FinetuneSettings = FinetuneSettings()
    """The stage that teaches the model to show a task."""
