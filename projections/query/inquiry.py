"""One question being answered: who asks, in which view, and the steps that every list shares."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec

from events.log.sqlite import load_queries
from projections.errors.verdicts import Verdicts
from projections.query import cursor, lookup
from projections.query.listing import Budget, Order, Sieve, Strand, find, sift
from projections.query.log import Log
from projections.query.parameters import ListQuestion, moment_ns
from projections.query.records import Page
from projections.query.rows import Key, R, Rows
from projections.query.seen import Seen
from projections.runs.words import STATUS_NUMBERS

SQL = load_queries("projections.query", "inquiry.sql")
_PLAIN: Final = (
    "model", "component", "environment", "backfilled", "min_attempts", "q", "recovered",
)  # fmt: skip
"""Filters that are compared as they are."""
_UNBOUND: Final = frozenset({"cursor", "limit", "min_position", "wait_s", "since", "until"})
"""Parameters that may change from page to page. A time may, for an age such as 24h names another
moment in each call, and a place in an order stays one whatever the bounds are."""

S = TypeVar("S", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A question's surroundings; lives as long as its read transaction.

    `seen` is what the views that are read have seen of the log; `tenant_no` is None while no task
    of the tenant is known; `now_ns` is when the question is asked.
    """

    connection: sqlite3.Connection
    tenant: str
    tenant_no: int | None
    seen: Seen
    budget_s: float
    endpoint: str
    log: Log
    verdicts: Verdicts
    now_ns: int

    @property
    def position(self) -> int:
        """What all views that are read have seen of the log."""
        return self.seen.position

    def current(self, record: S) -> S:
        """The record without the fields of views that are behind."""
        behind = dict.fromkeys(f for f in self.seen.behind if f in record.__struct_fields__)
        return msgspec.structs.replace(record, **behind) if behind else record

    def page(
        self,
        question: ListQuestion,
        strands: Sequence[Strand],
        rows: Rows[R],
        record: Callable[[R], S],
        *,
        newest_first: bool,
        filtered: bool,
        bounded: bool = True,
        sieve: Sieve | None = None,
    ) -> Page[S]:
        """The next items of a list.

        Args:
            rows: gives the rows of keys.
            record: makes an item of a row.
            filtered: see `find`.
            bounded: whether `since` and `until` are about the time that the keys begin with.
            sieve: lets all through that `rows` does not leave out.
        """
        if not strands:
            return Page([], None, str(self.position), behind=self.seen.behind)
        bound = self.binding(question)
        since_ns, until_ns = window(question) if bounded else (None, None)
        order = Order(
            newest_first, since_ns, until_ns, self.after(question, bound, strands[0].width)
        )
        budget = Budget(self.budget_s)
        if sieve is not None:
            part = sift(self.connection, strands, sieve, order, rows, question.limit, budget)
        else:
            part = find(
                self.connection, strands, order, rows, question.limit, budget, filtered=filtered
            )
        next_ = cursor.write(bound, part.after) if part.after else None
        items = [self.current(record(row)) for row in part.rows]
        return Page(items, next_, str(self.position), part.complete, self.seen.behind)

    def binding(self, question: ListQuestion) -> bytes:
        """What cursors of this question are bound to; the endpoint holds the path's arguments."""
        fields = msgspec.structs.asdict(question)
        filters = [(name, value) for name, value in fields.items() if name not in _UNBOUND]
        return cursor.binding(self.tenant, self.endpoint, filters)

    def after(self, question: ListQuestion, bound: bytes, width: int) -> Key | None:
        """The key that the question's cursor names."""
        if question.cursor is None:
            return None
        return cursor.read(bound, question.cursor, width)

    def by_status(
        self,
        table: str,
        key: tuple[str, ...],
        status: str | None,
        shown: tuple[str, ...] = (),
    ) -> list[Strand]:
        """The strands of one status, or of all that occur."""
        if self.tenant_no is None:
            return []
        if status is not None:
            wanted = [STATUS_NUMBERS[status]]
        else:
            sql = SQL["statuses"].format(table=table)
            found = self.connection.execute(sql, {"tenant": self.tenant_no})
            wanted = [number for (number,) in found]
        where = "tenant_no = ? AND status = ?"
        tenant_no = self.tenant_no
        return [Strand(table, key, where, (tenant_no, number), shown) for number in wanted]

    def numbers(self, question: Any) -> dict[str, Any] | None:
        """The values of a row statement's filters; None if one names what is not known."""
        values = {name: getattr(question, name, None) for name in _PLAIN}
        status = getattr(question, "status", None)
        values["status"] = None if status is None else STATUS_NUMBERS[status]
        for name, finder in (("task", lookup.find_task), ("executor", lookup.find_executor)):
            text = getattr(question, name, None)
            values[name] = None
            if text is not None:
                values[name] = finder(self.connection, self.tenant, text)
                if values[name] is None:
                    return None
        return values


def window(question: Any) -> tuple[int | None, int | None]:
    """`since` and `until` of a question in ns."""
    return moment_ns(getattr(question, "since", None)), moment_ns(getattr(question, "until", None))


def is_filtered(values: dict[str, Any], served: str | None) -> bool:
    """Whether any filter is left besides the one that the index serves."""
    return any(value is not None for name, value in values.items() if name != served)
