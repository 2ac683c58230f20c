"""What every event log must do; each implementation runs the same cases.

The embedded log is used as the service uses it: a door that appends, a reader beside it.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.errors import Closing, LogDamaged, QueueFull
from events.log.chain import verify
from events.log.door import GroupDoor
from events.log.memory import MemoryLog
from events.log.port import Batch, Door, LogReader, Page
from events.log.reader import open_reader
from events.log.socket import DoorClient, DoorServer
from tests.events import make_batch, make_context, make_log, make_span, trace_id

Log = tuple[Door, LogReader]


@pytest.fixture(params=["memory", "memory of four", "embedded", "embedded by socket"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    """A log with its door and a reader."""
    if request.param.startswith("memory"):
        memory = MemoryLog(partitions=4 if "four" in request.param else 1)
        yield memory, memory
        return
    door = GroupDoor(tmp_path)
    server = DoorServer(tmp_path / "door.sock", door) if "socket" in request.param else None
    client = DoorClient(tmp_path / "door.sock") if server else None
    reader = open_reader(tmp_path)
    yield client or door, reader
    reader.close()
    if client and server:
        client.close()
        server.close()
    door.close()


def _events(reader: LogReader) -> list[tuple[int, int, bytes]]:
    found = []
    for partition in reader.partitions:
        after = 0
        while (page := reader.read(partition, after, limit_segments=2)).count:
            found += [(e.partition, e.position, e.event_id) for e in page.recorded()]
            after = page.through
    return found


def _spans(count: int) -> Batch:
    return make_batch([make_span(trace_id=trace_id(n * 7919)) for n in range(1, count + 1)])


def test_a_new_log_is_empty(log: Log) -> None:
    """A new log's head is position 0 and a page of it holds nothing."""
    _, reader = log
    for partition in reader.partitions:
        assert reader.head(partition).position == 0
        assert reader.read(partition, 0).count == 0
        assert reader.hash_at(partition, 0) == reader.head(partition).hash
        assert reader.hash_at(partition, 1) is None


def test_what_was_appended_is_read_back_whole(log: Log) -> None:
    """Every event of a batch is read back equal, with its context, tenant and id."""
    door, reader = log
    spans = [make_span(attributes={"n": n, "x": 1.5, "b": b"\x00", "none": None}) for n in range(9)]
    events = [*spans, make_log(body={"a": [1, "b"]})]
    batch = make_batch(events, tenant="acme", received_ns=42)
    answer = door.append(batch)
    assert (answer.stored, answer.duplicates) == (10, 0)
    found = [e for p in reader.partitions for e in reader.read(p, 0).recorded()]
    assert {(e.tenant, e.received_ns) for e in found} == {("acme", 42)}
    assert {repr(e.event) for e in found} == {repr(event) for event in events}
    assert {repr(e.context) for e in found} == {repr(make_context())}
    assert {e.event_id for e in found} == {batch.ids[i : i + 16] for i in range(0, 160, 16)}


def test_positions_are_dense_from_one(log: Log) -> None:
    """Positions of a partition count from 1 without gaps, whatever the page size."""
    door, reader = log
    for _ in range(5):
        door.append(_spans(13))
        door.append(make_batch([make_span()]))
    for partition in reader.partitions:
        positions = [at for p, at, _ in _events(reader) if p == partition]
        assert positions == list(range(1, reader.head(partition).position + 1))


def test_a_batch_sent_again_is_stored_once(log: Log) -> None:
    """Sent a hundred times, a batch is there once and each answer lies at or past its events."""
    door, reader = log
    batch = _spans(20)
    first = door.append(batch)
    for _ in range(99):
        again = door.append(batch)
        assert (again.stored, again.duplicates) == (0, 20)
        assert again.through >= first.through
    assert len(_events(reader)) == 20


def test_a_batch_with_some_duplicates_keeps_the_rest(log: Log) -> None:
    """Events that are there already leave the batch; the others are stored."""
    door, reader = log
    old, new = [make_span() for _ in range(5)], [make_span() for _ in range(5)]
    door.append(make_batch(old))
    mixed = door.append(make_batch([old[0], new[0], old[1], *new[1:], old[2]]))
    assert (mixed.stored, mixed.duplicates) == (5, 3)
    assert len({event_id for _, _, event_id in _events(reader)}) == 10
    assert len(_events(reader)) == 10


def test_an_event_twice_in_one_batch_is_stored_once(log: Log) -> None:
    """A duplicate inside a batch is acknowledged with the first and stored once."""
    door, reader = log
    span = make_span()
    answer = door.append(make_batch([span, make_span(), span]))
    assert (answer.stored, answer.duplicates) == (2, 1)
    assert len(_events(reader)) == 2


def test_one_span_id_with_two_times_is_two_events(log: Log) -> None:
    """Identity is the content, not the id pair: both of Airflow's tries are kept."""
    door, _ = log
    span = make_span()
    later = make_span(trace_id=span.trace_id, span_id=span.span_id, start_ns=span.start_ns + 1)
    assert door.append(make_batch([span, later])).stored == 2


def test_a_keyed_duplicate_with_other_content_is_a_conflict(log: Log) -> None:
    """With one idempotency key and other content the first stays and a conflict is counted."""
    door, _ = log
    one, two = make_batch([make_span()]), make_batch([make_span()])
    keyed = [replace(batch, ids=one.ids, keyed=(0,)) for batch in (one, two)]
    counts = [(a.stored, a.duplicates, a.conflicts) for a in map(door.append, [*keyed, keyed[0]])]
    assert counts == [(1, 0, 0), (0, 1, 1), (0, 1, 0)]


