"""A run of any length: what is taken in fact by fact equals what all facts give at once."""

import itertools
import operator
import random
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events import names
from events.log.memory import MemoryLog
from events.schema import Event
from projections.fold import make_fold
from projections.runs import words
from projections.runs.attempt import Attempt
from projections.runs.changes import Change, difference, merged
from projections.runs.derive import Derived, derive_all
from projections.runs.facts import AbandonFact, LogFact, LogKind, RunFacts, SpanFact
from projections.runs.long.run import LongRun
from projections.runs.more import Mapped, More
from projections.runs.registry import longruns
from projections.runs.registry import runs as stage
from projections.runs.summary import Totals, run_of_one
from tests.events import (
    BASE_NS,
    SECOND_NS,
    make_batch,
    make_exception,
    make_log,
    make_span,
    span_id,
    trace_id,
)
from tests.thorough import examples
from tests.view_rows import rows_of

IDENTITY = ("default", "task-1", "run-1")
Fact = SpanFact | LogFact | AbandonFact


def error_of(pattern: int) -> int:
    """The number of a pattern's first signature."""
    return pattern << words.SIGNATURE_BITS | 1


class Sources:
    """Two executors."""

    def source_parts(self, source_no: int) -> tuple[int | None, str | None]:
        return source_no % 2, "shop"


class Sender:
    """Makes the facts of one run, as odd as `oddity` (0 to 1) says."""

    def __init__(self, seed: int, oddity: float) -> None:
        self.chance = random.Random(seed)
        self.oddity = oddity
        self.serial = 0
        self.now_s = 0
        # A run has some habit: how its attempts are numbered, and what they repeat.
        self.numbered = self.chance.choice(["none", "rising", "one", "zero", "mixed"])
        self.repeats = self.chance.choice(["none", "before", "made up", "any"])
        self.traced = self.chance.choice(["one", "each", "few"])
        self.beats = self.chance.choice([0, 0, 1, 3])

    def odd(self) -> bool:
        return self.chance.random() < self.oddity

    def event_id(self) -> bytes:
        self.serial += 1
        return (self.chance.getrandbits(64) << 64 | self.serial).to_bytes(16, "big")

    def attempt(self) -> list[Fact]:
        """The facts of one more attempt, in the order in which they were."""
        chance = self.chance
        self.now_s += chance.choice([0, 1, 1, 2, 3_600])
        start_ns = BASE_NS + self.now_s * SECOND_NS
        if self.odd():
            start_ns -= chance.choice([0, 1, 5, 50]) * SECOND_NS
        nth = self.serial
        said: dict[str, Any] = {
            "trace_id": trace_id(
                {"one": 1, "each": nth + 1, "few": chance.randint(1, 3)}[self.traced]
            ),
            "span_id": span_id(chance.randint(1, 9) if self.odd() else nth + 1_000),
            "number": self.number(),
            "source_no": chance.randint(1, 4),
            "name": chance.choice([None, "checkout"]),
            "group_id": chance.choice([None, "g1", "g2"]),
            "queued_ns": None,
            "max_attempts": None,
            "more": self.more(),
        }
        facts: list[Fact] = []
        if self.beats:
            times = [start_ns + n * SECOND_NS for n in range(self.beats + 1)]
            kinds = [LogKind.STARTED, LogKind.HEARTBEAT, LogKind.PROGRESS, LogKind.HEARTBEAT]
            facts += [self.log(k, t, said) for k, t in zip(kinds, times, strict=False)]
        if not self.beats or not self.odd():
            facts.append(self.span(start_ns, said))
        if self.odd():
            facts.append(self.strange(start_ns, said))
        return facts

    def number(self) -> int | None:
        nth = self.serial
        if self.odd():
            return self.chance.choice([None, 0, 1, 2, 7, nth])
        return {
            "none": None, "rising": nth + 1, "one": 1, "zero": nth,
            "mixed": self.chance.choice([None, nth + 1, 3]),
        }[self.numbered]  # fmt: skip

    def more(self) -> More | None:
        nth, chance = self.serial, self.chance
        target = {
            "none": None,
            "before": span_id(nth + 999).hex(),
            "made up": f"{chance.getrandbits(128):032x}",
            "any": chance.choice(
                [
                    str(chance.randint(0, nth + 2)),
                    span_id(1_000 + chance.randint(0, nth + 3)).hex().upper(),
                    words.attempt_id(*IDENTITY, chance.randint(0, nth + 2)),
                ]
            ),
        }["any" if self.odd() else self.repeats]
        lists = {"parents": (f"p{nth}", "p"), "causes": ("c",)} if chance.random() < 0.2 else {}
        mapped = self.mapped() if self.odd() else None
        if target is None and not lists and mapped is None:
            return None
        will_retry = chance.choice([None, True])
        return More(retry_of=target, will_retry=will_retry, **lists, mapped=mapped)

    def mapped(self) -> Mapped:
        """What a rule concluded, perhaps from later attempts."""
        later = self.chance.choice([None, words.FAILED])
        return Mapped(self.chance.choice([0, words.FLAG_OUTCOME_INFERRED]), later, None, 7)

    def span(self, start_ns: int, said: dict[str, Any], **changes: Any) -> SpanFact:
        failed = self.chance.random() < 0.5
        long_s = self.chance.choice([0, 1, 1, 5, 7_200])
        if self.odd():
            long_s = self.chance.choice([-3, 100])
        values = said | {
            "event_id": self.event_id(),
            "partition": 0,
            "position": self.serial,
            "parent_span_id": self.chance.choice([b"", b"dispatch"]),
            "start_ns": start_ns,
            "end_ns": start_ns + long_s * SECOND_NS,
            "status": words.FAILED if failed else words.COMPLETED,
            "queues": False,
            "error": 2 if failed else 0,
            "error_no": error_of(self.chance.randint(1, 3)) if failed else None,
            "message_no": 1 if failed else None,
        }
        return SpanFact(**values | changes)

    def log(self, kind: int, time_ns: int, said: dict[str, Any], **changes: Any) -> LogFact:
        failed = kind in (LogKind.EXCEPTION, LogKind.ENDED)
        values = said | {
            "event_id": self.event_id(),
            "partition": 0,
            "position": self.serial,
            "kind": kind,
            "loose": kind == LogKind.EXCEPTION,
            "time_ns": time_ns,
            "status": words.FAILED if kind == LogKind.ENDED else None,
            "error_no": error_of(9) if failed else None,
            "message_no": 2 if failed else None,
            "progress": self.chance.random() if kind == LogKind.PROGRESS else None,
        }
        return LogFact(**values | changes)

    def strange(self, start_ns: int, said: dict[str, Any]) -> Fact:
        """Snapshots, details, copies, queueing, loose records, losses."""
        at_ns = start_ns + self.chance.choice([0, 1, 30]) * SECOND_NS
        inner = {"span_id": span_id(self.serial + 500_000), "parent_span_id": said["span_id"]}
        return self.chance.choice(
            [
                lambda: self.span(at_ns, said, end_ns=0, status=words.RUNNING),
                lambda: self.span(at_ns, said, **inner),
                lambda: self.span(at_ns, said, queues=True, number=None),
                lambda: self.log(LogKind.EXCEPTION, at_ns, said),
                lambda: self.log(LogKind.HEARTBEAT, at_ns, said, trace_id=b"", span_id=b""),
                lambda: self.log(LogKind.ENDED, at_ns, said),
                lambda: self.span(start_ns, said, **(inner | {"number": None})),
                lambda: self.span(at_ns, said, number=None),
                lambda: AbandonFact(
                    self.event_id(), said["trace_id"], said["span_id"], at_ns, at_ns, 5, b"", 1
                ),
            ]
        )()


