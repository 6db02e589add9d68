"""Constrained decoding: what a finished answer is, it is by rule, however wild the draw; what cannot be is an error."""

import json
import re
import sys
import threading
from collections.abc import Callable
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models

from hanlin import Model, load
from hanlin.core.errors import CapacityError, ConfigError, HanlinError, RefusedError
from hanlin.infer.constraint import Constraint, any_json, grammar, json_schema, regex
from hanlin.infer.generate import generate
from hanlin.infer.guide import guide
from hanlin.infer.sampling import Sampling
from hanlin.text.tokenizer import Tokenizer
from infer import tiny

TOKENIZER = tiny.tokenizer()
NETWORK = tiny.network(TOKENIZER)
WILD = {"max_tokens": 60, "temperature": 1.5, "seed": 1}


def answers(constraint: Constraint, tokenizer: Tokenizer = TOKENIZER, **given: Any) -> list[tuple[str, str | None]]:
    """Text and finish of each answer of the tiny network."""
    sampling = Sampling.model_validate({**WILD, **given})
    events = list(generate(NETWORK, tokenizer, [104, 101], sampling, constraint))
    mine = [[event for event in events if event.index == index] for index in range(sampling.n)]
    return [("".join(event.text for event in answer), answer[-1].finish) for answer in mine]


def accepts(constraint: Constraint, text: str) -> bool:
    """Whether an answer may be this text, byte by byte."""
    at = guide(constraint, TOKENIZER, TOKENIZER.vocab_size)
    for byte in text.encode():
        logits = np.zeros(TOKENIZER.vocab_size, np.float32)
        at.mask(logits)
        if logits[byte] != 0:
            return False
        at.accept(byte)
    logits = np.zeros(TOKENIZER.vocab_size, np.float32)
    at.mask(logits)
    return at.is_finished or bool(logits[TOKENIZER.eos[0]] == 0)


KEYS = st.sampled_from(["a", "名", "b c"])
NUMBERS = st.integers(-20, 20)
PLAIN = st.one_of(
    st.just({"type": "null"}),
    st.just({"type": "boolean"}),
    st.builds(lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more}, NUMBERS, st.integers(0, 9)),
    st.just({"type": "number", "exclusiveMinimum": 0, "maximum": 3.5}),
    st.builds(
        lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more}, *[st.integers(0, 2)] * 2
    ),
    st.just({"type": "string", "pattern": "^[a-c]{1,3}$"}),
    st.just({"type": "string", "format": "date"}),
    st.lists(st.one_of(st.text('a翰🙂"\\/\n', max_size=3), NUMBERS, st.none()), min_size=1, max_size=3).map(
        lambda values: {"enum": values}
    ),
    st.just({}),
)


def _object(inner: dict[str, Any], required: set[str], others: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": inner, "required": sorted(required & inner.keys())}
    return {**schema, "additionalProperties": others}


SCHEMAS = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.builds(_object, st.dictionaries(KEYS, inner, max_size=2), st.sets(KEYS), st.just(False) | inner),
        st.builds(
            lambda items, low, more: {"type": "array", "items": items, "minItems": low, "maxItems": low + more},
            inner,
            *[st.integers(0, 2)] * 2,
        ),
        st.lists(inner, min_size=1, max_size=2).map(lambda some: {"anyOf": some}),
        st.tuples(inner, inner).map(
            lambda two: {"type": "array", "prefixItems": [*two], "items": False, "minItems": 2}
        ),
    ),
    max_leaves=4,
)


