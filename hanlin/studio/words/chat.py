"""Words of the chat page."""

from hanlin.studio.words.word import Word

TITLE = Word("Chat", "对话")
CONVERSATIONS = Word("Conversations", "对话列表")
NEW = Word("New chat", "新对话")
SEARCH = Word("Search conversations", "搜索对话")
NOTHING_FOUND = Word("Nothing found", "没有找到")
NO_CONVERSATIONS = Word("Conversations will be kept here", "对话会保存在这里")
UNTITLED = Word("New chat", "新对话")
WELCOME = Word("What shall we talk about?", "想聊点什么？")
WELCOME_LINE = Word("Everything stays on this machine. {model} answers.", "一切都留在这台机器上，由 {model} 回答。")
STARTS = (
    Word("What is the capital of France?", "法国的首都是哪里？"),
    Word("Write a haiku about autumn rain", "写一首关于秋雨的短诗"),
    Word("Write a Python function that finds prime numbers", "写一个找质数的 Python 函数"),
    Word("Explain photosynthesis to a child", "给孩子讲讲光合作用"),
)
MESSAGE = Word("Message", "消息")
PLACEHOLDER = Word("Ask anything…", "随便问点什么…")
SEND = Word("Send", "发送")
HINT = Word("Enter sends, Shift+Enter begins a line", "回车发送，Shift+回车换行")
YOU = Word("You", "你")
SYSTEM = Word("System prompt", "系统提示词")
SYSTEM_HINT = Word("How the model should behave. Empty: the model's own.", "规定模型的行为；留空则用模型自己的。")
SETTINGS = Word("Settings", "设置")
SHOW_SETTINGS = Word("Show or hide settings", "显示或隐藏设置")
SHOW_CONVERSATIONS = Word("Show or hide conversations", "显示或隐藏对话列表")
PRESETS = Word("Preset", "预设")
PRESET = {
    "exact": Word("Exact", "精确"),
    "balanced": Word("Balanced", "均衡"),
    "creative": Word("Creative", "发散"),
    "own": Word("Own", "自定"),
}
MORE = Word("All settings", "全部设置")
AUTO = Word("what the window leaves", "窗口余量")
EDIT = Word("Edit", "编辑")
SAVE_AND_SEND = Word("Send as a new branch", "作为新分支发送")
RETRY = Word("Answer again", "重新回答")
WHY = Word("Why these words", "为何是这些词")
HIDE_WHY = Word("Hide probabilities", "隐藏概率")
WHY_HINT = Word(
    "The redder, the less likely. Point at a word, or use the arrow keys, for what else could have come; "
    "choose one to go on from there.",
    "颜色越红越不可能。指向词元或用方向键查看其他可能；点选其一即可从那里续写。",
)
NO_TOKENS = Word("This answer has no probabilities kept.", "这个回答没有保存概率。")
BRANCH = Word("Branch {at} of {count}", "分支 {at} / {count}")
EARLIER = Word("Earlier branch", "上一分支")
LATER = Word("Later branch", "下一分支")
CHOOSE = Word("Go on with this one", "采用这个继续")
CHOSEN = Word("Goes on from here", "由此继续")
READING = Word("Reading: {read} of {tokens} tokens", "读入中：{read} / {tokens} 词元")
WAITING = Word("Waiting for its turn", "排队等待")
STATS = Word(
    "{tokens} tokens · {speed} tokens/s · first after {first} s",
    "{tokens} 词元 · 每秒 {speed} 词元 · 首字 {first} 秒",
)
CUT = Word("ended at the length limit", "达到长度上限")
STOPPED = Word("stopped by you", "已由你停止")
FAILED = Word("failed", "失败")
CONTEXT = Word("{used} of {context} tokens of context", "上下文 {used} / {context} 词元")
EXPORT = Word("Export", "导出")
EXPORT_JSON = Word("Export as JSON", "导出为 JSON")
EXPORT_MARKDOWN = Word("Export as Markdown", "导出为 Markdown")
IMPORT = Word("Import", "导入")
IMPORTED = Word("Imported: {title}", "已导入：{title}")
DELETE = Word("Delete this conversation", "删除此对话")
DELETED = Word("Deleted", "已删除")
UNDO = Word("Undo", "撤销")
NO_MODEL = Word("Choose a model first", "请先选择模型")
ATTACH = Word("Add a text file", "添加文本文件")
SEVERAL = Word("Models (several answer side by side)", "模型（可选多个并排回答）")
ONLY_TEXT = Word("{name} is not UTF-8 text; models here read text only", "{name} 不是 UTF-8 文本；这里的模型只读文本")
