"""Prompt injection: text that talks to a model instead of a reader. Documents in, bounds on what is found out.

Phrases of known attacks in English and Chinese, special tokens of chat templates, and text hidden by characters of no
width or by Unicode's tag characters. What only writes about attacks has few of these; `max_found` lets some pass.
"""

import re

from hanlin.data.step import Filter, Tags
from hanlin.data.view import View

WHAT = r"(?:instructions?|prompts?|rules|directions|guidelines|commands|context|messages?)"
PHRASES = re.compile(
    rf"(?:ignore|disregard|forget|override|bypass)\s+(?:(?:all|any|the|your|of|every|my|these|those|prior|previous|above|"
    rf"preceding|earlier|system|safety|content|existing)\s+){{1,5}}{WHAT}"
    rf"|(?:reveal|print|show|repeat|output|tell\s+me)\s+(?:me\s+)?(?:your|the)\s+(?:system|hidden|initial|secret)\s+{WHAT}"
    r"|you\s+are\s+now\s+(?:in\s+)?(?:DAN|developer\s+mode|jailbroken|unrestricted|going\s+to\s+pretend)"
    r"|do\s+anything\s+now|act\s+as\s+(?:an?\s+)?(?:DAN|unrestricted|unfiltered|evil|amoral)\b"
    r"|(?:without|no|free\s+(?:of|from))\s+(?:any\s+)?(?:ethical|moral|content|safety)\s+(?:\w+\s+){0,3}"
    r"(?:restrictions|guidelines|filters|policy|limits)"
    r"|jailbr(?:eak|oken)\s+(?:mode|prompt|token)"
    r"|(?:can|will|must)\s*(?:not|never)\s+(?:refuse|say\s+(?:no|sorry|that\s+you\s+can))|never\s+(?:refuse|break\s+character)"
    r"|(?:stay|remain)\s+in\s+(?:your\s+)?(?:character|role)|(?:as|like|is)\s+an?\s+(?:fictional\s+)?(?:AI|chatbot|bot)\b"
    r".{0,80}\b(?:no|without|any)\s+(?:\w+\s+){0,3}(?:restrictions|limitations|rules|filter|morals|ethics)"
    r"|you\s+(?:are|will)\s+(?:now\s+)?(?:be\s+)?(?:acting|act|pretend(?:ing)?|role-?play(?:ing)?|simulat(?:e|ing))\b"
    r"|(?:忽略|无视|忘记|忘掉|不要理会|忽視|無視|忘記).{0,10}(?:之前|以前|上面|以上|先前|前面|所有|一切|你的).{0,10}"
    r"(?:指令|指示|提示|规则|要求|命令|设定|限制|規則|設定)"
    r"|(?:告诉我|输出|显示|重复|泄露|打印).{0,8}(?:系统提示|初始提示|隐藏的?(?:指令|提示)|你的提示词)"
    r"|(?:进入|开启|切换到).{0,4}(?:开发者|越狱|无限制|上帝)模式|(?:不受|没有|解除).{0,8}(?:道德|伦理|安全|内容).{0,6}(?:限制|约束|审查)",
    re.I,
)
TOKENS = re.compile(
    r"<\|(?:im_start|im_end|endoftext|system|user|assistant|eot_id|start_header_id|end_header_id|begin_of_text)\|>"
    r"|<<SYS>>|\[/?INST\]|<(?:start|end)_of_turn>|^#{2,3}\s*(?:System|Instruction)\s*:", re.I | re.M
)  # fmt: skip
HIDDEN = re.compile("[\U000e0020-\U000e007e]{4,}|[\u200b\u2060\u2063\u2064]{8,}")


class Step(Filter):
    """Attack phrases, template tokens, hidden text."""

    max_phrases: int | None = 0
    """Most phrases of attacks."""
    max_tokens: int | None = 0
    """Most special tokens of chat templates."""
    max_hidden: int | None = 0
    """Most places with hidden text; a run of `normalise` before this step has taken some of it out."""

    def measure(self, view: View) -> Tags:
        """How many of each there are."""
        patterns = {"phrases": PHRASES, "tokens": TOKENS, "hidden": HIDDEN}
        return {name: sum(1 for _ in pattern.finditer(view.text)) for name, pattern in patterns.items()}
