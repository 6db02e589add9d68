"""Hugging Face folders: read as Transformers reads them, written so that it reads them, damage told by its file."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hanlin.core.errors import StoreError, TokenizerError
from hanlin.text.folder import load_folder, save_folder
from hanlin.text.template import ChatTemplate
from hanlin.text.tokenizer import Tokenizer
from text.conftest import Pair
from text.torture import TEXTS

HI = [{"role": "user", "content": "hi"}]


def same_ids(ours: Tokenizer, folder: Path, texts: dict[str, str] = TEXTS) -> None:
    """Ids, and decoding, equal AutoTokenizer's."""
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(folder)
    for case, text in texts.items():
        tokens = ours.encode(text)
        assert tokens == theirs.encode(text), case
        assert ours.decode(tokens, skip_special=True) == theirs.decode(tokens, skip_special_tokens=True), case


def written(folder: Path, name: str, value: Any) -> None:
    (folder / name).write_text(value if isinstance(value, str) else json.dumps(value), "utf-8")


@pytest.fixture
def folder(gpt2_style: Path, tmp_path: Path) -> Path:
    """A GPT-2-style folder with a tokenizer.json, to change at will."""
    save_folder(load_folder(gpt2_style), tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["smollm2", "qwen2.5", "minilm", "gpt2-style"])
def test_what_is_saved_loads_the_same_here_and_in_transformers(
    name: str, pairs: Callable[[str], Pair], tmp_path: Path
) -> None:
    ours = pairs(name).ours
    save_folder(ours, tmp_path)
    again = load_folder(tmp_path)
    same_ids(again, tmp_path)
    assert (again.bos, again.eos, again.pad, again.unk) == (ours.bos, ours.eos[:1], ours.pad, ours.unk)
    assert again.vocab_size == ours.vocab_size
    if ours.template:
        assert again.template is not None
        assert again.template.render(HI) == ours.template.render(HI)
    else:
        assert again.template is None


def test_vocab_json_and_merges_are_read_as_gpt2_tokenizer_reads_them(gpt2_style: Path) -> None:
    ours = load_folder(gpt2_style)
    same_ids(ours, gpt2_style)
    assert (ours.bos, ours.eos, ours.unk) == (0, (0,), 0)


def test_vocab_json_and_merges_are_read_as_qwen2_tokenizer_reads_them(gpt2_style: Path, tmp_path: Path) -> None:
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(gpt2_style / name, tmp_path)
    written(tmp_path, "tokenizer_config.json", {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>"})
    ours = load_folder(tmp_path)
    same_ids(ours, tmp_path)
    assert [ours.backend.id_to_token(at) for at in ours.eos] == ["<|im_end|>"]


@pytest.mark.parametrize("config", [{}, {"do_lower_case": False}, {"strip_accents": True, "do_lower_case": False}])
def test_vocab_txt_is_read_as_bert_tokenizer_reads_it(minilm: Path, tmp_path: Path, config: dict[str, Any]) -> None:
    shutil.copy(minilm / "vocab.txt", tmp_path)
    written(tmp_path, "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", **config})
    same_ids(load_folder(tmp_path), tmp_path)


def test_special_tokens_match_and_take_spaces_as_in_transformers(folder: Path) -> None:
    entry = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    added = {"0": {**entry, "content": "<|endoftext|>"}, "700": {**entry, "content": "<left>", "lstrip": True}}
    added |= {
        "701": {**entry, "content": "<right>", "rstrip": True},
        "702": {**entry, "content": "wor", "single_word": True},
    }
    added |= {"703": {**entry, "content": "plain text", "special": False, "normalized": True}}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "added_tokens_decoder": added, "eos_token": "<|endoftext|>"}
    config |= {"pad_token": "<new pad>", "additional_special_tokens": ["<left>", "<another>"], "image_token": "<image>"}
    written(folder, "tokenizer_config.json", config)
    texts = {"marks": "a <left> b <right> c wor world plain text<new pad> <another><image> <|endoftext|>", **TEXTS}
    ours = load_folder(folder)
    same_ids(ours, folder, texts)
    assert [ours.backend.id_to_token(at) for at in (ours.pad, *ours.eos)] == ["<new pad>", "<|endoftext|>"]


