"""The page of alerts: what fires links to its run and its error; an empty one teaches."""

import asyncio
from pathlib import Path

from service.alerts.alert import Alert
from service.alerts.store import open_store
from tests.api_service import serving
from tests.events import BASE_NS, make_batch, make_span
from tests.views import make_folder

ALERT = Alert(
    id="a" * 32, rule="failures", kind="terminal_failures", tenant="default", severity="error",
    labels={"task": "charge"}, state="firing", value=1.0, summary="1 run failed <b>for good</b>",
    details={
        "runs": [{"task_id": "charge", "run_id": "r/1"}], "fingerprints": ["f" * 32],
    },
    since_ns=BASE_NS, held_ns=BASE_NS, fired_ns=BASE_NS,
)  # fmt: skip


def folder_of(tmp_path: Path, *alerts: Alert) -> Path:
    """A data folder with views, and these alerts, which fired."""
    data = make_folder(tmp_path / "data", [make_batch([make_span(task="charge", run="r/1")])])

    async def keep() -> None:
        async with open_store(data) as store:
            changed = {alert.id: alert for alert in alerts}
            await store.advance(changed, [("fired", alert) for alert in alerts], [], BASE_NS)

    if alerts:
        asyncio.run(keep())
    return data


def test_an_alert_leads_to_its_cause(tmp_path: Path) -> None:
    """One click to the run, one to the error; what a task says is text, never markup."""
    with serving(folder_of(tmp_path, ALERT)) as client:
        answer = client.get("/alerts", headers={"accept": "text/html"})
        assert answer.status_code == 200, answer.text
        assert "tasks/charge/runs/r%2F1" in answer.text
        assert f"errors/{'f' * 32}" in answer.text
        assert "&lt;b&gt;for good" in answer.text
        assert "<b>for good" not in answer.text
        assert "<h2>History</h2>" in answer.text
        only = client.get("/alerts?state=resolved", headers={"accept": "text/html"})
        assert "Table of alerts" not in only.text
        assert client.get("/alerts?colour=red").status_code == 400


def test_without_rules_the_page_says_how_to_set_them_up(tmp_path: Path) -> None:
    """With a file that works as it stands."""
    with serving(folder_of(tmp_path)) as client:
        text = client.get("/alerts", headers={"accept": "text/html"}).text
        assert "No alerts are set up" in text
        assert "alerts.toml" in text
