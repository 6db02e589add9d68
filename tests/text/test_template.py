"""Conversations come out of a template byte for byte as Transformers renders them, or with the template's own words."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from hanlin.core.errors import RefusedError, TokenizerError
from hanlin.text.message import Message
from hanlin.text.template import ChatTemplate
from text.conftest import Pair
from text.styles import CONVERSATIONS, STYLES, TOOLS

SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}


def theirs(source: str, messages: list[dict[str, Any]], **variables: Any) -> str:
    """What Transformers' `apply_chat_template` does with one conversation."""
    from transformers.utils.chat_template_utils import render_jinja_template

    given = [{key: value for key, value in message.items() if value is not None} for message in messages]
    return render_jinja_template([given], chat_template=source, **{**SPECIAL, **variables})[0][0]


def check(source: str, messages: list[dict[str, Any]], **variables: Any) -> None:
    ours = ChatTemplate(source, SPECIAL)
    variables = {"add_generation_prompt": True, **variables}
    try:
        expected = theirs(source, messages, **variables)
    except Exception as error:
        with pytest.raises(TokenizerError) as caught:
            ours.render(messages, **variables)
        assert str(error) in caught.value.what
    else:
        assert ours.render(messages, **variables) == expected


@pytest.mark.parametrize("tools", [None, TOOLS], ids=["no tools", "tools"])
@pytest.mark.parametrize("conversation", CONVERSATIONS)
@pytest.mark.parametrize("style", STYLES)
def test_styles_of_published_templates_render_as_in_transformers(style: str, conversation: str, tools: Any) -> None:
    for opens in (True, False):
        check(STYLES[style], CONVERSATIONS[conversation], tools=tools, add_generation_prompt=opens)


@pytest.mark.parametrize("name", ["smollm2", "qwen2.5"])
def test_real_templates_render_as_in_transformers(name: str, gguf: Callable[[str], dict[str, Any]]) -> None:
    source = gguf(name)["tokenizer.chat_template"]
    for messages in CONVERSATIONS.values():
        for tools in (None, TOOLS):
            check(source, messages, tools=tools, add_generation_prompt=True)


def test_variables_reach_the_template() -> None:
    check(STYLES["thinking"], CONVERSATIONS["one"], add_generation_prompt=True, enable_thinking=False)
    check(STYLES["headers"], CONVERSATIONS["one"], date_string="1 Jan 2030", builtin_tools=["code", "search"])
    check("{{ documents|tojson }} {{ x }}", CONVERSATIONS["one"], documents=[{"title": "t", "text": "é"}], x=[1, None])


def test_chat_is_the_rendered_text_in_ids_and_no_bos_is_doubled(pairs: Callable[[str], Pair]) -> None:
    ours = pairs("smollm2").ours
    messages = [Message(role="user", content="Hi"), Message(role="assistant", content="Hello")]
    assert ours.template is not None
    text = theirs(ours.template.source, [message.plain() for message in messages], add_generation_prompt=True)
    assert ours.chat(messages) == pairs("smollm2").theirs.encode(text, add_special_tokens=False).ids
    gemma = pairs("gemma3").ours
    begins = type(gemma)(
        gemma.backend, gemma.vocab_size, gemma.bos, template=ChatTemplate("{{ bos_token }}hi", {"bos_token": "<bos>"})
    )
    assert begins.chat(messages) == gemma.encode("hi")


def test_without_a_template_chat_says_so(pairs: Callable[[str], Pair]) -> None:
    with pytest.raises(TokenizerError, match="no chat template"):
        pairs("gemma3").ours.chat([Message(role="user", content="hi")])


def test_tools_take_the_template_named_for_them() -> None:
    template = ChatTemplate("plain", {}, {"default": "plain", "tool_use": "with {{ tools|length }}", "rag": "docs"})
    messages = [Message(role="user", content="hi")]
    assert [template.render(messages), template.render(messages, tools=TOOLS)] == ["plain", "with 2"]


def test_a_template_refuses_in_its_own_words() -> None:
    template = ChatTemplate("{{ raise_exception('only ' ~ messages|length ~ ' turn?') }}")
    with pytest.raises(TokenizerError, match=r"refuses this conversation: only 1 turn\?"):
        template.render([Message(role="user", content="hi")])


def test_an_empty_conversation_is_refused() -> None:
    with pytest.raises(TokenizerError, match="empty"):
        ChatTemplate("x").render([])


def test_only_plain_data_reaches_a_template() -> None:
    with pytest.raises(RefusedError, match="not plain data"):
        ChatTemplate("{{ x }}").render([{"role": "user", "content": "hi"}], x=object())


def test_json_is_written_as_transformers_writes_it() -> None:
    value = {"z": [1, 2.0, None, True, "é\u2028'\"<>&\\"], "a": {}}
    for arguments in ("", "indent=2", "ensure_ascii=true", "separators=(',', ':')", "sort_keys=true, indent=1"):
        check(f"{{{{ x|tojson({arguments}) }}}}", CONVERSATIONS["one"], x=value)
    assert ChatTemplate("{{ x|tojson }}").render([{"role": "user"}], x=value) == json.dumps(value, ensure_ascii=False)
