"""Tokens with their probabilities in; the "why this word" view as HTML out. `studio.js` shows the table on hover."""

import html
import json
import math
from collections.abc import Sequence

from hanlin.infer.event import Event
from hanlin.studio.chat.tree import Said
from hanlin.text.tokenizer import Tokenizer

MARKS = str.maketrans({" ": "·", "\n": "⏎", "\t": "⇥"})


def said(tokenizer: Tokenizer, event: Event) -> Said:
    """An event as a conversation keeps it."""

    def text(token: int) -> str:
        written = tokenizer.token_bytes(token)
        return written.decode(errors="replace") if written else tokenizer.backend.id_to_token(token) or ""

    top = tuple((one.token, text(one.token), round(one.logprob, 4)) for one in event.top)
    return event.token, text(event.token), round(event.logprob, 4), top


def view(tokens: Sequence[Said], label: str, message: str) -> str:
    """One mark a token, the redder the less likely; `data-top` is what stands in its table."""
    marks = "".join(_mark(place, one) for place, one in enumerate(tokens))
    name, of = html.escape(label), html.escape(message)
    return f'<div class="tokens" role="group" tabindex="0" aria-label="{name}" data-message="{of}">{marks}</div>'


def _mark(place: int, one: Said) -> str:
    _, text, logprob, top = one
    likely = math.exp(logprob)
    rows = [[place, token, shown(written), round(math.exp(value), 4)] for token, written, value in top]
    table = html.escape(json.dumps({"own": one[0], "p": round(likely, 4), "rows": rows}, ensure_ascii=False))
    end = "<br>" * text.count("\n")
    written = html.escape(text.replace("\n", "⏎")) or "∅"
    return f'<span class="tok" style="--q:{(1 - likely) ** 1.4:.3f}" data-top="{table}">{written}</span>{end}'


def shown(text: str) -> str:
    """A token's text with its white space to be seen."""
    return text.translate(MARKS) or "∅"
