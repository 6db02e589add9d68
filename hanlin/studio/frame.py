"""What stands around every page: the rail with its links, language and theme, and the way for the keyboard past it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType

from nicegui import ui

from hanlin.studio.parts import box, button, icon
from hanlin.studio.visitor import LANGUAGE_COOKIE, THEME_COOKIE, Theme, Visitor
from hanlin.studio.words import common

YEAR = 31_536_000
NEXT_THEME: dict[Theme, Theme] = {"auto": "light", "light": "dark", "dark": "auto"}
THEME_ICON: dict[Theme, str] = {"auto": "brightness_auto", "light": "light_mode", "dark": "dark_mode"}


@contextmanager
def around(visitor: Visitor, page: ModuleType, pages: Iterable[ModuleType]) -> Iterator[None]:
    """The frame; the page itself is made inside the block."""
    tag = "zh-Hans" if visitor.language == "zh" else "en"
    ui.add_head_html(
        f'<script>document.documentElement.lang="{tag}"</script>'
        '<link rel="stylesheet" href="/_studio/studio.css"><script defer src="/_studio/studio.js"></script>'
    )
    ui.page_title(f"{visitor.say(page.TITLE)} · Hanlin")
    ui.colors(primary="#a63a2b", secondary="#5c6470", accent="#a63a2b", positive="#3d7a4a", negative="#b3261e")
    dark = ui.dark_mode({"auto": None, "light": False, "dark": True}[visitor.theme])
    with box("app"):
        skip = ui.element("a").classes("skip").props('href="#main"')
        with skip:
            ui.label(visitor.say(common.SKIP))
        _rail(visitor, page, pages, dark)
        with box("main").props('id="main" tabindex="-1"'):
            yield


def _rail(visitor: Visitor, page: ModuleType, pages: Iterable[ModuleType], dark: ui.dark_mode) -> None:
    with ui.element("nav").classes("rail") as rail:
        rail.props["aria-label"] = visitor.say(common.PAGES)
        with box("brand") as brand:
            brand.props["title"] = visitor.say(common.STUDIO)
            brand.props["aria-hidden"] = "true"
            ui.label("翰")
        for one in pages:
            with ui.element("a").classes("place").props(f'href="{one.PATH}"') as link:
                if one is page:
                    link.props["aria-current"] = "page"
                icon(one.ICON)
                ui.label(visitor.say(one.TITLE))
        box("spring")
        with box("foot"):
            _theme(visitor, dark)
            _language(visitor)


def _theme(visitor: Visitor, dark: ui.dark_mode) -> None:
    chosen: dict[str, Theme] = {"now": visitor.theme}

    def turn() -> None:
        chosen["now"] = NEXT_THEME[chosen["now"]]
        dark.value = {"auto": None, "light": False, "dark": True}[chosen["now"]]
        name()
        ui.run_javascript(_cookie(THEME_COOKIE, chosen["now"]))

    def name() -> None:
        told = visitor.say(common.THEME, theme=visitor.say(common.THEMES[chosen["now"]]))
        made.props["icon"] = THEME_ICON[chosen["now"]]
        made.props["aria-label"] = made.props["title"] = told
        made.update()

    made = button(THEME_ICON[visitor.theme], "", turn)
    name()


def _language(visitor: Visitor) -> None:
    other = "en" if visitor.language == "zh" else "zh"
    made = ui.button(visitor.say(common.OTHER_LANGUAGE), color=None).props("flat no-caps dense").classes("language")
    made.props["lang"] = "en" if other == "en" else "zh-Hans"
    made.on("click", js_handler=f"() => {{ {_cookie(LANGUAGE_COOKIE, other)}; location.reload() }}")


def _cookie(name: str, value: str) -> str:
    return f'document.cookie = "{name}={value}; path=/; max-age={YEAR}; SameSite=Lax"'
