"""Near duplicates: signatures equal to datatrove's, the chance of being found as the formula says."""

import random
from itertools import chain

import numpy as np
import pytest

from hanlin.data.marks import simplified
from hanlin.data.near import bands, clusters, recall, sequences, sequences_of_datatrove, signature
from hanlin.data.view import spacy_words

WORDS = [
    f"{a}{b}" for a in "brtskl mn".split()[0] for b in ("at", "ing", "ove", "ill", "arm", "eed", "ust", "olt", "ight")
]


def text(draw: random.Random, words: int = 200) -> str:
    return " ".join(draw.choice(WORDS) for _ in range(words))


def test_signatures_equal_datatroves_on_english_and_chinese() -> None:
    pytest.importorskip("datatrove")
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
    from datatrove.utils.text import simplify_text

    draw = random.Random(1)
    texts = [text(draw, 7 + at * 9) for at in range(20)]
    texts += [
        "Don't!  The year 2024, 3.14 and café — “quoted” …\n\nNew paragraph: naïve résumé; e.g. 10,000 cats.",
        "A b.",
    ]
    for language, some in (
        ("en", texts),
        ("cmn", ["山里的河很安静，人们带着面包走路，孩子在学校读书，老人在树下喝茶。他们有 12 只猫！"]),
    ):
        theirs = MinhashDedupSignature("/nonexistent", MinhashConfig(), language)
        for one in some:
            assert simplified(one) == simplify_text(one)
            shingles = theirs.get_shingles(one)
            hashes = sequences_of_datatrove(spacy_words(simplified(one), "en" if language == "en" else "zh"), 5)
            assert hashes.tolist() == shingles.ravel().tolist()
            if len(hashes):
                assert signature(hashes, 112, 1).tolist() == list(chain(*theirs.get_signature(shingles)))


def test_planted_near_duplicates_are_found_as_often_as_the_formula_says() -> None:
    draw = random.Random(2)
    expected, found, false = 0.0, 0, 0
    whole, pairs = [], []
    for _ in range(250):
        words = text(draw).split()
        changed = list(words)
        for at in draw.sample(range(len(words)), draw.randint(1, 8)):
            changed[at] = "other"
        a, b = (set(sequences(some, 5).tolist()) for some in (words, changed))
        expected += recall(len(a & b) / len(a | b), 14, 8)
        pairs.append((len(whole), len(whole) + 1))
        whole += [words, changed]
    hashed = bands(np.stack([signature(sequences(words, 5), 112, 1) for words in whole]), 14)
    labels = clusters(len(whole), (hashed[:, at] for at in range(14)))
    found = sum(labels[a] == labels[b] for a, b in pairs)
    false = sum(labels[a] != a for a, _ in pairs)
    assert abs(found - expected) < 4 * (0.25 * len(pairs)) ** 0.5 and 100 < found < 250
    assert false == 0


def test_clusters_are_named_by_their_first_and_join_across_columns() -> None:
    columns = [np.array([0, 7, 7, 0, 5, 0], np.uint64), np.array([3, 0, 9, 9, 0, 0], np.uint64)]
    assert clusters(6, columns).tolist() == [0, 1, 1, 1, 4, 5]


def test_permutations_equal_python_numbers() -> None:
    from hanlin.data.near import permutations

    a, b = permutations(4, 3)
    hashes = np.array([0, 1, 2**61 - 1, 2**61, 2**64 - 1, 12345], np.uint64)
    slow = [min(((int(h) * int(x) + int(y)) % 2**64) % (2**61 - 1) for h in hashes) for x, y in zip(a, b, strict=True)]
    assert signature(hashes, 4, 3).tolist() == slow
