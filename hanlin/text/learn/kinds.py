"""The four kinds of tokenizer, each learnt from pieces of text by the trainers of `tokenizers`.

Each knows every byte, so every text has tokens and comes back from them as it was. The same corpus and settings give
the same tokens in the same order: where a trainer's own result depends on the order of a hash table, it is put right.
Papers: BPE https://arxiv.org/abs/1508.07909, unigram https://arxiv.org/abs/1804.10959, WordPiece
https://arxiv.org/abs/1609.08144
"""

import json
from collections import Counter
from collections.abc import Iterator

from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from hanlin.core.errors import DataError
from hanlin.text.gguf import SPACE, SPACED
from hanlin.text.learn.cuts import LONGEST, bounded, normalizer, pre_tokenizer
from hanlin.text.learn.settings import LearnSettings
from hanlin.text.spelling import ALPHABET

LETTERS = sorted(ALPHABET)
WITHIN = "‿"
"""Before a WordPiece that stands within a word, where BERT has ##: no text can be taken for it."""
LEAST = -20.0
"""Likelihood (log) below which no piece of a unigram model lies; letters that the corpus lacks lie lower still."""
DIGITS = 4
"""Decimals of a likelihood that do not depend on the order in which it was summed up."""


def bpe(pieces: Iterator[str], settings: LearnSettings) -> Backend:
    """Byte-level BPE, as GPT-2's."""
    count = len(LETTERS) + settings.pieces()
    backend = _byte_level(models.BPE(), settings)
    trainer = trainers.BpeTrainer(
        vocab_size=count, min_frequency=settings.min_frequency, initial_alphabet=LETTERS, show_progress=False
    )
    return _trained(backend, pieces, trainer, settings)


def unigram(pieces: Iterator[str], settings: LearnSettings) -> Backend:
    """A unigram model over bytes: of all ways to cut a word, the likeliest."""
    count = len(LETTERS) + settings.pieces()
    trainer = trainers.UnigramTrainer(
        vocab_size=count, initial_alphabet=LETTERS, max_piece_length=24, show_progress=False
    )
    trained = _trained(_byte_level(models.Unigram(), settings), pieces, trainer, settings)
    scores = {
        piece: round(max(score, LEAST), DIGITS) for piece, score in json.loads(trained.to_str())["model"]["vocab"]
    }
    longer = {piece: score for piece, score in scores.items() if len(piece) > 1}
    least = min(longer.values(), default=LEAST)
    # The trainer gives letters that it has not met falling scores in an order of chance.
    letters = {letter: max(scores.get(letter, least), least) - 1 for letter in LETTERS}
    best = sorted(longer.items(), key=lambda entry: (-entry[1], entry[0]))
    return _byte_level(models.Unigram([*letters.items(), *best]), settings)


def wordpiece(pieces: Iterator[str], settings: LearnSettings) -> Backend:
    """WordPiece over bytes: of each word the longest known beginning, then the longest that goes on from there.

    Its trainer is BPE with words' beginnings marked; we mark them by a letter of their own, for the trainer's own way
    numbers the letters by chance.
    """
    count = 2 * len(LETTERS) + settings.pieces()
    backend = _byte_level(models.BPE(), settings)
    trainer = trainers.BpeTrainer(
        vocab_size=count + 1,  # it learns the marked letters, which are among ours already: so many that it has enough
        min_frequency=settings.min_frequency,
        initial_alphabet=[SPACE, *LETTERS],
        show_progress=False,
    )
    mark = pre_tokenizers.Metaspace(SPACE, "always", split=False)
    learnt = _trained(backend, pieces, trainer, settings, mark).get_vocab()
    ordered = [SPACE + letter for letter in LETTERS] + LETTERS + sorted(learnt, key=lambda piece: learnt[piece])
    spelled = (piece[1:] if piece[0] == SPACE else WITHIN + piece for piece in ordered if piece != SPACE)
    vocabulary = {piece: at for at, piece in enumerate(dict.fromkeys(spelled)) if at < count}
    model = models.WordPiece(
        vocabulary, unk_token="", continuing_subword_prefix=WITHIN, max_input_chars_per_word=LONGEST
    )
    backend = _byte_level(model, settings)
    backend.pre_tokenizer = bounded(pre_tokenizer(settings))
    backend.decoder = decoders.Sequence([decoders.Replace(WITHIN, ""), decoders.ByteLevel()])
    return backend


def characters(pieces: Iterator[str], settings: LearnSettings) -> Backend:
    """A token per character; the bytes of rarer ones have tokens such as <0xE4>, unless they are to be one unknown.

    As in SentencePiece's vocabularies a space is written ▁, and a ▁ in the text comes back as a space.
    """
    count = settings.pieces()
    first = normalizer(settings)
    counts: Counter[str] = Counter()
    for piece in pieces:
        counts.update(first.normalize_str(piece) if first else piece)
    if SPACE in counts:
        counts[" "] += counts.pop(SPACE)
    least = settings.min_frequency if "min_frequency" in settings.model_fields_set else 1
    ranked = sorted((-seen, character) for character, seen in counts.items() if seen >= least)
    kept = sorted(character for _, character in ranked[:count])
    bytes_ = [] if settings.unk else [f"<0x{byte:02X}>" for byte in range(256)]
    spelled = [*([settings.unk] if settings.unk else bytes_), *(SPACE if it == " " else it for it in kept)]
    vocabulary = {token: at for at, token in enumerate(dict.fromkeys(spelled))}
    backend = Backend(models.BPE(vocabulary, [], unk_token=settings.unk or None, byte_fallback=not settings.unk))
    backend.normalizer = normalizers.Sequence([first, SPACED]) if first else SPACED
    backend.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    return backend


def _byte_level(model: models.Model, settings: LearnSettings) -> Backend:
    backend = Backend(model)
    if changes := normalizer(settings):
        backend.normalizer = changes
    backend.pre_tokenizer = pre_tokenizer(settings)
    backend.decoder = decoders.ByteLevel()
    return backend


def _trained(
    backend: Backend,
    pieces: Iterator[str],
    trainer: trainers.Trainer,
    settings: LearnSettings,
    mark: pre_tokenizers.PreTokenizer | None = None,
) -> Backend:
    """The backend, trained on bounded words, each with its mark.

    Raises:
        DataError: the trainer finds too little in the corpus.
    """
    final = backend.pre_tokenizer
    cut = bounded(final)
    backend.pre_tokenizer = pre_tokenizers.Sequence([cut, mark]) if mark else cut
    try:
        backend.train_from_iterator(pieces, trainer)
    except BaseException as error:
        if isinstance(error, DataError) or type(error).__name__ not in ("Exception", "PanicException"):
            raise
        raise DataError(
            f"no {settings.kind} tokenizer can be learnt from this corpus: {error}", "give more text, or learn bpe"
        ) from None
    backend.pre_tokenizer = final
    return backend
