"""The head of a model that was trained to judge texts, on the network that is served."""

import asyncio
from pathlib import Path

from hanlin.core.errors import ConfigError, HanlinError
from hanlin.infer.classify import Classifier, open_classifier, plan_of, with_head
from hanlin.infer.head import headed
from hanlin.model.decoder import Decoder
from hanlin.serve.errors import FieldError
from hanlin.serve.pool import Served


def has_head(served: Served) -> bool:
    """Whether there is one to be asked."""
    return not served.is_elsewhere and headed(served.where) is not None


async def classifier(served: Served) -> Classifier:
    """The head with its network, opened when it is first asked for.

    Raises:
        FieldError: the model has none, and no labels were sent.
        ConfigError: its files do not fit together.
    """
    folder = None if served.is_elsewhere else headed(served.where)
    if folder is None:
        what = f"labels is missing, and {served.name} has no head that has classes of its own"
        raise FieldError("labels", what, "send labels, or serve a model trained with objective classify")
    if served.head is None:
        served.head = asyncio.ensure_future(asyncio.to_thread(_opened, served, folder))
    try:
        return await asyncio.shield(served.head)
    except HanlinError as error:
        served.head = None
        raise ConfigError(f"the head of {served.name}: {error.what}", error.fix) from None


def _opened(served: Served, folder: Path) -> Classifier:
    plan, network = plan_of(folder), served.model.network
    if isinstance(network, Decoder) and plan.base == "as_is":
        return with_head(folder, network, served.model.tokenizer, plan)
    made = open_classifier(folder)  # trained on other numbers than those that are served
    served.bytes += sum(one.numel() * one.element_size() for one in made.network.parameters())
    return made
