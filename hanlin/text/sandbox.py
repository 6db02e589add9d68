"""A stranger's Jinja program and its variables in, the text it writes out; nothing else happens.

On top of Jinja's own sandbox (no attribute that leads into Python, nothing changed in place) every loop, call, filter
and operator pays from a `Meter` before it runs, so neither `{% for %}` in `{% for %}` nor `'a' * 10**9` gets anywhere.
The program is rewritten for that once, when it is compiled. What templates may call is a list (`allowed.py`).
Otherwise the world is the one Transformers gives: https://huggingface.co/docs/transformers/chat_templating_writing
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

from jinja2 import Template, TemplateError, TemplateSyntaxError, UndefinedError, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from hanlin.core.errors import RefusedError, TokenizerError
from hanlin.text.allowed import FILTERS, operate, pay_call, pay_filter, tojson
from hanlin.text.meter import FIX, Meter, size

LONGEST = 200_000
"""Characters a template may have; the longest published ones have some 30,000."""
METER = "the meter"
"""The meter travels among the variables, under a name that no template can spell."""
MARKS = "the marks"
"""Likewise what is written around `{% generation %}`."""
STEP = 25
"""What one turn of a loop costs, beside what is done in it."""


def render(source: str, variables: Mapping[str, Any], marks: tuple[str, str] = ("", "")) -> str:
    """Run a template. `marks` are written before and after what stands in `{% generation %}`.

    Raises:
        TokenizerError: the template is wrong, or refuses these variables; then the message is in its own words.
        RefusedError: the template reaches for what it must not have, or for more than its budget.
    """
    try:
        return _compiled(source).render({**variables, METER: Meter(variables), MARKS: marks})
    except RefusedError:
        raise
    except SecurityError as error:
        raise RefusedError(f"the chat template reaches for what it must not have: {error}", FIX) from None
    except (RecursionError, MemoryError, OverflowError) as error:
        raise RefusedError(f"the chat template goes too deep or too far: {error}", FIX) from None
    except TemplateSyntaxError as error:
        raise TokenizerError(f"the chat template is not valid, line {error.lineno}: {error.message}", FIX) from None
    except UndefinedError as error:
        fix = "give the conversation what the template looks for"
        raise TokenizerError(f"the chat template misses something: {error}", fix) from None
    except RaisedError as error:
        fix = "change the conversation to what this model was taught"
        raise TokenizerError(f"the chat template refuses this conversation: {error}", fix) from None
    except Exception as error:  # any mistake of a program that is not ours
        raise TokenizerError(f"the chat template fails: {type(error).__name__}: {error}", FIX) from None


@lru_cache(16)
def _compiled(source: str) -> Template:
    if len(source) > LONGEST:
        raise RefusedError(f"the chat template has {len(source):,} characters, more than {LONGEST:,}", FIX)
    return _world().from_string(source)


@lru_cache(1)
def _world() -> "World":
    return World()


class RaisedError(TemplateError):
    """What a template says with `raise_exception`."""


class Generation(Extension):
    """`{% generation %}`, which marks what the assistant wrote for training: its body stands between `marks`."""

    tags = {"generation"}  # noqa: RUF012 (as Jinja declares it)

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        """The body alone, in its own scope as Transformers has it."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        opens, closes = (nodes.Filter(nodes.Const(end), MARK, [], [], None, None, lineno=line) for end in (0, 1))
        return nodes.Scope([nodes.Output([opens]), *body, nodes.Output([closes])], lineno=line)


class World(ImmutableSandboxedEnvironment):
    """Jinja with a meter in every place where a template can take time or memory."""

    intercepted_binops = frozenset(["+", "*", "**", "%"])

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # constants are worked out while rendering, under the meter
            extensions=[Generation, loopcontrols],
            finalize=pass_context(_weighed),
        )
        self.filters["tojson"] = tojson
        known = {name: self.filters[name] for name in FILTERS}
        self.filters = {name: _metered(name, run) for name, run in known.items()}
        self.filters |= {SPEND: pass_context(_spent), WEIGH: pass_context(_weighed), COUNT: pass_context(_counted)}
        self.filters[MARK] = pass_context(lambda context, end: context[MARKS][end])
        del self.globals["lipsum"]
        self.globals |= {"raise_exception": _raise, "strftime_now": _now, "namespace": _Names, "dict": _mapping}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        program = super()._parse(source, name, filename)
        metered = Metering().visit(program)
        metered.set_environment(self)
        return metered

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """An operator, paid for."""
        return operate(context[METER], operator, left, right, partial(super().call_binop, context))

    def call(self, context: Context, called: Any, /, *args: Any, **kwargs: Any) -> Any:
        """A call, paid for."""
        settle = pay_call(context[METER], called, args, kwargs)
        return settle(super().call(context, called, *args, **kwargs))


