"""A run file as a form made from its typed settings, and as TOML; both are the same text, checked as one types."""

import asyncio
import tomllib
from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import tomli_w
from nicegui import ui
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from hanlin.core.errors import ConfigError, HanlinError
from hanlin.core.plugins import names
from hanlin.core.settings import override, parse
from hanlin.studio.parts import box, labelled, words
from hanlin.studio.visitor import Visitor
from hanlin.studio.words import training
from hanlin.train.settings import RunFile

CHOICES = {
    "objective.use": "hanlin.train.objectives",
    "train.optimiser.use": "hanlin.train.optimisers",
    "train.schedule.use": "hanlin.train.schedules",
    "model.family": "hanlin.model.families",
}
FIRST = """name = "mine"

[data]
train = ""
context = 128

[model]
family = "qwen3"
width = 128
layers = 4
heads = 4

[tokenizer]
vocabulary = 2048

[train]
steps = 200
batch = 16
"""
KEYS = tuple(training.CHINESE)


class Form:
    """In the current slot; `text` is the run file as it stands."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor, say = visitor, visitor.say
        self.settings: RunFile | None = None
        self._fields: dict[str, Any] = {}
        self._is_filling = False
        with ui.tabs().props("align=left no-caps dense") as tabs:
            ui.tab("form", say(training.FORM))
            ui.tab("toml", say(training.TOML))
        with ui.tab_panels(tabs, value="form", animated=False):
            with ui.tab_panel("form"):
                self._draw()
            with ui.tab_panel("toml"):
                self.editor = ui.textarea(value=FIRST).classes("mono")
                self.editor.props('outlined autogrow spellcheck="false" debounce=200')
                labelled(self.editor, say(training.RUN_FILE))
                self.editor.on_value_change(self._typed)
        self.verdict = words("p", "", "help")
        self.verdict.props["role"] = "status"
        self.fill(FIRST)

    @property
    def text(self) -> str:
        """The run file."""
        return self.editor.value or ""

    def _draw(self) -> None:
        sections: dict[str, list[str]] = {}
        for key in KEYS:
            section = key.partition(".")[0] if "." in key else ""
            sections.setdefault(section, []).append(key)
        for section, keys in sections.items():
            is_open = section in ("", "data", "model", "train")
            with ui.expansion(self.visitor.say(training.SECTIONS[section]), value=is_open).props("dense"), box("form"):
                for key in keys:
                    self._field(key)

    def _field(self, key: str) -> None:
        kind, field = _found(key)
        help_text = training.CHINESE[key] if self.visitor.language == "zh" else (field.description or "")

        def put(event: Any) -> None:
            self._put(key, event.value)

        with box("field"):
            made = _made(key, kind, put)
            made.props["label"] = made.props["aria-label"] = key
            words("p", " ".join(help_text.split()), "help")
        self._fields[key] = made

    def fill(self, text: str) -> None:
        """Show another run file."""
        self.editor.value = text
        self._show(text)
        ui.timer(0.05, self.check, once=True)

    def _show(self, text: str) -> None:
        """The form's fields as a text has them."""
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            return
        self._is_filling = True
        for key, made in self._fields.items():
            made.value = _value(values, key)
        self._is_filling = False

    def _put(self, key: str, value: Any) -> None:
        if self._is_filling:
            return
        try:
            values = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError:
            return  # what is wrong is said; the form cannot change what cannot be read
        kind, _ = _found(key)
        if isinstance(value, float) and int in _parts(kind):
            value = int(value)
        self.editor.value = tomli_w.dumps(_placed(values, key.split("."), value))

    async def _typed(self, _: Any) -> None:
        self._show(self.text)
        await self.check()

    async def check(self) -> None:
        """Say what is wrong with it, if something is."""
        text = self.text
        try:
            self.settings = await asyncio.to_thread(read, text)
        except HanlinError as error:
            self.settings = None
            self.verdict.text = f"{error.what} – {error.fix}"
            self.verdict.classes(replace="help notice")
        else:
            self.verdict.text = f"✓ {self.visitor.say(training.VALID)}"
            self.verdict.classes(replace="help valid")


def read(text: str) -> RunFile:
    """A run file's settings.

    Raises:
        ConfigError: it is not TOML, or a key or value is wrong.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"this is not TOML: {error}", "mend that line; strings need quotes") from None
    return parse(RunFile, override(values, ()))


def _found(key: str) -> tuple[Any, FieldInfo]:
    """The type and the field of a key, through optional sections; a plug-in's `use` is told by the plug-in's field."""
    kind: Any = RunFile
    field: FieldInfo | None = None
    for part in key.split("."):
        if part == "use" and key in CHOICES:
            break
        section = next(one for one in (kind, *_parts(kind)) if isinstance(one, type) and issubclass(one, BaseModel))
        field = section.model_fields[part]
        kind = field.annotation
    assert field is not None, key
    return kind, field


def _parts(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _made(key: str, kind: Any, put: Any) -> Any:
    if key in CHOICES:
        return ui.select(names(CHOICES[key]), with_input=True, on_change=put).props("outlined dense options-dense")
    parts = _parts(kind)
    for part in parts:
        if get_origin(part) is Literal:
            made = ui.select(list(get_args(part)), clearable=True, on_change=put)
            return made.props("outlined dense options-dense")
    if bool in parts:
        return ui.select({True: "true", False: "false"}, clearable=True, on_change=put).props("outlined dense")
    if int in parts or float in parts:
        return ui.number(step=1 if int in parts else 0.01, on_change=put).props("outlined dense debounce=200")
    return ui.input(on_change=put).props("outlined dense debounce=200")


def _value(values: Mapping[str, Any], key: str) -> Any:
    at: Any = values
    for part in key.split("."):
        if not isinstance(at, Mapping) or part not in at:
            return None
        at = at[part]
    return at if not isinstance(at, list | dict) else None


def _placed(values: Mapping[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    head, *rest = path
    made = dict(values)
    if rest:
        inner = made.get(head)
        made[head] = _placed(inner if isinstance(inner, Mapping) else {}, rest, value)
        if not made[head]:
            del made[head]
    elif value is None or value == "":
        made.pop(head, None)
    else:
        made[head] = value
    return made
