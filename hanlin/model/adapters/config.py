"""An adapter_config.json in, checked settings out: what we carry is read, what changes nothing is passed over, all else
is refused by name.

Reference: `LoraConfig` of https://github.com/huggingface/peft
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from math import sqrt
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from hanlin.core.errors import RefusedError, WeightsError, shown
from hanlin.model.adapters.settings import AdapterSettings
from hanlin.model.safetensors import read_json

CONFIG = "adapter_config.json"
AGAIN = "fetch the adapter again"
WHOLE = "merge this adapter with PEFT and take the whole model"
READ = {"peft_type", "r", "lora_alpha", "use_rslora", "use_dora", "lora_dropout", "rank_pattern", "alpha_pattern"}
TOLD = {"target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "fan_in_fan_out"}
"""What the tensors tell, too."""
IDLE = {"auto_mapping", "base_model_name_or_path", "inference_mode", "peft_version", "revision", "task_type"}
IDLE |= {"megatron_core", "qalora_group_size", "runtime_config"}
"""What changes nothing, whatever it says."""
DRAWS = (True, False, "gaussian", "orthogonal", "eva")
"""First weights that leave the base as it is; others (PiSSA, OLoRA, LoftQ, CorDA) change it."""
PLAIN = re.compile(r"[\w.]+")


class Known(NamedTuple):
    """A checked config."""

    settings: AdapterSettings
    ranks: Mapping[str, int]
    """Of maps whose rank is not the settings'."""
    alphas: Mapping[str, float]
    """Of maps whose alpha is not the settings'."""

    def rank(self, name: str) -> int:
        """Of a map, by Hugging Face's name."""
        return self.ranks.get(name, self.settings.rank)

    def scale(self, name: str) -> float:
        """What a map's addition is multiplied by."""
        rank = self.rank(name)
        return self.alphas.get(name, self.settings.alpha) / (sqrt(rank) if self.settings.is_rank_stabilised else rank)


def read(folder: Path, names: Iterable[str]) -> Known:
    """The config in an adapter's folder.

    Args:
        names: the maps that have an addition, by Hugging Face's names.

    Raises:
        WeightsError: it is damaged.
        RefusedError: it asks for what we do not carry.
    """
    values = read_json(folder / CONFIG)
    _refuse(values)
    try:
        settings = AdapterSettings(
            use="dora" if values.get("use_dora") else "lora",
            path=str(folder),
            rank=values.get("r", 8),
            alpha=values.get("lora_alpha", 8),
            is_rank_stabilised=bool(values.get("use_rslora")),
            dropout=values.get("lora_dropout", 0.0),
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        what = f"{folder / CONFIG}: {first['loc'][0]} = {shown(first['input'])} makes no sense"
        raise WeightsError(what, AGAIN) from None
    names = list(names)
    ranks = {name: int(rank) for name, rank in _spread(values, "rank_pattern", names)}
    return Known(settings, ranks, dict(_spread(values, "alpha_pattern", names)))


def _refuse(values: Mapping[str, Any]) -> None:
    if values.get("peft_type") != "LORA":
        raise RefusedError(f"an adapter of type {shown(values.get('peft_type'))} is not carried", "take one of LORA")
    for key, value in values.items():
        if key in READ | TOLD | IDLE or (key == "init_lora_weights" and value in DRAWS):
            continue
        if value in (None, False, "", "none") or value == {} or value == []:
            continue
        raise RefusedError(f"{CONFIG}: {key} = {shown(value)} is not carried", WHOLE)


def _spread(values: Mapping[str, Any], key: str, names: Iterable[str]) -> Iterator[tuple[str, float]]:
    """What a pattern says of each map, by PEFT's rule: the first entry its name ends in."""
    pattern = values.get(key) or {}
    if not isinstance(pattern, dict):
        raise WeightsError(f"{CONFIG}: {key} = {shown(pattern)} is no table", AGAIN)
    for end, value in pattern.items():
        if not PLAIN.fullmatch(end):  # a stranger's regular expression may run for ever
            what = f"{CONFIG}: {key} has {shown(end)}, a regular expression, which is not carried"
            raise RefusedError(what, "write the names of the maps instead")
        kinds = (int,) if key == "rank_pattern" else (int, float)
        if type(value) not in kinds or not 0 < value < 1 << 20:
            raise WeightsError(f"{CONFIG}: {key} says {shown(value)} of {shown(end)}", AGAIN)
    for name in names:
        end = next((end for end in pattern if name == end or name.endswith(f".{end}")), None)
        if end is not None:
            yield name, float(pattern[end])
