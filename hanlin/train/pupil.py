"""The model that learns: a run file's sections and a base checkpoint in, a `Pupil` out."""

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import torch
from torch import nn

from hanlin.core.errors import ConfigError
from hanlin.core.home import expanded
from hanlin.core.measure import product_speed
from hanlin.core.run import replacing
from hanlin.core.settings import parse
from hanlin.infer.head import HEAD, PLAN, HeadSettings
from hanlin.model import safetensors
from hanlin.model.adapters import peft
from hanlin.model.adapters.lora import add
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.decoder import Decoder
from hanlin.model.freeze import freeze
from hanlin.model.gguf.read import GGUFFile
from hanlin.model.load import load
from hanlin.model.store import resolve
from hanlin.text.folder import load_folder
from hanlin.text.gguf import from_metadata
from hanlin.text.tokenizer import Tokenizer
from hanlin.train.objective import Pupil
from hanlin.train.settings import RunFile
from hanlin.train.size import new_network


def base_of(settings: RunFile, dtype: torch.dtype) -> Checkpoint | None:
    """The existing model to start from; None for a new one.

    Raises:
        StoreError: there is no such model.
        WeightsError: it is damaged or of a kind we do not carry.
    """
    return load(resolve(settings.model.use), dtype) if settings.model.use else None


def build(
    settings: RunFile, base: Checkpoint | None, tokenizer: Tokenizer, classes: Sequence[str], dtype: torch.dtype
) -> Pupil:
    """Weights as they are before step 1, and whatever the objective needs beside them.

    Raises:
        ConfigError: the sizes do not fit together, or a pattern of frozen parts matches nothing.
    """
    draw = torch.Generator().manual_seed(settings.seed)
    if base is None:
        network = new_network(settings.model, tokenizer.vocab_size, settings.data.context, settings.seed).to(dtype)
    else:
        network = base.network
    needs, reference = settings.objective.needs, None
    if "two_way" in needs and network.is_causal:
        what = f"{settings.objective.use} needs a model that sees both ways; {settings.model.family} sees only back"  # pyright: ignore
        raise ConfigError(what, 'objective.use="next_token" or "span" teach a decoder')
    if "reference" in needs and settings.adapter is None:
        reference = copy.deepcopy(network).requires_grad_(False).eval()
    if settings.adapter is not None:
        if settings.adapter.path:
            peft.load(network, expanded(settings.adapter.path), settings.adapter.base)
            if "reference" in needs:  # the beginning is the model with this adapter: to switch it off is not enough
                reference = copy.deepcopy(network).requires_grad_(False).eval()
        else:
            add(network, settings.adapter, draw)
    if settings.model.frozen:
        freeze(network, settings.model.frozen)
    network.is_checkpointed = settings.model.is_checkpointed
    outputs = settings.objective.outputs(classes)
    head = None
    if outputs:
        head = nn.Linear(network.config.width, outputs, bias=False)
        nn.init.normal_(head.weight, std=0.02, generator=draw)
    teacher = None
    if "teacher" in needs:
        teacher = _teacher(settings.objective.teacher, tokenizer, dtype)  # pyright: ignore[reportAttributeAccessIssue]
    return Pupil(network, tokenizer, head, reference, teacher)


def _teacher(name: str, tokenizer: Tokenizer, dtype: torch.dtype) -> Decoder:
    """A bigger model, frozen.

    Raises:
        ConfigError: its tokens are others than the learner's.
    """
    found = load(resolve(name), dtype)
    other = found.tokenizer
    if other is None or other.backend.get_vocab() != tokenizer.backend.get_vocab():
        what = f"the teacher {name} has another vocabulary: its logits are about other tokens"
        raise ConfigError(what, 'take a teacher of the same family, or objective.text="teacher" with its texts as data')
    return found.network.requires_grad_(False).eval()


class Learner(nn.Module):
    """Network and head as one module: what the optimiser moves and a checkpoint holds."""

    def __init__(self, pupil: Pupil) -> None:
        super().__init__()
        self.network = pupil.network
        if pupil.head is not None:
            self.head = pupil.head

    def learning(self) -> dict[str, nn.Parameter]:
        """The parameters that learn, by name: "network.embed.weight", "head.weight"."""
        return {name: weight for name, weight in self.named_parameters() if weight.requires_grad}


def device_of(wish: str) -> torch.device:
    """The device that a run file's `train.device` means.

    Raises:
        ConfigError: there is none of that name, or not here.
    """
    if wish != "auto":
        try:
            device = torch.device(wish)
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError, NotImplementedError):
            raise ConfigError(f"train.device = {wish!r} is no device of this machine", 'train.device="auto"') from None
        return device
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def dtype_of(wish: str, device: torch.device) -> tuple[torch.dtype, float | None, str]:
    """The precision to compute in, its operations per second on a processor, and both in words.

    On a processor the faster one, by measurement: few have a fast bfloat16.
    """
    if device.type == "cuda" and wish == "auto":
        wish = "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    if device.type != "cpu":
        return getattr(torch, wish if wish != "auto" else "float32"), None, wish if wish != "auto" else "float32"
    speeds = {"float32": product_speed("float32", 0.15), "bfloat16": product_speed("bfloat16", 0.1)}
    told = ", ".join(f"{name} {speed / 1e9:,.0f} GFLOP/s" for name, speed in speeds.items())
    if wish == "auto":
        wish = "bfloat16" if speeds["bfloat16"] > 1.3 * speeds["float32"] else "float32"
    return getattr(torch, wish), speeds[wish], f"{wish} ({told})"


def tokenizer_from(name: str) -> Tokenizer:
    """The tokenizer of a folder, a GGUF file or a stored model.

    Raises:
        TokenizerError: it has none.
    """
    path = expanded(name)
    path = path if (path / "tokenizer.json").is_file() else resolve(name)  # a tokenizer alone is no model
    if (path / "tokenizer.json").is_file():
        return load_folder(path)
    file = path if path.is_file() else next(iter(sorted(path.glob("*.gguf"))), path)
    return from_metadata(GGUFFile.open(file).metadata)


def save_head(pupil: Pupil, settings: RunFile, folder: Path) -> None:
    """The head for classes or numbers beside the model, and what its figures mean."""
    if pupil.head is None:
        return
    safetensors.write(folder / HEAD, ((name, weight) for name, weight in pupil.head.named_parameters()))
    told = settings.objective.model_dump(mode="json", exclude_none=True)
    if told.get("use") not in get_args(HeadSettings.model_fields["objective"].annotation):
        return  # an objective of the user's own: what its figures mean is theirs to know
    plan = {name: value for name, value in told.items() if name in HeadSettings.model_fields}
    base = {"base": settings.adapter.base} if settings.adapter else {}
    made = parse(HeadSettings, {**plan, **base, "objective": told["use"], "context": settings.data.context})
    with replacing(folder / PLAN) as sink:
        sink.write(json.dumps(made.model_dump(mode="json", exclude_none=True), indent=2, ensure_ascii=False).encode())
