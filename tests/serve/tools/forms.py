"""Chat templates that write tool calls in each form, in our own words; tokenizers with marks as one token or none."""

from typing import Any

from tokenizers import AddedToken

from hanlin.text.template import ChatTemplate
from hanlin.text.tokenizer import Tokenizer
from infer.tiny import tokenizer as bytewise

TURN = "{{ '<turn>' + m.role + ': ' + (m.content or '') }}"

TEMPLATES = {
    "hermes": """{%- if tools %}<turn>tools:{% for tool in tools %} {{ tool | tojson }}{% endfor %}{% endif %}
{%- for m in messages %}
{%- if m.role == 'assistant' and m.tool_calls %}{{ '<turn>assistant: ' }}
{%- if m.content %}{{ m.content + '\\n' }}{% endif %}
{%- for call in m.tool_calls %}{% if not loop.first %}{{ '\\n' }}{% endif %}
{{- '<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' }}
{{- call.function.arguments | tojson }}{{ '}\\n</tool_call>' }}{% endfor %}
{%- else %}"""
    + TURN
    + "{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<turn>assistant: ' }}{% endif %}",
    "llama": """{%- for m in messages %}
{%- if m.role == 'user' and loop.first and tools %}{{ '<turn>user: ' }}
{%- for tool in tools %}{{ tool | tojson(indent=4) + '\\n' }}{% endfor %}{{ m.content }}
{%- elif 'tool_calls' in m %}
{%- if m.tool_calls | length != 1 %}{{ raise_exception('one call at a time') }}{% endif %}
{%- set call = m.tool_calls[0].function %}
{{- '<turn>assistant: {"name": "' + call.name + '", "parameters": ' }}{{ call.arguments | tojson }}{{ '}' }}
{%- else %}"""
    + TURN
    + "{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<turn>assistant: ' }}{% endif %}",
    "tagged": """{%- for m in messages %}
{%- if m.role == 'user' and loop.first and tools %}{{ '<turn>user: ' + tools | tojson + m.content }}
{%- elif 'tool_calls' in m %}
{%- set call = m.tool_calls[0].function %}
{{- '<turn>assistant: <|python_tag|>{"name": "' + call.name + '", "parameters": ' }}
{{- call.arguments | tojson }}{{ '}' }}
{%- else %}"""
    + TURN
    + "{% endif %}{% endfor %}",
    "listed": """{%- for m in messages %}
{%- if m.role == 'user' and loop.first and tools %}{{ '[TOOLS]' + tools | tojson + m.content }}
{%- elif m.tool_calls %}{{ '[TOOL_CALLS] [' }}
{%- for call in m.tool_calls %}
{%- if call.id | length != 9 %}{{ raise_exception('ids of nine letters') }}{% endif %}
{{- (call.function | tojson)[:-1] + ', "id": "' + call.id + '"}' }}{% if not loop.last %}{{ ', ' }}{% endif %}
{%- endfor %}{{ ']<end>' }}
{%- elif m.role == 'tool' %}
{%- if m.tool_call_id | length != 9 %}{{ raise_exception('ids of nine letters') }}{% endif %}
{{- '[RESULT]' + m.content + m.tool_call_id }}
{%- else %}"""
    + TURN
    + "{% endif %}{% endfor %}",
    "named": """{%- for m in messages %}
{%- if m.role == 'user' and tools %}{{ tools | tojson + m.content }}
{%- elif m.tool_calls %}{% for call in m.tool_calls %}
{{- '[TOOL_CALLS]' + call.function.name + '[ARGS]' + call.function.arguments | tojson }}{% endfor %}{{ '<end>' }}
{%- else %}"""
    + TURN
    + "{% endif %}{% endfor %}",
    "plain": "{% for m in messages %}" + TURN + "{% endfor %}",
}
TEMPLATES["numbered"] = TEMPLATES["named"].replace("'[ARGS]'", "'[CALL_ID]' + call.id + '[ARGS]'")
KINDS = {"listed": "mistral", "named": "mistral", "numbered": "mistral", "tagged": "llama"}
"""The file that reads what a template writes, where the names differ."""
MARKS = ("<tool_call>", "</tool_call>", "<|python_tag|>", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]")


def tokenizer(form: str, has_marks: bool = False) -> Tokenizer:
    """A tokenizer of single bytes; with marks, each of them is one special token."""
    plain = bytewise()
    if has_marks:
        plain.backend.add_special_tokens([AddedToken(mark, special=True) for mark in MARKS])
    size = plain.backend.get_vocab_size()
    return Tokenizer(plain.backend, size, eos=plain.eos, template=ChatTemplate(TEMPLATES[form], {}))


def tool(name: str, **properties: Any) -> dict[str, Any]:
    """A tool with these properties, all of them required."""
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "description": f"what {name} does", "parameters": schema}}


WEATHER = tool("get_weather", city={"type": "string"})
TIME = tool("现在", zone={"enum": ["UTC", "北京"]}, deep={"type": "array", "items": {"type": "integer"}})
TOOLS = [WEATHER, TIME]
