"""Tokenizers learnt from text: nothing is lost, everybody reads the same ids, the same corpus gives the same bytes."""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from hanlin.core.errors import ConfigError, DataError, HanlinError
from hanlin.core.settings import parse
from hanlin.text.folder import load_folder
from hanlin.text.gguf import from_metadata, to_metadata
from hanlin.text.learn.feed import PIECE, pieces
from hanlin.text.learn.kinds import WITHIN
from hanlin.text.learn.settings import LearnSettings
from hanlin.text.learn.train import learn, save
from hanlin.text.tokenizer import Tokenizer
from house.walk import ROOT
from text.torture import TEXTS

KINDS = ("bpe", "unigram", "wordpiece", "characters")
MARKS = {"bos": "<|begin|>", "special": ("<|tool|>",), "chat": "chatml"}


@pytest.fixture(scope="module")
def corpus() -> str:
    """Prose, code and Chinese that every checkout has."""
    files = [ROOT / "docs" / "house.md", ROOT / "README.md", ROOT / "hanlin" / "text" / "tokenizer.py"]
    poem = "床前明月光，疑是地上霜。\n舉頭望明月，低頭思故鄉。\n公元1234年，第56首。\n"
    return "\n".join(file.read_text("utf-8") for file in files) + poem * 40


@pytest.fixture(scope="module")
def learnt(corpus: str) -> Callable[[str], Tokenizer]:
    return cache(lambda kind: learn([corpus], parse(LearnSettings, {"kind": kind, "vocabulary": 900, **MARKS})))


