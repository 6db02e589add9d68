"""Words of the playground."""

from hanlin.studio.words.word import Word

TITLE = Word("Playground", "试验场")
LINE = Word("The model without a conversation around it.", "抛开对话，直接摆弄模型。")
COMPLETE = Word("Completion", "续写")
STRUCTURE = Word("Structured output", "结构化输出")
EMBED = Word("Embeddings map", "嵌入地图")
PROMPT = Word("Text to go on from", "要续写的文本")
PROMPT_DEFAULT = Word("The three primary colours are", "三原色是")
TOKENS = Word("Tokens", "词元数")
TEMPERATURE = Word("Temperature", "温度")
RUN = Word("Go on", "续写")
RESULT = Word("What came", "结果")
HINT = Word(
    "The redder, the less likely. Point at a word, or use the arrow keys, for what else could have come.",
    "颜色越红越不可能。指向词元或用方向键查看其他可能。",
)
TREE = Word("Probability tree", "概率树")
TREE_GO = Word("Grow a tree", "展开概率树")
TREE_HELP = Word(
    "What may come next, and how likely. Choose a token to see what would follow it.",
    "接下来可能出现什么、可能性多大。点选词元，看它之后会是什么。",
)
KIND = Word("Held to", "约束")
KINDS = {
    "json_schema": Word("JSON schema", "JSON schema"),
    "regex": Word("Regular expression", "正则表达式"),
    "grammar": Word("Lark grammar", "Lark 文法"),
}
SCHEMA = Word("What the answer must be", "答案必须符合")
QUESTION = Word("Question", "问题")
QUESTION_DEFAULT = Word("Describe a city in France.", "介绍一座法国城市。")
ANSWER = Word("Answer", "回答")
VALID = Word("can be enforced", "可以强制执行")
TEXTS = Word("Texts, one a line", "文本，每行一条")
TEXTS_DEFAULT = Word(
    "The cat sleeps on the sofa\nA dog barks in the garden\nStocks fell on Monday\nThe bank raised its rates\n"
    "def add(a, b): return a + b\nfor i in range(10): print(i)",
    "猫在沙发上睡觉\n狗在花园里叫\n周一股市下跌\n银行提高了利率\n"
    "def add(a, b): return a + b\nfor i in range(10): print(i)",
)
MAP = Word("Draw the map", "绘制地图")
MAP_HELP = Word(
    "Texts that mean alike lie close. The two directions in which they differ most show {share:.0%} of all difference.",
    "意思相近的文本挨得近：取差异最大的两个方向，可见全部差异的 {share:.0%}。",
)
FEW = Word("at least three texts make a map", "至少三条文本才能成图")
NEAREST = Word("Most alike", "最相似")
SNIPPETS = Word("The same by API", "用 API 实现同样效果")
SNIPPETS_HELP = Word("For what is on the screen now.", "对应当前屏幕上的内容。")
