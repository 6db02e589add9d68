"""Figures of texts are those of the libraries that everyone uses, to the last digit, on thousands of real sentences."""

import re
import string
from collections import Counter
from typing import Any

import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from hanlin.core.errors import ConfigError, RefusedError
from hanlin.eval.chinese import RIGHT, WRONG, splitter
from hanlin.eval.metric import measure, metric
from hanlin.eval.sample import Reply, Sample
from hanlin.eval.score import Score, check_comparable
from hanlin.eval.words import rouge_words, words

Pairs = list[tuple[str, str]]


def score(use: str, pairs: Pairs, **settings: Any) -> Score:
    samples = [Sample(references=(right,)) for _, right in pairs]
    return measure(metric(use, **settings), samples, [Reply((said,)) for said, _ in pairs])


@pytest.mark.parametrize(
    ("language", "use", "settings", "theirs"),
    [
        ("en", "bleu", {}, BLEU()),
        ("en", "bleu", {"words": "intl", "lowercase": True, "smooth": "floor"}, BLEU(True, False, "intl", "floor")),
        ("zh", "bleu", {"words": "zh"}, BLEU(tokenize="zh")),
        ("zh", "bleu", {"words": "char", "order": 2}, BLEU(tokenize="char", max_ngram_order=2)),
        ("en", "chrf", {}, CHRF()),
        ("zh", "chrf", {}, CHRF()),
        ("en", "chrf", {"word_order": 2}, CHRF(word_order=2)),
        ("en", "ter", {}, TER()),
        ("zh", "ter", {"normalized": True, "asian": True}, TER(normalized=True, asian_support=True)),
    ],
)
def test_translations_have_sacrebleus_figures(
    translations: dict[str, Pairs], language: str, use: str, settings: dict[str, Any], theirs: Any
) -> None:
    pairs = translations[language][: 50 if use == "ter" else 1500]
    expected = theirs.corpus_score([said for said, _ in pairs], [[right for _, right in pairs]]).score
    one, samples = metric(use, **settings), [Sample(references=(right,)) for _, right in pairs]
    rows = one.statistics(samples, [Reply((said,)) for said, _ in pairs])
    assert float(one.value(rows.sum(0))) == expected
    assert 10 < expected < 95


def test_several_references_some_missing_are_as_sacrebleu_has_them() -> None:
    said, right = ["the cat sat", "a dog ran off"], [("the cat sat down", "a cat sat"), ("the dog ran",)]
    expected = BLEU().corpus_score(said, [["the cat sat down", "the dog ran"], ["a cat sat", None]])  # pyright: ignore
    samples = [Sample(references=some) for some in right]
    found = measure(metric("bleu"), samples, [Reply((text,)) for text in said])
    assert found.value == expected.score
    assert "|references:vary|" in found.signature


@pytest.mark.parametrize("which", ["1", "2", "l", "lsum"])
@pytest.mark.parametrize("stem", [False, True])
def test_rouge_is_that_of_rouge_score(translations: dict[str, Pairs], which: str, stem: bool) -> None:
    pairs = [(said.replace(". ", ".\n"), right.replace(". ", ".\n")) for said, right in translations["en"][:500]]
    name = {"1": "rouge1", "2": "rouge2", "l": "rougeL", "lsum": "rougeLsum"}[which]
    scorer = RougeScorer([name], use_stemmer=stem)
    expected = sum(scorer.score(right, said)[name].fmeasure for said, right in pairs) / len(pairs)
    assert score("rouge", pairs, which=which, words="rouge-score", stem=stem).value == pytest.approx(
        expected, abs=1e-12
    )
    plain = [(said, right) for said, right in pairs if (said + right).isascii() and "_" not in said + right]
    assert len(plain) > 300
    if not stem:
        ours, theirs = (score("rouge", plain, which=which, words=kind).value for kind in ("any", "rouge-score"))
        assert ours == theirs


def test_the_same_chinese_text_twice_scores_one_not_zero(translations: dict[str, Pairs]) -> None:
    same = [(right, right) for _, right in translations["zh"][:300]]
    assert score("rouge", same).value == 1
    assert score("rouge", same, words="rouge-score").value < 0.5  # where the field stands
    assert 0.5 < score("rouge", translations["zh"][:300]).value < 1


@pytest.mark.parametrize("text", ["Hello, World-wide 3.14!", "x_y  A1b2", "", "don't\tstop"])
def test_words_of_ascii_are_those_of_rouge(text: str) -> None:
    assert words(text) == rouge_words(text)