def facts_of(facts: list[Fact]) -> RunFacts:
    return RunFacts(
        [f for f in facts if isinstance(f, SpanFact)],
        [f for f in facts if isinstance(f, LogFact)],
        [f for f in facts if isinstance(f, AbandonFact)],
    )


def history(seed: int, oddity: float, attempts: int) -> list[Fact]:
    """The facts of a run, a little out of order as the oddity is."""
    sender = Sender(seed, oddity)
    facts = [fact for _ in range(attempts) for fact in sender.attempt()]
    for _ in range(int(len(facts) * oddity)):
        at, to = sender.chance.randrange(len(facts)), sender.chance.randrange(len(facts))
        facts[at], facts[to] = facts[to], facts[at]
    if sender.chance.random() < 0.2:
        facts.reverse()
    return facts


def parts_of(facts: list[Fact], chance: random.Random, most: int) -> list[list[Fact]]:
    """The facts as they arrive, some of them twice."""
    parts, at = [], 0
    while at < len(facts):
        to = at + chance.randint(1, most)
        parts.append(facts[at:to] + chance.sample(facts[:to], k=min(to, chance.choice([0, 0, 2]))))
        at = to
    return parts


def taken(facts: list[Fact], chance: random.Random, most: int, every: int) -> LongRun:
    """A run that took in the facts part by part, compared with the full way every so often."""
    run = LongRun(RunFacts([], [], []), IDENTITY, Sources())
    rows: dict[int, Attempt] = {}
    for count, part in enumerate(parts_of(facts, chance, most)):
        old = run.run
        change = run.add(facts_of(part)).change
        if change is not None:
            assert change.old == old
            for attempt in change.gone:
                assert rows.pop(attempt.number) == attempt
            for attempt in change.came:
                assert rows.setdefault(attempt.number, attempt) is attempt
        if count % every == 0:
            compare(run, rows)
    compare(run, rows)
    return run


