"""Markdown in, HTML that is safe to show out: no HTML of the text's own, no picture from elsewhere, code in colours.

https://spec.commonmark.org with tables and strikethrough.
"""

import html
from collections.abc import Sequence
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

LONGEST_CODE = 100_000
"""Characters of code that are coloured."""


def rendered(text: str, copy: str = "Copy") -> str:
    """A text as HTML; `copy` is what the button over code is called."""
    return _renderer().render(text, {"copy": copy})


def colours() -> str:
    """The style sheet of code, light and dark: of the styles there are, those of which all colours can be read."""
    light = HtmlFormatter(style="xcode").get_style_defs(".code")
    dark = HtmlFormatter(style="monokai").get_style_defs("body.body--dark .code")
    return f"{light}\n{dark}\n.code, body.body--dark .code {{ background: none }}"


@cache
def _renderer() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    made.add_render_rule("fence", _fence)
    made.add_render_rule("code_block", _fence)
    made.add_render_rule("image", _image)
    made.add_render_rule("link_open", _link)
    return made


def _fence(_: Any, tokens: Sequence[Token], at: int, _options: Any, env: Any) -> str:
    code, language = tokens[at].content, (tokens[at].info or "").strip().split(" ")[0][:30]
    label, name = html.escape(env.get("copy", "")), html.escape(language)
    head = f'<div class="code-head"><span>{name}</span><button type="button" class="copy-code">{label}</button></div>'
    return f'<div class="code">{head}<pre tabindex="0"><code>{_coloured(code, language)}</code></pre></div>'


def _coloured(code: str, language: str) -> str:
    if not language or len(code) > LONGEST_CODE:
        return html.escape(code)
    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return html.escape(code)
    return highlight(code, lexer, HtmlFormatter(nowrap=True))


def _image(_: Any, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
    """A picture is a link: showing it would tell its host that somebody reads this."""
    source = html.escape(str(tokens[at].attrGet("src") or ""))
    return (
        f'<a href="{source}" target="_blank" rel="noopener noreferrer">{html.escape(tokens[at].content) or source}</a>'
    )


def _link(_: Any, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
    target = html.escape(str(tokens[at].attrGet("href") or ""))
    return f'<a href="{target}" target="_blank" rel="noopener noreferrer">'
