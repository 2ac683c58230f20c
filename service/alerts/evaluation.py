"""Evaluating all rules at one moment, in a worker thread, on one read transaction for each.

While the views are behind, what is not seen did not fail to happen: then only the rule about that
is evaluated, and all other alerts stay as they are.
"""

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple

from events.errors import SpanledgerError
from projections.errors.verdicts import FOLDER, Verdicts
from projections.query.log import Log
from projections.query.reading import Views
from service.alerts.findings import Finding, findings
from service.alerts.rule import ProjectionLag, Rule
from service.alerts.samples import Decisions, Samples

LAG_LIMIT_S: Final = 60.0
_log = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """What came of a rule: its findings, or why it was not evaluated."""

    rule: Rule
    found: tuple[Finding, ...] = ()
    problem: str = ""


class Evaluation:
    """Evaluates on the views of a data folder; safe for several threads."""

    def __init__(self, data: Path, clock: Callable[[], int] = time.time_ns) -> None:
        self._views = Views(data)
        self._log = Log(data)
        self._verdicts = Verdicts(data / FOLDER)
        self._clock = clock
        self._said: dict[str, str] = {}

    def evaluate(self, rules: Iterable[Rule]) -> list[Outcome]:
        """The outcome of each rule; what one fails of is no other's matter.

        What was decided of errors is read once for all of them.
        """
        decisions: Decisions = {}
        return [self._outcome(rule, decisions) for rule in rules]

    def _outcome(self, rule: Rule, decisions: Decisions) -> Outcome:
        try:
            return self._found(rule, decisions)
        except (SpanledgerError, sqlite3.Error, OSError) as exc:
            return Outcome(rule, problem=str(exc))
        except Exception as exc:
            return Outcome(rule, problem=self._told(rule, exc))

    def _found(self, rule: Rule, decisions: Decisions) -> Outcome:
        with self._views.read() as views, self._log.read() as log:
            samples = Samples(views, log, self._verdicts, self._clock(), decisions)
            if not isinstance(rule, ProjectionLag):
                lag_s = max(samples.lags_s().values(), default=0.0)
                if lag_s > LAG_LIMIT_S:
                    return Outcome(rule, problem=f"the views are {lag_s:.0f} s behind")
            return Outcome(rule, tuple(findings(rule, samples)))

    def _told(self, rule: Rule, fault: Exception) -> str:
        """What to say of a fault that nobody foresaw; the log has where it was, once."""
        problem = f"a fault of Spanledger: {type(fault).__name__}: {fault}"
        if self._said.get(rule.name) != problem:
            self._said[rule.name] = problem
            extra = {"action": "alerts", "rule": rule.name}
            _log.error("a rule cannot be evaluated", exc_info=fault, extra=extra)
        return problem

    def close(self) -> None:
        """Close every file."""
        self._views.close()
        self._log.close()
