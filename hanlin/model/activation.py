"""What bends a feed-forward part, in our words and in Hugging Face's. No torch in here."""

from typing import Literal

from hanlin.model.keys import Keys

Activation = Literal["silu", "gelu", "gelu_tanh", "relu"]

FROM_HF: dict[str, Activation] = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "relu": "relu",
}
TO_HF: dict[Activation, str] = {
    "silu": "silu",
    "gelu": "gelu",
    "gelu_tanh": "gelu_pytorch_tanh",
    "relu": "relu",
}


def activation(keys: Keys, key: str, default: str) -> Activation:
    """The activation a config names.

    Raises:
        WeightsError: one we do not carry.
    """
    name = keys.get(key, str, default)
    if name not in FROM_HF:
        raise keys.wrong(key, f"where we carry {', '.join(FROM_HF)}")
    return FROM_HF[name]
