"""/login: a key in, the cookie out that the door reads. Plain HTML, for it stands before the door."""

import html
from importlib.resources import files
from urllib.parse import parse_qs

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from hanlin.serve.door import COOKIE, LOGIN
from hanlin.serve.server import Server, server_of
from hanlin.studio.words.word import Language, Word, preferred

DAYS = 30
MOST_BYTES = 4096
"""Of the form."""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
TITLE = Word("Sign in", "登录")
LINE = Word("This server has keys. Paste yours to open the studio.", "此服务器设有密钥。粘贴你的密钥以进入书房。")
KEY = Word("Key", "密钥")
ENTER = Word("Enter", "进入")
WRONG = Word("This key is none of ours.", "没有这个密钥。")
NOT_FOR_PAGES = Word("This key does not open the studio.", "此密钥不能打开书房。")
NO_KEYS = Word("This server has no keys: just go in.", "此服务器没有密钥，直接进入即可。")
MAKE = Word("hanlin keys add NAME makes one.", "用 hanlin keys add NAME 创建。")


def add(app: FastAPI) -> None:
    """The two routes."""
    app.add_api_route(LOGIN, _show, methods=["GET"], include_in_schema=False)
    app.add_api_route(LOGIN, _enter, methods=["POST"], include_in_schema=False)


def safe(target: str) -> str:
    """Where to go after signing in: a path of this server, else the first page."""
    is_path = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if is_path and "\\" not in target and not target.startswith(LOGIN) else "/"


async def _show(request: Request) -> Response:
    return _page(request, safe(request.query_params.get("next", "/")), None)


async def _enter(request: Request) -> Response:
    server: Server = server_of(request)
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            return _page(request, "/", WRONG, 413)
    form = parse_qs(body.decode("utf-8", "replace"))
    target, secret = safe(form.get("next", ["/"])[0]), form.get("key", [""])[0].strip()
    server.keys.reload()
    key = server.keys.find(secret) if secret else None
    if key is None:
        return _page(request, target, WRONG, 401)
    if not key.may("studio"):
        return _page(request, target, NOT_FOR_PAGES, 403)
    reply = RedirectResponse(target, 303)
    is_tls = request.url.scheme == "https"
    reply.set_cookie(COOKIE, secret, max_age=DAYS * 86400, httponly=True, samesite="strict", secure=is_tls)
    return reply


def _page(request: Request, target: str, wrong: Word | None, status: int = 200) -> Response:
    language: Language = preferred(request.headers.get("accept-language", ""))
    has_keys = bool(server_of(request).keys.all)
    said = {"lang": "zh" if language == "zh" else "en", "title": TITLE, "key": KEY, "enter": ENTER, "make": MAKE}
    said |= {"line": LINE if has_keys else NO_KEYS, "wrong": wrong or Word("", ""), "next": target}
    template = (files("hanlin.studio") / "assets" / "login.html").read_text("utf-8")
    for name, word in said.items():
        text = word.into(language) if isinstance(word, Word) else word
        template = template.replace(f"{{{{ {name} }}}}", html.escape(text))
    return HTMLResponse(template, status, {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})
