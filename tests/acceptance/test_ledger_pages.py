"""The pages of executors and of the ledger in a real browser."""

from pathlib import Path
from typing import Any

import pytest

from tests.api_service import serving
from tests.browser import chromium, watched
from tests.events import make_batch
from tests.integration.test_web_ledger import spans_of
from tests.views import make_folder

pytestmark = pytest.mark.slow


def test_they_are_sound_in_both_themes_and_widths(tmp_path: Path) -> None:
    """No complaint of the browser, nothing that shuts anybody out, no page beyond its window."""
    spans = spans_of("load", "steady", 20, 0) + spans_of("other", "shaky", 1, 19)
    data = make_folder(tmp_path, [make_batch(spans)])  # type: ignore[arg-type]
    seen: tuple[tuple[Any, int], ...] = (("light", 1280), ("dark", 1280), ("dark", 390))
    with serving(data) as client, chromium() as browser:
        base = str(client.base_url)
        for theme, width in seen:
            # axe is run as a script of the page, which the pages' policy forbids.
            with watched(browser, base, width=width, color_scheme=theme, bypass_csp=True) as window:
                for path in ("/executors", "/ledger"):
                    window.open(path)
                    assert window.barriers() == [], (path, theme, width)
                    assert window.overflow_px() <= 0, (path, theme, width)
                assert window.complaints == []
                assert window.foreign == []
