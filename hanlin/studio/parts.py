"""Small parts of pages, each with a name for those who do not see it."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement

from hanlin.core.errors import HanlinError
from hanlin.studio.visitor import Visitor
from hanlin.studio.words import common

log = logging.getLogger(__name__)
Handler = Callable[..., Any]


def box(classes: str, tag: str = "div") -> Element:
    """An element with classes."""
    return ui.element(tag).classes(classes)


def icon(name: str) -> Element:
    """A picture that says nothing a neighbour does not say."""
    made = ui.icon(name)
    made.props["aria-hidden"] = "true"
    return made


def button(picture: str, label: str, handler: Handler | None = None, classes: str = "") -> ui.button:
    """A round button that shows a picture and is called `label`."""
    made = ui.button(icon=picture, on_click=handler, color=None).props("flat round dense").classes(classes)
    made.props["aria-label"] = made.props["title"] = label
    return made


def action(label: str, handler: Handler | None = None, picture: str | None = None, classes: str = "") -> ui.button:
    """A button with words."""
    made = ui.button(label, icon=picture, on_click=handler, color=None).props("unelevated no-caps")
    return made.classes(f"action {classes}")


def labelled(made: Any, label: str) -> Any:
    """Give a field its name."""
    made.props["aria-label"] = label
    return made


def tell(visitor: Visitor, error: BaseException) -> None:
    """Say what went wrong, and what to do."""
    if not isinstance(error, HanlinError):
        log.error("a bug of ours in the studio", exc_info=error)
    if visitor.client.is_deleted:
        return
    what, why = visitor.say(common.BUG), type(error).__name__
    if isinstance(error, HanlinError):
        what, why = error.what, error.fix
    with visitor.client:
        ui.notify(
            what, caption=why, type="negative", position="top", timeout=9000, close_button=visitor.say(common.CLOSE)
        )


@contextmanager
def telling(visitor: Visitor) -> Iterator[None]:
    """What goes wrong in the block is said on the page."""
    try:
        yield
    except Exception as error:
        tell(visitor, error)


@asynccontextmanager
async def busy(visitor: Visitor, made: Any) -> AsyncIterator[None]:
    """A button that turns while the block works; what goes wrong is said."""
    made.props("loading")
    try:
        yield
    except Exception as error:
        tell(visitor, error)
    finally:
        made.props(remove="loading")


def words(tag: str, text: str, classes: str = "") -> TextElement:
    """A text in an element of its own kind, such as "h1"."""
    return TextElement(tag=tag, text=text).classes(classes)


def heading(title: str, line: str = "") -> None:
    """A page's heading."""
    with box("heading"):
        words("h1", title)
        words("p", line)
