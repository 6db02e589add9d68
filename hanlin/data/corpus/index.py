"""What earlier runs kept, by hashes in a folder: one file a run, so that a run never meets itself."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool

from hanlin.core.errors import ConfigError, StoreError
from hanlin.core.home import expanded
from hanlin.core.run import replacing
from hanlin.data.corpus.settings import DuplicateSettings
from hanlin.data.corpus.store import Store


class Index:
    """A folder of sorted hashes."""

    def __init__(self, folder: str) -> None:
        self.folder = expanded(folder)

    def known(self, store: Store, run: str, settings: DuplicateSettings) -> Bool[np.ndarray, " n"]:
        """Which documents an earlier run has, the same or nearly.

        Raises:
            ConfigError: an earlier run made its signatures in another way.
            StoreError: a file of the index is damaged.
        """
        found = np.zeros(len(store), bool)
        for path in sorted(self.folder.glob("*.npz")):
            if path.stem == run:
                continue
            try:
                with np.load(path, allow_pickle=False) as hashes:
                    found |= np.isin(store.column("hash"), hashes["exact"])
                    if not settings.near:
                        continue
                    if str(hashes["way"]) != _way(settings):
                        what = f"{path} was made with {hashes['way']}, this run has {_way(settings)}"
                        raise ConfigError(what, "use the same words, bands, rows and seed, or another index")
                    for at in range(settings.bands):
                        band = store.column(f"band{at:03}").astype(np.uint64)
                        found |= (band != 0) & np.isin(band, hashes[f"band{at:03}"])
            except (OSError, ValueError, KeyError) as error:
                raise StoreError(f"{path} is damaged: {error}", "delete it, and run that corpus again") from None
        return found

    def remember(self, store: Store, run: str, settings: DuplicateSettings, kept: Bool[np.ndarray, " n"]) -> Path:
        """Write down what this run keeps, in place of what it kept before.

        Raises:
            StoreError: the folder cannot be written.
        """
        columns = {"exact": np.unique(store.column("hash")[kept])}
        if settings.near:
            for at in range(settings.bands):
                band = store.column(f"band{at:03}").astype(np.uint64)[kept]
                columns[f"band{at:03}"] = np.unique(band[band != 0])
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{self.folder} cannot be made: {error.strerror}", "choose another index") from None
        path = self.folder / f"{run}.npz"
        with replacing(path) as sink:
            np.savez(sink, allow_pickle=False, way=np.array(_way(settings)), **columns)
        return path


def _way(settings: DuplicateSettings) -> str:
    kind = settings.compat or "own"
    return f"{kind} hashes, {settings.words} words, {settings.bands} × {settings.rows}, seed {settings.seed}"
