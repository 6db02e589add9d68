"""Words of the machine page."""

from hanlin.studio.words.word import Word

TITLE = Word("Machine", "机器")
LINE = Word(
    "What this machine can do, what it is doing, and who may ask.", "这台机器能做什么、正在做什么、谁可以提问。"
)
LOAD = Word("Now", "当前")
CPU = Word("Processor", "处理器")
MEMORY = Word("Memory in use", "已用内存")
SPEED = Word("Tokens per second", "每秒词元")
REQUESTS = Word("Requests in flight", "进行中的请求")
PER_MODEL = Word("By model", "按模型")
COLUMNS = (
    Word("model", "模型"),
    Word("in flight", "进行中"),
    Word("refused", "已拒绝"),
    Word("tokens", "词元"),
    Word("busy", "忙碌"),
    Word("memory", "内存"),
)
SINCE = Word("Since the server began, {ago} ago", "服务器启动 {ago} 以来")
COUNTS = {
    "prompt": Word("Tokens read", "读入词元"),
    "cached": Word("of these, known already", "其中已缓存"),
    "completion": Word("Tokens written", "写出词元"),
    "first": Word("First token after, mean", "首词平均"),
    "between": Word("Between tokens, mean", "词间平均"),
    "errors": Word("Errors", "错误"),
}
DOCTOR = Word("Doctor", "体检")
LOOKING = Word("Looking at the machine", "检查机器中")
MEASURE = Word("Measure speeds", "测量速度")
PROBLEMS = Word("What stands in the way", "存在的问题")
NO_PROBLEMS = Word("Nothing stands in the way.", "没有问题。")
FACTS = {
    "processor": Word("Processor", "处理器"),
    "cores": Word("Cores to use", "可用核数"),
    "instructions": Word("Instructions", "指令集"),
    "memory": Word("Memory free", "可用内存"),
    "disk": Word("Disk free", "可用磁盘"),
    "kernels": Word("Native kernels", "原生内核"),
    "gpu": Word("GPU", "GPU"),
    "python": Word("Python", "Python"),
    "torch": Word("torch", "torch"),
    "read": Word("Reads memory at", "内存读取速度"),
}
FITS = Word("What fits", "放得下什么")
KEYS = Word("Keys", "密钥")
NO_KEYS = Word(
    "There are none: whoever reaches this machine's own address may ask. With the first key, all need one.",
    "没有密钥：能访问本机地址者都可提问。有了第一个密钥，人人都需要密钥。",
)
NOT_YOURS = Word("Only a key with the scope admin sees keys.", "只有 admin 权限的密钥能查看密钥。")
NAME = Word("Name", "名称")
SCOPES = Word("What it opens", "权限")
MADE_AT = Word("Made", "创建于")
LIMITS = Word("Per minute", "每分钟")
REQUESTS_LIMIT = Word("Requests per minute", "每分钟请求数")
TOKENS_LIMIT = Word("Tokens per minute", "每分钟词元数")
ADD = Word("Add a key", "添加密钥")
SECRET = Word("Copy it now: it is shown once and kept nowhere.", "请立即复制：只显示这一次，哪里都不保存。")
SURE = Word("Remove {name}? Who has it is shut out at once.", "删除 {name}？持有者将立即失去访问权。")
LAST = Word(
    "The first key should open admin and studio, or nobody can come back in here.",
    "第一个密钥应含 admin 和 studio，否则无人能再进入这里。",
)
