"""How often what was done about failures worked, by category, action and component."""

import sqlite3
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from events.log.sqlite import load_queries
from events.times import rfc3339
from projections.errors.classify.rule import Category
from projections.policies.chances import Share, wilson
from projections.query.endpoint import Endpoint
from projections.query.inquiry import Inquiry, window
from projections.query.parameters import Component, Question, Since
from projections.query.records import Behind, Ns, PositionText, Rfc3339
from projections.views.recovery_actions.fold import NAME

SQL = load_queries("projections.views.recovery_actions", "question.sql")
ROWS: Final = 100_000
"""So many of the last actions are counted."""


class ActionRow(NamedTuple):
    """A row of the statement `actions`."""

    category: str
    action: str
    component: str
    tried: int
    succeeded: int
    skipped: int
    duration_ns: float | None
    last_ns: int


class RecoveryAction(msgspec.Struct, frozen=True, kw_only=True):
    """What an action came to, for failures of a category in a component."""

    category: str
    action: str
    component: str | None
    tried: Annotated[int, Meta(description="So often it was done")]
    succeeded: int
    skipped: Annotated[int, Meta(description="So often nothing was given to do it with")]
    share: Share
    low: Annotated[Share, Meta(description="The true share is above this with 97.5 % (Wilson)")]
    high: Annotated[Share, Meta(description="The true share is below this with 97.5 %")]
    duration_s: Annotated[float, Meta(description="What it took on average, in seconds")] | None
    last_at: Rfc3339 | None
    last_ns: Ns


class RecoveryActionList(msgspec.Struct, frozen=True, kw_only=True):
    """What was done about failures, and how often it worked."""

    items: list[RecoveryAction]
    next: Annotated[str, Meta(description="Always null: there is one page")] | None = None
    position: PositionText
    complete: Annotated[bool, Meta(description="False: there are older ones")] = True
    behind: Behind = []


class RecoveryActionsQuestion(Question, frozen=True, kw_only=True):
    """Parameters of the question what recoveries came to."""

    category: Annotated[Category, Meta(description="Only of failures of this category.")] | None = (
        None
    )
    component: Component | None = None
    since: Since | None = None


def action_rows(
    connection: sqlite3.Connection,
    tenant: str,
    *,
    since_ns: int = 0,
    component: str | None = None,
    category: str | None = None,
) -> list[ActionRow]:
    """The counts of a tenant's last actions."""
    values = {
        "tenant": tenant, "since": since_ns, "component": component, "category": category,
        "rows": ROWS,
    }  # fmt: skip
    return [ActionRow(*row) for row in connection.execute(SQL["actions"], values)]


def recovery_actions(inquiry: Inquiry, question: RecoveryActionsQuestion) -> RecoveryActionList:
    """What was done about failures."""
    since_ns = window(question)[0] or 0
    rows = action_rows(
        inquiry.connection, inquiry.tenant, since_ns=since_ns,
        component=question.component, category=question.category,
    )  # fmt: skip
    values = {"tenant": inquiry.tenant, "since": since_ns, "rows": ROWS}
    more = inquiry.connection.execute(SQL["more"], values).fetchone()
    return RecoveryActionList(
        items=[_action(row) for row in rows], position=str(inquiry.position),
        complete=more is None, behind=inquiry.seen.behind,
    )  # fmt: skip


def _action(row: ActionRow) -> RecoveryAction:
    low, high = wilson(row.succeeded, row.tried)
    return RecoveryAction(
        category=row.category, action=row.action, component=row.component or None,
        tried=row.tried, succeeded=row.succeeded, skipped=row.skipped,
        share=round(row.succeeded / row.tried, 6) if row.tried else 0.0,
        low=round(low, 6), high=round(high, 6),
        duration_s=None if row.duration_ns is None else round(row.duration_ns / 1e9, 6),
        last_at=rfc3339(row.last_ns), last_ns=row.last_ns,
    )  # fmt: skip


ENDPOINTS: Final = (
    Endpoint(
        "recovery/actions", "What was done about failures, and how often it worked.",
        RecoveryActionsQuestion, RecoveryActionList, (NAME,), recovery_actions,
    ),
)  # fmt: skip
