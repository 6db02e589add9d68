"""A template is a stranger's program: whatever it tries, it is refused within a second and a little memory."""

import json
import subprocess
import sys
from typing import Any

import pytest

from hanlin.text.meter import Meter
from hanlin.text.template import ChatTemplate

GROW = "{% set ns = namespace(s=START) %}{% for i in range(60) %}{% set ns.s = STEP %}{% endfor %}{{ ns.s }}"

DOUBLED = "{% set t %}{{ ns.s }}{{ ns.s }}{% endset %}"


def growing(start: str, step: str) -> str:
    return GROW.replace("START", start).replace("STEP", step)


TOO_MUCH = {
    "loops in loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "loops that filter all": "{% for a in range(99999) %}{% for b in range(99999) if false %}{% endfor %}{% endfor %}",
    "sums in a loop": "{% for a in range(99999) %}{{ range(99999)|sum }}{% endfor %}",
    "a range too long": "{{ range(10**9)|list }}",
    "text in a loop": "{% for a in range(99999) %}" + "x" * 10_000 + "{% endfor %}",
    "a long string": "{{ 'a' * 10**9 }}",
    "a string doubled by +": growing("'ab'", "ns.s + ns.s"),
    "a string doubled by ~": growing("'ab'", "ns.s ~ ns.s"),
    "a string doubled by format": growing("'ab'", "'%s%s' % (ns.s, ns.s)"),
    "a string doubled by a block": growing("'ab'", "t").replace("{% set ns.s", DOUBLED + "{% set ns.s"),
    "a number squared": growing("3", "ns.s * ns.s"),
    "a power": "{{ 10 ** (10 ** 10) }}",
    "a list doubled by nesting": growing("['a']", "[ns.s, ns.s]"),
    "a tuple doubled and hashed": growing("(1,)", "(ns.s, ns.s)").replace("{{ ns.s }}", "{{ {ns.s: 1} }}"),
    "names that hold each other": growing("namespace(a=1)", "namespace(a=ns.s, b=ns.s)"),
    "names in a circle": "{% set a = namespace() %}{% set a.b = a %}{{ a }}",
    "a list of lists": "{{ [range(99999)|list] * 99999 }}",
    "a join": "{{ ([('a' * 100000)] * 1000)|join }}",
    "a join by a method": "{{ ('a' * 100000).join(range(99999)|map('string')) }}",
    "a replacement": "{{ ('a' * 100000)|replace('a', 'b' * 100000) }}",
    "a replacement of nothing": "{{ ('a' * 100000).replace('', 'b' * 100000) }}",
    "a wide field": "{{ '%999999999d' % 1 }}",
    "a wide field in braces": "{{ '{:999999999}'.format(1) }}",
    "a width from an argument": "{{ '{:{}}'.format(1, 999999999) }}",
    "a width from a star": "{{ '%*d'|format(999999999, 1) }}",
    "one argument many times": "{{ ('{0}' * 100000).format('a' * 100000) }}",
    "centred": "{{ 'a'|center(10**9) }}",
    "justified": "{{ 'a'.ljust(10**9) }}",
    "indented": "{{ ('\n' * 100000)|indent(10**6) }}",
    "indented JSON": "{{ [1]|tojson(indent=10**9) }}",
    "filled batches": "{{ [1]|batch(10**9, 0)|list }}",
    "slices": "{{ [1]|slice(10**9)|list }}",
    "decimals": "{{ 1.5|round(10**9, 'ceil') }}",
    "pieces of text": "{{ ('a,' * 3000000).split(',') }}",
    "letters of text": "{{ ('ab' * 3000000)|list }}",
    "a search in a loop": "{% set b = 'a' * 1000000 %}{% for a in range(9999) %}{{ 'b' in b }}{% endfor %}",
    "a search per item": "{% set b = 'a' * 1000000 %}{{ range(9999)|map('string')|select('in', b)|list }}",
    "a long path per item": "{{ range(99999)|map(attribute='a.' * 50000)|list }}",
    "keys in a loop": "{% for a in range(99999) %}{% set b = {}.fromkeys(range(99999)) %}{% endfor %}",
    "lists added up": "{{ ([[1]] * 10000)|sum(start=[]) }}",
    "a macro without end": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "a tree of macros": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "a block in itself": "{% block b %}{{ self.b() }}{% endblock %}",
    "a loop in itself": "{% for a in [1, 2] recursive %}{% if loop.depth < 50 %}{{ loop([1, 2]) }}{% endif %}"
    "{% endfor %}",
    "deep brackets": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "deep branches": "{% if 1 %}" * 500 + "{% endif %}" * 500,
    "a long template": "x" * 300_000,
}
FORBIDDEN = {
    "a class": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "a class by filter": "{{ (''|attr('__class__')).__mro__ }}",
    "a class by format": "{{ '{0.__class__.__mro__}'.format(1).x.y }}",
    "a class by format_map": "{{ '{a.__class__}'.format_map({'a': 1}) }}",
    "globals of a function": "{{ raise_exception.__globals__['sys'] }}",
    "the code of a macro": "{% macro m() %}{% endmacro %}{{ m._func.__code__.co_code }}",
    "the context": "{{ self._TemplateReference__context.eval_ctx }}",
    "a name of Python's": "{% set ns = namespace() %}{% set ns.__class__ = 1 %}",
    "a change in place": "{% set a = messages.append(1) %}",
    "a deletion": "{{ messages[0].pop('role') }}",
    "bytes": "{{ (1).to_bytes(10**9, 'big') }}",
    "a file included": "{% include '/etc/passwd' %}",
    "itself imported": "{% import 'chat_template' as a %}",
    "a file extended": "{% extends 'base' %}",
}
WRONG = {
    "no end": "{% for a in messages %}",
    "no sense": "{% frobnicate %}",
    "an unknown filter": "{{ 'a'|wordwrap }}",
    "filler": "{{ lipsum(n=10**6) }}",
    "an unknown variable": "{{ nothing.at.all }}",
    "a sum of kinds": "{{ 1 + 'a' }}",
    "a division by nothing": "{{ 1 // 0 }}",
    "too many loops for Python": "{% for a in [1] %}" * 60 + "{% endfor %}" * 60,
}


