"""What was decided of error patterns, and the state that follows."""

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from events.log.sqlite import load_queries
from events.times import rfc3339
from projections.errors.fingerprints.versions import CURRENT
from projections.query import lookup
from projections.query.records import Hex, Ns, Rfc3339
from projections.query.rows import select
from projections.runs import words
from projections.runs.scopes import HOUR_NS
from projections.views.error_patterns.answers.course import (
    LOOK_BACK_H,
    REGRESSED_H,
    Course,
    State,
    course_of,
)
from projections.views.triage.decision import Decision

SQL = load_queries("projections.views.error_patterns.answers", "decided.sql")
_REGRESSED_NS: Final = REGRESSED_H * HOUR_NS


class Triaged(msgspec.Struct, frozen=True, kw_only=True):
    """A decision about a pattern."""

    at: Rfc3339 | None
    at_ns: Ns
    actor: str
    action: Annotated[str, Meta(description="resolve, ignore, reopen")] | None
    until: Annotated[str, Meta(description="Of ignore, RFC 3339")] | None
    note: str | None
    owner: str | None
    said_of: Annotated[
        Hex, Meta(description="The fingerprint that it named; its occurrence belongs here now")
    ]
    position: str


class Decided(NamedTuple):
    """What holds of a pattern by all decisions, oldest first."""

    all: Sequence[Decision] = ()

    @property
    def note(self) -> str | None:
        """The newest note; None if it was taken away."""
        return next((one.note for one in reversed(self.all) if one.note is not None), None) or None

    @property
    def owner(self) -> str | None:
        """The newest owner; None if there is none any more."""
        found = (one.owner for one in reversed(self.all) if one.owner is not None)
        return next(found, None) or None

    @property
    def last(self) -> Decision | None:
        """The decision that holds of the state."""
        return next((one for one in reversed(self.all) if one.action is not None), None)

    def is_ignored(self, now_ns: int) -> bool:
        """Whether it is to be left alone at this moment."""
        last = self.last
        if last is None or last.action != "ignore":
            return False
        return last.until_ns is None or now_ns < last.until_ns

    def shown(self) -> list[Triaged]:
        """All of them, newest first."""
        return [
            Triaged(
                at=rfc3339(one.time_ns), at_ns=one.time_ns, actor=one.actor, action=one.action,
                until=rfc3339(one.until_ns), note=one.note, owner=one.owner,
                said_of=one.fingerprint, position=str(one.position),
            )
            for one in reversed(self.all)
        ]  # fmt: skip


def state_of(
    connection: sqlite3.Connection, fingerprint_no: int, decided: Decided, state: State, now_ns: int
) -> State:
    """The state by what was decided and what was seen since; `state` is that without decisions."""
    last = decided.last
    if last is None or last.action == "reopen":
        return state
    if last.action == "ignore":
        return "ignored" if decided.is_ignored(now_ns) else state
    values = {"fingerprint": fingerprint_no, "after": last.time_ns}
    (back_ns,) = connection.execute(SQL["seen_after"], values).fetchone()
    if back_ns is None:
        return "resolved"
    return "regressed" if now_ns - back_ns <= _REGRESSED_NS else state


def course_at(
    connection: sqlite3.Connection,
    fingerprint_no: int,
    seen_ns: tuple[int, int],
    decided: Decided,
    now_ns: int,
) -> Course:
    """How a pattern goes on at a moment, by what was seen of it and what was decided.

    Args:
        seen_ns: its first and its last occurrence.
    """
    hours = hours_of(connection, fingerprint_no, now_ns, LOOK_BACK_H)
    first_hour, last_hour = (moment // HOUR_NS for moment in seen_ns)
    course = course_of(hours, first_hour, last_hour, now_ns // HOUR_NS)
    state = state_of(connection, fingerprint_no, decided, course.state, now_ns)
    return course._replace(state=state)


def hours_of(
    connection: sqlite3.Connection, fingerprint_no: int, now_ns: int, back_hours: int
) -> list[tuple[int, int]]:
    """How often a pattern was seen in each of the last hours, ascending."""
    values = {"fingerprint": fingerprint_no, "since": now_ns // HOUR_NS - back_hours}
    return [tuple(hour) for hour in connection.execute(SQL["hours"], values)]


def decisions_of(connection: sqlite3.Connection, tenant: str) -> dict[str, Decided]:
    """What was decided, by the fingerprint that the error has now.

    A decision of another version of fingerprints, or about a pattern that is no more, goes with
    the occurrence that it names.
    """
    found: dict[str, list[Decision]] = defaultdict(list)
    for row in select(connection, SQL["decisions"], {"tenant": tenant}, Decision):
        found[_where(connection, row)].append(row)
    return {
        fingerprint: Decided(sorted(said, key=lambda one: (one.time_ns, one.position)))
        for fingerprint, said in found.items()
    }


def _where(connection: sqlite3.Connection, row: Decision) -> str:
    """The fingerprint of the pattern that the decision's occurrence belongs to."""
    if row.version == CURRENT:
        return row.fingerprint
    run_no = lookup.find_run(connection, row.tenant, row.task_id, row.run_id)
    if run_no is None:
        return row.fingerprint
    values = {"attempt": run_no << words.NUMBER_BITS | row.attempt}
    now = connection.execute(SQL["pattern_of"], values).fetchone()
    return row.fingerprint if now is None else str(now[0])
