"""The pages in a real browser, on a real service: what a user sees, clicks and types."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from events import names
from events.log.port import Batch
from service.access.tokens import TokenStore
from service.control.socket import call
from tests.browser import PATIENCE_MS, chromium, watched
from tests.events import SECOND_NS, make_batch, make_exception, make_log, make_span, trace_id
from tests.sending import send
from tests.serving import Service, serving, until
from tests.views import make_folder

pytestmark = pytest.mark.slow
expect.set_options(timeout=PATIENCE_MS)

TRACE = trace_id(1 << 40)
STACK = (
    'Traceback (most recent call last):\n  File "/app/shop/pay.py", line 7, in charge\n'
    "    post(order)\nTimeoutError: no answer from the bank"
)
SEEN = ((1280, "light"), (390, "dark"))
"""Windows in which every page is looked at: each width, and each theme."""


def make_world() -> list[Batch]:
    """One task of each kind of status, one that recovered, one with an id that is hard to quote."""
    now_ns = time.time_ns()
    start = now_ns - 600 * SECOND_NS
    failed = {
        "status_code": 2, "events": [make_exception("TimeoutError", "no answer", STACK)],
    }  # fmt: skip
    spans = [
        make_span(
            task="nightly", run="r1", attempt=1, trace_id=TRACE, start_ns=start,
            attributes={names.TASK_QUEUED_AT: start - SECOND_NS}, **failed,
        ),
        make_span(
            task="nightly", run="r1", attempt=2, trace_id=TRACE, start_ns=start + 3 * SECOND_NS
        ),
        make_span(task="import", run="r2", start_ns=start + 9 * SECOND_NS, **failed),
        make_span(task="a/b c?&<i>", run="r3", start_ns=start + 10 * SECOND_NS),
        *(
            make_span(
                task=f"ended-{word}", start_ns=start + n * SECOND_NS,
                attributes={names.TASK_RESULT: word},
            )
            for n, word in enumerate(("timed_out", "cancelled", "skipped"))
        ),
        *(make_span(task=f"bulk-{n:02}", start_ns=start + n * SECOND_NS) for n in range(60)),
        make_log(
            event_name=names.ATTEMPT_STARTED, task="train", run="r9", attempt=1, time_ns=now_ns,
            observed_ns=now_ns,
        ),
    ]  # fmt: skip
    return [make_batch(spans, received_ns=now_ns)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests here."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service on that world."""
    folder = tmp_path_factory.mktemp("browser")
    make_folder(folder / "data", make_world())
    with serving(folder) as service:
        yield service


@pytest.fixture(scope="module")
def base(service: Service) -> str:
    """Where the pages are."""
    return f"http://{service.api}"


def paths(service: Service) -> list[str]:
    """A page of each kind, with something on it."""
    attempt = service.ask("/api/v1/attempts?task=nightly&status=failed")["items"][0]
    trace = attempt["trace_id"]
    span = service.ask(f"/api/v1/traces/{trace}")["spans"][0]["position"]
    return [
        "/", "/live", "/tasks", "/tasks/nightly", "/tasks/nightly/runs/r1", "/runs", "/attempts",
        f"/attempts/{attempt['attempt_id']}?task=nightly&run=r1",
        f"/traces/{trace}?span={span}",
        "/errors", f"/errors/{attempt['error']['fingerprint']}", "/search?q=failed",
        "/alerts", "/health", "/health?by=task", "/executors", "/ledger", "/tasks/none",
    ]  # fmt: skip


@pytest.mark.parametrize(("width", "theme"), SEEN)
def test_every_page_is_sound(
    browser: Browser, service: Service, base: str, width: int, theme: str
) -> None:
    """No complaint, nothing from elsewhere, no barrier, nothing wider than the window."""
    barriers: dict[str, list[str]] = {}
    for path in paths(service):
        with watched(browser, base, width=width, color_scheme=theme) as seen:
            page = seen.open(path)
            expect(page.locator("h1")).to_be_visible()
            if "/none" not in path:
                assert not seen.complaints, path
            assert not seen.foreign, path
            assert seen.overflow_px() <= 0, path
            barriers[path] = seen.barriers()
    assert not {path: found for path, found in barriers.items() if found}