def test_equal_events_of_two_tenants_are_two_events(log: Log) -> None:
    """The tenant is part of an event's identity."""
    door, _ = log
    span = make_span()
    assert door.append(make_batch([span], tenant="a")).stored == 1
    assert door.append(make_batch([span], tenant="b")).stored == 1


def test_fetch_finds_single_events(log: Log) -> None:
    """Events are found by position, in order; unknown positions are left out."""
    door, reader = log
    door.append(_spans(40))
    door.append(make_batch([make_span(), make_span()]))
    for partition in reader.partitions:
        head = reader.head(partition).position
        found = reader.fetch(partition, [head, 1, head + 5, 1])
        assert [e.position for e in found] == sorted({1, head} - {0})


def test_a_page_has_exact_bounds(log: Log) -> None:
    """`after` and `through` cut inside segments; `only` gives one single event."""
    door, reader = log
    door.append(_spans(60))
    page = reader.read(0, 1, through=3)
    assert [e.position for e in page.recorded()] == [2, 3]
    assert [e.position for e in page.only(3).recorded()] == [3]
    assert reader.read(0, 10**6).count == 0


def test_a_read_is_bounded_in_bytes(log: Log) -> None:
    """No more content than asked for, but always one segment; the next read goes on there."""
    door, reader = log
    for _ in range(6):
        door.append(make_batch([make_span(trace_id=trace_id(5), name="n" * 10_000)]))
    partition = max(reader.partitions, key=lambda p: reader.head(p).position)
    assert len(reader.read(partition, 0, limit_bytes=1).segments) == 1
    page = reader.read(partition, 0, limit_bytes=25_000)
    assert len(page.segments) == 2
    assert page.content_bytes <= 25_000
    assert [e.position for e in reader.read(partition, page.through).recorded()] == [3, 4, 5, 6]


def test_a_page_is_decoded_once_for_all_who_ask(log: Log) -> None:
    """Events of every kind are the same objects for each, in halves of the page too."""
    door, reader = log
    door.append(make_batch([make_span(trace_id=trace_id(5)), make_log(trace_id=trace_id(5))] * 3))
    partition = max(reader.partitions, key=lambda p: reader.head(p).position)
    page = reader.read(partition, 0)
    first = list(page.decoded())
    assert first == list(page.recorded())
    half = Page(partition, 1, page.through, page.segments)
    assert all(a is b for a, b in zip(half.decoded(), first[1:], strict=True))


def test_the_chain_verifies_from_any_anchor(log: Log) -> None:
    """The chain holds from the start and from a recorded position; a wrong anchor is refused."""
    door, reader = log
    door.append(_spans(40))
    for _ in range(5):
        door.append(make_batch([make_span()]))
    head = reader.head(0)
    *_, end = verify(reader, 0)
    assert (end.position, end.hash) == (head.position, head.hash)
    anchor = reader.read(0, 0, limit_segments=1).segments[0]
    *_, end = verify(reader, 0, after=anchor.last, anchor_hash=anchor.hash)
    assert end.hash == head.hash
    with pytest.raises(LogDamaged, match="another log"):
        list(verify(reader, 0, after=anchor.last, anchor_hash=bytes(32)))
    with pytest.raises(LogDamaged, match="shortened"):
        list(verify(reader, 0, after=head.position + 9, anchor_hash=anchor.hash))


def test_positions_by_commit_time(log: Log) -> None:
    """`position_at` gives the last position committed before a time."""
    door, reader = log
    for _ in range(5):
        door.append(make_batch([make_span(trace_id=trace_id(5)) for _ in range(3)]))
    partition = max(reader.partitions, key=lambda p: reader.head(p).position)
    segments = reader.read(partition, 0).segments
    assert reader.position_at(partition, 0) == 0
    assert reader.position_at(partition, segments[-1].committed_ns + 1) == segments[-1].last
    for segment in segments:
        assert reader.position_at(partition, segment.committed_ns) < segment.first


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=12), min_size=1, max_size=10))
def test_any_mix_of_resends_stores_each_event_once(
    tmp_path_factory: pytest.TempPathFactory, plan: list[list[int]]
) -> None:
    """Whatever is sent how often and in which groups, every event is there exactly once."""
    door = GroupDoor(tmp_path_factory.mktemp("log"))
    pool = [make_span(span_id=bytes([n + 1]) * 8) for n in range(31)]
    futures = [door.append_async(make_batch([pool[n] for n in group])) for group in plan]
    answers = [future.result(30) for future in futures]
    different = {n for group in plan for n in group}
    assert sum(answer.stored for answer in answers) == len(different)
    assert sum(a.stored + a.duplicates for a in answers) == sum(map(len, plan))
    assert door.head == len(different)
    door.close()


def test_a_full_queue_and_a_closing_door_say_so(tmp_path: Path) -> None:
    """Past its bound a queue refuses; a draining door takes nothing, and what waited is stored."""
    door = GroupDoor(tmp_path, queue_bytes=1)
    waiting, refused = [], 0
    for _ in range(200):
        try:
            waiting.append(door.append_async(make_batch([make_span()])))
        except QueueFull:
            refused += 1
    assert refused > 0
    assert door.drain()
    with pytest.raises(Closing):
        door.append_async(make_batch([make_span()]))
    assert sum(future.result(0).stored for future in waiting) == len(waiting)
    door.close()
