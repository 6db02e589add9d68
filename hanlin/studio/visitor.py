"""Whoever opened a page: their language, their look, what their key opens; and the server they came to."""

from dataclasses import dataclass
from typing import Literal

from nicegui import Client
from starlette.requests import Request

from hanlin.core.errors import RefusedError
from hanlin.serve.keys import Key, Scope
from hanlin.serve.server import Server
from hanlin.studio.tools import Tools
from hanlin.studio.words import common
from hanlin.studio.words.word import Language, Word, preferred

Theme = Literal["auto", "light", "dark"]
LANGUAGE_COOKIE, THEME_COOKIE = "hanlin_language", "hanlin_theme"


@dataclass(frozen=True)
class Visitor:
    """A page's only argument."""

    request: Request
    server: Server
    tools: Tools
    language: Language
    theme: Theme
    owner: str
    """The name of their key, "" without keys: whose their conversations are."""
    key: Key | None
    client: Client
    """The page in their browser."""

    def say(self, word: Word, **values: object) -> str:
        """A word in their language."""
        return word.into(self.language, **values)

    def may(self, scope: Scope) -> bool:
        """Whether their key opens doors of that kind; without keys all are open."""
        return self.key is None or self.key.may(scope)

    def must(self, scope: Scope) -> None:
        """Raises:
        RefusedError: their key does not open doors of that kind.
        """
        if not self.may(scope):
            raise RefusedError(self.say(common.NOT_ALLOWED, scope=scope), "hanlin keys add NAME")


def visitor_of(request: Request, server: Server, tools: Tools, client: Client) -> Visitor:
    """Who sends the request of a page."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    language = preferred(request.headers.get("accept-language", ""))
    if chosen == "en" or chosen == "zh":
        language = chosen
    wanted = request.cookies.get(THEME_COOKIE)
    theme: Theme = "light" if wanted == "light" else "dark" if wanted == "dark" else "auto"
    state = request.scope["state"]
    return Visitor(request, server, tools, language, theme, state.get("owner", ""), state.get("key"), client)
