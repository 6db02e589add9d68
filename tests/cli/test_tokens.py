"""`hanlin tokens`: the ids are the tokenizer's own whatever the text's length, and the round trip is told truly."""

import io
import json
import sys
from pathlib import Path

import pytest
from tokenizers import normalizers, processors

from hanlin.cli.main import main
from hanlin.cli.tokenise import RoundTrip, Sums, around, tokens_of
from hanlin.cli.vocabulary import tokenizer_of
from hanlin.text.tokenizer import Tokenizer
from infer import tiny

TEXT = 'The cat\n你好，翰林院 👩‍🔬\t<|im_start|> "quoted"'


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["hanlin", "tokens", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code if isinstance(ended.value.code, int) else 1


@pytest.fixture
def lossy(tmp_path: Path) -> Path:
    """A folder with a tokenizer that lowers letters, and puts marks around a text."""
    backend = tiny.tokenizer().backend
    backend.normalizer = normalizers.Lowercase()
    marks = [(mark, backend.token_to_id(mark)) for mark in ("<turn>", "<end>")]
    backend.post_processor = processors.TemplateProcessing("<turn> $0 <end>", None, marks)
    backend.save(str(tmp_path / "tokenizer.json"))
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    return tmp_path


def test_ids_are_those_of_the_tokenizer(
    smollm2: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = tokenizer_of(smollm2)
    assert run(monkeypatch, "--ids", str(smollm2), TEXT) == 0
    assert capsys.readouterr().out.split() == [str(token) for token in tokenizer.encode(TEXT)]
    assert run(monkeypatch, "--ids", "--no-special", "-m", str(smollm2), TEXT) == 0
    plain = tokenizer.encode(TEXT, add_special=False, parse_special=False)
    assert capsys.readouterr().out.split() == [str(token) for token in plain]
    assert len(plain) > len(tokenizer.encode(TEXT))


def test_json_counts_agree_with_the_text(
    smollm2: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--json", str(smollm2), TEXT) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["counts"]["characters"], told["counts"]["bytes"]) == (len(TEXT), len(TEXT.encode()))
    assert told["counts"]["special"] == 1
    assert told["counts"]["tokens"] == len(told["tokens"]) == told["shown"]
    assert told["is_round_trip_exact"]
    assert b"".join(bytes.fromhex(row["bytes"]) for row in told["tokens"]).decode() == TEXT


def test_a_long_file_has_the_ids_of_the_whole_and_a_visible_limit(
    smollm2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "".join(f"Line {number}: the cat sat on 翰林院 {number * 7919}.\n" for number in range(1500))
    (tmp_path / "long.txt").write_text(text, "utf-8")
    tokenizer = tokenizer_of(smollm2)
    assert run(monkeypatch, "--ids", str(smollm2), str(tmp_path / "long.txt")) == 0
    assert capsys.readouterr().out.split() == [str(token) for token in tokenizer.encode(text)]
    assert run(monkeypatch, "--limit", "10", str(smollm2), str(tmp_path / "long.txt")) == 0
    page = capsys.readouterr().out
    assert "the first 10 tokens are shown" in page
    assert f"{len(tokenizer.encode(text)):,} tokens" in page
    assert len(page) < 3000


def test_spaces_line_breaks_halves_and_special_tokens_are_visible(
    smollm2: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, str(smollm2), "a b\n翰<|im_end|>") == 0
    page = capsys.readouterr().out
    for mark in ("␣b", "↵", "<E7>", "<|im_end|> special", "round trip: exact"):
        assert mark in page, mark


def test_a_tokenizer_that_loses_something_says_where(
    lossy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = tokenizer_of(lossy)
    turn, end = (tokenizer.backend.token_to_id(mark) for mark in ("<turn>", "<end>"))
    assert around(tokenizer) == ([turn], [end])
    assert run(monkeypatch, "--json", str(lossy), "abCd") == 0
    told = json.loads(capsys.readouterr().out)
    assert not told["is_round_trip_exact"]
    assert told["tokens"][0]["text"] == "<turn>"
    assert told["counts"]["special"] == 2
    assert run(monkeypatch, str(lossy), "abCd") == 0
    assert "differs at character 2: 'Cd' became 'cd'" in capsys.readouterr().out


def bytewise_difference(tokenizer: Tokenizer, text: str, tokens: list[int], size: int) -> object:
    check = RoundTrip(tokenizer)
    for at in range(0, max(len(text), len(tokens)), size):
        check.push(text[at : at + size], tokens[at : at + size])
    check.finish()
    return check.difference


def test_the_round_trip_does_not_depend_on_the_pieces() -> None:
    tokenizer = tiny.tokenizer()
    text = "abc翰林 the\n" * 9
    tokens = tokenizer.encode(text)
    wrong = tokenizer.encode(text.replace("翰", "汉"))
    for size in (1, 2, 7, 1000):
        assert bytewise_difference(tokenizer, text, tokens, size) is None
        difference = bytewise_difference(tokenizer, text, wrong, size)
        assert isinstance(difference, tuple)
        assert difference[0] == 3
    assert bytewise_difference(tokenizer, text + "!", tokens, 1000) == (len(text), "!", "")


def test_tokens_come_as_they_are_made() -> None:
    tokenizer = tiny.tokenizer()

    def endless():
        while True:
            yield "the cat sat on the mat\n" * 1000

    tokens = tokens_of(tokenizer, endless(), Sums(), RoundTrip(tokenizer), is_plain=True)
    assert len([next(tokens) for _ in range(1000)]) == 1000


@pytest.mark.parametrize("argument", ["", "/no/such/file", "missing.txt", "/", "."])
def test_what_is_no_text_is_two_lines_and_code_2(
    argument: str, smollm2: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, str(smollm2), argument) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("  fix: ")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", bytes(range(256)), b"ok then " * 30_000 + b"\xff"])
def test_piped_bytes_that_are_no_text_are_two_lines_and_code_2(
    content: bytes, smollm2: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert run(monkeypatch, "-m", str(smollm2), "-") == 2
    assert "standard input" in capsys.readouterr().err


def test_no_torch_is_needed(smollm2: Path) -> None:
    import subprocess

    check = (
        "import sys; sys.argv[1:] = ['tokens', sys.argv[1], 'hello']\n"
        "from hanlin.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    done = subprocess.run([sys.executable, "-c", check, str(smollm2)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