@given(SCHEMAS, st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_every_finished_answer_satisfies_a_random_schema(schema: dict[str, Any], seed: int) -> None:
    for text, finish in answers(
        json_schema(schema), seed=seed, n=3, logit_bias={32: -3, 9: -5, 10: -5, 13: -5, 259: -5}
    ):
        assert finish in ("stop", "length")
        if finish == "stop":
            jsonschema.validate(json.loads(text), schema, jsonschema.Draft202012Validator)
            text.encode()


def test_random_schemas_are_often_answered_in_full() -> None:
    """The claim above would hold of answers that never end."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "boolean"}}, "required": ["a"]}
    ends = [
        finish for _, finish in answers(json_schema({**schema, "additionalProperties": False}), n=12, max_tokens=62)
    ]
    assert ends.count("stop") >= 4
    assert [text for text, _ in answers(json_schema({"type": "boolean"}), n=20)].count("true") in range(1, 20)


PATTERNS = [
    "(cat|dog)s?",
    "[0-9]{3}-[0-9]{2}",
    "a*b+c?",
    "[一-龥]{1,3}。",
    r"\d{1,2}(\.\d+)?",
    "x|xy|xyz",
    "(?i)hello",
    "",
]


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize(
    "how", [{}, {"temperature": 0}, {"top_k": 3, "min_p": 0.1, "typical_p": 0.9, "xtc_probability": 1}]
)
def test_a_finished_answer_matches_its_pattern_whatever_the_sampler(pattern: str, how: dict[str, Any]) -> None:
    for text, finish in answers(regex(pattern), n=3, dry_multiplier=1, frequency_penalty=1, **how):
        if finish == "stop":
            assert re.fullmatch(pattern, text)


@pytest.mark.parametrize(
    ("constraint", "only"),
    [
        (json_schema({"const": {"名": "翰林🙂", "n": [1, None]}, "x-note": 1}), None),
        (regex("翰林院"), "翰林院"),
        (grammar('start: "hello" world\nworld: " the" | "a" world world'), None),
        (json_schema({"type": "integer", "minimum": 7, "maximum": 7}), "7"),
        (json_schema("true"), None),
    ],
    ids=["const", "regex", "grammar", "integer", "any"],
)
def test_a_constraint_with_one_answer_gives_exactly_it(constraint: Constraint, only: str | None) -> None:
    for seed in range(3):
        ((text, finish),) = answers(
            constraint, seed=seed, logit_bias={9: -20, 10: -20, 13: -20, 32: -20, 97: -20, 259: -20}
        )
        if only is None and constraint.kind == "grammar":
            assert text.startswith("hello")
        elif only is None and constraint.source == "{}":
            assert finish == "length" or json.loads(text) is not Ellipsis
        elif only is None:
            assert json.loads(text) == json.loads(constraint.source)["const"]
        else:
            assert (text, finish) == (only, "stop")


def test_a_cut_answer_says_length_and_a_stop_text_stops() -> None:
    assert answers(regex("a{20}"), max_tokens=4, banned_tokens=(256, 258)) == [("aaaa", "length")]
    assert answers(regex("a{4}"), max_tokens=4) == [("aaaa", "stop")], "whole with its last token"
    assert answers(regex("xxab!"), stop=["b!"]) == [("xxa", "stop")]
    many = answers(regex("(ab|c){1,9}d"), n=4)
    assert many == [answers(regex("(ab|c){1,9}d"), seed=1 + place)[0] for place in range(4)]


def test_sentencepiece_tokens_keep_their_leading_space_and_broken_bytes_never_come() -> None:
    pieces = ["<unk>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "▁yes", "yes", "▁no"]
    vocabulary = {piece: place for place, piece in enumerate(pieces)}
    backend = Backend(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True))
    stages = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    backend.decoder = decoders.Sequence(stages)
    backend.add_special_tokens(["<unk>", "</s>"])
    tokenizer = Tokenizer(backend, backend.get_vocab_size(), eos=(1,))
    for seed in range(5):
        assert answers(regex(" yes| no"), tokenizer, seed=seed)[0][0] in (" yes", " no")
        assert answers(regex("林"), tokenizer, seed=seed) == [("林", "stop")]
    endless = Tokenizer(backend, backend.get_vocab_size(), eos=())
    assert answers(regex("yes"), endless) == [("yes", "stop")], "without any end token"


REFUSED: dict[str, Callable[[], Constraint]] = {
    "'not'": lambda: json_schema({"type": "object", "properties": {"a": {"not": {}}}}),
    "'uniqueItems'": lambda: json_schema({"type": "array", "uniqueItems": True}),
    "'if'": lambda: json_schema({"if": {}, "then": {}}),
    "did you mean 'minLength'": lambda: json_schema({"type": "string", "minLenght": 3}),
    "'x-guidance'": lambda: json_schema({"x-guidance": {"lenient": True}}),
    "oneOf": lambda: json_schema({"oneOf": [{"type": "number"}, {"type": "integer"}]}),
    "minProperties": lambda: json_schema({"type": "object", "minProperties": 2}),
    "exclusiveMinimum": lambda: json_schema({"minimum": 3, "exclusiveMinimum": True}),
    "items": lambda: json_schema({"items": [{"type": "integer"}]}),
    "Unknown format: phone": lambda: json_schema({"type": "string", "format": "phone"}),
    "minimum .5. is greater": lambda: json_schema({"type": "integer", "minimum": 5, "maximum": 3}),
    "look-around": lambda: json_schema({"type": "string", "pattern": "(?=a)"}),
    "json_schema: no JSON": lambda: json_schema(False),
    "is no JSON": lambda: json_schema('{"type": '),
    "no JSON schema": lambda: json_schema("[1]"),
    "nested": lambda: json_schema('{"items":' * 20_000 + "{}" + "}" * 20_000),
    "recursion": lambda: json_schema('{"items":' * 400 + "{}" + "}" * 400),
    "different": lambda: json_schema({"allOf": [{"$ref": f"#/$defs/{place}"} for place in range(101)]}),
    "no JSON of finite": lambda: json_schema({"properties": {"a": {"$ref": "#"}}, "required": ["a"], "type": "object"}),
    "control character": lambda: json_schema({"enum": ["\x01"]}),
    "unclosed group": lambda: regex("("),
    "backreferences": lambda: regex(r"(a)\1"),
    "characters": lambda: regex("a" * 300_000),
    "half a character": lambda: regex("\ud800"),
    "no text of finite": lambda: grammar('start: "a" start | b\nb: ("x" b) "y"'),
    "no start rule": lambda: grammar('root: "a"'),
    "unknown name": lambda: grammar("start: nobody"),
    "temperature": lambda: grammar("start[temperature=0.5]: /a/"),
    "not Lark": lambda: grammar('{"grammars": [{"json_schema": {"x-guidance": {"lenient": true}}}]}'),
    "'contains'": lambda: grammar('start: %json {"contains": {}}'),
    "201 rules": lambda: grammar("\n".join(f"r{place}: r{place + 1}" for place in range(201))),
}


@pytest.mark.parametrize("told", REFUSED)
def test_what_cannot_be_enforced_is_refused_by_name_before_any_work(told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        REFUSED[told]()
    assert caught.value.fix
    assert len(caught.value.what) < 500


@pytest.mark.parametrize("pattern", [r"[^\s\S]", r"[^\s\S]a"])
def test_what_only_the_vocabulary_shows_is_refused_at_the_call(pattern: str) -> None:
    with pytest.raises(ConfigError, match="nothing satisfies it"):
        generate(NETWORK, TOKENIZER, [104], Sampling(max_tokens=9), regex(pattern))
    with pytest.raises(ConfigError, match="unknown special token"):
        generate(NETWORK, TOKENIZER, [104], Sampling(max_tokens=9), grammar("start: <nobody>"))


def test_a_dead_end_on_the_way_is_an_error_and_no_answer() -> None:
    with pytest.raises(RefusedError, match="nothing to say"):
        answers(grammar(r'start: "a" /[^\s\S]/'))


@pytest.mark.parametrize(
    "source",
    [
        'start: "a" start | "b"',
        'start: x? y*\nx: x\ny: y "z"',
        'start: (bad | "ok") ["in" bad]\nbad: "-" bad',
        '# rules\nstart: item+ // one or more\n\nitem: "a"i\n    | /[b:c]/\n',
        '%import common.INT\n%ignore / /\nstart: INT ("," INT)*',
        'start: bad{0,2} "x" bad~0..1\nbad: "y" bad',
    ],
)
def test_a_grammar_that_ends_some_way_is_no_endless_one(source: str) -> None:
    assert grammar(source).source == source


def test_recursive_schemas_that_may_end_are_taken() -> None:
    tree = {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#"}}}, "required": ["kids"]}
    assert accepts(json_schema(tree), '{"kids": [{"kids": []}]}')
    either = {"anyOf": [{"$ref": "#/$defs/a~1b"}, {"type": "null"}], "$defs": {"a/b": {"$ref": "#"}}}
    assert json_schema(either).kind == "json_schema"


def test_white_space_is_bounded_and_a_key_has_one_spelling() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": {"type": "string"}}
    assert accepts(any_json(), "{" + " " * 40 + "}")
    assert not accepts(any_json(), "{" + " " * 41 + "}")
    assert accepts(json_schema(schema), '{"a": 1, "名": "林"}')
    assert not accepts(json_schema(schema), r'{"\u0061": "x"}')
    assert not accepts(json_schema(schema), '{"a": "x"}')
    assert not accepts(any_json(), r'"\ud83d"')


@pytest.mark.parametrize(
    "pattern", ["(a{1000}){1000}", "a{100000}", "(.*a.*){50}", "(x+x+)+y", "((a{1,99}){1,99}){1,99}"]
)
def test_large_patterns_are_read_or_refused_in_bounded_time(pattern: str) -> None:
    import time

    began = time.process_time()
    try:
        answers(regex(pattern), max_tokens=5)
    except HanlinError as error:
        assert isinstance(error, ConfigError | CapacityError)
    assert time.process_time() - began < 10


def test_the_deepest_constraints_that_are_taken_fit_the_stack_of_a_small_thread() -> None:
    chain = {f"a{place}": {"type": "array", "items": {"$ref": f"#/$defs/a{place + 1}"}} for place in range(99)}
    rules = "\n".join(["start: r0", *(f"r{place}: r{place + 1}" for place in range(198)), 'r198: "x"'])
    done: list[bool] = []

    def work() -> None:
        schema = json_schema({"$ref": "#/$defs/a0", "$defs": {**chain, "a99": {"type": "null"}}})
        done.append(bool(guide(schema, TOKENIZER, 267)))
        done.append(bool(guide(grammar(rules), TOKENIZER, 267)))

    before = threading.stack_size(1 << 20)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert len(done) == 2


@pytest.fixture(scope="module")
def model(smollm2: object) -> Model:
    return load()


PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def test_the_default_model_writes_the_json_that_was_asked_for(model: Model) -> None:
    question = [{"role": "user", "content": "Tell me about Ada Lovelace, aged 36, as JSON."}]
    events = list(model.chat(question, constraint=json_schema(PERSON), max_tokens=60))
    person = json.loads("".join(event.text for event in events))
    jsonschema.validate(person, PERSON)
    assert (person["name"].split()[0], events[-1].finish) == ("Ada", "stop")


def test_the_default_model_writes_chinese_and_choices(model: Model) -> None:
    text = "".join(event.text for event in model.generate("首都：", constraint=regex("[一-龥]{2,4}"), max_tokens=20))
    assert re.fullmatch("[一-龥]{2,4}", text)
    asked = "Question: what is the capital of France? Answer:"
    said = model.generate(asked, constraint=regex(" (London|Paris|Rome)"), max_tokens=9)
    assert "".join(event.text for event in said) == " Paris"


def test_a_mask_of_the_whole_vocabulary_takes_well_under_a_millisecond(model: Model) -> None:
    import time

    at = guide(json_schema(PERSON), model.tokenizer, model.config.vocabulary)
    logits = np.zeros(model.config.vocabulary, np.float32)
    best = sys.float_info.max
    for token in model.tokenizer.encode('{"name": "Ada Lovelace", "age": 36', add_special=False):
        began = time.process_time()
        at.mask(logits)
        at.accept(token)
        best = min(best, time.process_time() - began)
    assert best < 0.002
