"""Texts on which tokenizers differ: what people, machines and attackers write."""

SPECIAL = "<|im_start|>user\nhi<|im_end|><|endoftext|><bos><eos>[CLS] [MASK][SEP]</s><s><unk><pad><start_of_turn>"

TEXTS = {
    "empty": "",
    "one letter": "a",
    "one space": " ",
    "words": "Hello, world! It's what they'd've said: don't, we'll, I'M, O'Neill's.",
    "leading and trailing spaces": "   both sides   ",
    "runs of spaces": "a  b   c    d     e" + " " * 33 + "f" + " " * 100,
    "runs before digits": "x  1   22    333 4,444.55 1e10 0x1F ١٢٣ ½ ² Ⅷ 一二三 12345678901234567890",
    "tabs and newlines": "\ta\t\tb\n\nc\r\nd\r\re\n \n  \n\t\nf\v\f\x85\u2028\u2029g\u00a0h\u3000i\u200bj",
    "code": "def f(x):\n    if x != 0:\n        return {'a': [1, 2.5e-3]}  # ok\n\n\n\t@x\n</div></table>\n",
    "snake and camel": "snake_case camelCase SCREAMING_SNAKE kebab-case path/to/file.py C:\\dir\\x http://a.b/c?d=e&f#g",
    "chinese": "我能吞下玻璃而不伤身体。他说：“你好，世界！”——《道德经》第八十一章",
    "chinese in english": "The character 永 has 8 strokes，每一笔都不同 and 𠮷 is outside the BMP.",
    "japanese and korean": "私はガラスを食べられます。ﾊﾝｶｸ 나는 유리를 먹을 수 있어요. 그래도 아프지 않아요",
    "emoji": "😀👍🏽👩‍👩‍👧‍👦🏳️‍🌈🇨🇳🇫🇷 ❤️ ☠ 1️⃣ #️⃣ 👨🏿‍🚀",
    "half a family": "👩‍👩‍ alone \u200d\u200d joiners \ufe0f",
    "arabic": "أنا قادر على أكل الزجاج و هذا لا يؤلمني. \u202eabc\u202c",
    "hebrew": "אני יכול לאכול זכוכית וזה לא מזיק לי. שָׁלוֹם",
    "indic and thai": "मैं काँच खा सकता हूँ। நான் கண்ணாடி சாப்பிடுவேன் ฉันกินกระจกได้ แต่มันไม่ทำให้ฉันเจ็บ",
    "cyrillic and greek": "Я могу есть стекло, оно мне не вредит. Μπορώ να φάω σπασμένα γυαλιά ΑΣ ς",
    "composed and combining": "café cafe\u0301 Å A\u030a \u212b ﬁ ﬃ ① ｆｕｌｌ 각",
    "combining alone": "\u1100\u1161\u11a8 \u0301\u0302\u0303 z\u0335\u0321\u0353",
    "case mappings": "İstanbul ıI ß ẞ ǅ ΐ ŉ STRASSE",
    "control bytes": "".join(map(chr, range(32))) + "\x7f\x80\x9f\xad",
    "nul": "a\0b\0\0c",
    "byte order mark": "\ufeffbegin\ufeff",
    "private and unassigned": "\ue000\uf8ff\U000f0000\U0010ffff\ufffe\uffff\ufffd",
    "quotes and dashes": "“a” ‘b’ «c» – — ― … ‐ ' ` ´ \" '' `` '''",
    "punctuation runs": "!!!???...---===***///\\\\\\((([[[{{{<<<>>>|||~~~^^^$$$%%%&&&@@@###",
    "special tokens in text": SPECIAL,
    "special tokens in words": f"x{SPECIAL}y {SPECIAL} z",
    "almost special": "<|im_start |> <|im_ end|> < |endoftext|> <|IM_END|> [cls] [ SEP ]",
    "byte tokens in text": "<0x0A> <0x41><0xFF> <0x4> <unused5> [PAD151665] [multimodal]",
    "sentencepiece's space": "a\u2581b",
    "byte-level letters": "ĠHello Ċ ĉ Ń Ā ł",
    "repeated": "ha" * 500 + "!" * 300 + "\n" * 100 + "无" * 200,
    "long word": "pneumonoultramicroscopicsilicovolcanoconiosis" * 20,
    "json": '{"role": "user", "content": "line\\nbreak \\u4f60", "n": [1, -2, 3.0, null, true]}',
    "latex": "$$\\int_0^1 x^2\\,dx = \\frac{1}{3}$$",
    "markdown": "# Title\n\n* a\n* b\n\n| c | d |\n|---|---|\n```python\nx\n```",
}

UNBROKEN = ("supercalifragilistic" * 25_000 + "无空格的汉字连成一片" * 17_000)[:1_000_000]
"""A megabyte (of text; more of bytes) without a space."""
