"""Keys: who may do what, and how much of it. A file of hashes; the key itself is shown once, when it is made.

Keys are 256 random bits, so a plain SHA-256 of one tells nothing about it.
"""

import hashlib
import json
import secrets
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hanlin.core.errors import ConfigError, DataError, did_you_mean, shown
from hanlin.core.home import home
from hanlin.core.run import replacing
from hanlin.core.settings import Settings, parse

Scope = Literal["infer", "models", "metrics", "studio", "admin"]
SCOPES: tuple[Scope, ...] = ("infer", "models", "metrics", "studio", "admin")
MINUTE = 60.0


class Key(Settings):
    """One key, as the file has it."""

    name: str
    """Whose it is, or what it is for."""
    sha256: str
    """Of the key."""
    scopes: tuple[Scope, ...] = ("infer",)
    """infer generates and scores, models loads and unloads, metrics reads figures, studio opens pages; admin: all."""
    requests_per_minute: int | None = None
    """None for no limit."""
    tokens_per_minute: int | None = None
    """Of prompts and answers; None for no limit."""
    created: float = 0.0
    """Seconds since 1970."""
    expires: float | None = None
    """Seconds since 1970, from which on it opens nothing; None for never."""

    @property
    def is_over(self) -> bool:
        """It has expired."""
        return self.expires is not None and time.time() >= self.expires

    def may(self, scope: Scope) -> bool:
        """Whether it opens doors of that kind."""
        return scope in self.scopes or "admin" in self.scopes


@dataclass
class Use:
    """What a key did in the last minute."""

    requests: deque[float] = field(default_factory=deque)
    tokens: deque[tuple[float, int]] = field(default_factory=deque)


class Keys:
    """The keys of a file, read again when it changes."""

    def __init__(self, path: Path | None = None) -> None:
        """Raises:
        DataError: the file cannot be read.
        """
        self.path = path or home() / "keys.json"
        self._stamp: tuple[int, int] | None = None
        self._keys: dict[str, Key] = {}
        self._uses: dict[str, Use] = {}
        self.reload()

    def reload(self) -> None:
        """Read the file if it is another one than before."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            self._keys, self._stamp = {}, None
            return
        stamp = (stat.st_mtime_ns, stat.st_size)
        if stamp == self._stamp:
            return
        fix = "mend it, or make keys anew: hanlin keys add"
        try:
            found = json.loads(self.path.read_text("utf-8"))["keys"]
            keys = [parse(Key, one) for one in found]
        except (OSError, ValueError, KeyError, TypeError, ConfigError) as error:
            raise DataError(f"{self.path} is no file of keys: {error}", fix) from None
        self._keys, self._stamp = {key.sha256: key for key in keys}, stamp

    @property
    def all(self) -> list[Key]:
        """All keys, in the order of the file."""
        return list(self._keys.values())

    def find(self, secret: str) -> Key | None:
        """The key that a client sent, if it is one, expired or not."""
        return self._keys.get(hashlib.sha256(secret.encode()).hexdigest())

    def lost(self, key: Key) -> str | None:
        """Why a key that was good opens nothing any more.

        Raises:
            DataError: the file cannot be read.
        """
        self.reload()
        now = self._keys.get(key.sha256)
        if now is None:
            return "this key was removed"
        return "this key has expired" if now.is_over else None

    def add(self, key_name: str, **settings: object) -> str:
        """Make a key; the secret, which is kept nowhere.

        Raises:
            ConfigError: there is one of that name, or a setting is wrong.
        """
        if any(key.name == key_name for key in self.all):
            raise ConfigError(f"there is a key {shown(key_name)}", "choose another name, or remove that one")
        secret = f"hk-{secrets.token_urlsafe(32)}"
        digest = hashlib.sha256(secret.encode()).hexdigest()
        key = parse(Key, {"name": key_name, "sha256": digest, "created": time.time(), **settings})
        self._write([*self.all, key])
        return secret

    def remove(self, key_name: str) -> None:
        """Forget a key; who has it is shut out from the next request on.

        Raises:
            ConfigError: there is none of that name.
        """
        kept = [key for key in self.all if key.name != key_name]
        if len(kept) == len(self.all):
            raise ConfigError(f"there is no key {shown(key_name)}", did_you_mean(key_name, (k.name for k in kept)))
        self._write(kept)

    def _write(self, keys: list[Key]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        content = json.dumps({"keys": [key.model_dump(mode="json") for key in keys]}, indent=1)
        with replacing(self.path) as sink:
            sink.write(content.encode())
        self.path.chmod(0o600)
        self.reload()

    def wait_seconds(self, key: Key) -> float:
        """How long until this key may ask again; 0 for now, which counts as a request."""
        use, now = self._uses.setdefault(key.name, Use()), time.monotonic()
        while use.requests and use.requests[0] <= now - MINUTE:
            use.requests.popleft()
        while use.tokens and use.tokens[0][0] <= now - MINUTE:
            use.tokens.popleft()
        wait = 0.0
        if key.requests_per_minute is not None and len(use.requests) >= key.requests_per_minute:
            wait = use.requests[0] + MINUTE - now if use.requests else MINUTE
        if key.tokens_per_minute is not None and sum(count for _, count in use.tokens) >= key.tokens_per_minute:
            wait = max(wait, use.tokens[0][0] + MINUTE - now if use.tokens else MINUTE)
        if not wait:
            use.requests.append(now)
        return wait

    def spend(self, key: Key, tokens: int) -> None:
        """Count tokens of a request that is over."""
        self._uses.setdefault(key.name, Use()).tokens.append((time.monotonic(), tokens))
