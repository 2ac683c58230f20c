"""A process that appends to a log and says what was acknowledged; killed and recorded by tests.

    python -m tests.acceptance.appender DATA COUNT [SYNCHRONOUS]

Each batch `n` holds spans that are known from `n`; once it is acknowledged, `ack n` is written
with one system call, so that a recording shows what was promised before which write.
"""

import itertools
import os
import sys
import time
from pathlib import Path

from events.errors import CommitFailed
from events.log import writer
from events.log.door import GroupDoor
from events.log.port import Batch
from tests.events import BASE_NS, make_batch, make_span

SPANS = 8


def batch(number: int) -> Batch:
    """The same batch for the same number, in every process."""
    return make_batch(
        [
            make_span(
                trace_id=number.to_bytes(16, "big"),
                span_id=(number * SPANS + n).to_bytes(8, "big"),
                start_ns=BASE_NS + number,
                attributes={"n": n, "text": f"batch {number} " * 40},
            )
            for n in range(SPANS)
        ]
    )


def main(data: str, count: str, synchronous: str = "FULL") -> None:
    """Append batches 1 to `count`, several in flight, with checkpoints in between."""
    writer.CHECKPOINT_BYTES = 100_000  # type: ignore[misc] # else none would happen here
    door = GroupDoor(Path(data))
    door._writer._execute(f"PRAGMA synchronous = {synchronous}")
    numbers = iter(range(1, int(count) + 1))
    while group := [*itertools.islice(numbers, 3)]:
        for number, future in [(n, door.append_async(batch(n))) for n in group]:
            try:
                stored = future.result(30).stored
            except CommitFailed:
                stored = _again(door, number)
            os.write(1, f"ack {number} {stored}\n".encode())
    door.close()


def _again(door: GroupDoor, number: int) -> int:
    """Send a batch until it is taken, as a sender does on a retryable error."""
    for attempt in range(50):
        os.write(1, f"retry {number}\n".encode())
        time.sleep(0.01 * attempt)
        try:
            return door.append(batch(number)).stored
        except CommitFailed:
            continue
    raise SystemExit(f"batch {number} was never taken")


if __name__ == "__main__":
    main(*sys.argv[1:])
