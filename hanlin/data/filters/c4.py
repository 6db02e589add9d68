"""C4: lines that are no sentences go, and documents of which too little is left. Texts in, their good lines out.

Rules of C4 (https://jmlr.org/papers/volume21/20-074/20-074.pdf) and of its code. Without `compat`, 。！？ and closing
quotes end a line as well as . and ", Chinese words are jieba's, and there are Chinese phrases of menus and policies.
`compat = "datatrove"` does what it does: spaCy's sentences, and no more lines after the first { or lorem ipsum.
"""

import re
from functools import cache
from typing import Any, Literal

from hanlin.data.step import Change, Tags
from hanlin.data.view import View

CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]")
CITATION_ZH = re.compile(r"\[\d*]|\[编辑]|\[編輯]|\[来源请求]|\[來源請求]|\[edit]|\[citation needed]")
ENDS = (".", "?", "!", '"', "'")
ENDS_ZH = (*ENDS, *"。？！；…”’」』）)》：")
POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
POLICY_ZH = (
    *("隐私政策", "隱私政策", "使用条款", "使用條款", "服务条款", "服務條款", "版权所有", "版權所有", "免责声明"),
    *(
        "联系我们",
        "聯絡我們",
        "ICP备",
        "返回顶部",
        "点击下载",
        "点击进入",
        "扫码关注",
        "扫描二维码",
        "上一篇",
        "下一篇",
    ),
)


class Step(Change):
    """Lines without an end mark, with few words, with phrases of menus; lorem ipsum; braces; sentences left."""

    compat: Literal["", "datatrove"] = ""
    """Count as this project does."""
    citations: bool = True
    """Take out [1] and [edit]."""
    end_marks: bool = True
    """Take out lines that do not end as sentences do."""
    policy: bool = True
    """Take out lines with phrases of menus and policies."""
    javascript: bool = True
    """Take out lines that name JavaScript."""
    line_words: int = 3
    """Take out lines with fewer words."""
    word_characters: int = 1000
    """Take out lines with a longer word."""
    max_lorem_ipsum: int | None = 0
    """Most lines with this placeholder."""
    max_braces: int | None = 0
    """Most lines with a {; texts about programs have some."""
    min_sentences: int | None = 5
    """Fewest sentences in the lines that are left."""
    min_sentences_zh: int | None = 2
    """The same for Chinese, whose sentences are longer."""

    def change(self, view: View) -> tuple[str, Tags]:
        """The lines that are left, and what was found in them."""
        is_ours, kept, lines = not self.compat, list[str](), view.text.splitlines()
        tags: dict[str, float | int | str] = {"sentences": 0, "lorem_ipsum": 0, "braces": 0}
        for line in lines:
            line = self._kept(line.strip(), view.is_chinese and is_ours)
            if line is None:
                continue
            lower = line.lower()
            if "lorem ipsum" in lower:
                tags["lorem_ipsum"] = int(tags["lorem_ipsum"]) + 1
            elif self.javascript and "javascript" in lower:
                continue
            elif "{" in line:
                tags["braces"] = int(tags["braces"]) + 1
            if not is_ours and (tags["lorem_ipsum"] or tags["braces"]):
                return view.text, {key: value for key, value in tags.items() if key != "sentences"}
            if self.policy and any(map(lower.__contains__, POLICY if self.compat else (*POLICY, *POLICY_ZH))):
                continue
            tags["sentences"] = int(tags["sentences"]) + (View(line).sentences if is_ours else spacy_sentences(line))
            kept.append(line)
        return "\n".join(kept).strip(), {**tags, "lines_left": len(kept) / max(1, len(lines))}

    def _kept(self, line: str, is_chinese: bool) -> str | None:
        """A line without citations, or None if it is no sentence."""
        words = line.split()
        if any(len(word) > self.word_characters for word in words):
            return None
        if self.citations:
            line = (CITATION if self.compat else CITATION_ZH).sub("", line)
        if self.end_marks:
            ends = ENDS if self.compat else ENDS_ZH
            is_trailing = line.endswith("...") and not is_chinese
            if not line.endswith(ends) or is_trailing:
                return None
        few = len(words) < self.line_words
        if few and not self.compat:  # Chinese has no spaces
            few = len(View(line).wordy) < self.line_words
        return None if few else line


def spacy_sentences(text: str) -> int:
    """How many, by the marks that spaCy's English sentencizer goes by."""
    return sum(1 for sentence in _sentencizer()(text).sents if sentence.text.strip())


@cache
def _sentencizer() -> Any:
    import spacy

    pipe = spacy.blank("en")
    pipe.add_pipe("sentencizer")
    pipe.max_length = 1 << 27
    return pipe
