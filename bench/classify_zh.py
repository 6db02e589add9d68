"""How good is a classifier trained from nothing, beside TF-IDF with logistic regression, on the same Chinese reviews?

    python bench/classify_zh.py RUN

RUN is the folder that `hanlin train runs/classify-zh.toml` made. The other reads the very same examples, as characters
in ones, twos and threes (scikit-learn), and is judged on the same held-out ones, all of them.
"""

import argparse
import time
from pathlib import Path

from common import record
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from hanlin.core.settings import load
from hanlin.data.encoded import Encoded
from hanlin.infer.classify import open_classifier
from hanlin.text.folder import load_folder
from hanlin.text.tokenizer import Tokenizer
from hanlin.train.data import Data, read
from hanlin.train.prepare import tokenizer_hash
from hanlin.train.settings import RunFile


def texts(parts: tuple[Encoded, ...], tokenizer: Tokenizer) -> tuple[list[str], list[int]]:
    """The examples as they were read, and their classes."""
    found = [part[number] for part in parts for number in range(len(part))]
    return [tokenizer.decode(one.ids.tolist(), skip_special=True) for one in found], [int(it.labels[0]) for it in found]


def main() -> None:
    """Both, on the same held-out reviews."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    run = parser.parse_args().run
    settings = load(RunFile, run / "run.toml")
    tokenizer = load_folder(run / "tokenizer")
    data = next(it for it in read(settings, tokenizer, tokenizer_hash(tokenizer)) if isinstance(it, Data))
    (train, labels), (held, truth) = (texts(parts, tokenizer) for parts in (data.train, data.validation))
    began = time.perf_counter()
    vectors = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True)
    model = LogisticRegression(max_iter=1000, C=4.0).fit(vectors.fit_transform(train), labels)
    said = model.predict(vectors.transform(held))
    seconds = time.perf_counter() - began
    ours = open_classifier(str(run))
    names = list(data.objective.classes)  # pyright: ignore[reportAttributeAccessIssue]
    verdicts = [next(iter(it.classes)) for it in ours.classify(held)]
    record(
        "classify_zh",
        {
            "held_out": len(held),
            "tfidf_accuracy": round(sum(a == b for a, b in zip(said, truth, strict=True)) / len(held), 4),
            "tfidf_seconds": round(seconds, 1),
            "hanlin_accuracy": round(
                sum(names.index(a) == b for a, b in zip(verdicts, truth, strict=True)) / len(held), 4
            ),
        },
    )


if __name__ == "__main__":
    main()
