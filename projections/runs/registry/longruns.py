"""The facts of long runs: rows of their own, and the runs met lately in memory.

Most runs have a few facts, which stand with the run. A run that outgrows that has a row for each
fact, so that one more costs one more row, and stays in memory while it goes on. The memory is
bounded in facts, over all runs; one that was dropped is read again when it is touched.
"""

import sqlite3
from collections import OrderedDict
from typing import Final

from projections.runs.changes import Difference
from projections.runs.facts import (
    AbandonFact,
    RunFacts,
    SpanFact,
    decode_abandon_fact,
    decode_log_fact,
    decode_span_fact,
    encode_fact,
)
from projections.runs.long.left_out import Brief, decode_brief
from projections.runs.long.run import LongRun
from projections.runs.numbering import RunIdentity
from projections.runs.scopes import Sources

INLINE_LIMIT: Final = 32
"""Facts that stand with their run; a run of more is a long one."""
KEPT_FACTS: Final = 200_000

_SPAN, _LOG, _ABANDONED, _LEFT_OUT = 0, 1, 2, 3


class LongRuns:
    """Reads, keeps and writes long runs, within the caller's transaction."""

    def __init__(self, sources: Sources, limit: int) -> None:
        self._sources = sources
        self._limit = limit
        self._kept: OrderedDict[int, LongRun] = OrderedDict()

    def forget(self) -> None:
        """Drop what is kept in memory."""
        self._kept.clear()

    def begin(
        self, connection: sqlite3.Connection, run_no: int, identity: RunIdentity, facts: RunFacts
    ) -> LongRun:
        """Make a run a long one."""
        run = self._kept[run_no] = LongRun(facts, identity, self._sources, self._limit)
        self._write(connection, run_no, run.facts, run.put_out)
        return run

    def get(self, connection: sqlite3.Connection, run_no: int, identity: RunIdentity) -> LongRun:
        """A run that is a long one."""
        run = self._kept.get(run_no)
        if run is None:
            facts, out = _read(connection, run_no)
            run = self._kept[run_no] = LongRun(facts, identity, self._sources, self._limit, out)
        self._kept.move_to_end(run_no)
        return run

    def _add(
        self, connection: sqlite3.Connection, run_no: int, run: LongRun, new: RunFacts
    ) -> tuple[bool, Difference | None]:
        spans = [s for s in new.spans if not (run.is_beyond(s) and _stored(connection, run_no, s))]
        fresh, out, change = run.add(RunFacts(spans, new.logs, new.abandoned))
        self._write(connection, run_no, fresh, out)
        return bool(len(fresh) or out), change

    def exchange(
        self,
        connection: sqlite3.Connection,
        run_no: int,
        identity: RunIdentity,
        gone: set[bytes],
        new: RunFacts,
    ) -> tuple[LongRun, bool, Difference | None]:
        """Take facts from a run, then give it others: the run, whether any was, what changed.

        The run is derived anew from what is stored of it. Of a run that leaves attempts out, the
        place of one that it lists stays free until it is rebuilt: what would move up is in the log.
        """
        before = self.get(connection, run_no, identity)
        delete = "DELETE FROM run_fact WHERE run_no = ? AND event_id = ?"
        ids = [(run_no, event_id) for event_id in sorted(gone)]
        if not ids or connection.executemany(delete, ids).rowcount <= 0:
            return before, *self._add(connection, run_no, before, new)
        del self._kept[run_no]
        after = self.get(connection, run_no, identity)
        self._add(connection, run_no, after, new)
        return after, True, before.until(after)

    def _write(
        self, connection: sqlite3.Connection, run_no: int, facts: RunFacts, out: list[Brief]
    ) -> None:
        rows = [
            (run_no, bytearray(fact.event_id), _kind(fact), bytearray(encode_fact(fact)))
            for fact in facts.all()
        ]
        rows += [
            (run_no, bytearray(one.event_id), _LEFT_OUT, bytearray(encode_fact(one))) for one in out
        ]
        connection.executemany("INSERT OR REPLACE INTO run_fact VALUES (?, ?, ?, ?)", sorted(rows))

    def keep_few(self) -> None:
        """Drop the runs not met for longest while there are too many facts in memory."""
        size = sum(run.size for run in self._kept.values())
        while size > KEPT_FACTS and len(self._kept) > 1:
            _, run = self._kept.popitem(last=False)
            size -= run.size


def _kind(fact: object) -> int:
    return (
        _SPAN
        if isinstance(fact, SpanFact)
        else _ABANDONED
        if isinstance(fact, AbandonFact)
        else _LOG
    )


def _stored(connection: sqlite3.Connection, run_no: int, span: SpanFact) -> bool:
    select = "SELECT 1 FROM run_fact WHERE run_no = ? AND event_id = ?"
    return connection.execute(select, (run_no, span.event_id)).fetchone() is not None


def _read(connection: sqlite3.Connection, run_no: int) -> tuple[RunFacts, list[Brief]]:
    facts, out = RunFacts([], [], []), []
    rows = connection.execute("SELECT kind, fact FROM run_fact WHERE run_no = ?", (run_no,))
    for kind, fact in rows:
        if kind == _SPAN:
            facts.spans.append(decode_span_fact(fact))
        elif kind == _LOG:
            facts.logs.append(decode_log_fact(fact))
        elif kind == _ABANDONED:
            facts.abandoned.append(decode_abandon_fact(fact))
        else:
            out.append(decode_brief(fact))
    return facts, out
