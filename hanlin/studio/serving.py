"""Where a model of the pool stands, in words."""

from hanlin.core.errors import HanlinError
from hanlin.model.store import find
from hanlin.studio.visitor import Visitor
from hanlin.studio.words import common


def state_of(visitor: Visitor, name: str) -> str:
    """What keeps a model from answering at once; "" if nothing does."""
    pool = visitor.server.pool
    real, _ = pool.adapters.get(name, (pool.aliases.get(name, name), ""))
    if not pool.is_loading(real):
        return ""
    try:
        is_here = find(pool.named.get(real, real)) is not None
    except HanlinError:
        is_here = True
    return visitor.say(common.LOADING if is_here else common.FETCHING, model=name)
