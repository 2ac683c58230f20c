"""Takes the pictures of the pages in `docs/images/`: `python -m tests.screenshots`.

It runs `spanledger demo` on a folder of its own for a while, so that pictures show what a reader
of the tour sees, and keeps each picture below 200 KB.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from playwright.sync_api import Page

from tests.browser import chromium

IMAGES: Final = Path(__file__).parents[1] / "docs" / "images"
MOST_BYTES: Final = 200_000
_HEIGHT: Final = 800
_THEMES: Final = ("light", "dark")
_PLAIN_PATHS: Final = """here => document.querySelectorAll(".stack-trace li").forEach(
    line => { line.textContent = line.textContent.replace(here, "/srv/app"); })"""
"""Pictures do not tell where they were taken."""


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--for-s", type=float, default=75.0, help="how long the demo runs before")
    parser.add_argument("--base", default="", help="a service that runs already, instead of a demo")
    options = parser.parse_args()
    if options.base:
        take(options.base)
        return
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "demo"
        command = [sys.executable, "-P", "-m", "service.cli.main", "demo", "--data", str(data)]
        demo = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(options.for_s)  # what is to be seen takes its time; nothing waits for it
            take(f"http://{json.loads((data / 'endpoints.json').read_text())['api']}")
        finally:
            demo.send_signal(signal.SIGINT)
            demo.wait(60)


def take(base: str) -> None:
    """The pictures of a service, in both themes and two widths."""
    failed = _ask(base, "attempts?task=checkout.charge&status=failed&limit=1")["items"][0]
    run = f"tasks/{quote(failed['task_id'])}/runs/{quote(failed['run_id'])}"
    attempt = f"attempts/{failed['attempt_id']}?task={quote(failed['task_id'])}"
    pages = {
        "overview": "?window=15m", "run": run, "attempt": attempt, "live": "live",
        "trace": f"traces/{failed['trace_id']}",
        "error": f"errors/{failed['error']['fingerprint']}",
    }  # fmt: skip
    with chromium() as browser:
        for theme in _THEMES:
            window = browser.new_context(
                viewport={"width": 1280, "height": _HEIGHT},
                color_scheme=theme,  # type: ignore[arg-type]
            )
            for name, path in pages.items():
                if theme == "light" or name in ("overview", "run"):
                    _take(window.new_page(), f"{base}/{path}", IMAGES / f"page-{name}-{theme}.png")
        phone = browser.new_context(viewport={"width": 390, "height": _HEIGHT})
        _take(phone.new_page(), f"{base}/{run}", IMAGES / "page-run-phone.png")


def _ask(base: str, path: str) -> Any:
    with urllib.request.urlopen(f"{base}/api/v1/{path}", timeout=30) as answer:
        return json.load(answer)


def _take(page: Page, address: str, file: Path) -> None:
    page.goto(address)
    page.wait_for_timeout(2_500)  # rows that come by themselves
    page.evaluate(_PLAIN_PATHS, str(IMAGES.parents[1]))
    page.screenshot(path=file, animations="disabled")
    page.close()
    size = file.stat().st_size
    print(f"{file.name}: {size:,} bytes")
    if size > MOST_BYTES:
        raise SystemExit(f"{file} has more than {MOST_BYTES:,} bytes")


if __name__ == "__main__":
    main()
