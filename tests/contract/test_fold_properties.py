"""view == fold(log), for any order of arrival, page size, duplicate and partition."""

import random
import sqlite3
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events import names
from events.abandonment import Abandonment, fact_of
from events.log.memory import MemoryLog
from events.schema import AttemptAbandoned, Block, Event
from projections.engine.port import Fold
from projections.fold import make_fold
from projections.runs.words import attempt_id
from tests.events import (
    BASE_NS,
    IDENTITY,
    SECOND_NS,
    batch_of,
    make_batch,
    make_context,
    make_exception,
    make_log,
    make_span,
    span_id,
    trace_id,
)
from tests.thorough import examples
from tests.view_rows import SELECTS, rows_of

TASKS = st.sampled_from(["a", "b", None])
RUNS = st.sampled_from([None, "r1", "r2"])
NUMBERS = st.sampled_from([None, None, 1, 2, 3])
TRACES = st.integers(1, 3).map(trace_id)
SPANS = st.integers(1, 5).map(span_id)
TIMES = st.integers(0, 4_000).map(lambda n: BASE_NS + n * SECOND_NS)
RESULTS = st.sampled_from(
    [None, None, "success", "failure", "timeout", "cancelled", "skip", "lost"]
)


@st.composite
def spans(draw: st.DrawFn) -> Event:
    start_ns = draw(TIMES)
    attributes = {}
    if result := draw(RESULTS):
        attributes[names.TASK_RESULT] = result
    if draw(st.booleans()):
        attributes[names.TASK_NAME] = draw(st.sampled_from(["checkout", "refund"]))
    if draw(st.integers(0, 4)) == 0:
        attributes[names.TASK_QUEUED_AT] = start_ns - SECOND_NS
        attributes[names.TASK_WILL_RETRY] = True
        attributes[names.TASK_EXECUTOR_MODEL] = "m1"
        attributes[names.TASK_PARENTS] = ["p1", "p2"]
    code = draw(st.sampled_from([0, 1, 2]))
    failed = [make_exception(message=draw(st.sampled_from(["bad 1", "bad 2"])))] * (code == 2)
    return make_span(
        task=draw(TASKS),
        run=draw(RUNS),
        attempt=draw(NUMBERS),
        attributes=attributes,
        trace_id=draw(TRACES),
        span_id=draw(SPANS),
        parent_span_id=draw(st.one_of(st.just(b""), SPANS)),
        kind=draw(st.sampled_from([1, 1, 1, 4, 5])),
        start_ns=start_ns,
        end_ns=draw(st.sampled_from([0, start_ns + SECOND_NS, start_ns + 9 * SECOND_NS, 7])),
        status_code=code,
        events=failed,
    )


@st.composite
def logs(draw: st.DrawFn) -> Event:
    event_name = draw(
        st.sampled_from(
            [
                names.ATTEMPT_STARTED,
                names.ATTEMPT_HEARTBEAT,
                names.ATTEMPT_PROGRESS,
                names.ATTEMPT_ENDED,
                "exception",
            ]
        )
    )
    attributes = {names.TASK_PROGRESS: 0.5} if event_name == names.ATTEMPT_PROGRESS else {}
    if event_name == "exception":
        attributes = {names.EXCEPTION_TYPE: "KeyError", names.EXCEPTION_MESSAGE: "'x'"}
    return make_log(
        event_name=event_name,
        task=draw(TASKS),
        run=draw(RUNS),
        attempt=draw(NUMBERS),
        attributes=attributes,
        trace_id=draw(TRACES),
        span_id=draw(st.one_of(SPANS, st.just(b""))),
        time_ns=draw(TIMES),
    )


@st.composite
def losses(draw: st.DrawFn) -> Event:
    task, run, at_ns = draw(st.sampled_from(["a", "b"])), draw(st.sampled_from(["r1", "r2"])), 9
    number = draw(st.integers(1, 3))
    lost = Abandonment(
        attempt_id("default", task, run, number), task, run, number, draw(TRACES),
        draw(st.one_of(SPANS, st.just(b""))), at_ns, draw(TIMES), b"h" * 16,
        draw(st.integers(1, 4)),
    )  # fmt: skip
    if draw(st.booleans()):
        return fact_of(lost, "watcher")
    return AttemptAbandoned(*lost[:3], *lost[4:9])


