"""A real browser for tests of the pages: Debian's Chromium, driven by playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM: Final = shutil.which("chromium") or "/usr/bin/chromium"
PATIENCE_MS: Final = 60_000
"""How long a page may take to come to a state; the gate's machine is slow."""
_STYLE_ONLY: Final = {"resultTypes": ["violations"]}


@contextmanager
def chromium() -> Iterator[Browser]:
    """One browser; it ends with the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A page, and what a user would not see of it: complaints, and what it asked for elsewhere."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self._base = base
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self.streams: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._asked(request.url))

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _asked(self, url: str) -> None:
        if urlsplit(url).netloc != urlsplit(self._base).netloc:
            self.foreign.append(url)
        if url.endswith("/live/stream"):
            self.streams.append(url)

    def open(self, path: str) -> Page:
        """Go to a page below the start page."""
        self.page.goto(f"{self._base}{path}", wait_until="load")
        return self.page

    def overflow_px(self) -> int:
        """How much wider than its window the page is."""
        wide: int = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return wide

    def barriers(self) -> list[str]:
        """What axe finds that shuts somebody out, a line for each kind."""
        found = Axe().run(self.page, options=_STYLE_ONLY).response["violations"]
        return [
            f"{each['id']}: {each['help']}: {each['nodes'][0]['html'][:200]}" for each in found
        ]  # fmt: skip


@contextmanager
def watched(browser: Browser, base: str, *, width: int = 1280, **context: Any) -> Iterator[Watched]:
    """A window of a browser that nobody used before; see `Browser.new_context`."""
    opened = browser.new_context(viewport={"width": width, "height": 860}, **context)
    try:
        yield Watched(opened.new_page(), base)
    finally:
        opened.close()
