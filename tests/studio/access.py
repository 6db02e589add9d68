"""What axe (https://github.com/dequelabs/axe-core) finds wrong on a page, for those without eyes or a mouse."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

IGNORED = {"region", "landmark-one-main", "page-has-heading-one"}
"""Good advice about landmarks; the framework's hidden messages stand outside of ours."""


def barriers(page: Page) -> list[str]:
    """Each as the rule and the first element that breaks it."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:160]} {one['nodes'][0]['failureSummary'][-200:]}"
        for one in found
        if one["id"] not in IGNORED
    ]
