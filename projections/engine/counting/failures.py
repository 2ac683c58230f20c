"""Failed attempts by the category of their error, counted for `/metrics`.

Which category an error has takes half a millisecond where none like it was met before, and nothing
where one was: of those that wait, a page looks at as many as fit into its share of time, the others
wait for the next page or for the loop to be idle. So a storm of new errors holds up no view.
"""

import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from events import metrics
from projections.errors.verdicts import Verdicts

SHARE_S: Final = 0.005
MOST_WAITING: Final = 4_096
"""Errors that differ; failures of what is more count as unknown."""
_UNKNOWN: Final = ("unknown", "medium", "unknown")
_TRANSIENT: Final = {True: "true", False: "false", None: "unknown"}
_CONTENT: Final = "SELECT content FROM signature WHERE error_no = ?"


class Failures:
    """Counts of failures of one views file, by error, until they are told.

    Args:
        rules: the folder of the user's own rules for errors.
    """

    def __init__(self, rules: Path) -> None:
        self._verdicts = Verdicts(rules)
        self._waiting: dict[int, int] = {}

    def add(self, counts: Mapping[int, int]) -> None:
        """Failures that came, by `error_no`."""
        for error_no, count in counts.items():
            if error_no in self._waiting or len(self._waiting) < MOST_WAITING:
                self._waiting[error_no] = self._waiting.get(error_no, 0) + count
            else:
                metrics.FAILURES.labels(*_UNKNOWN).inc(count)

    def tell(self, connection: sqlite3.Connection) -> None:
        """Add to the metrics what is looked at within `SHARE_S`, at least one error."""
        ends_s = time.monotonic() + SHARE_S
        while self._waiting:
            error_no, count = self._waiting.popitem()
            metrics.FAILURES.labels(*self._labels(connection, error_no)).inc(count)
            if time.monotonic() > ends_s:
                return

    def _labels(self, connection: sqlite3.Connection, error_no: int) -> tuple[str, str, str]:
        row = connection.execute(_CONTENT, (error_no,)).fetchone()
        if row is None:
            return _UNKNOWN
        verdict, _ = self._verdicts.of(row[0])
        return verdict.category, verdict.severity, _TRANSIENT[verdict.transient]