def test_every_language_has_words() -> None:
    assert words("翰林院 Académie, ผล Привет 𠀀々 GPT4") == [
        *"翰林院", "académie", "ผ", "ล", "привет", *"𠀀々", "gpt4",
    ]  # fmt: skip


def test_the_fixed_chinese_splitter_differs_where_sacrebleu_means_other_characters() -> None:
    ours, theirs = splitter(), BLEU(tokenize="zh").tokenizer
    assert theirs("A—B “x” → 𠀀𠀁") == "A — B “ x ” → 𠀀𠀁"
    assert ours("A—B “x” → 𠀀𠀁") == "A—B “x” → 𠀀 𠀁"
    assert ours("翰林院, in 北京。") == theirs("翰林院, in 北京。") == "翰 林 院 , in 北 京 。"
    assert len(WRONG) == len(RIGHT) == 2


def test_figures_of_different_making_are_not_compared(translations: dict[str, Pairs]) -> None:
    some = translations["zh"][:20]
    one, other = score("bleu", some, words="zh"), score("bleu", some, words="zh-fixed")
    check_comparable(one, score("bleu", some[:10], words="zh"))
    with pytest.raises(RefusedError, match="words:zh against words:zh-fixed"):
        check_comparable(one, other)


def squad_f1(answer: str, reference: str) -> float:
    """The published procedure, step by step."""

    def plain(text: str) -> list[str]:
        text = "".join(letter for letter in text.lower() if letter not in string.punctuation)
        return re.sub(r"\b(a|an|the)\b", " ", text).split()

    mine, theirs = plain(answer), plain(reference)
    if not mine or not theirs:
        return float(mine == theirs)
    same = sum((Counter(mine) & Counter(theirs)).values())
    if not same:
        return 0.0
    precision, recall = same / len(mine), same / len(theirs)
    return 2 * precision * recall / (precision + recall)


def test_f1_is_squads(translations: dict[str, Pairs]) -> None:
    pairs = [*translations["en"], ("", ""), ("the", ""), ("x", "")]
    expected = sum(squad_f1(*pair) for pair in pairs) / len(pairs)
    assert score("f1", pairs, words="squad").value == pytest.approx(expected, abs=1e-12)
    assert score("f1", translations["zh"]).value > 2 * score("f1", translations["zh"], words="squad").value


@pytest.mark.parametrize("flags", [{}, {"case": False}, {"punctuation": False, "digits": False}, {"cut": ("[ae]",)}])
def test_exact_match_is_that_of_lm_eval(flags: dict[str, Any]) -> None:
    from lm_eval.api.metrics import exact_match_hf_evaluate

    pairs = [("Paris!", "paris"), ("Route 66", "Route 6"), ("same", "same"), ("a.b", "ab"), ("The end", "Th nd")]
    theirs = {
        "regexes_to_ignore": flags.get("cut"),
        "ignore_case": not flags.get("case", True),
        "ignore_punctuation": not flags.get("punctuation", True),
        "ignore_numbers": not flags.get("digits", True),
    }
    expected = exact_match_hf_evaluate([said for said, _ in pairs], [right for _, right in pairs], **theirs)
    assert score("exact_match", pairs, **flags).value == float(expected["exact_match"])


def test_exact_match_picks_the_part_that_counts() -> None:
    said = "First 12, then 3. So the answer is 15."
    assert score("exact_match", [(said, "15")], pick=r"-?\d+", which=-1).value == 1
    assert score("exact_match", [(said, "15")], pick=r"answer is (\d+)").value == 1
    assert score("exact_match", [("none", "15")], pick=r"\d+").value == 0
    assert score("exact_match", [("１２，", "12")], width=False, punctuation=False).value == 1
    with pytest.raises(ConfigError, match="no pattern"):
        metric("exact_match", pick="(")


def test_diversity_is_counted_by_hand() -> None:
    said = [("a b a b", ""), ("a b c", ""), ("春 眠", "")]
    assert score("distinct", said, n=2).value == pytest.approx(4 / 6)  # ab ba ab | ab bc | 春眠
    assert score("repetition", said, n=2).value == pytest.approx((1 / 3 + 0 + 0) / 3)
    same = score("self_bleu", [("the very same words", "")] * 3, words="13a")
    assert same.value == pytest.approx(100)
    expected = BLEU(effective_order=True, tokenize="char").sentence_score("a b a b", ["a b c", "春 眠"]).score
    assert score("self_bleu", said).value < 100
    assert metric("self_bleu").statistics([Sample()] * 3, [Reply((text,)) for text, _ in said])[0, 0] == expected
