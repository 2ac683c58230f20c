"""The lag of a cursor: events not read, and the age of the oldest of them."""

from events.log.lag import behind
from events.log.memory import MemoryLog
from tests.events import SECOND_NS, make_batch, make_span, trace_id


def test_lag_over_all_partitions() -> None:
    """Events add up; the oldest is that of the partition which waits longest."""
    times = iter(range(1, 100))
    log = MemoryLog(partitions=2, clock=lambda: next(times) * SECOND_NS)
    for number in range(8):
        log.append(make_batch([make_span(trace_id=trace_id(number))]))
    heads = {p: log.head(p).position for p in log.partitions}
    assert sum(heads.values()) == 8
    assert all(heads.values())
    lag = behind(log, {0: 0, 1: heads[1], 2: 0})
    assert lag.events == heads[0]
    assert lag.oldest_ns == log.read(0, 0).segments[0].committed_ns
    assert lag.seconds(lag.oldest_ns + 3 * SECOND_NS) == 3.0
    assert lag.seconds(0) == 0.0


def test_at_the_head_there_is_none() -> None:
    """Nothing is read then, and no age told."""
    log = MemoryLog()
    log.append(make_batch([make_span()]))
    assert behind(log, {0: log.head().position}).seconds(10**19) == 0.0
    assert behind(log, {0: 99}).events == 0