def compare(run: LongRun, rows: dict[int, Attempt]) -> None:
    derived = derive_all(run.facts, IDENTITY)
    assert run.run == (None if derived is None else derived.run)
    attempts = () if derived is None else derived.attempts
    assert sorted(rows) == [attempt.number for attempt in attempts]
    for attempt in attempts:
        assert rows[attempt.number] == attempt


ordinary = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@settings(ordinary, max_examples=examples(80))
@given(seed=st.integers(0, 1 << 32), oddity=st.sampled_from([0.0, 0.0, 0.05, 0.2, 0.6]))
def test_each_fact_more_gives_what_all_facts_give(seed: int, oddity: float) -> None:
    """Ties, duplicates, claimed numbers, retries, log records: after every part, the same."""
    facts = history(seed, oddity, attempts=30)
    taken(facts, random.Random(seed), most=4, every=1)


@settings(ordinary, max_examples=examples(3))
@given(seed=st.integers(0, 1 << 32), oddity=st.sampled_from([0.0, 0.0005, 0.002]))
def test_thousands_of_attempts_give_what_all_facts_give(seed: int, oddity: float) -> None:
    """And whatever the order, the same run."""
    chance = random.Random(seed)
    facts = history(seed, oddity, attempts=2_000)
    run = taken(facts, chance, most=100, every=25)
    whole = LongRun(facts_of(chance.sample(facts, len(facts))), IDENTITY, Sources())
    assert (whole.run, whole.attempts) == (run.run, dict(sorted(run.attempts.items())))


def events_of(seed: int, count: int) -> list[Event]:
    """Attempts of one run as they are sent: failures, retries, heartbeats."""
    chance = random.Random(seed)
    events: list[Event] = []
    for nth in range(1, count + 1):
        start_ns = BASE_NS + nth * 600 * SECOND_NS
        ids = {"task": "a", "run": "r", "trace_id": trace_id(nth % 3 + 1), "span_id": span_id(nth)}
        number = chance.choice([None, nth, nth, 1])
        if chance.random() < 0.3:
            for kind, at in ((names.ATTEMPT_STARTED, 0), (names.ATTEMPT_HEARTBEAT, 30)):
                events.append(
                    make_log(
                        event_name=kind, attempt=number, time_ns=start_ns + at * SECOND_NS, **ids
                    )
                )
        failed = chance.random() < 0.5
        events.append(
            make_span(
                attempt=number,
                start_ns=start_ns,
                end_ns=start_ns + chance.choice([1, 60, 900]) * SECOND_NS,
                status_code=2 if failed else 0,
                events=[make_exception(message=f"bad {chance.randint(1, 3)}")] if failed else [],
                attributes={names.TASK_RETRY_OF: "f" * 16} if chance.random() < 0.3 else {},
                **ids,
            )
        )
    return events


def views_of(
    events: list[Event], sizes: Callable[[], int], *, forget: bool, limit: int | None = None
) -> sqlite3.Connection:
    log = MemoryLog()
    fold = make_fold(configured={"facts": {"max_run_attempts": limit}} if limit else None)
    connection = sqlite3.connect(":memory:", isolation_level=None)
    fold.create(connection)
    fold.index(connection)
    at = 0
    while at < len(events):
        size = sizes()
        after = log.head().position
        log.append(make_batch(events[at : at + size]))
        fold.apply(connection, log.read(0, after))
        if forget:
            fold.forget()
        at += size
    return connection


@pytest.mark.parametrize("forget", [False, True])
@settings(ordinary, max_examples=examples(6), suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 1 << 32), shuffled=st.booleans())
def test_rows_of_a_long_run_are_those_of_a_rebuild(forget: bool, seed: int, shuffled: bool) -> None:
    """Every table, whether the run is in memory or read again."""
    chance = random.Random(seed)
    events = events_of(seed, 150)
    expected = rows_of(views_of(events, lambda: len(events), forget=False))
    arriving = chance.sample(events, len(events)) if shuffled else events
    found = views_of(arriving, lambda: chance.randint(1, 9), forget=forget)
    assert rows_of(found) == expected


