"""Models, playground, training and the machine, by clicks; each in both languages and without barriers."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from hanlin.serve.keys import Keys
from studio.access import barriers

Opened = Callable[..., Page]
HEADINGS = {
    "/models": ("Models", "模型"),
    "/playground": ("Playground", "试验场"),
    "/training": ("Training", "训练"),
    "/machine": ("Machine", "机器"),
}


@pytest.mark.parametrize("path", HEADINGS)
def test_each_page_speaks_both_languages_and_has_no_barriers(opened: Opened, path: str) -> None:
    page = opened(path, language="zh-CN", scheme="dark", size=(390, 844))
    expect(page.get_by_role("heading", name=HEADINGS[path][1], exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name=HEADINGS[path][0], exact=True)).to_be_visible()
    page.set_viewport_size({"width": 1360, "height": 860})
    assert barriers(page) == []


def test_a_model_is_looked_into_let_go_of_and_loaded(opened: Opened) -> None:
    page = opened("/models")
    card = page.get_by_role("article", name="smollm2-135m-instruct")
    expect(card.get_by_text("in memory", exact=True)).to_be_visible()
    card.get_by_role("button", name="Anatomy").click()
    expect(page.get_by_text("134.5 M weights")).to_be_visible()
    assert barriers(page) == []
    page.get_by_role("button", name="Close").click()
    card.get_by_role("button", name="Unload").click()
    expect(card.get_by_text("on disk", exact=True)).to_be_visible()
    card.get_by_role("button", name="Load", exact=True).click()
    expect(card.get_by_text("in memory", exact=True)).to_be_visible()
    page.get_by_label("Name: org/name").fill("smollm2-135m-instruct")
    page.get_by_role("button", name="Pull", exact=True).click()
    expect(page.get_by_text("is already here")).to_be_visible()
    page.get_by_label("Name: org/name").fill("/nowhere/at/all")
    page.get_by_role("button", name="Pull", exact=True).click()
    expect(page.locator(".q-notification.bg-negative")).to_contain_text("/nowhere/at/all")


def test_a_text_goes_on_branches_and_answers_keep_to_a_schema(opened: Opened) -> None:
    page = opened("/playground")
    page.get_by_label("Text to go on from").fill("The capital of France is")
    page.get_by_label("Tokens").fill("5")
    page.get_by_role("button", name="Go on", exact=True).click()
    expect(page.locator(".tok")).to_have_count(5)
    assert "Paris" in "".join(page.locator(".tok").all_inner_texts())
    page.get_by_role("button", name="Grow a tree").click()
    expect(page.locator(".branch")).to_have_count(6)
    page.locator(".branch button").first.click()
    expect(page.locator(".branch")).to_have_count(12)
    expect(page.locator(".snippet").first).to_contain_text('"prompt": "The capital of France is"')
    page.get_by_role("tab", name="Structured output").click()
    schema = page.get_by_label("What the answer must be")
    schema.fill('{"type": "object", "properties": {"city": {"enum": ["Paris"]}}, "required": ["city"], "nonsense": 1}')
    expect(page.locator(".notice")).to_contain_text("nonsense")
    schema.fill('{"type": "object", "properties": {"city": {"enum": ["Paris"]}}, "required": ["city"]}')
    expect(page.locator(".valid")).to_be_visible()
    page.get_by_role("button", name="Answer").click()
    expect(page.locator("pre.out")).to_contain_text('"Paris"')
    page.get_by_role("tab", name="Embeddings map").click()
    page.get_by_role("button", name="Draw the map").click()
    expect(page.locator(".map circle")).to_have_count(6)
    rows = page.locator(".plain tbody tr")
    expect(rows.first).to_contain_text("range(10)")
    expect(rows.first).to_contain_text("def add")


def test_a_run_is_made_by_form_or_toml_started_and_stopped(opened: Opened, tmp_path: Path) -> None:
    text = tmp_path / "tales.txt"
    text.write_text("\n\n".join(f"the cat number {n} sat on mat {n * 7} and sang of rain" for n in range(400)))
    page = opened("/training")
    page.get_by_label("data.train").fill(str(text))
    page.get_by_label("train.steps").fill("3000")
    page.get_by_label("model.width").fill("32")
    page.get_by_label("name", exact=True).fill("tales")
    expect(page.locator(".valid")).to_be_visible()
    page.get_by_role("tab", name="TOML").click()
    editor = page.get_by_label("Run file")
    expect(editor).to_have_value(re.compile('name = "tales"'))
    made = editor.input_value()
    assert "steps = 3000" in made
    editor.fill(made.replace("steps", "stepz"))
    expect(page.locator(".notice")).to_contain_text("did you mean 'steps'?")
    editor.fill(made)
    expect(page.locator(".valid")).to_be_visible()
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    expect(page.locator(".picture svg")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible(timeout=60_000)
    page.get_by_text("Last words of the process").click()
    expect(page.locator("pre.out").last).to_contain_text("--resume goes on")


def test_with_the_first_key_all_sign_in_until_the_last_is_removed(browser: Browser, server: str, keys: Path) -> None:
    page = browser.new_context(locale="en-GB").new_page()

    def add(name: str) -> str:
        page.get_by_label("Name").fill(name)
        page.get_by_role("button", name="Add a key").click()
        secret = page.locator(".secret").inner_text()
        page.get_by_role("button", name="Close").click()
        return secret

    def remove(name: str) -> None:
        page.get_by_label(f"Remove: {name}").click()
        page.get_by_role("dialog").get_by_role("button", name="Remove", exact=True).click()
        expect(page.get_by_label(f"Remove: {name}")).to_have_count(0)

    try:
        page.goto(f"{server}/machine")
        boss = add("boss")
        page.goto(f"{server}/machine")
        assert page.url == f"{server}/login?next=/machine"
        assert barriers(page) == []
        reader = Keys(keys).add("reader", scopes=("infer",))
        for wrong, said in (("hk-none", "none of ours"), (reader, "does not open the studio")):
            page.get_by_label("Key").fill(wrong)
            page.get_by_role("button", name="Enter").click()
            expect(page.get_by_role("alert")).to_contain_text(said)
        page.get_by_label("Key").fill(boss)
        page.get_by_role("button", name="Enter").click()
        expect(page.get_by_role("heading", name="Machine")).to_be_visible()
        assert page.url == f"{server}/machine"
        (cookie,) = [one for one in page.context.cookies() if one.get("name") == "hanlin_key"]
        assert (cookie.get("httpOnly"), cookie.get("sameSite")) == (True, "Strict")
        remove("reader")
        remove("boss")
        page.context.clear_cookies()
        page.goto(f"{server}/machine")
        expect(page.get_by_role("heading", name="Machine")).to_be_visible()
    finally:
        keys.unlink(missing_ok=True)
        page.context.close()
