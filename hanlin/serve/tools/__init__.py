"""Tools a model may call: their descriptions in; prompts, constraints and parsed calls out. See docs/tools.md.

    kind = kind_of(tokenizer)
    ids = tokenizer.chat(kind.messages(messages, tools), tools=tools if kind.renders_tools else None)
    constraint = kind.constraint(tools, "auto")
    parser = kind.parser(tools, is_strict=constraint is not None)
    for event in model.answer(ids, Sampling(shown_tokens=kind.opening_tokens), constraint):
        for delta in parser.push(event.text): …
    for delta in parser.finish(): …

Names are files: a form of calls is `hanlin/serve/tools/kinds/NAME.py`.
"""
