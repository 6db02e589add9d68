"""How often each document is in the training shards, from the shares that its source or language is to have."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from hanlin.core.errors import ConfigError, did_you_mean
from hanlin.data.corpus.decide import Decision, uniform
from hanlin.data.corpus.settings import CorpusSettings
from hanlin.data.corpus.store import Store


@dataclass(frozen=True, eq=False)
class Mixture:
    """Copies of each document, and the shares they come from."""

    copies: Int64[np.ndarray, " n"]
    """0 for documents that are not trained on."""
    shares: Mapping[str, tuple[float, float, float]]
    """Source or language → share of the characters there are, share wanted, epochs."""


def mixed(store: Store, decision: Decision, settings: CorpusSettings) -> Mixture:
    """How often each training document is taken. A fraction of an epoch is drawn by the document's hash.

    Raises:
        ConfigError: a weight names a source or language that is not there.
    """
    epochs = np.array([origin.epochs for origin in settings.sources])[store.column("source")]
    epochs = np.where(decision.splits == 0, epochs, 0.0)
    names = groups(store, settings)
    factors, shares = _factors(names, epochs * store.column("characters"), settings)
    epochs = np.minimum(epochs * factors, max(settings.mixture.most_epochs, *(o.epochs for o in settings.sources)))
    whole = np.floor(epochs)
    is_more = uniform(store.column("hash"), settings.seed + 1) < epochs - whole
    return Mixture((whole + is_more).astype(np.int64), shares)


def groups(store: Store, settings: CorpusSettings) -> np.ndarray:
    """The source or language of each document."""
    if settings.mixture.by == "language":
        return np.array([name or "unknown" for name in store.column("language")], object)
    named = np.array([origin.name or origin.path for origin in settings.sources], object)
    return named[store.column("source")]


def _factors(
    names: np.ndarray, sizes: Float64[np.ndarray, " n"], settings: CorpusSettings
) -> tuple[Float64[np.ndarray, " n"], dict[str, tuple[float, float, float]]]:
    known, place = np.unique(names.astype(str), return_inverse=True)
    there = np.bincount(place, weights=sizes, minlength=len(known))
    total = there.sum()
    weights = settings.mixture.weights
    for name in weights:
        if name not in known:
            what = f"mixture.weights has {name}, which no document is of"
            raise ConfigError(what, did_you_mean(name, known.tolist()))
    if not total:
        return np.ones(len(names)), {}
    natural = there / total
    wanted = np.array([weights.get(str(name), share) for name, share in zip(known, natural, strict=True)])
    wanted = np.where(there > 0, wanted, 0.0) ** settings.mixture.temperature * (there > 0)
    if wanted.sum() == 0:
        raise ConfigError("mixture.weights leaves nothing to train on", "give something a weight above 0")
    wanted /= wanted.sum()
    factors = np.divide(wanted, natural, out=np.zeros_like(wanted), where=natural > 0)
    if not weights and settings.mixture.temperature == 1:
        factors[:] = 1.0
    capped = np.minimum(factors, settings.mixture.most_epochs)
    shares = {
        str(name): (float(have), float(want), float(factor))
        for name, have, want, factor in zip(known, natural, wanted, capped, strict=True)
    }
    return capped[place], shares
