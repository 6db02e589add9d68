"""The run file of `hanlin train`: its sections are the rooms' own settings."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny

from hanlin.core.plugins import find
from hanlin.core.settings import Settings, parse
from hanlin.data.settings import DataSettings
from hanlin.model.adapters.settings import AdapterSettings
from hanlin.train.objective import Objective
from hanlin.train.optimisers import Optimiser
from hanlin.train.schedules import Schedule


def _plugin(folder: str, noun: str, section: str) -> Any:
    """A validator: the mapping's `use` picks a file of `folder`, whose class `noun` takes the other keys."""

    def chosen(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        file = find(folder, str(value.get("use", "")))
        return parse(getattr(file, noun), value, section)

    return BeforeValidator(chosen)


class ModelSettings(Settings):
    """Which model learns: an existing one by `use`, else a new one."""

    use: str = ""
    """A name in the store, a hub name, a folder or a GGUF file to start from; empty for a new model."""
    family: str = "qwen3"
    """Family of a new model."""
    size: int | None = Field(default=None, ge=1, le=64)
    """The one dial of a new model: its depth. Width, heads, batch, learning rates and tokens follow from it."""
    width: int | None = Field(default=None, ge=8)
    """Width of a new model's residual stream; None: from the size."""
    layers: int | None = Field(default=None, ge=1)
    """Layers of a new model; None: the size."""
    heads: int | None = Field(default=None, ge=1)
    """Heads of a new model; None: from the width."""
    kv_heads: int | None = Field(default=None, ge=1)
    """Heads of keys and values of a new model; None: as many as heads."""
    mlp: int | None = Field(default=None, ge=8)
    """Inner width of a new model's feed-forward part; None: from the width."""
    has_tied_head: bool = True
    """A new model's embedding is its head, too."""
    frozen: tuple[str, ...] = ()
    """Names or patterns of parts that do not learn, such as "embed" or "layers.[0-9].*"."""
    is_checkpointed: bool = False
    """Forget activations and compute them again on the way back: less memory, a third more time."""


class TokenizerSettings(Settings):
    """The tokenizer of a new model; an existing one brings its own."""

    use: str = ""
    """A folder, GGUF file or model name whose tokenizer to take; empty: train one on data.train."""
    kind: Literal["bpe", "unigram", "wordpiece", "characters"] = "bpe"
    """What to train."""
    vocabulary: int = Field(default=8192, ge=16)
    """How many tokens to train."""


class TrainSettings(Settings):
    """How long, how fast, how careful."""

    steps: int | None = Field(default=None, ge=1)
    """Updates of the weights; None: from epochs, tokens or budget."""
    epochs: float | None = Field(default=None, gt=0)
    """Times through the data."""
    tokens: int | None = Field(default=None, ge=1)
    """Tokens to read."""
    budget: str = ""
    """Wall time on this machine, such as "30min" or "2h": a measurement of 20 seconds chooses size and tokens."""
    batch: int = Field(default=8, ge=1)
    """Rows of `data.context` tokens per update, whatever the number of processes."""
    rows: int | None = Field(default=None, ge=1)
    """Rows per pass, the others being accumulated; None: what the memory allows, all if it can."""
    lr: float | None = Field(default=None, gt=0)
    """Learning rate at its highest; None: the optimiser's own default."""
    optimiser: Annotated[
        SerializeAsAny[Optimiser], _plugin("hanlin.train.optimisers", "Optimiser", "train.optimiser")
    ] = Field(default_factory=lambda: parse(find("hanlin.train.optimisers", "adamw").Optimiser, {}))
    """Which optimiser, and its settings: {use = "muon"}."""
    schedule: Annotated[SerializeAsAny[Schedule], _plugin("hanlin.train.schedules", "Schedule", "train.schedule")] = (
        Field(default_factory=lambda: parse(find("hanlin.train.schedules", "cosine").Schedule, {}))
    )
    """How the learning rate goes over time, and its settings: {use = "wsd", warmup = 0.02}."""
    clip: float = Field(default=1.0, ge=0)
    """Largest norm of the gradient; 0 for none. Parts that Muon moves are not clipped."""
    ema: float = Field(default=0.0, ge=0, lt=1)
    """Decay of a running mean of the weights that is validated and exported; 0 for none."""
    save_every: int = Field(default=0, ge=0)
    """Steps between checkpoints; 0: about every two minutes' worth."""
    keep: int = Field(default=2, ge=1)
    """Checkpoints to keep, besides the best."""
    validate_every: int = Field(default=0, ge=0)
    """Steps between validations; 0: ten in a run."""
    validation_rows: int = Field(default=64, ge=1)
    """Rows of the validation data that are read each time."""
    sample_every: int = Field(default=0, ge=0)
    """Steps between samples of what the model writes; 0: with each validation."""
    samples: tuple[str, ...] = ()
    """Prompts to go on from; empty: one of the validation data's."""
    patience: int = Field(default=0, ge=0)
    """Stop after so many validations without a better one; 0: never."""
    spike: float = Field(default=3.0, gt=1)
    """At a loss so many times its running mean, or one that is no number: back to the last checkpoint, at half rate."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of the computation; the optimiser always keeps float32. auto: what is faster here, by measurement."""
    products: Literal["float", "int8"] = "float"
    """int8: the layers' maps and a frozen head multiply bytes both ways, about twice as fast: see docs/training.md."""
    compile: Literal["auto", "on", "off"] = "off"
    """Compile the pass through the layers with torch.compile; auto: where a trial shows that it pays."""
    threads: int = Field(default=0, ge=0)
    """Threads to compute with; 0: all cores, or one where a trial shows that to be faster, as beside other work."""
    device: str = "auto"
    """cpu, cuda, mps; auto: the best there is."""
    sharding: Literal["ddp", "fsdp"] = "ddp"
    """With several processes: a whole copy each, or the weights divided among them."""


class GateSettings(Settings):
    """What the gate before step 1 lets through."""

    most_cut: float = Field(default=0.05, ge=0, le=1)
    """Largest share of answers that the context may cut."""
    most_overlap: float = Field(default=0.05, ge=0, le=1)
    """Largest share of validation examples that share runs of 13 words with the training data: see docs/gate.md."""
    allow: tuple[str, ...] = ()
    """Refusals to overrule by name, such as "overlap"; each is said aloud."""


class RunFile(Settings):
    """The settings of a training run; every key can be overridden as `key=value`."""

    verb: Literal["train"] = "train"
    """Which verb of `hanlin` runs this file."""
    name: str = Field(default="train", pattern=r"^[\w.-]+$")
    """What this run is called."""
    out: str = ""
    """The run folder; empty: out/NAME."""
    seed: int = Field(default=0, ge=0)
    """Seed of everything that is drawn: weights, order, samples."""
    model: ModelSettings = ModelSettings()
    """What learns."""
    tokenizer: TokenizerSettings = TokenizerSettings()
    """What a new model reads with."""
    adapter: AdapterSettings | None = None
    """Learn a small addition to frozen weights: LoRA and its kin."""
    data: DataSettings
    """What it learns from."""
    objective: Annotated[SerializeAsAny[Objective], _plugin("hanlin.train.objectives", "Objective", "objective")] = (
        Field(default_factory=lambda: parse(find("hanlin.train.objectives", "next_token").Objective, {}))
    )
    """What it learns to do."""
    train: TrainSettings = TrainSettings()
    """How."""
    gate: GateSettings = GateSettings()
    """What is refused."""


def written(settings: RunFile) -> dict[str, Any]:
    """A run file's content that gives these settings again: a batch nobody named stays unnamed, the size sets it."""
    found = settings.model_dump(mode="json", exclude_none=True)
    if "batch" not in settings.train.model_fields_set:
        del found["train"]["batch"]
    return found
