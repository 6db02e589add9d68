"""sacreBLEU's way to split Chinese, with the two ranges of characters that it meant."""

from functools import lru_cache
from typing import Any

WRONG = (("\u2000" + "0", "\u2a6d" + "6"), ("\u2f80" + "0", "\u2fa1" + "d"))
"""As sacreBLEU spells them: five digits after \\u are a character of four and a digit."""
RIGHT = (("\U00020000", "\U0002a6d6"), ("\U0002f800", "\U0002fa1d"))


def splitter() -> Any:
    """A tokenizer of sacreBLEU for Chinese."""
    from sacrebleu.tokenizers import tokenizer_zh

    meant = tuple(span for span in tokenizer_zh._UCODE_RANGES if span not in WRONG) + RIGHT

    class Fixed(tokenizer_zh.TokenizerZh):
        """Chinese characters alone are split off."""

        def signature(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
            return "zh-fixed"

        @staticmethod
        @lru_cache(maxsize=2**16)
        def _is_chinese_char(uchar: str) -> bool:
            return any(first <= uchar <= last for first, last in meant)

    return Fixed()
