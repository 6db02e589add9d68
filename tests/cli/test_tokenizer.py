"""`hanlin tokenizer`: from files to a folder that others read, and two lines for whatever is no corpus."""

import json
import sys
from pathlib import Path

import pytest

from hanlin.cli.main import main
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.load import load
from hanlin.model.save import save_folder
from hanlin.text.folder import load_folder
from infer import tiny

POEM = "床前明月光，疑是地上霜。\n舉頭望明月，低頭思故鄉。\n"


@pytest.fixture
def hanlin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """`hanlin("train", …)` is the exit code, what was printed and what was said."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hanlin", "tokenizer", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A folder with text, rows, an image and something hidden."""
    folder = tmp_path / "mixed"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "config").write_text("hidden hidden hidden")
    (folder / "a.md").write_text("The moon, the moon, the moon. " * 20, "utf-8")
    rows = [json.dumps({"body": POEM, "n": number}, ensure_ascii=False) for number in range(20)]
    (folder / "b.jsonl").write_text("\n".join(rows), "utf-8")
    (folder / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    return folder


def test_train_reads_a_folder_and_says_what_it_left_out(hanlin, mixed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, printed, said = hanlin("train", mixed, "--vocab", 300, "--column", "body", "--out", out, "--json")
    told = json.loads(printed)
    assert code == 0, said
    assert (told["tokens"], told["files"], told["gguf"]) == (300, 2, "yes")
    assert "1 files that are no text are left out: 1 .png" in said
    tokenizer = load_folder(out)
    assert len(tokenizer.encode("The moon")) <= 3
    assert len(tokenizer.encode("明月")) < 6
    assert "hidden" not in tokenizer.backend.get_vocab()
    assert hanlin("train", mixed, "--column", "body", "--out", out)[0] == 2
    code, printed, said = hanlin("train", mixed, "--column", "body", "--out", out, "--force", "--cjk", "apart")
    assert code == 0
    assert "stays in the Hugging Face format" in said


def test_the_same_files_give_the_same_bytes(hanlin, mixed: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        arguments = (str(mixed / "*.md"), mixed / "a.md", "--kind", "wordpiece", "--vocab", 530)
        assert hanlin("train", *arguments, "--out", tmp_path / name)[0] == 0
    files = ("tokenizer.json", "tokenizer_config.json")
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files)


HOSTILE = {
    "an empty file": ("x.txt", b"", "the corpus is empty"),
    "zero bytes": ("x.txt", b"text\0text", "x.txt is not text: it has a zero byte"),
    "another encoding": ("x.txt", "好".encode("gbk") * 9, "x.txt is not UTF-8 text: byte 0 is 0xba"),
    "a row that is cut": ("x.jsonl", b'{"text": "a"}\n{"text": "b', "x.jsonl:2 is not JSON"),
    "a row that is a list": ("x.jsonl", b"[1]\n", "x.jsonl:1 holds [1], not an object"),
    "a row without the column": ("x.jsonl", b'{"txet": "a"}\n', "x.jsonl:1 has no column 'text'"),
    "a column of numbers": ("x.jsonl", b'{"text": 3}\n', "x.jsonl:1: text is 3, not text"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_no_corpus_is_told_in_two_lines(hanlin, case: str, tmp_path: Path) -> None:
    name, content, what = HOSTILE[case]
    (tmp_path / name).write_bytes(content)
    code, _, said = hanlin("train", tmp_path / name, "--out", tmp_path / "out")
    lines = said.strip().splitlines()
    assert code == 2
    assert what in lines[-2], said
    assert lines[-1].startswith("  fix: ")
    assert not (tmp_path / "out").exists()


def test_folders_of_images_missing_files_and_vocabularies_without_room(hanlin, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    (images / "a.jpg").write_bytes(b"\xff\xd8\0\0")
    text = tmp_path / "text.txt"
    text.write_text("some text")
    for arguments, what in [
        ((images,), "has no text in it: 1 .jpg"),
        ((tmp_path / "none.txt",), "there is no file"),
        ((text, "--vocab", 100), "vocabulary = 100 has no room"),
        ((text, "--vocab", 3), "vocabulary = 3"),
        ((text, "--kind", "unigram", "--min-frequency", 2), "means nothing to kind = 'unigram'"),
    ]:
        code, _, said = hanlin("train", *arguments, "--out", tmp_path / "out")
        assert (code, what in said, "  fix: " in said) == (2, True, True), said


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A tiny model's folder."""
    tokenizer = tiny.tokenizer()
    network = tiny.network(tokenizer)
    save_folder(Checkpoint(network, network.config, "llama", tokenizer), tmp_path / "model")
    return tmp_path / "model"


def test_extend_learns_from_a_corpus_and_a_list(hanlin, model: Path, tmp_path: Path) -> None:
    corpus, listed = tmp_path / "corpus.txt", tmp_path / "list.txt"
    corpus.write_text(POEM * 6000, "utf-8")
    listed.write_text("Hanlin\nllo\n", "utf-8")
    out = tmp_path / "out"
    code, printed, said = hanlin(
        "extend", model, "--corpus", corpus, "--tokens", listed, "--add", 9, "--out", out, "--json"
    )
    assert code == 0, said
    told = json.loads(printed)
    assert told["added"] == 10
    assert "1 tokens are in the vocabulary already: llo" in said
    assert told["held_out_tokens"] < told["held_out_tokens_before"]
    assert 0 < told["bits_per_byte"] < 100
    made = load(out)
    assert made.tokenizer is not None
    assert made.config.vocabulary == max(load(model).config.vocabulary, made.tokenizer.vocab_size)
    assert made.tokenizer.decode(made.tokenizer.encode(POEM)) == POEM
    code, _, said = hanlin("extend", model, "--out", tmp_path / "other")
    assert (code, "there is nothing to add" in said) == (2, True)


def test_compare_counts_by_language_and_says_what_is_lost(hanlin, mixed: Path, tmp_path: Path) -> None:
    for name, more in {"bytes": (), "lossy": ("--unk", "<unk>")}.items():
        kind = ("--kind", "characters", "--vocab", 280, "--out", tmp_path / name)
        assert hanlin("train", mixed / "a.md", *kind, *more)[0] == 0
    text = tmp_path / "held.txt"
    text.write_text("The moon.\n" + POEM, "utf-8")
    code, printed, said = hanlin("compare", tmp_path / "bytes", tmp_path / "lossy", "--on", text, "--json")
    assert code == 0
    told = {(row["language"], Path(row["tokenizer"]).name): row for row in json.loads(printed)["figures"]}
    assert told["English", "bytes"]["tokens"] == len("The moon.\n")
    assert told["Chinese", "bytes"]["tokens"] == len(POEM.encode())
    assert told["Chinese", "lossy"]["unknown"] > 20
    assert "lossy loses" in said
    assert "bytes loses" not in said
    code, printed, _ = hanlin("compare", tmp_path / "bytes", "--on", text)
    assert [line.split()[0] for line in printed.splitlines()[:4]] == ["language", "English", "Chinese", "all"]
