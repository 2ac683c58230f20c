"""What rules look at: bounded samples of the views, in one read transaction.

A sample of attempts is the newest of those that ended in a window, `LIMIT` of each status; if a
status has more, the whole sample begins where that status does, so that shares stay true.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from events.log.lag import behind
from events.log.port import LogReader
from events.log.sqlite import load_queries
from projections.errors.verdicts import Verdicts
from projections.query.listing import Budget
from projections.query.lookup import find_tenant
from projections.query.rows import select
from projections.runs import words
from projections.views.error_patterns.answers.course import Course
from projections.views.error_patterns.answers.decided import Decided, course_at, decisions_of
from service.alerts.rule import Rule

SQL: Final = load_queries("service.alerts", "samples.sql")
ENDED: Final = SQL["attempts"].format(
    chosen="attempt AS a",
    which="a.tenant_no = :tenant AND a.status = :status AND a.ended_ns >= :since",
    moment="a.ended_ns",
)
SEEN: Final = SQL["attempts"].format(
    chosen="error_occurrence AS o CROSS JOIN attempt AS a ON a.attempt_key = o.attempt_key",
    which="o.fingerprint_no = :fingerprint AND o.seen_ns >= :since",
    moment="o.seen_ns",
)
FAILURES: Final = (words.FAILED, words.TIMED_OUT, words.ABANDONED)
LIMIT: Final = 20_000
PATTERNS_LIMIT: Final = 500
OCCURRENCES_LIMIT: Final = 200
BUDGET_S: Final = 2.0
"""The longest time of one rule's questions."""
_UNDECIDED: Final = Decided()
Decisions = dict[str, dict[str, Decided]]
"""By tenant and fingerprint."""


class Ended(NamedTuple):
    """An attempt that ended, and what became of its run. A row of `attempts`."""

    task_id: str
    component: str | None
    executor: str | None
    fingerprint: str | None
    signature: bytes | None
    message: str | None
    status: int
    started_ns: int
    ended_ns: int
    number: int
    max_attempts: int | None
    run_id: str
    run_status: int | None
    task_status: int | None
    is_last: int

    def is_terminal(self, now_ns: int, settle_ns: int) -> bool:
        """Whether its run failed for good: none is left, or none has begun for a while."""
        if not self.is_last or self.run_status not in words.FAILURES:
            return False
        if self.max_attempts is not None and self.number >= self.max_attempts:
            return True
        return now_ns - self.ended_ns >= settle_ns


class Wait(NamedTuple):
    """How long an attempt waited for its start. A row of `waited` and `waiting`."""

    task_id: str
    component: str | None
    executor: str | None
    wait_ns: int


class Pattern(NamedTuple):
    """An error pattern that occurred lately. A row of `patterns`."""

    fingerprint_no: int
    fingerprint: str
    first_seen_ns: int
    last_seen_ns: int
    occurrences: int
    first_ns: int
    before_ns: int | None


class Heard(NamedTuple):
    """The task that was heard last. A row of `heard`."""

    task_id: str
    heard_ns: int


class _Status(NamedTuple):
    status: int


class _Position(NamedTuple):
    projection: str
    position: int