def test_a_phone_shows_where_all_pages_are(browser: Browser, base: str) -> None:
    """No entry of the navigation stands outside the window, where nobody would look for it."""
    with watched(browser, base, width=390) as seen:
        links = seen.open("/").locator("nav.nav a").all()
        boxes = [link.bounding_box() for link in links]
        assert len(boxes) == 8
        assert all(box and box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)


def test_from_the_overview_to_the_failing_line(browser: Browser, base: str) -> None:
    """Two clicks at most."""
    with watched(browser, base) as seen:
        page = seen.open("/")
        page.get_by_role("link", name="TimeoutError").first.click()
        expect(page.locator("li.failing").first).to_contain_text("/app/shop/pay.py")


def test_changes_come_by_themselves(browser: Browser, service: Service, base: str) -> None:
    """A new attempt appears; paused, the page stands still and counts; filtered, it leaves out."""
    with watched(browser, base) as seen:
        page = seen.open("/live")
        expect(page.locator("#live-state")).to_have_text("live")
        send(service, ["fresh.one"])
        row = page.locator("#live-rows tr", has_text="fresh.one").first
        expect(row).to_be_visible()
        page.get_by_role("button", name="Pause").click()
        send(service, ["fresh.two"])
        expect(page.locator("#live-state")).to_contain_text("not shown")
        expect(page.locator("#live-state")).not_to_contain_text(" 0 not shown")
        expect(page.locator("#live-rows tr", has_text="fresh.two")).to_have_count(0)
        page.get_by_role("button", name="Go on").click()
        page.locator("#live-filter").fill("-fresh.one")
        expect(row).to_be_hidden()
        assert not seen.complaints


def test_the_overview_moves(browser: Browser, service: Service, base: str) -> None:
    """Its figures follow what arrives, without loading the page again."""
    with watched(browser, base) as seen:
        page = seen.open("/")
        running = page.locator('[data-figure="success"]')
        before = running.inner_text()
        send(service, [f"more.{n}" for n in range(40)])
        expect(running).not_to_have_text(before)


def test_tables_of_the_overview_follow(browser: Browser, service: Service, base: str) -> None:
    """What arrived last stands there by itself; the rest of the page is not loaded again."""
    with watched(browser, base) as seen:
        page = seen.open("/")
        expect(page.locator("#live-state")).to_have_text("live")
        page.evaluate("window.stays = true")
        send(service, ["moves.one"])
        row = page.locator("#moving tbody tr", has_text="moves.one").first
        expect(row).to_be_visible()
        assert page.evaluate("window.stays")
        assert not seen.complaints


def test_windows_of_a_browser_share_a_connection(browser: Browser, base: str) -> None:
    """Two windows are live; one of them listens. When it closes, the other takes over."""
    with watched(browser, base) as first:
        expect(first.open("/live").locator("#live-state")).to_have_text("live")
        second = type(first)(first.page.context.new_page(), base)
        page = second.open("/live")
        send_state = page.locator("#live-state")
        first.page.reload()
        expect(first.page.locator("#live-state")).to_have_text("live")
        first.page.close()
        expect(send_state).to_have_text("live")
        assert len(second.streams) == 1


def test_keys_lead_everywhere(browser: Browser, base: str) -> None:
    """Search, pages, rows and the list of keys, without a mouse."""
    with watched(browser, base) as seen:
        page = seen.open("/")
        page.keyboard.press("/")
        expect(page.locator("#find")).to_be_focused()
        page.keyboard.press("Escape")
        page.keyboard.press("g")
        page.keyboard.press("t")
        expect(page.locator("h1")).to_have_text("Tasks")
        page.keyboard.press("j")
        expect(page.locator("tbody tr.at a").first).to_be_focused()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        page.keyboard.press("n")
        expect(page).to_have_url(re.compile("cursor="))


def test_an_error_is_decided_of_by_keys(browser: Browser, service: Service, base: str) -> None:
    """Owner and note, then Resolve: the page that follows says who did it, and reopens."""
    with watched(browser, base) as seen:
        page = seen.open(paths(service)[10])
        page.get_by_label("Owner").focus()
        page.keyboard.type("carol")
        page.keyboard.press("Tab")
        page.keyboard.type("mended")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Resolve")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Reopen")).to_be_visible()
        expect(page.get_by_label("Owner")).to_have_value("carol")
        expect(page.get_by_text("resolved it")).to_be_visible()
        assert not seen.complaints
        assert seen.barriers() == []


