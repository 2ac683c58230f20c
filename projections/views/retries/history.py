"""How retries ended, counted over a bounded part of history: the last occurrences of the patterns
that occurred last."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from statistics import median
from typing import Final, NamedTuple

from events.log.sqlite import load_queries
from projections.errors.verdicts import Verdicts
from projections.policies.asking import Known
from projections.policies.chances import ENOUGH, Basis, Chance, chance
from projections.policies.rule import Case
from projections.runs.words import COMPLETED

SQL = load_queries("projections.views.retries", "question.sql")
PATTERNS: Final = 200
OCCURRENCES: Final = 500
"""How many patterns, and how many of the occurrences of each, are looked at."""
SECOND_NS: Final = 1_000_000_000


class Pattern(NamedTuple):
    """An error pattern, and what is known of the error."""

    number: int
    fingerprint: str
    type: str | None
    known: Known


class _Count:
    """Retries of one kind."""

    __slots__ = ("succeeded", "tried", "waits")

    def __init__(self) -> None:
        self.tried = self.succeeded = 0
        self.waits: list[float] = []

    def add(self, status: int, waited_ns: int) -> None:
        self.tried += 1
        if status == COMPLETED:
            self.succeeded += 1
            self.waits.append(max(waited_ns, 0) / SECOND_NS)

    def chance(self, basis: Basis, attempt: int) -> Chance:
        wait_s = round(median(self.waits), 3) if self.waits else None
        return chance(basis, attempt, self.tried, self.succeeded, wait_s)


class History:
    """What retries came to; what it knows is never changed once it is read."""

    def __init__(self) -> None:
        self.patterns: dict[str, Pattern] = {}
        self.complete = True
        """Whether all patterns and occurrences were looked at, not only the last ones."""
        self._by_pattern: defaultdict[tuple[str, int], _Count] = defaultdict(_Count)
        self._by_component: defaultdict[tuple[str, str, int], _Count] = defaultdict(_Count)
        self._by_category: defaultdict[tuple[str, int], _Count] = defaultdict(_Count)

    def add(self, pattern: Pattern, component: str, attempt: int, status: int, wait: int) -> None:
        """Count one retry of a failure of `pattern`."""
        category = pattern.known.category
        self._by_pattern[pattern.fingerprint, attempt].add(status, wait)
        self._by_component[category, component, attempt].add(status, wait)
        self._by_category[category, attempt].add(status, wait)

    def of(self, case: Case, attempt: int) -> Chance | None:
        """See `Chances.of`: of the pattern if there were enough, else of wider groups."""
        found: Chance | None = None
        for basis, count in self._counts(case, attempt):
            if count is not None and count.tried:
                found = count.chance(basis, attempt)
                if count.tried >= ENOUGH:
                    break
        return found

    def _counts(self, case: Case, attempt: int) -> Iterator[tuple[Basis, _Count | None]]:
        category = case.category
        yield "pattern", self._by_pattern.get((case.fingerprint, attempt))
        by_component = self._by_component.get((category, case.component, attempt))
        yield "category and component", by_component
        yield "category", self._by_category.get((category, attempt))

    def by_pattern(self) -> Iterator[tuple[Pattern, list[Chance]]]:
        """Each pattern with what its retries came to, in order of their number."""
        for fingerprint, chances in _grouped(self._by_pattern, "pattern"):
            yield self.patterns[fingerprint], chances

    def by_category(self) -> Iterator[tuple[str, list[Chance]]]:
        """The same of categories."""
        yield from _grouped(self._by_category, "category")


def _grouped(
    counts: dict[tuple[str, int], _Count], basis: Basis
) -> Iterator[tuple[str, list[Chance]]]:
    groups: defaultdict[str, list[Chance]] = defaultdict(list)
    for (name, attempt), count in sorted(counts.items()):
        groups[name].append(count.chance(basis, attempt))
    yield from groups.items()


def read_history(
    connection: sqlite3.Connection,
    tenant_no: int,
    verdicts: Verdicts,
    *,
    since_ns: int = 0,
    component: str | None = None,
) -> History:
    """What a tenant's retries came to.

    Args:
        verdicts: say what a pattern is.
        since_ns: only failures from then on.
        component: only attempts of this one.
    """
    history = History()
    bounds = {"tenant": tenant_no, "since": since_ns, "patterns": PATTERNS + 1}
    found = connection.execute(SQL["patterns"], bounds).fetchall()
    history.complete = len(found) <= PATTERNS
    for number, fingerprint, signature in found[:PATTERNS]:
        told = verdicts.told(signature, None, None)
        known = Known(
            fingerprint=fingerprint, category=told["category"], transient=told["transient"],
            severity=told["severity"], suggestion=told["suggestion"],
        )  # fmt: skip
        pattern = Pattern(number, fingerprint, told["type"], known)
        history.patterns[fingerprint] = pattern
        values = {
            "fingerprint": number, "since": since_ns, "component": component,
            "occurrences": OCCURRENCES,
        }  # fmt: skip
        for attempt, status, waited_ns, ran_in in connection.execute(SQL["retries"], values):
            history.add(pattern, ran_in, attempt, status, waited_ns)
        if connection.execute(SQL["more"], values).fetchone():
            history.complete = False
    return history
