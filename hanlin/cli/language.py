"""The language to speak with the user: what the environment says, as far as we speak it."""

import locale
import os
from collections.abc import Mapping
from typing import Literal

Language = Literal["en", "zh"]


def spoken(env: Mapping[str, str] | None = None) -> Language:
    """ "zh" where the environment's first word on language is Chinese, else "en"."""
    env = os.environ if env is None else env
    named = env.get("LC_ALL") or env.get("LC_MESSAGES") or env.get("LANG") or locale.getlocale()[0] or ""
    return "zh" if named.lower().startswith(("zh", "chinese")) else "en"
