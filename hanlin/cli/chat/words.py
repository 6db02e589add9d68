"""Every word the chat says by itself, in English and Chinese. The same keys in both; a test compares them."""

from hanlin.cli.language import Language

WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "welcome": "{model} · {context:,} tokens of context · /help explains, Ctrl-D leaves",
        "system": "system: {text}",
        "no_system": "there is no system message",
        "system_set": "system message set; it holds from the next answer on",
        "system_gone": "system message removed",
        "reset": "the conversation begins anew",
        "undone": "the last question and its answer are gone",
        "saved": "saved {count} messages to {path}",
        "loaded": "loaded {count} messages from {path}",
        "other_model": "it was held with {model}",
        "params": "settings of the answers; change them with /params name=value …, restore them with /params default",
        "changed": "changed: {params}",
        "reading": "reading {tokens:,} tokens …",
        "answer_stats": "{tokens} tokens · {rate:.1f}/s · first after {first:.1f} s · context {used:,} / {context:,}",
        "stopped": "stopped; what was said is kept",
        "stopped_early": "stopped before the first word; the question is taken back",
        "silent": "the model ended its answer without a word",
        "cut_max": "cut at max_tokens = {tokens}; /params max_tokens=… allows more",
        "cut_context": "cut: the context window is full; /reset begins anew",
        "forgotten": "the window is full: the oldest {count} messages are no longer shown to the model (still saved)",
        "leave": "Ctrl-C again, or Ctrl-D, leaves",
        "bye": "bye",
        "stats": "answers: {turns} · tokens: {tokens:,} in {seconds:.1f} s, {rate:.1f}/s · first after {first:.1f} s",
        "stats_context": "context {used:,} of {context:,} tokens · {messages} messages · {memory:.2f} GiB of memory",
        "no_history": "the input history cannot be kept: {reason}",
        "toolbar": "context",
        "loading": "opening the model …",
        "help_keys": "Enter sends · Alt-Enter or \\ at the end: a new line · Ctrl-C stops an answer · Ctrl-D leaves",
        "help_slash": "// sends a message that begins with /",
        "help_help": "this page",
        "help_reset": "forget the conversation; the system message stays",
        "help_undo": "take the last question and its answer back",
        "help_retry": "answer the last question again",
        "help_system": "show or set the system message; - removes it",
        "help_params": "show or change the settings of the answers",
        "help_stats": "counts and speeds so far",
        "help_save": "write the conversation to a file",
        "help_load": "go on with a saved conversation",
        "help_quit": "leave",
    },
    "zh": {
        "welcome": "{model} · 上下文 {context:,} 个词元 · /help 查看帮助，Ctrl-D 离开",
        "system": "系统消息：{text}",
        "no_system": "没有系统消息",
        "system_set": "系统消息已设定，从下一个回答起生效",
        "system_gone": "系统消息已删除",
        "reset": "对话重新开始",
        "undone": "最后一个问题和回答已撤回",
        "saved": "已把 {count} 条消息存入 {path}",
        "loaded": "已从 {path} 读入 {count} 条消息",
        "other_model": "那次对话用的是 {model}",
        "params": "回答的设定；用 /params 名称=值 … 修改，用 /params default 复原",
        "changed": "已修改：{params}",
        "reading": "正在阅读 {tokens:,} 个词元……",
        "answer_stats": "{tokens} 个词元 · 每秒 {rate:.1f} 个 · 首个 {first:.1f} 秒 · 上下文 {used:,} / {context:,}",
        "stopped": "已停止；说出的部分保留",
        "stopped_early": "还没开口就停止了；问题已撤回",
        "silent": "模型一字未说就结束了回答",
        "cut_max": "到 max_tokens = {tokens} 为止；/params max_tokens=… 可以放宽",
        "cut_context": "到此为止：上下文窗口已满；/reset 重新开始",
        "forgotten": "窗口已满：最早的 {count} 条消息不再给模型看（仍会保存）",
        "leave": "再按一次 Ctrl-C 或按 Ctrl-D 离开",
        "bye": "再见",
        "stats": "{turns} 个回答 · {tokens:,} 个词元，{seconds:.1f} 秒，每秒 {rate:.1f} 个 · 首个 {first:.1f} 秒",
        "stats_context": "上下文 {used:,} / {context:,} 个词元 · {messages} 条消息 · 内存 {memory:.2f} GiB",
        "no_history": "无法保存输入历史：{reason}",
        "toolbar": "上下文",
        "loading": "正在打开模型……",
        "help_keys": "Enter 发送 · Alt-Enter 或行末 \\ 换行 · Ctrl-C 停止回答 · Ctrl-D 离开",
        "help_slash": "// 用来发送以 / 开头的消息",
        "help_help": "本页",
        "help_reset": "忘掉对话；系统消息保留",
        "help_undo": "撤回最后一个问题和回答",
        "help_retry": "重新回答最后一个问题",
        "help_system": "查看或设定系统消息；- 删除它",
        "help_params": "查看或修改回答的设定",
        "help_stats": "至今的数量和速度",
        "help_save": "把对话写入文件",
        "help_load": "接着保存过的对话谈",
        "help_quit": "离开",
    },
}


class Words:
    """`words("saved", count=2, path="x")`: one sentence in the user's language."""

    def __init__(self, lang: Language) -> None:
        self.table = WORDS[lang]

    def __call__(self, key: str, **values: object) -> str:
        """The sentence of that key, filled in."""
        return self.table[key].format(**values)
