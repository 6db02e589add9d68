"""A loaded model: the network, its config, its tokenizer, and where it came from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from hanlin.model.config import Shape
from hanlin.model.decoder import Decoder
from hanlin.model.gguf.format import TensorType
from hanlin.text.tokenizer import Tokenizer


@dataclass(frozen=True, eq=False)
class Blocks:
    """Rows of one of our parameters as a GGUF file has them, quantised; nothing is copied."""

    type: TensorType
    """How the weights are packed."""
    stored: UInt8[np.ndarray, "stored_rows bytes"]
    """Mapped from the file."""
    rows: slice
    """Which rows of ours they are."""
    order: np.ndarray | None
    """Row i of ours is row `order[i]` of the stored ones; None if they are in order."""

    def ordered(self) -> UInt8[np.ndarray, "rows bytes"]:
        """The blocks in our order of rows."""
        return self.stored if self.order is None else self.stored[self.order]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What `load` yields and `save` takes."""

    network: Decoder
    """Called: tokens in, logits out."""
    config: Shape
    """The family's settings."""
    family: str
    """The file in `families/` that defines it."""
    tokenizer: Tokenizer | None
    """None if the checkpoint has none."""
    generation: Mapping[str, Any] = field(default_factory=dict)
    """generation_config.json: how its makers would sample, and which tokens end an answer."""
    path: Path = Path()
    """The folder or file it was read from."""
    quantised: Mapping[str, tuple[Blocks, ...]] | None = None
    """From a GGUF file: our parameters' names → the packed weights they were made from."""
