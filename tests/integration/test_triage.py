"""What people decide of errors: facts in the log, and the states that follow from them."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from events.log.port import Batch
from events.log.reader import open_reader
from events.schema import Fact
from projections.assembly import make_folds
from projections.engine.projector import Projector
from projections.queries import Queries
from tests.api_service import serving
from tests.events import BASE_NS, SECOND_NS, make_batch, make_exception, make_log, make_span
from tests.views import tables_of
from tests.writers import Writer

DAY_NS = 86_400 * SECOND_NS


def failing(run: str, at_ns: int = BASE_NS, **changes: Any) -> Batch:
    """A batch with one failed attempt."""
    event = make_exception("ValueError", f"bad order {run}")
    span = make_span(
        **{"attempt": 1, **changes}, task="t", run=run, status_code=2, events=[event],
        start_ns=at_ns, end_ns=at_ns + 1,
    )  # fmt: skip
    return make_batch([span])


class Ledger:
    """A folder with its writer, its API, and views that follow when they are told to."""

    def __init__(self, writer: Writer, client: httpx.Client) -> None:
        self.writer, self.client = writer, client
        self.now_ns = BASE_NS + DAY_NS

    def fold(self) -> None:
        """Let the views see all that was written."""
        data = self.writer.data
        with closing(Projector(data, lambda: open_reader(data), make_folds)) as projector:
            while projector.step():
                pass

    def pattern(self) -> Any:
        """The one error pattern, as it stands at `now_ns`."""
        self.fold()
        with closing(Queries(self.writer.data, clock=lambda: self.now_ns)) as queries:
            (item,) = queries.answer("errors", {}).items  # type: ignore[attr-defined]
            return queries.answer(f"errors/{item.fingerprint}", {})

    def decide(self, **body: Any) -> httpx.Response:
        """Send a decision about the pattern."""
        path = f"/api/v1/errors/{self.pattern().fingerprint}/triage"
        return self.client.post(path, json=body)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    writer = Writer(tmp_path)
    with serving(tmp_path) as client:
        yield Ledger(writer, client)
    writer.close()


def test_a_decision_is_a_fact_that_names_an_occurrence(ledger: Ledger) -> None:
    """Who said it, of which fingerprint and version, and one attempt with its event."""
    ledger.writer.door.append(failing("r1"))
    pattern = ledger.pattern()
    answer = ledger.decide(action="resolve", note="mended", owner="carol")
    assert answer.status_code == 201, answer.text
    (fact,) = ledger.writer.facts()
    assert isinstance(fact, Fact)
    assert fact.kind == "spanledger.error_triaged"
    assert fact.actor == "local"
    assert fact.subject == {
        "type": "error", "fingerprint": pattern.fingerprint, "fingerprint_version": 2,
        "task_id": "t", "run_id": "r1", "attempt": 1, "event_id": pattern.example.first.event_id,
    }  # fmt: skip
    assert fact.payload == {"action": "resolve", "note": "mended", "owner": "carol"}
    after = ledger.pattern()
    assert (after.note, after.owner) == ("mended", "carol")
    assert [one.action for one in after.triage] == ["resolve"]
    assert after.example.first.event_id == ledger.writer.stored()[0].event_id.hex()


def test_a_resolved_error_reopens_itself(ledger: Ledger) -> None:
    """Seen again it is regressed for a week, and goes on then as any other."""
    ledger.writer.door.append(failing("r1"))
    assert ledger.pattern().state == "new"
    assert ledger.decide(action="resolve").status_code == 201
    (fact,) = ledger.writer.facts()
    ledger.now_ns = fact.time_ns + 2 * DAY_NS
    assert ledger.pattern().state == "resolved"
    ledger.writer.door.append(failing("r2", at_ns=fact.time_ns + DAY_NS))
    assert ledger.pattern().state == "regressed"
    ledger.now_ns = fact.time_ns + 9 * DAY_NS
    assert ledger.pattern().state == "ongoing"


def test_an_error_is_ignored_until_then(ledger: Ledger) -> None:
    """And not longer; reopening takes it back at once."""
    ledger.writer.door.append(failing("r1"))
    assert ledger.decide(action="ignore", until="2026-05-30T00:00:00Z").status_code == 201
    assert ledger.pattern().state == "ignored"
    ledger.now_ns = BASE_NS + 3 * DAY_NS
    assert ledger.pattern().state == "ongoing"
    ledger.decide(action="ignore")
    assert ledger.pattern().state == "ignored"
    ledger.decide(action="reopen")
    assert ledger.pattern().state == "ongoing"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"action": "resolve", "until": "2026-05-30T00:00:00Z"}, "until"),
        ({"action": "ignore", "until": "tomorrow"}, "until"),
        ({"action": "close"}, "body"),
        ({"owner": "x" * 300}, "body"),
    ],
)
def test_a_bad_decision_is_refused_by_name(ledger: Ledger, body: Any, field: str) -> None:
    """Nothing is written."""
    ledger.writer.door.append(failing("r1"))
    answer = ledger.decide(**body)
    assert answer.status_code == 400
    assert field in answer.text
    assert ledger.writer.facts() == []


def test_an_unknown_pattern_cannot_be_decided_of(ledger: Ledger) -> None:
    """404, as for its question."""
    ledger.fold()
    answer = ledger.client.post("/api/v1/errors/0123/triage", json={"action": "resolve"})
    assert answer.status_code == 404


def test_decisions_are_the_same_after_a_rebuild(ledger: Ledger, tmp_path: Path) -> None:
    """The table is made of the log alone, in any number of pages, beside facts of other kinds."""
    ledger.writer.door.append(failing("r1"))
    ledger.decide(action="resolve", note="a")
    ledger.writer.door.append(make_batch([make_log(event_name="x")]))
    ledger.decide(owner="b")
    ledger.fold()
    views = next(ledger.writer.data.glob("views*.db"))
    before = tables_of(views)["triage"]
    assert len(before) == 2
    for path in ledger.writer.data.glob("views*"):
        path.unlink()
    ledger.fold()
    assert tables_of(next(ledger.writer.data.glob("views*.db")))["triage"] == before


def test_a_run_that_failed_twice_recovers_once(ledger: Ledger) -> None:
    """Three attempts of one run, and one of another that never recovers: two runs."""
    for run, attempt, seconds in (("r1", 1, 0), ("r1", 2, 10), ("r2", 1, 0)):
        at_ns = BASE_NS + seconds * SECOND_NS
        ledger.writer.door.append(failing(run, at_ns, attempt=attempt))
    end = BASE_NS + 30 * SECOND_NS
    passing = make_span(task="t", run="r1", attempt=3, start_ns=end - 1, end_ns=end)
    ledger.writer.door.append(make_batch([passing]))
    pattern = ledger.pattern()
    assert pattern.count == 3
    assert (pattern.recovery.of, pattern.recovery.recovered) == (2, 1)
    assert pattern.recovery.by_attempt == {"3": 1}
    assert pattern.recovery.median_s == pytest.approx(30, abs=1.5)


def test_a_pattern_says_what_its_failures_have_in_common(ledger: Ledger) -> None:
    """An attribute that all failing attempts have and no passing one, and who recovered."""
    for number in range(8):
        attributes = {"region": "north", "plan": "free"}
        ledger.writer.door.append(failing(f"r{number}", attributes=attributes))
        end = BASE_NS + (number + 10) * SECOND_NS
        passing = make_span(
            task="t", run=f"r{number}", attempt=2, start_ns=end - 1, end_ns=end,
            attributes={"region": "south", "plan": "free"},
        )  # fmt: skip
        ledger.writer.door.append(make_batch([passing]))
    pattern = ledger.pattern()
    assert [(one.key, one.value, one.support) for one in pattern.correlated] == [
        ("region", "north", 8)
    ]
    assert pattern.correlated[0].lift == 2.0
    assert (pattern.recovery.of, pattern.recovery.by_attempt) == (8, {"2": 8})
    assert pattern.recovery.median_s == pytest.approx(13.5, abs=0.1)
    assert pattern.why.basis == "type and message"
    assert pattern.why.components == {"type": "ValueError", "message": "bad order r<number>"}
    assert sum(hour.count for hour in pattern.hours) == 8
