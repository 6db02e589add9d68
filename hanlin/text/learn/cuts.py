"""How a learnt tokenizer cuts text before it looks for pieces: settings in, pre-tokenizer and normalizer out.

Where GGUF has a name for a way of cutting, that way is taken, so that the model runs in llama.cpp too; the names are in
`hanlin.text.pretokenizers`. It has none for runs of two digits, nor for the two other treatments of Chinese.
"""

from tokenizers import Regex, normalizers, pre_tokenizers

from hanlin.text.learn.settings import LearnSettings
from hanlin.text.pretokenizers import ENDINGS, KINDS, REST, WORD
from hanlin.text.pretokenizers import Kind as Cut

HAN = r"\p{Han}\p{Hiragana}\p{Katakana}"
WIDE = r"\x{3000}-\x{303F}\x{FF00}-\x{FFEF}"
"""Chinese and Japanese punctuation, full-width forms."""
LONGEST = 128
"""Bytes of a word that are looked at as one while learning: no piece is longer, and a line without a border is no word
of a million letters."""
RUNS = {"any": r"\p{N}+", "3": r"\p{N}{1,3}", "2": r"\p{N}{1,2}", "1": r"\p{N}"}


def pre_tokenizer(settings: LearnSettings) -> pre_tokenizers.PreTokenizer:
    """What cuts text into words, and writes their bytes in the byte alphabet."""
    named = {("none", "any"): "gpt-2", ("none", "3"): "dbrx", ("none", "1"): "smollm", ("nfc", "1"): "qwen2"}
    name = named.get((settings.normalise, settings.digits))
    if settings.cjk == "default" and name:
        return KINDS[name].pre_tokenizer()
    pattern = rf"{ENDINGS}|{WORD}|{RUNS[settings.digits]}|{REST}"
    if settings.cjk == "default":
        return Cut(pattern).pre_tokenizer()
    apart = f"[{HAN}]" if settings.cjk == "apart" else f"[{HAN}{WIDE}]+"
    first = pre_tokenizers.Split(Regex(apart), behavior="isolated")
    then = Cut(pattern if settings.cjk == "apart" else f"{apart}|{pattern}").pre_tokenizer()
    return pre_tokenizers.Sequence([first, then])


def bounded(cut: pre_tokenizers.PreTokenizer) -> pre_tokenizers.PreTokenizer:
    """The same, with no word longer than `LONGEST` bytes."""
    bound = pre_tokenizers.Split(Regex(rf"(?m:.{{1,{LONGEST}}})"), behavior="isolated")
    return pre_tokenizers.Sequence([cut, bound])


def normalizer(settings: LearnSettings) -> normalizers.Normalizer | None:
    """What changes text first, if anything."""
    kinds = {"nfc": normalizers.NFC, "nfkc": normalizers.NFKC}
    return kinds[settings.normalise]() if settings.normalise in kinds else None
