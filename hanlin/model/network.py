"""What reads a text: torch's network, or a compiled plan behind the same face."""

from hanlin.model.compiled import Compiled
from hanlin.model.decoder import Decoder

Network = Decoder | Compiled