BLOCKS = st.lists(
    st.builds(
        lambda tenant, service, event: Block(
            tenant, BASE_NS, make_context(service=service, instance=f"{service}-1"), [event]
        ),
        st.sampled_from(["default", "default", "other"]),
        st.sampled_from(["shop", "mail"]),
        st.one_of(spans(), spans(), logs(), losses()),
    ),
    min_size=1,
    max_size=14,
)


def new_view(fold: Fold) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    fold.create(connection)
    fold.index(connection)
    return connection


def filled(blocks: Sequence[Block], partitions: int) -> MemoryLog:
    log = MemoryLog(partitions, key=IDENTITY.key, clock=lambda: BASE_NS)
    for block in blocks:
        log.append(batch_of([block]))
    return log


def fold_whole(log: MemoryLog) -> sqlite3.Connection:
    """The plain fold: each partition in one page."""
    fold = make_fold()
    connection = new_view(fold)
    for partition in log.partitions:
        fold.apply(connection, log.read(partition, 0, limit_segments=10_000))
    return connection


def fold_in_pages(log: MemoryLog, seed: int, *, again: bool, forget: bool) -> sqlite3.Connection:
    """Pages of any size, partitions in any order, some pages twice."""
    chance = random.Random(seed)
    fold = make_fold()
    connection = new_view(fold)
    after = dict.fromkeys(log.partitions, 0)
    while open_ := [p for p in log.partitions if after[p] < log.head(p).position]:
        partition = chance.choice(open_)
        through = min(after[partition] + chance.randint(1, 5), log.head(partition).position)
        page = log.read(partition, after[partition], through=through)
        fold.apply(connection, page)
        if again and chance.random() < 0.5:
            fold.apply(connection, page)
        if forget and chance.random() < 0.5:
            fold.forget()
        after[partition] = through
    return connection


ordinary = settings(
    max_examples=examples(120), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.parametrize("partitions", [1, 4])
@ordinary
@given(blocks=BLOCKS, seed=st.integers(0, 1_000))
def test_any_order_and_any_pages_give_the_same_rows(
    partitions: int, blocks: list[Block], seed: int
) -> None:
    """The views are a function of the set of events."""
    expected = rows_of(fold_whole(filled(blocks, 1)))
    shuffled = random.Random(seed).sample(blocks, len(blocks))
    log = filled(shuffled, partitions)
    assert rows_of(fold_in_pages(log, seed, again=False, forget=seed % 2 == 0)) == expected


@ordinary
@given(blocks=BLOCKS, seed=st.integers(0, 1_000))
def test_a_page_applied_twice_changes_nothing(blocks: list[Block], seed: int) -> None:
    """Facts are a set: an event that comes again adds nothing."""
    log = filled(blocks, 4)
    expected = rows_of(fold_whole(log))
    assert rows_of(fold_in_pages(log, seed, again=True, forget=False)) == expected


@settings(ordinary, max_examples=examples(40))
@given(blocks=BLOCKS, target=st.sampled_from(sorted(SELECTS)))
def test_one_projection_alone_has_the_same_rows(blocks: list[Block], target: str) -> None:
    """A partial rebuild refills its own tables; the trace of a run is read in its attempts."""
    log = filled(blocks, 1)
    fold = make_fold({target, "attempts"} if target == "runs" else {target})
    connection = sqlite3.connect(":memory:", isolation_level=None)
    fold.create(connection)
    fold.index(connection)
    fold.apply(connection, log.read(0, 0, limit_segments=10_000))
    assert rows_of(connection, target) == rows_of(fold_whole(log), target)


@settings(ordinary, max_examples=examples(60))
@given(blocks=BLOCKS)
def test_tenants_with_equal_ids_never_meet(blocks: list[Block]) -> None:
    """What one tenant's rows say does not depend on another tenant's events."""
    both = rows_of(fold_whole(filled(blocks, 1)))
    for tenant in ("default", "other"):
        own = [block for block in blocks if block.tenant == tenant]
        alone = rows_of(fold_whole(filled(own, 1)) if own else new_view(make_fold()))
        for name in alone:
            if "." in name:
                mine = [row for row in both[name] if row.startswith(f"({tenant!r},")]
                assert mine == alone[name], name


def test_an_unknown_projection_is_refused() -> None:
    """A name that no projection has is an error, not an empty fold."""
    with pytest.raises(ValueError, match="nonsense"):
        make_fold({"nonsense"})


def test_ordinary_batches_fold() -> None:
    """The factories make what the fold reads."""
    log = MemoryLog()
    log.append(make_batch([make_span(), make_span(status_code=2)]))
    assert len(rows_of(fold_whole(log))["attempts.0"]) == 2