class Metering(NodeTransformer):
    """Rewrites a program so that it pays as it goes."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802, D102
        self.generic_visit(node)
        node.iter = _through(COUNT, node.iter)
        node.body.insert(0, _paying(STEP, node))
        return node

    def visit_Output(self, node: nodes.Output) -> list[nodes.Node]:  # noqa: N802, D102
        self.generic_visit(node)
        fixed = sum(len(part.data) for part in node.nodes if isinstance(part, nodes.TemplateData))
        return [_paying(fixed, node), node] if fixed else [node]

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802, D102
        self.generic_visit(node)
        node.expr = _through(WEIGH, node.expr)
        for operand in node.ops:
            operand.expr = _through(WEIGH, operand.expr)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802, D102
        self.generic_visit(node)
        node.nodes = [_through(WEIGH, part) for part in node.nodes]
        return node

    def visit_Test(self, node: nodes.Test) -> nodes.Node:  # noqa: N802, D102
        self.generic_visit(node)
        if node.args:
            node.node, node.args = _through(WEIGH, node.node), [_through(WEIGH, part) for part in node.args]
        return node

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802, D102
        self.generic_visit(node)
        return _through(WEIGH, node)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802, D102
        self.generic_visit(node)
        return _through(WEIGH, node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802, D102
        self.generic_visit(node)
        return _through(WEIGH, node) if node.ctx == "load" else node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802, D102
        self.generic_visit(node)
        return _through(WEIGH, node) if isinstance(node.arg, nodes.Slice) else node

    def _refuse(self, node: nodes.Node) -> nodes.Node:
        raise RefusedError(f"line {node.lineno} of the chat template loads another file, and there is none", FIX)

    visit_Include = visit_Import = visit_FromImport = visit_Extends = _refuse  # noqa: N815


SPEND, WEIGH, COUNT, MARK = "spend here", "weigh this", "count this", "mark this"
"""Filters of our own; a template cannot name them, for they have spaces."""


def _through(name: str, node: nodes.Node) -> nodes.Expr:
    """An expression that pays on its way; a constant is as small as the template."""
    if isinstance(node, nodes.Const):
        return node
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _paying(units: int, node: nodes.Node) -> nodes.Node:
    price = nodes.Filter(nodes.Const(units), SPEND, [], [], None, None, lineno=node.lineno)
    return nodes.ExprStmt(price, lineno=node.lineno)


def _spent(context: Context, units: int) -> None:
    context[METER].spend(units)


def _weighed(context: Context, value: Any) -> Any:
    meter = context[METER]
    if isinstance(value, str):
        meter.spend(len(value))
    else:
        meter.weigh(value)
    return value


def _counted(context: Context, value: Any) -> Any:
    context[METER].spend(size(value))
    return value


def _metered(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that pays first. What Jinja hands it besides the value is found by Jinja's own mark on it."""
    wants = getattr(getattr(run, "jinja_pass_arg", None), "name", None)

    @pass_context
    def paid(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        settle = pay_filter(context[METER], name, value, args, kwargs)
        given = {"context": context, "eval_context": context.eval_ctx, "environment": context.environment}
        return settle(run(*([given[wants]] if wants else []), value, *args, **kwargs))

    return paid


def _raise(message: Any) -> None:
    raise RaisedError(str(message))


def _now(form: str) -> str:
    if len(form) > 100:
        raise RefusedError(f"the chat template wants the date in a form of {len(form)} characters", FIX)
    return datetime.now().strftime(form)


def _mapping(*args: Any, **kwargs: Any) -> dict[Any, Any]:
    return dict(*args, **kwargs)


class _Names(Namespace):
    """Jinja's namespace, closed to names that could shadow Python's own."""

    def __init__(self, /, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        for name, value in dict(*args, **kwargs).items():
            self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            raise SecurityError(f"a namespace cannot hold {name!r}")
        super().__setitem__(name, value)
