"""The model store: a name in, a folder or file whose content was checked out. No torch here.

    $HANLIN_HOME/models/
        smollm2-135m-instruct/      one model: its files and manifest.json
        org--name/                  a hub name; "/" is written "--"
        .staging/…                  pulls on their way; never seen as models, resumed by the next pull
        .locks/…                    one per name: two pulls of one model take turns

`find` never asks the network and reads no weights; `pull` yields its progress; `resolve` is find, else pull.
"""

from hanlin.model.store.catalogue import DEFAULT
from hanlin.model.store.look import Stored, details, find, stored, unfinished, verify
from hanlin.model.store.progress import Progress
from hanlin.model.store.pull import pull, resolve, stored_as
from hanlin.model.store.remove import removable, remove

__all__ = [
    "DEFAULT",
    "Progress",
    "Stored",
    "details",
    "find",
    "pull",
    "removable",
    "remove",
    "resolve",
    "stored",
    "stored_as",
    "unfinished",
    "verify",
]
