"""Where a model of the pool stands, in words."""

from hanlin.core.errors import HanlinError
from hanlin.model.store import find
from hanlin.studio.visitor import Visitor
from hanlin.studio.words import common


def state_of(visitor: Visitor, name: str) -> str:
    """What keeps a model from answering at once; "" if nothing does."""
    pool = visitor.server.pool
    real = pool.aliases.get(name, name)
    lock = pool._locks.get(real)
    if real in pool.loaded or lock is None or not lock.locked():
        return ""
    try:
        is_here = find(pool.named.get(real, real)) is not None
    except HanlinError:
        is_here = True
    return visitor.say(common.LOADING if is_here else common.FETCHING, model=name)
