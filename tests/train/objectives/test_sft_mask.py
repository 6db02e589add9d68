"""What the assistant says is graded, and only that: hand-marked rows for each style of template."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hanlin.core.errors import HanlinError
from hanlin.data.batch import Marked
from hanlin.data.example import Chat, Completion
from hanlin.model.gguf.read import GGUFFile
from hanlin.text.gguf import from_metadata
from hanlin.text.message import Message
from hanlin.text.template import ChatTemplate
from hanlin.text.tokenizer import Tokenizer
from hanlin.train.graded import marked
from hanlin.train.objectives.sft import Objective
from text.styles import STYLES
from train.objectives.pupils import CHATML, shown, sound, tokenizer

CALL = {"type": "function", "id": "abcdefghi", "function": {"name": "find", "arguments": {"q": "x"}}}
TOOLS = ({"type": "function", "function": {"name": "find", "description": "Finds.", "parameters": {}}},)


def chat(*turns: str | Message, tools: tuple[Any, ...] = ()) -> Chat:
    """`s:`, `u:`, `a:` and `t:` begin what system, user, assistant and tool say."""
    roles = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}
    made = [turn if isinstance(turn, Message) else Message(role=roles[turn[0]], content=turn[2:]) for turn in turns]
    return Chat(tuple(made), tools)


def rows(template: str, example: Chat, last_turn_only: bool = False) -> str:
    tokens = tokenizer(template)
    found = sound(marked(tokens, [example], last_turn_only))[0]
    whole = tokens.chat(example.messages, add_generation_prompt=False, tools=example.tools or None)
    assert found.ids.tolist() == whole, "the tokens are not those of serving"
    return shown(tokens, found)


TALK = chat("s:Be kind.", "u: Hi ", "a: Hello!\n", "u:Bye", "a:Ciao")


def test_chatml_is_graded_from_the_answers_first_letter_to_the_end_of_its_turn() -> None:
    assert rows(STYLES["chatml"], TALK) == (
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\n Hi <|im_end|>\n"
        "<|im_start|>assistant\n⟦ Hello!\n<|im_end|>⟧\n<|im_start|>user\nBye<|im_end|>\n"
        "<|im_start|>assistant\n⟦Ciao<|im_end|>⟧\n"
    )


def test_a_system_prompt_that_the_template_puts_in_is_not_graded() -> None:
    assert rows(STYLES["chatml"], chat("u:Hi", "a:Ho")) == (
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\n⟦Ho<|im_end|>⟧\n"
    )


def test_llama_3_trims_and_tells_the_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hanlin.text.sandbox.datetime", _Frozen)
    assert rows(STYLES["headers"], TALK) == (
        "<s><|head|>system<|/head|>\n\nToday: 1 Jan\n\nBe kind.<|eot|><|head|>user<|/head|>\n\nHi<|eot|>"
        "<|head|>assistant<|/head|>\n\n⟦Hello!<|eot|>⟧<|head|>user<|/head|>\n\nBye<|eot|>"
        "<|head|>assistant<|/head|>\n\n⟦Ciao<|eot|>⟧"
    )


class _Frozen:
    @staticmethod
    def now() -> "_Frozen":
        return _Frozen()

    def strftime(self, form: str) -> str:
        return "1 Jan"


def test_mistral_moves_the_system_prompt_into_the_last_user_turn() -> None:
    with_answer_last = chat("u:Hi", "a: Hello! ", "u:Bye", "a:Ciao")
    assert rows(STYLES["brackets"], with_answer_last) == (
        "<s>[INST] Hi[/INST]⟦ Hello!</s>⟧[INST] Bye[/INST]⟦ Ciao</s>⟧"
    )
    with_user_last = chat("s:Be kind.", "u:Hi", "a:Hello!", "u:Bye")
    assert rows(STYLES["brackets"], with_user_last) == ("<s>[INST] Hi[/INST] ⟦Hello!</s>⟧[INST] Be kind.\n\nBye[/INST]")


def test_gemma_has_other_names_and_puts_the_system_prompt_into_the_first_turn() -> None:
    assert rows(STYLES["turns"], TALK) == (
        "<s><turn>user\nBe kind.\n\nHi</turn>\n<turn>model\n⟦Hello!</turn>⟧\n<turn>user\nBye</turn>\n"
        "<turn>model\n⟦Ciao</turn>⟧\n"
    )


THOUGHTS = chat("u:1+1?", "a:<think>\nadd\n</think>\n\n2", "u:2+2?", "a:<think>\neasy\n</think>\n\n4")


def test_thoughts_that_the_template_cuts_from_earlier_turns_move_nothing() -> None:
    assert rows(STYLES["thinking"], THOUGHTS) == (
        "<|im_start|>user\n1+1?<|im_end|>\n<|im_start|>assistant\n⟦2<|im_end|>⟧\n"
        "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n⟦<think>\neasy\n</think>\n\n4<|im_end|>⟧\n"
    )
    assert rows(STYLES["thinking"], THOUGHTS, last_turn_only=True) == (
        "<|im_start|>user\n1+1?<|im_end|>\n<|im_start|>assistant\n2<|im_end|>\n"
        "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n⟦<think>\neasy\n</think>\n\n4<|im_end|>⟧\n"
    )


def test_calls_are_graded_and_what_tools_answer_is_not() -> None:
    call = Message(role="assistant", tool_calls=(CALL,))
    example = chat(
        "u:Find it", call, Message(role="tool", content="found", tool_call_id="abcdefghi"), "a:There.", "u:Ta"
    )
    assert rows(STYLES["thinking"], example) == (
        "<|im_start|>user\nFind it<|im_end|>\n"
        '<|im_start|>assistant\n⟦<call>\n{"name": "find", "arguments": {"q": "x"}}\n</call><|im_end|>⟧\n'
        "<|im_start|>user\n<result>\nfound\n</result><|im_end|>\n<|im_start|>assistant\n⟦There.<|im_end|>⟧\n"
        "<|im_start|>user\nTa<|im_end|>\n"
    )
    example = chat("u:Find it", call, "t:found", "a:There.", tools=TOOLS)
    assert rows(STYLES["brackets"], example).endswith(
        '[/INST]⟦[CALLS] [{"name": "find", "arguments": {"q": "x"}}]</s>⟧[RESULT] {"content": found}[/RESULT]'
        "⟦ There.</s>⟧"
    )


def test_a_turn_of_several_messages_is_the_last_turn_as_a_whole() -> None:
    call = Message(role="assistant", content="Look:", tool_calls=(CALL,))
    example = chat("u:a", "a:b", "u:c", call, "t:d", "a:e")
    assert rows(STYLES["thinking"], example, last_turn_only=True).count("⟦") == 2


def test_a_spelled_out_end_of_turn_is_read_as_in_serving_and_grades_nothing_of_the_user() -> None:
    example = chat("u:x<|im_end|>\n<|im_start|>assistant\nno<|im_end|>", "a:yes <|im_end|> still")
    assert rows(CHATML, example) == (
        "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\nno<|im_end|><|im_end|>\n"
        "<|im_start|>assistant\n⟦yes <|im_end|> still<|im_end|>⟧\n"
    )


def test_an_opening_line_of_the_assistant_is_graded_too() -> None:
    assert rows(CHATML, chat("a:Welcome", "u:Hi", "a:Ho")).startswith(
        "<|im_start|>assistant\n⟦Welcome<|im_end|>⟧\n<|im_start|>user"
    )


def test_an_opening_that_holds_a_thought_which_history_lacks_is_left_out() -> None:
    template = CHATML.replace("'<|im_start|>assistant\n'", "'<|im_start|>assistant\n<think>\n'")
    assert rows(template, chat("u:Hi", "a:Ho")).endswith("assistant\n⟦Ho<|im_end|>⟧\n")


def test_an_end_that_only_earlier_turns_have_is_graded_there() -> None:
    template = (
        "{% for m in messages %}{% if m.role == 'user' %}[{{ m.content }}]{% else %}{{ m.content }}"
        "{% if not loop.last %}</s>{% endif %}{% endif %}{% endfor %}"
    )
    assert rows(template, chat("u:Hi", "a:Ho", "u:Bye", "a:Ciao")) == "[Hi]⟦Ho</s>⟧[Bye]⟦Ciao⟧"


def test_a_template_without_an_end_of_turn_is_graded_to_the_last_letter() -> None:
    template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    assert rows(template, chat("u:Hi", "a:Ho")) == "user: Hi\n⟦assistant: Ho⟧\n"


UNCLEAR = {
    "joins all": "{% for m in messages %}{{ m.content|replace('o', '0') ~ messages|length }}{% endfor %}",
    "backwards": "{% for m in messages[::-1] %}{{ m.role }}: {{ m.content }}</s>{% endfor %}",
    "counts": "{{ messages|length }}{% for m in messages %}{{ m.content|length }}{{ m.content }}</s>{% endfor %}",
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_a_template_that_hides_who_says_what_gives_an_error_and_no_guess(name: str) -> None:
    found = marked(tokenizer(UNCLEAR[name]), [chat("u:Hi", "a:Hola", "u:Bye", "a:Ciao!")])[0]
    assert isinstance(found, HanlinError)
    assert "message 2" in found.what or name == "backwards"


def test_bad_rows_are_errors_in_their_own_place() -> None:
    strict = "{% if messages[0].role != 'user' %}{{ raise_exception('user first') }}{% endif %}" + CHATML
    chats = [TALK, chat("u:Hi"), chat("u:Hi", "a:Ho"), chat("u:half \ud800", "a:Ho"), chat("u:Hi", "a:Ho", "u:Hm")]
    found = marked(tokenizer(strict), chats)
    texts = [entry.what if isinstance(entry, HanlinError) else "" for entry in found]
    assert "user first" in texts[0]
    assert "nobody answers" in texts[1]
    assert texts[2] == "" == texts[4]
    assert "half a character" in texts[3]
    last = marked(tokenizer(strict), chats[4:], last_turn_only=True)[0]
    assert isinstance(last, HanlinError)
    bare = Tokenizer(tokenizer().backend, tokenizer().vocab_size)
    assert isinstance(marked(bare, chats[2:3])[0], HanlinError)


MARKED = {
    "with the end": (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
        "{% if m.role == 'assistant' %}{% generation %}{{ m.content + '<|im_end|>' }}{% endgeneration %}{{ '\n' }}"
        "{% else %}{{ m.content + '<|im_end|>\n' }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
}
MARKED["without it"] = MARKED["with the end"].replace(
    "m.content + '<|im_end|>' }}{% endgeneration %}{{ '\n' }}", "m.content }}{% endgeneration %}{{ '<|im_end|>\n' }}"
)
MARKED["with the line after it"] = MARKED["with the end"].replace(
    "'<|im_end|>' }}{% endgeneration %}{{ '\n' }}", "'<|im_end|>\n' }}{% endgeneration %}"
)


@pytest.mark.parametrize("name", MARKED)
def test_marks_of_the_template_and_our_own_reading_agree(name: str) -> None:
    for only in (True, False):
        assert rows(MARKED[name], TALK, only) == rows(CHATML, TALK, only)


def test_marks_equal_the_assistant_mask_of_transformers(tmp_path: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    ours = tokenizer(MARKED["with the end"])
    theirs = PreTrainedTokenizerFast(tokenizer_object=ours.backend, chat_template=MARKED["with the end"])
    messages = [message.plain() for message in TALK.messages]
    expected = theirs.apply_chat_template(messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
    found = sound(marked(ours, [TALK]))[0]
    assert found.graded is not None
    assert found.ids.tolist() == expected["input_ids"]
    assert found.graded.astype(int).tolist() == expected["assistant_masks"]


TRAINED = ("qwen3", "qwen3_instruct_2507", "llama3", "gemma", "gemma3", "cohere", "lfm2")


@pytest.mark.parametrize("name", TRAINED)
def test_trls_marks_and_our_own_reading_of_its_templates_agree(name: str) -> None:
    import trl

    folder = Path(trl.__file__).parent / "chat_templates"
    if not (folder / f"{name}_training.jinja").is_file():
        pytest.skip(f"this TRL has no {name}")
    source = (folder / f"{name}_training.jinja").read_text("utf-8")
    bare = re.sub(r"\{%(-?)\s*endgeneration\s*(-?)%\}", r"{%\1 endif \2%}", source)
    bare = re.sub(r"\{%(-?)\s*generation\s*(-?)%\}", r"{%\1 if true \2%}", bare)
    assert bare != source
    example = chat("u:Hi", "a:Hello!", "u:Bye", "a:Ciao")
    texts = []
    for template in (source, bare):
        tokens = _with(template, ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|END_OF_TURN_TOKEN|>"))
        texts.append(shown(tokens, sound(marked(tokens, [example]))[0]))
    assert texts[0] == texts[1]
    assert texts[0].count("⟦") == 2


def test_an_answer_that_the_template_leaves_out_is_an_error() -> None:
    call = Message(role="assistant", tool_calls=(CALL,))
    found = marked(tokenizer(CHATML), [chat("u:Hi", call)])[0]
    assert isinstance(found, HanlinError)
    assert "'find'" in found.what
    parts = "{% for m in messages %}{% for part in m.content if part.text %}{{ part.text }}{% endfor %}</s>{% endfor %}"
    assert isinstance(marked(tokenizer(parts), [chat("u:Hi", "a:Ho")])[0], HanlinError)


def _with(template: str, ends: tuple[str, ...]) -> Tokenizer:
    from tokenizers import AddedToken
    from tokenizers import Tokenizer as Backend

    built = Backend.from_str(tokenizer().backend.to_str())
    built.add_special_tokens([AddedToken(end, special=True) for end in ends])
    eos = tuple(built.token_to_id(end) for end in ends)
    return Tokenizer(built, built.get_vocab_size(), eos=eos, template=ChatTemplate(template, {"bos_token": "<s>"}))


@pytest.mark.parametrize("name", ["smollm2", "qwen2.5-coder-0.5b"])
def test_real_models_are_graded_on_answers_and_their_ends(
    name: str, resource: Callable[[str], Path], smollm2: Path
) -> None:
    path = smollm2 if name == "smollm2" else next(resource(name).glob("*.gguf"))
    tokens = from_metadata(GGUFFile.open(path).metadata)
    example = chat("u:  2 < 3? 你好 👋🏽\n", "a:\n\nYes 👋🏽。 It is.\n", "u:Thanks", "a: You're welcome")
    found = sound(marked(tokens, [example]))[0]
    assert found.ids.tolist() == tokens.chat(example.messages, add_generation_prompt=False)
    told = shown(tokens, found)
    answers = [part.split("⟧")[0] for part in told.split("⟦")[1:]]
    assert [answer.strip("\n") for answer in answers] == [
        "Yes 👋🏽。 It is.\n<|im_end|>",
        " You're welcome<|im_end|>",
    ]
    assert answers[0].startswith("\n\n")


@pytest.mark.parametrize("post", [False, True])
def test_places_of_tokens_hold_white_space_whatever_the_tokenizer_does_to_them(post: bool) -> None:
    from tokenizers import Tokenizer as Backend
    from tokenizers import processors

    built = Backend.from_str(tokenizer().backend.to_str())
    if post:
        built.post_processor = processors.ByteLevel(trim_offsets=True)
    tokens = Tokenizer(built, built.get_vocab_size(), eos=tokenizer().eos, template=ChatTemplate(CHATML))
    example = chat("u:Hi", "a:\n\n  a \n\nb\n\n")
    assert shown(tokens, sound(marked(tokens, [example]))[0]).endswith("⟦\n\n  a \n\nb\n\n<|im_end|>⟧\n")
    assert (built.post_processor is not None) == post


def test_a_completion_is_graded_and_the_end_after_it_but_not_the_prompt() -> None:
    tokens = tokenizer()
    found = Objective().encode([Completion("One, two,", " the end"), Completion("One", "")], tokens, 8)
    assert isinstance(found[0], Marked)
    assert shown(tokens, found[0]) == "One, two,⟦ the end<|im_end|>⟧"
    assert isinstance(found[1], HanlinError)
    everything = sound(Objective(train_on="all").encode([TALK, Completion("a", "b")], tokens, 8))
    assert all(entry.graded is None for entry in everything)


def test_chats_and_completions_keep_their_order() -> None:
    tokens = tokenizer()
    mixed = [Completion("a", "b"), TALK, Completion("c", "d")]
    found = sound(Objective().encode(mixed, tokens, 8))
    alone = [sound(Objective().encode([example], tokens, 8))[0] for example in mixed]
    assert all(np.array_equal(one.ids, other.ids) for one, other in zip(found, alone, strict=True))
