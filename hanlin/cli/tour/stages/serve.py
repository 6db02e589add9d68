"""The tour serves its models: the tiny one it made and the one it showed, to a client that knows nothing of us."""

import logging
from collections.abc import Iterator
from typing import Any

from hanlin.cli.models import fetched
from hanlin.cli.tour.guide import Guide
from hanlin.cli.tour.lesson import OPENING, folder
from hanlin.cli.tour.notes import Figures, Line, Note, Piece, Table
from hanlin.core.errors import StoreError
from hanlin.model.store import DEFAULT

TITLE = {"en": "Serve it", "zh": "对外服务"}
WHY = {
    "en": "Programs speak to models over HTTP. OpenAI's own client, told only another address, talks to ours.",
    "zh": "程序通过 HTTP 同模型说话。OpenAI 自己的客户端，只换个地址，就能用我们的模型。",
}
LISTENS = {"en": "Listening on {url}, with {models}.", "zh": "在 {url} 提供服务：{models}。"}
MADE = {"en": "The tiny model, made a minute ago, goes on from a text:", "zh": "刚训练出来的小模型续写："}
ASKED = {"en": "{name} is asked: {question}", "zh": "问 {name}：{question}"}
QUESTION = "What is the capital of France?"
REFUSED = {"en": "A field it does not honour is refused by name: {told}", "zh": "不支持的字段会被点名拒绝：{told}"}
COLUMNS = {"en": "model|tokens|seconds", "zh": "模型|词元|秒"}
LATER = {"en": "The same from a terminal: hanlin serve {path}", "zh": "在终端里：hanlin serve {path}"}


def run(guide: Guide) -> Iterator[Note]:
    """Both models behind one address, and a conversation with each.

    Raises:
        StoreError: the stage export was not taken.
    """
    made = folder(guide, "tiny.gguf")
    if not made.is_file():
        raise StoreError(f"{made} is not there", "take the stages pretrain and export before serve")
    name = guide.settings.model.use or DEFAULT
    fetched(name)
    from openai import OpenAI

    from hanlin.serve.keys import Keys
    from hanlin.serve.pool import Pool
    from hanlin.serve.settings import ServeSettings
    from hanlin.serve.state import State
    from hanlin.serve.thread import running

    logging.getLogger("httpx").setLevel(logging.WARNING)
    settings = ServeSettings(port=0, studio=False, kv_mb=256)
    keys, state = Keys(folder(guide, "no-keys.json")), State(":memory:")
    pool = Pool({"tiny": str(made), "model": name}, settings)
    with (
        running(pool, settings, keys, state) as (url, server),
        OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
    ):
        yield Line(guide.say(LISTENS, url=f"{url}/v1", models=", ".join(server.pool.names())))
        yield Line(guide.say(MADE))
        opening = OPENING[guide.lang]
        yield Piece(opening)
        with client.completions.create(
            model="tiny", prompt=opening, max_tokens=40, temperature=0.8, seed=guide.settings.seed, stream=True
        ) as parts:
            for part in parts:
                yield Piece(part.choices[0].text)
        if guide.model.tokenizer.template is not None:
            yield from _asked(guide, client, name)
        yield Line(guide.say(REFUSED, told=_refusal(client)))
        told = [(one.name, f"{one.keeper.tokens:,}", f"{one.keeper.step_seconds:.2f}") for one in pool.loaded.values()]
    yield Table(tuple(guide.say(COLUMNS).split("|")), tuple(told))
    yield Line(guide.say(LATER, path=made))
    yield Figures({f"tokens, {one}": int(tokens.replace(",", "")) for one, tokens, _ in told})


def _asked(guide: Guide, client: object, name: str) -> Iterator[Note]:
    from openai import OpenAI

    assert isinstance(client, OpenAI)
    yield Line(guide.say(ASKED, name=name, question=QUESTION))
    turns: Any = [{"role": "user", "content": QUESTION}]
    with client.chat.completions.create(
        model="model", messages=turns, max_tokens=24, temperature=0, stream=True
    ) as parts:
        for part in parts:
            yield Piece(part.choices[0].delta.content or "")


def _refusal(client: object) -> str:
    """What it says to a field that means nothing here."""
    from openai import BadRequestError, OpenAI

    assert isinstance(client, OpenAI)
    try:
        client.completions.create(model="tiny", prompt="x", max_tokens=1, extra_body={"reasoning_effort": "high"})
    except BadRequestError as error:
        assert isinstance(error.body, dict)
        return str(error.body["message"]).partition(". Fix")[0]
    raise AssertionError("a field that means nothing was taken")
