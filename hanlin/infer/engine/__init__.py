"""The engine: many requests at once on one compiled model. Schedule, run, emit.

Whatever company a request keeps, it gets the same tokens and the same log-probabilities, to the bit.
"""

from hanlin.infer.engine.engine import Emitted, Engine
from hanlin.infer.engine.request import Request
from hanlin.infer.engine.settings import EngineSettings

__all__ = ["Emitted", "Engine", "EngineSettings", "Request"]