class Samples:
    """The views at one moment; lives as long as its read transaction.

    Args:
        views: a connection in a read transaction.
        log: the log that the views follow.
        verdicts: what the rules say of errors.
        decisions: what was decided of errors, by tenant, as far as it was read already.
    """

    def __init__(
        self,
        views: sqlite3.Connection,
        log: LogReader,
        verdicts: Verdicts,
        now_ns: int,
        decisions: Decisions | None = None,
    ) -> None:
        self._views = views
        self._log = log
        self._verdicts = verdicts
        self.now_ns = now_ns
        self._decisions = {} if decisions is None else decisions

    def limit_time(self) -> None:
        """Let the questions from now on end with an error once they took too long together."""
        Budget(BUDGET_S / 2).guard(self._views)  # it leaves as much again to a statement under way

    def error(self, one: Ended) -> dict[str, Any]:
        """What is known of the error of an attempt: its type, category, suggestion, …"""
        if one.signature is None:
            return {}
        return self._verdicts.told(one.signature, one.message, one.component)

    def ended(self, rule: Rule, statuses: Iterable[int], window_ns: int) -> list[Ended]:
        """The attempts that ended in the window with one of these statuses, newest first."""
        found: list[Ended] = []
        floor_ns = 0
        for status in statuses:
            rows = list(self._select(ENDED, Ended, rule, window_ns, status=status))
            if len(rows) == LIMIT:
                floor_ns = max(floor_ns, rows[-1].ended_ns)
            found += rows
        kept = [row for row in found if row.ended_ns >= floor_ns]
        kept.sort(key=lambda row: row.ended_ns, reverse=True)
        return kept

    def failed(self, rule: Rule, window_ns: int) -> list[Ended]:
        """The attempts that failed in the window, but for errors that somebody ignores."""
        decided = self._decided(rule)
        return [
            row for row in self.ended(rule, FAILURES, window_ns)
            if not decided.get(row.fingerprint or "", _UNDECIDED).is_ignored(self.now_ns)
        ]  # fmt: skip

    def waits(self, rule: Rule, window_ns: int) -> list[Wait]:
        """The waits of attempts that were queued in the window, and of those that still wait."""
        waited = list(self._select(SQL["waited"], Wait, rule, window_ns))
        return waited + list(self._select(SQL["waiting"], Wait, rule, window_ns))

    def patterns(self, rule: Rule, window_ns: int) -> list[Pattern]:
        """The error patterns that occurred in the window, latest first, but for ignored ones."""
        decided = self._decided(rule)
        rows = self._select(SQL["patterns"], Pattern, rule, window_ns, limit=PATTERNS_LIMIT)
        return [
            row for row in rows
            if not decided.get(row.fingerprint, _UNDECIDED).is_ignored(self.now_ns)
        ]  # fmt: skip

    def resolved_ns(self, rule: Rule, pattern: Pattern) -> int | None:
        """When somebody said last that a pattern is resolved, if that still holds."""
        last = self._decided(rule).get(pattern.fingerprint, _UNDECIDED).last
        return last.time_ns if last is not None and last.action == "resolve" else None

    def course(self, rule: Rule, pattern: Pattern) -> Course:
        """How a pattern goes on: its state and how often it was seen, as its page says it."""
        decided = self._decided(rule).get(pattern.fingerprint, _UNDECIDED)
        seen_ns = pattern.first_seen_ns, pattern.last_seen_ns
        return course_at(self._views, pattern.fingerprint_no, seen_ns, decided, self.now_ns)

    def occurrences(self, rule: Rule, window_ns: int, pattern: Pattern) -> list[Ended]:
        """The newest occurrences of a pattern in the window."""
        number, limit = pattern.fingerprint_no, OCCURRENCES_LIMIT
        rows = self._select(SEEN, Ended, rule, window_ns, fingerprint=number, limit=limit)
        return list(rows)

    def heard(self, rule: Rule) -> Heard | None:
        """The task that was heard last; None if none ever was."""
        values = self._values(rule, 0)
        statuses = select(self._views, SQL["task_statuses"], values, _Status)
        found = [
            row
            for (status,) in list(statuses)
            for row in self._select(SQL["heard"], Heard, rule, 0, status=status, limit=1)
        ]
        return max(found, key=lambda row: row.heard_ns, default=None)

    def lags_s(self) -> dict[str, float]:
        """The age in seconds of the oldest event that each projection has not applied."""
        rows = list(select(self._views, SQL["lags"], {}, _Position))
        of = {at: behind(self._log, {0: at}).seconds(self.now_ns) for at in {r[1] for r in rows}}
        return {row.projection: of[row.position] for row in rows}

    def _decided(self, rule: Rule) -> dict[str, Decided]:
        """What was decided of errors, by fingerprint."""
        if rule.tenant not in self._decisions:
            self._decisions[rule.tenant] = decisions_of(self._views, rule.tenant)
        return self._decisions[rule.tenant]

    def _select(self, sql: str, row: Any, rule: Rule, window_ns: int, **more: Any) -> Iterator[Any]:
        return select(self._views, sql, self._values(rule, window_ns) | more, row)

    def _values(self, rule: Rule, window_ns: int) -> dict[str, Any]:
        return {
            "tenant": find_tenant(self._views, rule.tenant),
            "since": self.now_ns - window_ns,
            "now": self.now_ns,
            "task": None if rule.task is None else rule.task.replace("[", "[[]"),
            "component": rule.component,
            "executor": rule.executor,
            "limit": LIMIT,
        }
