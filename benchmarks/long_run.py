"""One run of very many attempts: what one more costs, and what they cost one by one.

Processor time of the fold and its statements, each attempt in a page of its own, into a views file
with its indexes. Reading the log and committing are left out: they do not depend on the run.
"""

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.figures import Figure
from events import codec, names
from events.identity import Identity
from events.log.memory import MemoryLog
from events.log.port import Batch
from events.schema import Context, Span
from projections.fold import make_fold
from projections.storage import generation

_SECOND_NS: Final = 1_000_000_000
_BASE_NS: Final = 1_780_000_000 * _SECOND_NS
_PAGE: Final = 1_000

Make = Callable[[int], dict[str, Any]]
"""What the nth attempt says beside task and run; `trace` and `failed` are no attributes."""


def _made_up(nth: int) -> dict[str, Any]:
    return {names.TASK_RETRY_OF: f"{nth * 0x9E3779B97F4A7C15 & (1 << 64) - 1:016x}"}


def _claiming_one(nth: int) -> dict[str, Any]:
    return {names.TASK_ATTEMPT: 1}


def _alternating(nth: int) -> dict[str, Any]:
    return {names.TASK_ATTEMPT: nth, "failed": nth % 2 == 0}


def _each_in_a_trace(nth: int) -> dict[str, Any]:
    return {"trace": nth}


ORDERS: Final[dict[str, Make]] = {
    "a made-up retry_of each": _made_up,
    "all claiming number 1": _claiming_one,
    "failed and completed in turn": _alternating,
    "each in a trace of its own": _each_in_a_trace,
}


def run(quick: bool) -> list[Figure]:
    """One more of 20,000; then 100,000 in each of the orders (a tenth of them if quick)."""
    scale = 10 if quick else 1
    found = [
        Figure(
            name="one more attempt of a run of 20,000", value=_one_more_ms(20_000 // scale),
            unit="ms", floor=2.0, bound="at most", roles="projector", cores="1", load="one run",
        )
    ]  # fmt: skip
    for name, make in ORDERS.items():
        count = 100_000 // scale
        with _views() as feed:
            seconds = _one_by_one(feed, make, range(1, count + 1))
        found.append(
            Figure(
                name=f"{count:,} attempts one by one", value=seconds, unit="s", floor=60.0,
                bound="at most", roles="projector", cores="1", load=name,
            )
        )  # fmt: skip
    return found


def _one_more_ms(attempts: int) -> float:
    with _views() as feed:
        for at in range(1, attempts + 1, _PAGE):
            feed([[_span(nth, _made_up) for nth in range(at, min(at + _PAGE, attempts + 1))]])
        more = range(attempts + 1, attempts + 501)
        return _one_by_one(feed, _made_up, more) / len(more) * 1e3


def _one_by_one(feed: "Feed", make: Make, which: range) -> float:
    """Each attempt in a page of its own; a clock is not read for each, for it costs as much."""
    parts = [which[at : at + _PAGE] for at in range(0, len(which), _PAGE)]
    return sum(feed([[_span(nth, make)] for nth in part]) for part in parts)


Feed = Callable[[Sequence[Sequence[Span]]], float]


@contextmanager
def _views() -> Iterator[Feed]:
    """Views that are fed page by page; gives the processor time of these pages, in seconds."""
    log, fold = MemoryLog(), make_fold()
    identity = Identity(log.identity_key)
    with (
        tempfile.TemporaryDirectory() as scratch,
        closing(generation.connect(Path(scratch) / "views.db")) as connection,
    ):
        connection.execute("BEGIN")
        fold.create(connection)
        fold.index(connection)

        def feed(pages: Sequence[Sequence[Span]]) -> float:
            made = []
            for spans in pages:
                after = log.head().position
                log.append(_batch(spans, identity))
                made.append(log.read(0, after))
            started_s = time.thread_time()
            for page in made:
                fold.apply(connection, page)
            return time.thread_time() - started_s

        yield feed
        connection.execute("ROLLBACK")


def _batch(spans: Sequence[Span], identity: Identity) -> Batch:
    context = codec.encode_context(Context())
    rows = [codec.encode_event(span) for span in spans]
    ids = identity.event_ids(identity.context_digest(names.DEFAULT_TENANT, context), rows)
    content = codec.encode_blocks([(names.DEFAULT_TENANT, _BASE_NS, context, rows)])
    return Batch(
        ids=b"".join(ids),
        payload=codec.pack(content),
        digest=hashlib.sha256(content).digest(),
        count=len(rows),
        content_bytes=len(content),
        time_min_ns=spans[0].start_ns,
        time_max_ns=spans[-1].start_ns,
    )


def _span(nth: int, make: Make) -> Span:
    said = make(nth)
    trace, failed = said.pop("trace", 1), said.pop("failed", True)
    start_ns = _BASE_NS + nth * _SECOND_NS
    return Span(
        trace_id=trace.to_bytes(16, "big"),
        span_id=nth.to_bytes(8, "big"),
        parent_span_id=b"",
        trace_state="",
        flags=0,
        name="run",
        kind=1,
        start_ns=start_ns,
        end_ns=start_ns + 2 * _SECOND_NS,
        attributes={names.TASK_ID: "task", names.TASK_RUN_ID: "run"} | said,
        dropped_attributes_count=0,
        events=[],
        dropped_events_count=0,
        links=[],
        dropped_links_count=0,
        status_code=2 if failed else 1,
        status_message="out of memory" if failed else "",
    )
