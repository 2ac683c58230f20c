"""Facts of a page into the tables of the shared stage, and out come the runs that changed.

For each run that the page touches: its number (given now, if it is new), its facts before and
with the page, and what derive() makes of both. Projections work on the difference alone.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

import numpy as np
from msgspec.structs import asdict

from events.bounded import BoundedDict, text_bytes
from projections.runs.changes import Change, Changes, Difference, difference
from projections.runs.derive import derive
from projections.runs.extracted import Extracted, RunKey
from projections.runs.facts import RunFacts, added_to, encode_facts, without
from projections.runs.long.left_out import ATTEMPTS_LIMIT
from projections.runs.registry.digests import Digests
from projections.runs.registry.known import Known, runs_by_number
from projections.runs.registry.longruns import INLINE_LIMIT, LongRuns
from projections.runs.registry.loose import LooseLogs
from projections.runs.registry.numbers import Registry
from projections.runs.registry.tasks import TaskNumbers
from projections.runs.summary import Run
from projections.runs.words import key_hashes
from projections.storage.columns import ABSENT, Bound, Columns, maker
from projections.storage.spanindex import Int64s, SpanIndex, span_hashes

TABLES: Final = "run_hash"
KEPT_BYTES: Final = 16 << 20
"""Of the rows of long runs."""


class RunKeyRow(NamedTuple):
    """A row of table `run_key`."""

    run_no: int
    task_no: int
    is_first: bool
    hash: int
    lead_ns: int | None
    last_started_ns: int | None
    run_id: str
    facts: bytes


COLUMNS: Final = Columns("run_key", RunKeyRow)
_bound = COLUMNS.binder()

_Place = tuple[int, int]  # task number, and the digest under which the run is found


_change_of_known = maker(Change, Known)
_change_of_fresh = maker(Change, old=None, rest=None)
_UPDATE: Final = (
    f"UPDATE run_key SET lead_ns = nullif(:lead, {ABSENT}),"
    f" last_started_ns = nullif(:last, {ABSENT}), facts = :facts WHERE run_no = :run"
)


class RunStage:
    """Facts in, changes out; see the module."""

    def __init__(self, registry: Registry, attempts_limit: int = ATTEMPTS_LIMIT) -> None:
        self._registry = registry
        self._task_numbers = TaskNumbers(registry)
        self._long_runs = LongRuns(registry, attempts_limit)
        self._digests = Digests(TABLES)
        self._long_rows: BoundedDict[RunKey, Known] = BoundedDict(KEPT_BYTES)
        self._span_index = SpanIndex()
        self._spans: list[tuple[Int64s, Int64s]] = []  # not written yet
        self._last_run_no: int | None = None
        self._loose = LooseLogs()

    def forget(self) -> None:
        """Drop what is kept in memory."""
        self._task_numbers.forget()
        self._digests.forget()
        self._long_rows.clear()
        self._span_index.forget()
        self._long_runs.forget()
        self._spans.clear()
        self._loose.forget()
        self._last_run_no = None

    def flush(self, connection: sqlite3.Connection) -> None:
        """Write what was kept until the page's end."""
        self._registry.flush(connection)
        self._task_numbers.flush(connection)
        self._digests.flush(connection)
        self._loose.flush(connection)
        self._write_spans(connection)

    def apply(self, connection: sqlite3.Connection, found: Extracted) -> Changes:
        """Store a page's facts; the runs that changed."""
        if not found.runs and not found.loose:
            return Changes([])
        known = self._long_ones_met(found.runs)
        unmet = [key for key in found.runs if key not in known]
        places, new_tasks = self._places(connection, unmet)
        known |= self._known_runs(connection, places, new_tasks)
        by_no = {run.run_no: run for run in known.values()}
        added = {known[key].run_no: facts for key, facts in found.runs.items() if key in known}
        fresh = self._number_runs(connection, [key for key in unmet if key not in known])
        first_runs = self._write_tasks(connection, fresh, places, new_tasks)
        spans = self._index_spans(connection, found, known, fresh)
        self._join_loose(connection, found, spans, fresh, by_no, added)
        gone = {known[key].run_no: ids for key, ids in found.gone.items() if key in known}
        changes = self._change_known(connection, by_no, added, gone)
        changes += self._insert_fresh(connection, found, fresh, places, first_runs)
        self._long_runs.keep_few()
        changes.sort(key=_number_of)
        return Changes(changes)

    def load_run(self, connection: sqlite3.Connection, run_no: int) -> Run | None:
        """A stored run, derived from its facts."""
        by_no: dict[int, Known] = {}
        self._load_missing(connection, by_no, {run_no: RunFacts()})
        run = by_no[run_no]
        if run.facts is None:
            return self._long_runs.get(connection, run_no, self._identity(run)).run
        derived = derive(run.facts, self._identity(run))
        return None if derived is None else derived.run

    def _identity(self, run: Known) -> tuple[str, str, str]:
        return self._registry.tenant_name(run.tenant_no), run.task_id, run.run_id

    # Runs

    def _long_ones_met(self, keys: Iterable[RunKey]) -> dict[RunKey, Known]:
        """The long runs met lately: once long, nothing of their row changes that we ask for."""
        rows = self._long_rows
        return {key: rows[key] for key in keys if key in rows} if rows else {}

    def _places(
        self, connection: sqlite3.Connection, keys: Sequence[RunKey]
    ) -> tuple[dict[RunKey, _Place], set[int]]:
        """Where the row of each run is looked for; and the tasks that have no run yet."""
        task_nos, new_tasks = self._task_numbers.resolve(connection, [key[:2] for key in keys])
        name = self._registry.tenant_name
        names = {tenant: name(tenant) for tenant in {key[0] for key in keys}}
        hashes = key_hashes(f"{names[tenant]}\x00{task}\x00{run}" for tenant, task, run in keys)
        return dict(zip(keys, zip(task_nos, hashes, strict=True), strict=True)), new_tasks

    def _known_runs(
        self, connection: sqlite3.Connection, places: dict[RunKey, _Place], new_tasks: set[int]
    ) -> dict[RunKey, Known]:
        """The runs that have a row, with their facts."""
        wanted: dict[tuple[int, str], RunKey] = {}
        digests: list[int] = []
        for sought, (task_no, digest) in places.items():
            if task_no not in new_tasks:
                wanted[task_no, sought[2]] = sought
                digests.append(digest)
        known: dict[RunKey, Known] = {}
        candidates = self._digests.candidates(connection, digests)
        task_nos = sorted({task_no for task_no, _ in wanted})
        candidates += self._task_numbers.first_runs(connection, task_nos)
        candidates.sort()
        for run in runs_by_number(connection, candidates):
            if (place := (run.task_no, run.run_id)) not in wanted:
                continue
            known[key := wanted[place]] = run
            if run.facts is None:
                self._long_rows.keep(key, run, text_bytes(*key[1:]))
        return known

    def _number_runs(
        self, connection: sqlite3.Connection, keys: Sequence[RunKey]
    ) -> dict[RunKey, int]:
        """Numbers for the runs that have no row."""
        if self._last_run_no is None:
            self._last_run_no = _last(connection, "SELECT max(run_no) FROM run_key")
        first = self._last_run_no + 1
        self._last_run_no += len(keys)
        return {key: number for number, key in enumerate(keys, first)}

    def _change_known(
        self,
        connection: sqlite3.Connection,
        by_no: dict[int, Known],
        added: dict[int, RunFacts],
        gone: Mapping[int, set[bytes]],
    ) -> list[Change]:
        changes, rows = [], []
        for run_no in sorted(added):
            run = by_no[run_no]
            changed = self._alter(connection, run, gone.get(run_no, set()), added[run_no])
            if changed is None:
                continue
            facts, new, difference = changed
            lead_ns, last_ns = _span_of_time(new)
            rows.append(
                {"lead": lead_ns, "last": last_ns, "facts": bytearray(facts), "run": run_no}
            )
            if difference is not None:
                changes.append(_change_of_known(run, new_task=False, **asdict(difference)))
        connection.executemany(_UPDATE, rows)
        return changes

    def _alter(
        self, connection: sqlite3.Connection, run: Known, gone: set[bytes], added: RunFacts
    ) -> tuple[bytes, Run | None, Difference | None] | None:
        """Facts to store with a run, the run, and what changed; None if no fact came or went."""
        at, held = (connection, run.run_no, self._identity(run)), run.facts
        if held is not None:
            kept = without(held, gone) if gone else held
            fresh = added_to({fact.event_id for fact in kept.all()}, added)
            if not len(fresh) and len(kept) == len(held):
                return None
            if len(kept) + len(fresh) <= INLINE_LIMIT:
                old = derive(held, at[2])
                kept.extend(fresh)
                new = derive(kept, at[2])
                changed = difference(old, new, self._registry)
                run_now = None if new is None else new.run
                return encode_facts(kept, _start_of(run_now)), run_now, changed
            self._long_runs.begin(*at, held)
        long_run, any_new, changed = self._long_runs.exchange(*at, gone, added)
        return (b"", long_run.run, changed) if any_new else None

    def _write_tasks(
        self,
        connection: sqlite3.Connection,
        fresh: dict[RunKey, int],
        places: dict[RunKey, _Place],
        new_tasks: set[int],
    ) -> dict[int, int]:
        """Write the rows of new tasks; returns their first runs."""
        first_runs: dict[int, int] = {}
        for key, run_no in fresh.items():
            task_no = places[key][0]
            if task_no in new_tasks:
                first_runs.setdefault(task_no, run_no)
        self._task_numbers.write(connection, first_runs)
        return first_runs

    def _insert_fresh(
        self,
        connection: sqlite3.Connection,
        found: Extracted,
        fresh: dict[RunKey, int],
        places: dict[RunKey, _Place],
        first_runs: dict[int, int],
    ) -> list[Change]:
        """Write the runs that had no row; `first_runs` are those of new tasks."""
        changes: list[Change] = []
        key_rows: list[Bound] = []
        runs, tenant_name = found.runs, self._registry.tenant_name
        for key, run_no in fresh.items():
            tenant_no, task_id, run_id = key
            task_no, hash_ = places[key]
            facts, identity = runs[key], (tenant_name(tenant_no), task_id, run_id)
            if len(facts) > INLINE_LIMIT:
                long_run = self._long_runs.begin(connection, run_no, identity, _distinct(facts))
                new, came = long_run.run, tuple(long_run.attempts.values())
                blob = b""
            else:
                derived = derive(facts, identity)
                new, came = derived if derived is not None else (None, ())
                blob = encode_facts(facts, _start_of(new))
            lead_ns, last_ns = _span_of_time(new)
            first_run_no = first_runs.get(task_no)
            is_first = first_run_no == run_no
            key_rows.append(
                _bound(
                    run_no=run_no, task_no=task_no, is_first=is_first, hash=hash_,
                    lead_ns=lead_ns, last_started_ns=last_ns, run_id=run_id, facts=blob,
                )
            )  # fmt: skip
            if not is_first:
                self._digests.add(hash_, run_no)
            if new is not None:
                changes.append(
                    _change_of_fresh(
                        run_no=run_no, tenant_no=tenant_no, task_no=task_no, is_first=is_first,
                        hash=hash_, new_task=first_run_no is not None, new=new, gone=(), came=came,
                    )
                )  # fmt: skip
        connection.executemany(COLUMNS.insert, key_rows)
        return changes

    # Spans and the log records that name only a span

    def _index_spans(
        self,
        connection: sqlite3.Connection,
        found: Extracted,
        known: dict[RunKey, Known],
        fresh: dict[RunKey, int],
    ) -> dict[int, list[RunKey]]:
        """Index the page's spans; span hash -> runs, only if some log record may want to know."""
        keys: list[RunKey] = []
        traces: list[bytes] = []
        spans: list[bytes] = []
        numbers: list[int] = []
        for key, facts in found.runs.items():
            number = fresh[key] if key in fresh else known[key].run_no
            for trace_id, span_id in _located(facts):
                keys.append(key)
                traces.append(trace_id)
                spans.append(span_id)
                numbers.append(number)
        hashes = span_hashes([key[0] for key in keys], traces, spans)
        self._spans.append((hashes, np.array(numbers, dtype=np.int64)))
        if not found.loose and self._loose.is_empty(connection):
            return {}
        by_hash: dict[int, list[RunKey]] = {}
        for hash_, key in zip(hashes.tolist(), keys, strict=True):
            holders = by_hash.setdefault(hash_, [])
            if key not in holders:
                holders.append(key)
        return by_hash

    def _write_spans(self, connection: sqlite3.Connection) -> None:
        """Write what was kept of the page: one sorted run instead of one for each part."""
        if self._spans:
            hashes, run_nos = zip(*self._spans, strict=True)
            self._spans.clear()
            self._span_index.add(connection, np.concatenate(hashes), np.concatenate(run_nos))

    def _join_loose(
        self,
        connection: sqlite3.Connection,
        found: Extracted,
        spans: dict[int, list[RunKey]],
        fresh: dict[RunKey, int],
        by_no: dict[int, Known],
        added: dict[int, RunFacts],
    ) -> None:
        """Bring log records that name only a span, and the runs of that span, together."""
        if not found.loose and self._loose.is_empty(connection):
            return
        arrived = self._loose.add(found.loose)
        for hash_, origins in self._loose.find(connection, sorted(spans)).items():
            logs = found.recall(origins)
            for key in spans[hash_]:
                found.runs[key].logs += logs
        if not arrived:
            return
        self._write_spans(connection)
        hashes = np.array(sorted(arrived), dtype=np.int64)
        fresh_nos = set(fresh.values())
        holders = self._span_index.find(connection, hashes)
        for hash_, run_nos in zip(hashes.tolist(), holders, strict=True):
            known_nos = [run_no for run_no in run_nos if run_no not in fresh_nos]
            logs = found.recall(arrived[hash_]) if known_nos else []
            for run_no in known_nos:
                added.setdefault(run_no, RunFacts([], [], [])).logs += logs
        self._load_missing(connection, by_no, added)

    def _load_missing(
        self,
        connection: sqlite3.Connection,
        by_no: dict[int, Known],
        added: dict[int, RunFacts],
    ) -> None:
        """Load the runs that only a loose log record touches."""
        for run in runs_by_number(connection, sorted(set(added) - set(by_no))):
            by_no[run.run_no] = run


_number_of = attrgetter("run_no")


def _distinct(facts: RunFacts) -> RunFacts:
    return added_to(set(), facts)


def _located(facts: RunFacts) -> list[tuple[bytes, bytes]]:
    """The spans that a run's facts name as its own."""
    if len(facts.spans) == 1 and not facts.logs:  # most runs
        return [(facts.spans[0].trace_id, facts.spans[0].span_id)]
    found = [(span.trace_id, span.span_id) for span in facts.spans]
    if facts.logs:
        found += {(log.trace_id, log.span_id) for log in facts.logs if log.span_id}
    return found


def _start_of(run: Run | None) -> int | None:
    """What the row of a run has as `last_started_ns`."""
    return None if run is None else run.last_started_ns


def _span_of_time(run: Run | None) -> tuple[int, int]:
    if run is None:
        return ABSENT, ABSENT
    first = run.last_started_ns if run.first_started_ns is None else run.first_started_ns
    return run.last_started_ns - first, run.last_started_ns


def _last(connection: sqlite3.Connection, select: str) -> int:
    return connection.execute(select).fetchone()[0] or 0