WATCHED = """
import json, resource, sys, time
from hanlin.core.errors import HanlinError
from hanlin.text.template import ChatTemplate

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def render(source):
    return ChatTemplate(source).render([{'role': 'user', 'content': 'hi'}])

render('{{ messages }}')
base, told = peak(), {}
for case, source in json.load(sys.stdin).items():
    begin = time.process_time()
    try:
        end = ['rendered', render(source)[:99], '']
    except HanlinError as error:
        end = [type(error).__name__, error.what, error.fix]
    told[case] = [*end, time.process_time() - begin, peak() - base]
json.dump(told, sys.stdout)
"""
"""Each case in turn, in a process of its own: time and memory are measured, without annotations being executed."""


@pytest.fixture(scope="module")
def told() -> dict[str, list[Any]]:
    """For each case: the error, what it says, its fix, seconds of the processor, megabytes at the peak so far."""
    given = json.dumps({**TOO_MUCH, **FORBIDDEN, **WRONG})
    done = subprocess.run([sys.executable, "-c", WATCHED], input=given, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", [*TOO_MUCH, *FORBIDDEN, *WRONG])
def test_a_hostile_template_is_two_lines_soon_and_without_much_memory(case: str, told: dict[str, list[Any]]) -> None:
    error, what, fix, seconds, megabytes = told[case]
    assert error == ("TokenizerError" if case in WRONG else "RefusedError"), what
    assert what
    assert "\n" not in what
    assert fix
    assert seconds < 3  # measured: 0.6 s
    assert megabytes < 200  # measured: 35 MB


def test_long_conversations_get_a_budget_in_proportion() -> None:
    messages = [{"role": "user", "content": "word " * 2_000}] * 1_000
    meter = Meter({"messages": messages})
    short = Meter({"messages": messages[:1]})
    assert meter.left - short.left > 40 * 999 * 10_000
    template = ChatTemplate("{% for m in messages %}{{ m.content|trim }}{% endfor %}")
    assert len(template.render(messages)) == 9_999 * 1_000
