"""Searching attempts: where to look, and what a search looks at in rows and in their events."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from projections.errors.verdicts import Verdicts
from projections.query import lookup
from projections.query.inquiry import Inquiry
from projections.query.listing import Budget, Sieve, Strand
from projections.query.rows import Key, R, Rows
from projections.runs import words
from projections.views.attempts.search import Attribute, Node, as_test, required
from projections.views.attempts.sieve import Sieving
from projections.views.spans.attributes import Saying
from projections.views.spans.search import TAIL_EVENTS, Search

_FEW: Final = 1_000
"""So many events may say a value that attempts are found by them, and not they by attempts."""
_AT_ONCE: Final = 64
_SHARE: Final = 0.5  # of a question's time, for finding few
_OF_RUN: Final = "SELECT attempt_key, position FROM attempt WHERE attempt_key BETWEEN ? AND ?"
Narrowed = Callable[[str, Sequence[int]], list[Strand]]


class Searching(ExitStack):
    """One search; the log is open within its block, where the search needs it.

    Raises:
        SearchOff: it asks for an attribute, and the index of spans is switched off.
    """

    def __init__(self, inquiry: Inquiry, sought: Node) -> None:
        super().__init__()
        self._inquiry = inquiry
        self._sought = sought
        self._sieving = Sieving(inquiry)
        self._opened: Saying | None = None

    def sieve(self) -> Sieve:
        """A condition that holds for all that is found."""
        return self._sieving.of(self._sought)

    def strands(self, strands: Sequence[Strand], narrowed: Narrowed | None) -> Sequence[Strand]:
        """The strands that hold all that is found in those of a list.

        Where the search needs an attribute that few events say, the index of spans leads to these
        attempts, however old they are.

        Args:
            narrowed: gives the strands of a column's values; None where others are fixed.
        """
        by = self._sieving.narrowed(self._sought) if narrowed is not None else None
        if by is not None and narrowed is not None:
            strands = narrowed(*by)
        wanted = required(self._sought)
        few = self._few(wanted) if wanted else None
        return strands if few is None else [_only(strand, few) for strand in strands]

    def passing(self, rows: Rows[R]) -> Rows[R]:
        """Only the rows that are found."""
        test = as_test(self._sought, reading(self._inquiry.verdicts), self._says)

        def passed(keys: Sequence[Key]) -> Mapping[Key, R]:
            found: Mapping[Key, Any] = rows(keys)
            if self._opened is not None:
                self._opened.look(row.position for row in found.values())
            return {key: row for key, row in found.items() if test(row)}

        return passed

    def _says(self, row: Any, attribute: Attribute) -> bool:
        return self._saying().says(row.position, attribute.key, attribute.value)

    def _saying(self) -> Saying:
        if self._opened is None:
            inquiry = self._inquiry
            reader = self.enter_context(inquiry.log.read())
            search = Search(inquiry.connection, reader, Budget(inquiry.budget_s * _SHARE))
            self._opened = Saying(search, inquiry.tenant)
        return self._opened

    def _few(self, wanted: Sequence[Attribute]) -> list[int] | None:
        """Keys of all attempts that may pass; None where that are many, or it takes too long."""
        budget = Budget(self._inquiry.budget_s * _SHARE)
        if self._saying().lag() > TAIL_EVENTS:
            return None
        places = self._saying().candidates(wanted)
        keys: set[int] = set()
        read = 0
        while chunk := list(islice(places, _AT_ONCE)):
            keys.update(self._attempts_at(chunk))
            read += len(chunk)
            if read > _FEW or budget.is_over():
                return None
        return None if budget.is_over() else sorted(keys)

    def _attempts_at(self, positions: Sequence[int]) -> Iterator[int]:
        """Keys of the attempts that come from events at these positions."""
        connection, tenant = self._inquiry.connection, self._inquiry.tenant
        events = self._saying().events(positions)
        for trace_id in {getattr(each.event, "trace_id", b"") for each in events} - {b""}:
            for run_no in lookup.runs_of_trace(connection, tenant, trace_id):
                low = run_no << words.NUMBER_BITS
                for key, position in connection.execute(_OF_RUN, (low, low + words.NUMBER_LIMIT)):
                    if position in positions:
                        yield key


def _only(strand: Strand, keys: Sequence[int]) -> Strand:
    """The part of a strand that has these attempts."""
    where = f"{strand.where} AND attempt_key IN (SELECT value FROM json_each(?))"
    return replace(strand, where=where, values=(*strand.values, json.dumps(keys)))


def reading(verdicts: Verdicts) -> Callable[[Any, str], Any]:
    """Gives the value of a row by the names that `projections.views.attempts.search` knows."""

    def of_error(row: Any, name: str) -> Any:
        if row.signature is None:
            return None
        verdict, type_ = verdicts.of(row.signature)
        return type_ if name == "error_type" else getattr(verdict, name)

    derived: dict[str, Callable[[Any], Any]] = {
        "status": lambda row: words.STATUS_WORDS[row.status],
        "attempt": lambda row: row.attempt_key & words.NUMBER_LIMIT,
        "duration": lambda row: None if row.ended_ns is None else row.ended_ns - row.started_ns,
        "trace_id": lambda row: row.trace_id.hex(),
        "error_type": lambda row: of_error(row, "error_type"),
        "category": lambda row: of_error(row, "category"),
        "severity": lambda row: of_error(row, "severity"),
    }

    def read(row: Any, name: str) -> Any:
        return derived[name](row) if name in derived else getattr(row, name)

    return read