def test_the_ledger_is_verified_by_a_click(browser: Browser, base: str) -> None:
    """The page tells by itself when it is done."""
    with watched(browser, base, width=390) as seen:
        page = seen.open("/ledger")
        page.get_by_role("button", name="Verify the log").click()
        expect(page.get_by_text("as appended")).to_be_visible()
        assert seen.barriers() == []


def test_an_attribute_leads_to_all_attempts_that_say_it(
    browser: Browser, service: Service, base: str
) -> None:  # fmt: skip
    """A click on its value, and the address holds the search."""
    with watched(browser, base) as seen:
        page = seen.open(paths(service)[7])
        page.get_by_role("link", name="nightly", exact=True).last.click()
        expect(page).to_have_url(re.compile("search"))
        expect(page.locator("tbody tr", has_text="nightly")).to_have_count(2)


def test_the_theme_stays(browser: Browser, base: str) -> None:
    """The switch turns it, and the next page comes in it from its first byte."""
    with watched(browser, base, color_scheme="light") as seen:
        page = seen.open("/tasks")
        page.get_by_role("button", name="Dark theme").click()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        answer = page.goto(f"{base}/errors")
        assert answer is not None
        assert 'data-theme="dark"' in answer.text()


def test_a_column_sorts(browser: Browser, base: str) -> None:
    """By its values, not by how they are written; the head says so."""
    with watched(browser, base) as seen:
        page = seen.open("/tasks?limit=200")
        head = page.locator("th", has_text=re.compile("^Tries"))
        head.get_by_role("button").click()
        expect(head).to_have_attribute("aria-sort", "descending")
        expect(page.locator("tbody tr").first).to_contain_text("nightly")


def test_times_are_the_readers(browser: Browser, base: str) -> None:
    """Shown in the zone of the browser, nine hours on in Tokyo."""
    shown = {}
    for zone in ("UTC", "Asia/Tokyo"):
        with watched(browser, base, timezone_id=zone, locale="en-GB") as seen:
            moment = seen.open("/tasks/nightly/runs/r1").locator("dd time[data-form=exact]").first
            expect(moment).not_to_contain_text("UTC")
            shown[zone] = moment.inner_text()
    assert shown["UTC"] != shown["Asia/Tokyo"]
    assert shown["UTC"].split(":")[1:] == shown["Asia/Tokyo"].split(":")[1:]


def state_of(service: Service, projection: str) -> str:
    """What a projection says that it does."""
    items = service.ask("/api/v1/projections")["items"]
    return next(str(item["state"]) for item in items if item["name"] == projection)


def test_trouble_is_said_where_one_looks(browser: Browser, service: Service, base: str) -> None:
    """A paused projection stands on the overview, with what that means."""
    call(service.data, "projector", "pause", names=["attempts"])
    try:
        until(lambda: state_of(service, "attempts") == "paused", within_s=60)
        with watched(browser, base) as seen:
            page = seen.open("/")
            expect(page.get_by_text("attempts is paused")).to_be_visible()
            assert seen.barriers() == []
    finally:
        call(service.data, "projector", "resume", names=["attempts"])


def test_an_empty_service_teaches(browser: Browser, tmp_path: Path) -> None:
    """It asks for a token; before the first span each page says what it will show; and neither
    shuts anybody out."""
    token = TokenStore(tmp_path / "data" / "tokens.json").add("me", "read")
    with (
        serving(tmp_path) as service,
        watched(browser, f"http://{service.api}", width=390) as seen,
    ):
        page = seen.open("/")
        expect(page.get_by_label("Token")).to_be_focused()
        assert seen.barriers() == []
        page.keyboard.type(token)
        page.keyboard.press("Enter")
        for path in ("/", "/live", "/tasks", "/errors", "/attempts", "/health"):
            expect(page.get_by_role("button", name="Sign out")).to_be_visible()
            seen.open(path)
            expect(page.locator(".empty").first).to_be_visible()
            assert seen.barriers() == [], path


@pytest.mark.parametrize(("wish", "moves"), [("reduce", "none"), ("no-preference", "fresh")])
def test_nothing_moves_for_who_asks_so(
    browser: Browser, service: Service, base: str, wish: str, moves: str
) -> None:
    """A new row is lit up for a moment only where the reader's system does not forbid it."""
    with watched(browser, base, reduced_motion=wish) as seen:
        page = seen.open("/live")
        row = page.locator("#live-rows tr").first
        expect(row).to_have_css("animation-name", moves)
