"""Whether a run may multiply by bytes (`train.products = "int8"`), and its maps made to."""

import torch

from hanlin.core.errors import ConfigError
from hanlin.model import products
from hanlin.model.decoder import Decoder
from hanlin.train.settings import RunFile

FIX = 'train.products="float"'


def choose_products(network: Decoder, settings: RunFile, dtype: torch.dtype, device: torch.device) -> None:
    """Make the network's maps multiply as the run file asks.

    Raises:
        ConfigError: bytes do not go with another of the run's settings, or there are no kernels for them here.
    """
    if settings.train.products == "float":
        return
    setup, needs = settings.train, settings.objective.needs
    reasons = {
        f"is for processors, and this run is on {device.type}": device.type != "cpu",
        f"keeps weights in float32, and this run computes in {dtype}": dtype != torch.float32,
        f"measures nothing as finely as {settings.objective.use} compares two models": "reference" in needs,  # pyright: ignore
        "is not compiled": setup.compile != "off",
        "needs whole matrices": setup.sharding == "fsdp",
    }
    for reason, is_so in reasons.items():
        if is_so:
            raise ConfigError(f'train.products = "int8" {reason}', FIX)
    from hanlin import kernels

    if (missing := kernels.missing()) is not None:
        raise ConfigError(f'train.products = "int8" needs native kernels, and there are none: {missing}', FIX)
    kernels.share_threads()
    products.multiply_bytes(network)