def test_older_folders_list_their_tokens_in_files_of_their_own(folder: Path) -> None:
    written(folder, "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
    named = {"eos_token": {"content": "<end>", "lstrip": False}, "unk_token": "<unk>"}
    written(folder, "special_tokens_map.json", named)
    written(folder, "added_tokens.json", {"<end>": 700, "<think>": 701})
    ours = load_folder(folder)
    same_ids(ours, folder, {"marks": "a<end><think> <unk>"})
    assert ours.eos == (ours.backend.token_to_id("<end>"),)


@pytest.mark.parametrize("flags", [(True, True), (True, False), (False, False)])
def test_marks_around_a_text_are_the_configs_unless_tokenizer_json_has_them(
    folder: Path, gpt2_style: Path, flags: tuple[bool, bool]
) -> None:
    config = {"tokenizer_class": "GPT2Tokenizer", "bos_token": "<s>", "eos_token": "<|endoftext|>"}
    written(folder, "tokenizer_config.json", {**config, "add_bos_token": flags[0], "add_eos_token": flags[1]})
    same_ids(load_folder(folder), folder, {"one": "hello", "none": ""})
    assert load_folder(folder).encode("") == []
    (folder / "tokenizer.json").unlink()
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(gpt2_style / name, folder)
    same_ids(load_folder(folder), folder, {"one": "hello", "none": ""})
    assert len(load_folder(folder).encode("")) == sum(flags)


def test_the_ends_of_a_text_come_from_the_generation_config_first(folder: Path) -> None:
    assert load_folder(folder).eos == (0,)
    written(folder, "config.json", {"model_type": "gpt2", "eos_token_id": 5, "bos_token_id": 3})
    assert load_folder(folder).eos == (5,)
    written(folder, "generation_config.json", {"eos_token_id": [7, 0, 9, 10**9]})
    assert load_folder(folder).eos == (0, 7, 9)  # the tokenizer's own comes first; ids beyond the vocabulary are none


def test_templates_are_found_wherever_transformers_finds_them(folder: Path) -> None:
    from transformers import AutoTokenizer

    def check(*tools: Any) -> None:
        template, theirs = load_folder(folder).template, AutoTokenizer.from_pretrained(folder)
        assert template is not None
        for tool in tools:
            rendered = theirs.apply_chat_template(HI, tools=tool, tokenize=False, add_generation_prompt=True)
            assert template.render(HI, tools=tool) == rendered

    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>", "image_token": "<image>"}
    source = "config {{ eos_token }}{{ image_token }}{{ tools }}"
    written(folder, "tokenizer_config.json", {**config, "chat_template": source})
    check(None, [{"a": 1}])
    named = [{"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"}]
    written(folder, "tokenizer_config.json", {**config, "chat_template": named})
    check(None, [{"a": 1}])
    written(folder, "chat_template.jinja", "file {{ messages[0].content }}\r\n")
    check(None, [{"a": 1}])
    (folder / "additional_chat_templates").mkdir()
    written(folder, "additional_chat_templates/tool_use.jinja", "more {{ tools|length }}")
    check(None, [{"a": 1}])
    ours = load_folder(folder)
    save_folder(ours, folder / "again")
    assert load_folder(folder / "again").template == ours.template


def test_a_folder_with_special_templates_only_says_so_when_asked(folder: Path) -> None:
    written(folder, "tokenizer_config.json", {"chat_template": [{"name": "tool_use", "template": "t"}]})
    template = load_folder(folder).template
    assert template is not None
    assert template.render(HI, tools=[]) == "t"
    with pytest.raises(TokenizerError, match="none of them is the default"):
        template.render(HI)


def test_names_of_templates_cannot_lead_out_of_the_folder(folder: Path) -> None:
    ours = load_folder(folder)
    evil = ChatTemplate("a", {}, {"../../evil": "b", "/tmp/evil": "c"})
    save_folder(Tokenizer(ours.backend, ours.vocab_size, template=evil), folder / "in" / "here")
    assert sorted(path.name for path in folder.rglob("*evil*")) == ["______evil.jinja", "_tmp_evil.jinja"]
    assert {path.parent.name for path in folder.rglob("*evil*")} == {"additional_chat_templates"}


def test_a_folder_that_cannot_be_written_is_told(folder: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        save_folder(load_folder(folder), folder / "tokenizer.json" / "below")


REST = '"unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 9}}'
LOST = """"post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x", "type_id": 0}},
 {"Sequence": {"id": "A", "type_id": 0}}], "pair": [], "special_tokens": {}}}"""
"""A rule that adds a token which the file does not explain."""
DAMAGED = {
    "is damaged: WordPiece error": {"tokenizer.json": '{"model": {"type": "WordPiece", "vocab": {"b": 0}, ' + REST},
    "is damaged: no entry": {"tokenizer.json": '{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, ' + LOST},
    "no tokenizer": {"tokenizer.json": None},
    "is damaged": {"tokenizer.json": '{"version": "1.0", "model": {}}'},
    "tokenizer.* is damaged": {"tokenizer.json": '{"version": "1.0", "trunc'},
    "cannot be read": {"tokenizer_config.json": "{"},
    "not an object": {"tokenizer_config.json": "[1]"},
    "config.json cannot be read": {"generation_config.json": "\udcff"},
    "is not a token": {"tokenizer_config.json": '{"eos_token": 7}'},
    "[0-9]+ is not a token": {"tokenizer_config.json": '{"additional_special_tokens": [7]}'},
    "list of added tokens": {"tokenizer_config.json": '{"added_tokens_decoder": {"x": {}}}'},
    "added tokens in": {"added_tokens.json": '{"a": 1, "b": "c"}'},
    "a chat template": {"tokenizer_config.json": '{"chat_template": [{"name": "default"}]}'},
    "chat template in .* cannot be read": {"chat_template.jinja": "\udcff"},
    "whose rules Hanlin does not know": {"tokenizer.json": None, "vocab.json": "{}", "merges.txt": ""},
    "brackets": {"tokenizer_config.json": "[" * 100_000},
}


@pytest.mark.parametrize("told", DAMAGED)
def test_damage_is_told_by_its_file(folder: Path, told: str) -> None:
    for name, text in DAMAGED[told].items():
        if text is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(TokenizerError, match=told if told != "brackets" else "cannot be read") as caught:
        load_folder(folder)
    assert caught.value.fix
