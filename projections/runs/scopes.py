"""Where attempts count, and in which of these places a run has how many of them."""

from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol

from projections.runs import words
from projections.runs.attempt import Attempt
from projections.runs.summary import Run

ALL, EXECUTOR, HOUR, DAY = 0, 1, 2, 3
HOUR_NS: Final = 3_600_000_000_000

Scope = tuple[int, int]
"""The whole task; an executor, by number; an hour or a day since 1970 of an attempt's start."""


class Sources(Protocol):
    """Tells where attempts ran."""

    def source_parts(self, source_no: int) -> tuple[int | None, str | None]:
        """The executor's number and the component of a source."""
        ...


def scopes_of(attempt: Attempt, sources: Sources) -> tuple[Scope, Scope, Scope, Scope]:
    """Where an attempt counts."""
    hour = attempt.started_ns // HOUR_NS
    executor_no = sources.source_parts(attempt.source_no)[0] or 0
    return (ALL, 0), (EXECUTOR, executor_no), (HOUR, hour), (DAY, hour // 24)


class Rest(NamedTuple):
    """What becomes of a run where its attempts themselves did not change.

    `entered` and `left` are the scopes in which it has ended attempts now, or had. `stayed` are
    the others, and `failures` counts the failures that stayed, by fingerprint: only told if the
    outcome of the run changed, for they show it.
    """

    entered: tuple[Scope, ...] = ()
    left: tuple[Scope, ...] = ()
    stayed: tuple[Scope, ...] = ()
    failures: tuple[tuple[int, int], ...] = ()


class Counts:
    """How many ended attempts a run has in each scope, and how many failures of each kind."""

    __slots__ = ("_failures", "_scopes", "_sources")

    def __init__(self, sources: Sources, attempts: Iterable[Attempt] = ()) -> None:
        self._sources = sources
        self._scopes: dict[Scope, int] = {}
        self._failures: dict[int, int] = {}
        self._add(attempts, 1)

    def _add(self, attempts: Iterable[Attempt], sign: int) -> dict[Scope, int]:
        """Count them; returns how many there were in each scope that they touch."""
        scopes, failures, before = self._scopes, self._failures, dict[Scope, int]()
        for attempt in attempts:
            if attempt.ended_ns is not None:
                for scope in scopes_of(attempt, self._sources):
                    count = scopes.get(scope, 0)
                    before.setdefault(scope, count)
                    scopes[scope] = count + sign
            number = attempt.error_no
            if number is not None and attempt.tells_failure:
                failures[number] = failures.get(number, 0) + sign
        return before

    def change(
        self, old: Run | None, new: Run | None, gone: Iterable[Attempt], came: Iterable[Attempt]
    ) -> Rest:
        """Take a change of the run into account."""
        before = self._add(gone, -1)
        flips = old is not None and new is not None and old.completed != new.completed
        failures = tuple(item for item in self._failures.items() if item[1]) if flips else ()
        before = self._add(came, 1) | before
        scopes = self._scopes
        entered = tuple(scope for scope, count in before.items() if not count and scopes[scope])
        left = tuple(scope for scope, count in before.items() if count and not scopes[scope])
        for scope in left:
            del scopes[scope]
        stayed: tuple[Scope, ...] = ()
        if old is not None and new is not None and outcome(old) != outcome(new):
            stayed = tuple(scopes.keys() - entered)
        return Rest(entered, left, stayed, failures)


def outcome(run: Run) -> tuple[bool, bool, bool]:
    """What the scopes of a run count of it."""
    return run.completed, run.status in words.FAILURES, run.recovered
