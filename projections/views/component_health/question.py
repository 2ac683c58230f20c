"""How well components do."""

from collections import defaultdict
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import Meta

from events.log.sqlite import load_queries
from projections.query.endpoint import Endpoint
from projections.query.inquiry import Inquiry
from projections.query.parameters import Component, Question
from projections.query.records import Behind, PositionText
from projections.query.rows import select
from projections.runs import words
from projections.runs.scopes import HOUR_NS
from projections.views.component_health.score import (
    HOURS,
    Counts,
    Deduction,
    Risk,
    deductions_of,
    risk_of,
)

SQL = load_queries("projections.views.component_health", "question.sql")
LOOKED_AT: Final = 100_000
"""Attempts and runs of each status that are counted, the newest."""
_FAILURES: Final = sorted(words.FAILURES)


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """A component in the last 24 hours."""

    component: Annotated[str, Meta(description="Null: the sender did not say it")] | None
    score: Annotated[float, Meta(description="0 to 100: what the deductions leave")]
    deductions: list[Deduction]
    attempts: Annotated[int, Meta(description="That completed or failed")]
    failures: int
    runs_lost: int
    new_errors: int
    risk: Annotated[Risk, Meta(description="Of a failure in the next hour")]


class ComponentsHealth(msgspec.Struct, frozen=True, kw_only=True):
    """All components that were active, those that do worst first."""

    items: list[Health]
    next: Annotated[str, Meta(description="Always null: there is one page")] | None = None
    position: PositionText
    complete: Annotated[bool, Meta(description="False: only the newest were counted")] = True
    behind: Behind = []


class HealthQuestion(Question, frozen=True, kw_only=True):
    """Parameters of the question how components do."""

    component: Component | None = None


class _Row(NamedTuple):
    """A row of each of the statements."""

    component: str | None
    status: int
    attempts: int
    recent: int


def health(inquiry: Inquiry, question: HealthQuestion) -> ComponentsHealth:
    """The components, by score."""
    found: dict[str | None, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    complete = True
    if inquiry.tenant_no is not None:
        values = {
            "tenant": inquiry.tenant_no, "since": inquiry.now_ns - HOURS * HOUR_NS,
            "recent": inquiry.now_ns - HOUR_NS, "limit": LOOKED_AT,
        }  # fmt: skip
        for status in (words.COMPLETED, *_FAILURES):
            rows = _select(inquiry, "attempts", {**values, "status": status})
            complete = complete and sum(row.attempts for row in rows) < LOOKED_AT
            for row in rows:
                _count_attempts(found[row.component], row)
            runs = _select(inquiry, "runs", {**values, "status": status})
            complete = complete and sum(row.attempts for row in runs) < LOOKED_AT
            for row in runs:
                found[row.component]["runs"] += row.attempts
                found[row.component]["runs_lost"] += row.attempts * (status in _FAILURES)
        for row in _select(inquiry, "new_patterns", values):
            if (row.component or None) in found:
                found[row.component or None]["new_errors"] += row.attempts
    items = [_health(component, Counts(**counts)) for component, counts in found.items()]
    wanted = [one for one in items if question.component in (None, one.component)]
    return ComponentsHealth(
        items=sorted(wanted, key=lambda one: (one.score, one.component or "")),
        position=str(inquiry.position), complete=complete, behind=inquiry.seen.behind,
    )  # fmt: skip


def _select(inquiry: Inquiry, name: str, values: dict[str, Any]) -> list[_Row]:
    return list(select(inquiry.connection, SQL[name], values, _Row))


def _count_attempts(counts: dict[str, int], row: _Row) -> None:
    counts["recent"] += row.recent
    if row.status == words.COMPLETED:
        counts["completed"] += row.attempts
        return
    counts["failures"] += row.attempts
    counts["recent_failures"] += row.recent
    if row.status == words.ABANDONED:
        counts["abandoned"] += row.attempts


def _health(component: str | None, counts: Counts) -> Health:
    deductions = deductions_of(counts)
    return Health(
        component=component, deductions=deductions, attempts=counts.attempts,
        score=round(max(100 - sum(one.points for one in deductions), 0.0), 1),
        failures=counts.failures, runs_lost=counts.runs_lost, new_errors=counts.new_errors,
        risk=risk_of(counts),
    )  # fmt: skip


ENDPOINTS: Final = (
    Endpoint(
        "health/components",
        "How well each component does: a score, what it was reduced for, the risk of failure.",
        HealthQuestion, ComponentsHealth, ("attempts", "runs", "error_patterns"), health,
    ),
)  # fmt: skip
