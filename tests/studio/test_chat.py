"""Chat, by clicks."""

import json
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from studio.access import barriers

Opened = Callable[..., Page]


def ask(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")
    expect(page.locator(".stats").last).to_be_visible(timeout=40_000)
    expect(page.get_by_label("Send")).to_be_visible(timeout=40_000)


def exact(page: Page, tokens: int) -> None:
    page.get_by_role("button", name="Exact").click()
    page.get_by_label("Longest answer, tokens").fill(str(tokens))


def test_an_answer_comes_is_explained_branched_and_kept(opened: Opened) -> None:
    page = opened("/")
    exact(page, 12)
    ask(page, "What is the capital of France?")
    first = page.locator(".assistant .body")
    expect(first).to_contain_text("The capital of France is Paris.")
    page.get_by_label("Why these words").click()
    tokens = page.locator(".tok")
    assert "".join(tokens.all_inner_texts()).startswith("The capital of France is Paris")
    tokens.nth(3).hover()
    table = page.get_by_role("dialog")
    expect(table.locator(".own")).to_contain_text("France")
    page.get_by_role("group", name="Why these words").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".tok.at")).to_have_count(1)
    tokens.nth(0).hover()
    page.locator(".alternative:not(.own)").first.click()
    expect(page.locator(".branches")).to_contain_text("2/2")
    expect(page.get_by_label("Send")).to_be_visible()
    assert first.inner_text() != "The capital of France is Paris."
    page.get_by_label("Earlier branch").click()
    expect(page.locator(".branches")).to_contain_text("1/2")
    expect(first).to_contain_text("The capital of France is Paris.")
    assert barriers(page) == []
    page.reload()
    page.locator(".entry-title").first.click()
    expect(first).to_contain_text("The capital of France is Paris.")


def test_a_question_is_edited_and_an_answer_made_again(opened: Opened) -> None:
    page = opened("/")
    exact(page, 4)
    ask(page, "Say one")
    page.locator(".user").hover()
    page.get_by_label("Edit").click()
    page.get_by_label("Edit").fill("Say two")
    page.get_by_role("button", name="Send as a new branch").click()
    expect(page.locator(".user .said")).to_have_text("Say two")
    expect(page.locator(".user .branches")).to_contain_text("2/2")
    expect(page.get_by_label("Send")).to_be_visible()
    page.get_by_label("Answer again").click()
    expect(page.locator(".assistant .branches")).to_contain_text("2/2")


def test_stopping_keeps_what_was_said_and_frees_the_model(opened: Opened, server: str) -> None:
    page = opened("/")
    page.get_by_label("Message", exact=True).fill("Write a very long story about the sea")
    page.keyboard.press("Enter")
    expect(page.locator(".assistant .body p").first).to_be_visible()
    page.get_by_label("Stop", exact=True).click()
    expect(page.locator(".stats")).to_contain_text("stopped by you")
    info = page.request.get(f"{server}/metrics").text()
    assert "hanlin_requests_in_flight" not in info or " 0.0" in info


def test_conversations_are_searched_exported_and_imported(opened: Opened, tmp_path: Path) -> None:
    page = opened("/")
    exact(page, 3)
    ask(page, "什么是翰林？zebra")
    page.get_by_label("Search conversations").fill("ZEBRA")
    expect(page.locator(".entry-title")).to_have_count(1)
    with page.expect_download() as coming:
        page.get_by_label("Export as JSON").click()
    file = tmp_path / "talk.json"
    coming.value.save_as(file)
    told = json.loads(file.read_text("utf-8"))
    assert [one["role"] for one in told["messages"]] == ["user", "assistant"]
    assert len(told["messages"][1]["tokens"][0][3]) == 8
    page.locator(".shelf input[type=file]").set_input_files(file)
    expect(page.locator(".entry-title")).to_have_count(2)
    page.get_by_label("Delete this conversation").first.click()
    expect(page.locator(".entry-title")).to_have_count(1)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".entry-title")).to_have_count(2)


def test_a_phone_in_chinese_and_dark(opened: Opened) -> None:
    page = opened("/", language="zh-CN", scheme="dark", size=(390, 844))
    expect(page.get_by_role("heading", name="想聊点什么？")).to_be_visible()
    page.get_by_label("显示或隐藏设置").click()
    expect(page.get_by_text("温度", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390
    assert page.evaluate("document.body.classList.contains('body--dark')")
    assert barriers(page) == []
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="What shall we talk about?")).to_be_visible()
