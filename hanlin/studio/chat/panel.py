"""The panel of sampling settings: a field for each of `Sampling`'s own, with its docstring; presets."""

from collections.abc import Callable
from typing import Any

from annotated_types import Ge, Gt, Le
from nicegui import ui
from pydantic.fields import FieldInfo

from hanlin.infer.sampling import Sampling
from hanlin.studio.parts import box, words
from hanlin.studio.visitor import Visitor
from hanlin.studio.words import chat, sampling

FIRST = ("temperature", "top_p", "top_k", "min_p", "max_tokens", "seed", "stop")
"""Fields that are always there; the others are behind one more click."""
LEFT_OUT = ("n", "logprobs", "logit_bias", "allowed_tokens", "banned_tokens", "shown_tokens")
"""Set by the page itself, or by token ids, which nobody types into a chat."""
PRESETS: dict[str, dict[str, Any]] = {
    "exact": {"temperature": 0.0},
    "balanced": {"temperature": 0.7, "top_p": 0.9},
    "creative": {"temperature": 1.1, "min_p": 0.05},
}
STEPS = {"temperature": 0.1, "top_p": 0.05, "min_p": 0.01, "typical_p": 0.05, "repetition_penalty": 0.05}


class Panel:
    """Fields in the current slot; `values` holds what was set, as `Sampling` takes it."""

    def __init__(self, visitor: Visitor, values: dict[str, Any], changed: Callable[[], None]) -> None:
        self.visitor, self.values, self._changed = visitor, values, changed
        self._fields: dict[str, Any] = {}
        self._preset: Any = None
        self._is_filling = False
        self._draw()

    def _draw(self) -> None:
        say = self.visitor.say
        options = {name: say(word) for name, word in chat.PRESET.items()}
        words("div", say(chat.PRESETS), "label")
        self._preset = ui.toggle(options, value=self._named(), on_change=lambda event: self._take(event.value))
        self._preset.props["toggle-color"] = self._preset.props["color"] = ""
        self._preset.props["toggle-text-color"] = self._preset.props["text-color"] = ""
        self._preset.props("no-caps unelevated spread dense").classes("presets")
        self._preset.props["aria-label"] = say(chat.PRESETS)
        for name in FIRST:
            self._field(name)
        with ui.expansion(say(chat.MORE)).classes("more").props("dense"):
            for name in Sampling.model_fields:
                if name not in (*FIRST, *LEFT_OUT):
                    self._field(name)

    def _field(self, name: str) -> None:
        field, label = Sampling.model_fields[name], sampling.NAMES[name]
        help_text = (field.description or "") if self.visitor.language == "en" else sampling.CHINESE[name]
        with box("field"):
            made = self._made(name, field)
            made.props["label"] = made.props["aria-label"] = self.visitor.say(label)
            words("p", " ".join(help_text.split()), "help")
        self._fields[name] = made

    def _made(self, name: str, field: FieldInfo) -> Any:
        value = self.values.get(name, None if name == "max_tokens" else field.default)

        def put(event: Any) -> None:
            self._put(name, event.value)

        if name in ("stop", "dry_sequence_breakers"):
            texts = [one.replace("\n", "\\n") for one in value or ()]
            made = ui.select(texts, value=texts, multiple=True, new_value_mode="add-unique", on_change=put)
            return made.props('use-chips use-input hide-dropdown-icon outlined dense input-debounce="0"')
        if name == "overflow":
            return ui.select(["error", "slide"], value=value, on_change=put).props("outlined dense options-dense")
        low, high = _bound(field, (Ge, Gt)), _bound(field, (Le,))
        made = ui.number(value=value, min=low, max=high, step=STEPS.get(name, 1), on_change=put)
        made.props("outlined dense")
        if name == "max_tokens":
            made.props["placeholder"] = self.visitor.say(chat.AUTO)
            made.props("stack-label")
        return made

    def _put(self, name: str, value: Any) -> None:
        field = Sampling.model_fields[name]
        if isinstance(value, float) and field.annotation in (int, int | None):
            value = int(value)
        if isinstance(value, list):
            value = [one.replace("\\n", "\n") for one in value]
        if value is None or value in (field.default, [*_texts(field.default)]):
            self.values.pop(name, None)
        else:
            self.values[name] = value
        if not self._is_filling:
            self._preset.value = self._named()
            self._changed()

    def _named(self) -> str:
        chosen = {name: value for name, value in self.values.items() if name in ("temperature", "top_p", "min_p")}
        given = {name: {k: v for k, v in preset.items() if v} for name, preset in PRESETS.items()}
        return next((name for name, preset in given.items() if preset == chosen), "own")

    def _take(self, preset: str | None) -> None:
        if preset in PRESETS and preset != self._named():
            self.fill(
                {
                    **{k: v for k, v in self.values.items() if k not in ("temperature", "top_p", "min_p")},
                    **PRESETS[preset],
                }
            )
            self._changed()

    def fill(self, values: dict[str, Any]) -> None:
        """Show other values."""
        self._is_filling = True
        for name, made in self._fields.items():
            default = Sampling.model_fields[name].default
            value = values.get(name, None if name == "max_tokens" else default)
            if isinstance(value, tuple | list):
                value = [one.replace("\n", "\\n") for one in value]
                made.set_options(value, value=value)
            else:
                made.value = value
        self.values.clear()
        self.values.update({name: value for name, value in values.items() if value not in (None, 0.0)})
        self._is_filling = False
        self._preset.value = self._named()


def _bound(field: FieldInfo, kinds: tuple[type, ...]) -> float | None:
    for part in field.metadata:
        if isinstance(part, kinds):
            return next(iter(vars(part).values())) if hasattr(part, "__dict__") else getattr(part, part.__slots__[0])
    return None


def _texts(value: Any) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()