@settings(ordinary, max_examples=examples(8), suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 1 << 32), forget=st.booleans())
def test_what_a_run_leaves_out_depends_on_the_facts(seed: int, forget: bool) -> None:
    """Not on the order of arrival; and an event that comes again is not counted again."""
    chance = random.Random(seed)
    events = events_of(seed, 120)
    expected = rows_of(views_of(events, lambda: len(events), forget=False, limit=50))
    arriving = chance.sample(events, len(events))
    found = views_of(arriving, lambda: chance.randint(1, 40), forget=forget, limit=50)
    assert rows_of(found) == expected
    listed = found.execute("SELECT count(*) FROM attempt").fetchone()[0]
    assert found.execute("SELECT attempts, left_out FROM run").fetchone() == (120, 120 - listed)
    assert 40 < listed <= 50


def test_a_run_beyond_the_limit_goes_on_telling_of_all() -> None:
    """Status, counts and times are those of the run without a limit."""
    log = MemoryLog()
    spans = [
        make_span(
            task="a", run="r", span_id=span_id(n), start_ns=BASE_NS + n * SECOND_NS,
            end_ns=BASE_NS + (n + 2) * SECOND_NS, status_code=1 if n == 200 else 2,
        )
        for n in range(1, 201)
    ]  # fmt: skip
    log.append(make_batch(spans))
    runs = []
    for limit in (100, 100_000):
        fold = make_fold(configured={"facts": {"max_run_attempts": limit}})
        connection = sqlite3.connect(":memory:", isolation_level=None)
        fold.create(connection)
        for page in (log.read(0, 0, through=150), log.read(0, 150), log.read(0, 170)):
            fold.apply(connection, page)
        runs.append(
            connection.execute(
                "SELECT status, attempts, recovered, first_started_ns, last_started_ns,"
                " last_ended_ns, total_execution_ns, wall_clock_ns, idle_ns, overlap_ns"
                " FROM run_summary"
            ).fetchall()
        )
        left_out = connection.execute("SELECT left_out FROM run").fetchall()
        assert left_out == [(100 if limit == 100 else 0,)]
    assert runs[0] == runs[1]
    assert runs[0][0][:3] == (words.COMPLETED, 200, 1)


def test_few_runs_stay_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The facts kept are bounded over all runs; what was dropped is read again."""
    monkeypatch.setattr(longruns, "INLINE_LIMIT", 4)
    monkeypatch.setattr(stage, "INLINE_LIMIT", 4)
    monkeypatch.setattr(longruns, "KEPT_FACTS", 10)
    events: list[Event] = [
        make_span(task="a", run=f"r{n % 4}", span_id=span_id(n + 1), start_ns=BASE_NS + n)
        for n in range(60)
    ]
    expected = rows_of(views_of(events, lambda: 60, forget=False))
    assert rows_of(views_of(events, lambda: 3, forget=False)) == expected


def test_the_run_of_one_attempt_is_what_totals_give() -> None:
    """`run_of_one` goes a shorter way."""
    sender = Sender(1, 0.3)
    sender.beats = 0
    for _ in range(300):
        facts = sender.attempt()
        derived = derive_all(facts_of(facts[:1]), IDENTITY)
        assert derived is not None
        (attempt,) = derived.attempts
        if attempt.ended_ns is not None:
            assert run_of_one(attempt) == Totals().run_with(attempt, None)


def changes_between(states: list[Derived | None]) -> list[Change | None]:
    """The change from each state of a run to the next; None where nothing changed."""
    found = []
    for old, new in itertools.pairwise(states):
        one = difference(old, new, Sources())
        found.append(
            one and Change(1, 1, 1, True, 1, False, one.old, one.new, one.gone, one.came, one.rest)
        )
    return found


@settings(ordinary, max_examples=examples(60))
@given(seed=st.integers(0, 1 << 32), oddity=st.sampled_from([0.0, 0.1, 0.6]))
def test_two_changes_as_one_are_the_change_through_both(seed: int, oddity: float) -> None:
    """What a group missed of a run is merged until it can be applied."""
    chance = random.Random(seed)
    held: list[Fact] = []
    states: list[Derived | None] = [None]
    for part in parts_of(history(seed, oddity, attempts=12), chance, most=5):
        held += [fact for fact in part if fact not in held]
        states.append(derive_all(facts_of(held), IDENTITY))
    for (first, second), (old, new) in zip(
        itertools.pairwise(changes_between(states)), zip(states, states[2:], strict=False),
        strict=True,
    ):  # fmt: skip
        if first is None or second is None:
            continue
        (expected,) = changes_between([old, new])
        assert shown(merged(first, second)) == shown(expected)


def shown(change: Change | None) -> Any:
    """A change without the order of its parts."""
    if change is None:
        return None
    rest = None if change.rest is None else tuple(map(sorted, change.rest))
    by_number = operator.attrgetter("number")
    return (
        change.old, change.new, sorted(change.gone, key=by_number),
        sorted(change.came, key=by_number), rest,
    )  # fmt: skip