@pytest.mark.parametrize("kind", KINDS)
def test_every_text_comes_back_as_it_was(kind: str, learnt: Callable[[str], Tokenizer]) -> None:
    tokenizer = learnt(kind)
    changed = str.maketrans("\u2581", " ") if kind == "characters" else {}  # as in every SentencePiece vocabulary
    back = {case: tokenizer.decode(tokenizer.encode(text, add_special=False)) for case, text in TEXTS.items()}
    assert back == {case: text.translate(changed) for case, text in TEXTS.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_our_folder_and_transformers_read_the_same_ids(
    kind: str, learnt: Callable[[str], Tokenizer], tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    tokenizer = learnt(kind)
    save(tokenizer, tmp_path)
    ours, theirs = load_folder(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    for case, text in TEXTS.items():
        assert tokenizer.encode(text) == ours.encode(text) == theirs(text)["input_ids"], case
    assert (ours.vocab_size, ours.bos, ours.eos, ours.pad) == (
        tokenizer.vocab_size,
        tokenizer.bos,
        tokenizer.eos,
        tokenizer.pad,
    )
    turns = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "世界"}]
    assert ours.chat(turns) == theirs.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
    assert [theirs.bos_token_id, theirs.eos_token_id, theirs.pad_token_id] == [ours.bos, ours.eos[0], ours.pad]


@pytest.mark.parametrize(
    ("kind", "digits", "normalise"),
    [(*case.split("/"),) for case in ("bpe/any/none", "bpe/3/none", "bpe/1/none", "bpe/1/nfc", "characters//none")],
)
def test_gguf_holds_what_it_has_words_for(kind: str, digits: str, normalise: str, corpus: str) -> None:
    values = {"kind": kind, "vocabulary": 600, "normalise": normalise, **({"digits": digits} if digits else {})}
    tokenizer = learn([corpus], parse(LearnSettings, values))
    back = from_metadata(to_metadata(tokenizer))
    for case, text in TEXTS.items():
        assert back.encode(text) == tokenizer.encode(text), case
    assert (back.eos, back.pad, back.vocab_size) == (tokenizer.eos, tokenizer.pad, tokenizer.vocab_size)


@pytest.mark.parametrize("odd", [{"digits": "2"}, {"cjk": "apart"}, {"kind": "unigram"}, {"normalise": "nfkc"}])
def test_gguf_refuses_the_rest_in_two_lines(odd: dict[str, str], corpus: str) -> None:
    with pytest.raises(HanlinError, match="GGUF") as told:
        to_metadata(learn([corpus[:4000]], parse(LearnSettings, {"vocabulary": 300, **odd})))
    assert told.value.fix


SCRIPT = """
import hashlib, sys
from hanlin.text.learn.settings import LearnSettings
from hanlin.text.learn.train import learn
text, step = sys.stdin.read(), int(sys.argv[2])
blocks = (text[at : at + step] for at in range(0, len(text), step))
made = learn(blocks, LearnSettings(kind=sys.argv[1], vocabulary=900))
print(hashlib.sha256(made.backend.to_str().encode()).hexdigest())
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_corpus_gives_the_same_bytes_in_any_process_and_any_blocks(kind: str, corpus: str) -> None:
    hashes = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT, kind, step], input=corpus, capture_output=True, text=True, check=True
        ).stdout
        for step in ("1000000", "977", "5003")
    }
    assert len(hashes) == 1


def merged(words: Counter[tuple[int, ...]], count: int) -> Iterator[tuple[int, ...]]:
    """BPE by its definition: the most frequent pair of neighbours, of equals the one of the smallest letters."""
    order = {(byte,): rank for rank, byte in enumerate(sorted(range(256), key=letter))}
    state = {word: [(byte,) for byte in word] for word in words}
    for _ in range(count):
        pairs = Counter[tuple[tuple[int, ...], tuple[int, ...]]]()
        for word, parts in state.items():
            for pair in pairwise(parts):
                pairs[pair] += words[word]
        best = min(pairs, key=lambda pair: (-pairs[pair], order[pair[0]], order[pair[1]]))
        if pairs[best] < 2:
            return
        order.setdefault(best[0] + best[1], len(order))
        yield best[0] + best[1]
        for parts in state.values():
            at = 0
            while at < len(parts) - 1:
                if (parts[at], parts[at + 1]) == best:
                    parts[at : at + 2] = [best[0] + best[1]]
                at += 1


def letter(byte: int) -> str:
    from hanlin.text.spelling import byte_alphabet

    return next(letter for letter, it in byte_alphabet().items() if it == byte)


def test_bpe_learns_what_its_definition_says(corpus: str) -> None:
    text = corpus[:6000]
    tokenizer = learn([text], LearnSettings(vocabulary=256 + 80, eos="", pad=""))
    cut = tokenizer.backend.pre_tokenizer.pre_tokenize_str(text)
    words = Counter(tuple(text[begin:end].encode()) for _, (begin, end) in cut)
    assert [tokenizer.token_bytes(at) for at in range(256, 336)] == [bytes(it) for it in merged(words, 80)]


def test_wordpiece_takes_the_longest_known_piece(learnt: Callable[[str], Tokenizer], corpus: str) -> None:
    tokenizer = learnt("wordpiece")
    vocabulary = tokenizer.backend.get_vocab()
    for word, _ in tokenizer.backend.pre_tokenizer.pre_tokenize_str(corpus[:3000]):
        wanted, at = [], 0
        while at < len(word):
            prefix = WITHIN if at else ""
            end = next(end for end in range(len(word), at, -1) if prefix + word[at:end] in vocabulary)
            wanted.append(vocabulary[prefix + word[at:end]])
            at = end
        assert [token.id for token in tokenizer.backend.model.tokenize(word)] == wanted


def test_characters_are_numbered_as_nanogpt_numbers_them(corpus: str) -> None:
    known = sorted(set(corpus))
    with_bytes = learn([corpus], LearnSettings(kind="characters", vocabulary=9000, eos="", pad=""))
    assert with_bytes.encode(corpus) == [256 + known.index(character) for character in corpus]
    assert with_bytes.encode("\U0001f600") == list("\U0001f600".encode())
    bare = learn([corpus], LearnSettings(kind="characters", vocabulary=9000, eos="", pad="", unk="<unk>"))
    assert bare.vocab_size == len(known) + 1
    assert bare.encode("a\U0001f600") == [1 + known.index("a"), bare.unk]


def test_a_small_vocabulary_keeps_the_most_frequent_characters() -> None:
    made = learn(["aaabbc" * 10], LearnSettings(kind="characters", vocabulary=258, eos="", pad=""))
    assert made.encode("abc") == [256, 257, ord("c")]


def longest(tokenizer: Tokenizer, pattern: str) -> int:
    texts = [tokenizer.token_text(at) for at in range(tokenizer.vocab_size)]
    return max(len(found) for text in texts for found in re.findall(pattern, text) or [""])


@pytest.mark.parametrize(("digits", "most"), [("any", 4), ("3", 3), ("2", 2), ("1", 1)])
def test_digits_stay_in_runs_as_long_as_asked_for(digits: str, most: int) -> None:
    made = learn(["in 1234 of 5678, " * 50], LearnSettings(vocabulary=320, digits=digits))
    assert longest(made, r"\d+") == most


def test_chinese_is_cut_as_asked_for() -> None:
    text = "床前明月光，疑是地上霜。abc床前明月光\n" * 50
    made = {cut: learn([text], LearnSettings(vocabulary=400, cjk=cut)) for cut in ("default", "apart", "uncut")}
    assert longest(made["apart"], "[一-鿿]+") == 1
    assert longest(made["default"], "[一-鿿]+") >= 5
    assert longest(made["default"], "[一-鿿]，[一-鿿]") == 0
    assert longest(made["uncut"], "[一-鿿]，[一-鿿]") == 3


def test_the_vocabulary_is_as_large_as_asked_for_or_it_is_said(
    corpus: str, caplog: pytest.LogCaptureFixture, learnt: Callable[[str], Tokenizer]
) -> None:
    assert [learnt(kind).vocab_size for kind in KINDS[:3]] == [900, 900, 900]
    assert not [record for record in caplog.records if "bpe" in record.message]
    small = learn(["so little text, so little"], LearnSettings(vocabulary=5000))
    assert small.vocab_size < 300
    assert f"only {small.vocab_size} tokens to learn, of 5000" in caplog.text


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"vocabulary": 258}, "vocabulary = 258 has no room: 256 bytes and 2 special tokens come first"),
        ({"kind": "wordpiece", "vocabulary": 400}, "512 bytes"),
        ({"kind": "unigram", "min_frequency": 3}, "min_frequency = 3 means nothing to kind = 'unigram'"),
        ({"kind": "characters", "digits": "1"}, "digits = '1' means nothing"),
        ({"special": ("e",)}, "'e' is a piece of ordinary text"),
        ({"special": ("",)}, "a special token is empty"),
    ],
)
def test_settings_that_cannot_be_are_told(values: dict[str, object], what: str, corpus: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(what)):
        learn([corpus], parse(LearnSettings, {"vocabulary": 600, **values}))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["", "half a \ud800 character"])
def test_no_text_is_told(kind: str, text: str) -> None:
    with pytest.raises(DataError, match="the corpus"):
        learn([text], parse(LearnSettings, {"kind": kind, "vocabulary": 600}))


def test_special_tokens_are_never_learnt_as_the_text_they_are_made_of(learnt: Callable[[str], Tokenizer]) -> None:
    for kind in KINDS:
        tokenizer = learnt(kind)
        (mark,) = tokenizer.encode("<|tool|>", add_special=False)
        assert tokenizer.is_special(mark)
        assert len(tokenizer.encode("<|tool|>", add_special=False, parse_special=False)) > 1
        assert tokenizer.encode("a")[0] == tokenizer.bos
        assert tokenizer.pad not in tokenizer.eos


def test_pieces_are_bounded_and_lose_nothing() -> None:
    for text in ("word " * 40_000, "line\n" * 40_000, "x" * 100_000, "字，" * 30_000):
        cut = list(pieces([text[:70_000], text[70_000:]]))
        assert "".join(cut) == text
        assert max(map(len, cut)) <= PIECE
    assert "".join(pieces(["翰林院" * 9], most_bytes=10)) == "翰林院"


MEMORY = """
import resource, sys
from hanlin.text.learn.settings import LearnSettings
from hanlin.text.learn.train import learn
block = open(sys.argv[1], encoding="utf-8").read()[:15_000].replace("\\n", sys.argv[3])
block *= 8
learn((block for _ in range(int(sys.argv[2]))), LearnSettings(kind="characters"))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.parametrize("end", ["\n", " "], ids=["many lines", "one line"])
def test_memory_does_not_grow_with_the_corpus(end: str, tmp_path: Path, corpus: str) -> None:
    (tmp_path / "text").write_text(corpus, "utf-8")
    used = [
        int(subprocess.check_output([sys.executable, "-c", MEMORY, str(tmp_path / "text"), count, end]))
        for count in ("20", "120")
    ]
    assert used[1] - used[0] < 10  # MiB, while the corpus grows by 12 MB, held as more
