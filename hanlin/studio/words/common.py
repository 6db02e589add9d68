"""Words of every page."""

from hanlin.studio.words.word import Word

STUDIO = Word("Hanlin Studio", "翰林书房")
SKIP = Word("Skip to content", "跳到正文")
PAGES = Word("Pages", "页面")
OTHER_LANGUAGE = Word("中文", "English")
THEME = Word("Theme: {theme}", "主题：{theme}")
THEMES = {"auto": Word("system", "跟随系统"), "light": Word("light", "浅色"), "dark": Word("dark", "深色")}
CLOSE = Word("Close", "关闭")
CANCEL = Word("Cancel", "取消")
STOP = Word("Stop", "停止")
COPY = Word("Copy", "复制")
COPIED = Word("Copied", "已复制")
MODEL = Word("Model", "模型")
BUG = Word("This is a bug in Hanlin; the log has it", "这是翰林的错误，详见日志")
NOT_ALLOWED = Word("This key may not: it needs {scope}", "此密钥无此权限：需要 {scope}")
LOADING = Word("{model} is being loaded", "正在载入 {model}")
FETCHING = Word("{model} is being fetched for the first time", "首次获取 {model}")
BUSY = Word("Working", "处理中")
NONE = Word("none", "无")
SAVED = Word("Saved", "已保存")
REMOVE = Word("Remove", "删除")
TOKENS = Word("tokens", "词元")
