"""From decoded events to groups: check, cut, encode.

The one place where an event is accepted or refused, whatever encoding it came in.
"""

from collections import Counter
from itertools import accumulate, pairwise
from typing import Final

import msgspec

from events import codec, names
from events.schema import Context, LogRecord, Span
from service.otlp.decode.decoded import Decoded, Group
from service.otlp.decode.limits import Cuts, Limits, log_strings, span_strings
from service.otlp.decode.weight import too_heavy
from service.otlp.scrub.secret_keys import MARK, names_secret

TIME_LIMIT: Final = 1 << 63
_NO_TRACE: Final = bytes(16)
_NO_SPAN: Final = bytes(8)
_FEW_CONTEXT_BYTES: Final = 1 << 20
_REASONS: Final = 5
_LEAST_BYTES: Final = 24
"""Less than this cannot hold a span: its ids alone are as long."""
_SHOWN: Final = 60


class Assembly:
    """Collects the events of one request, of `size` bytes, into a `Decoded`."""

    def __init__(self, limits: Limits, size: int = 0) -> None:
        self.limits = limits
        self.size = size
        self._contexts_left = _FEW_CONTEXT_BYTES + 2 * size
        self.accepted = 0
        self.refused = 0
        self._cut: Cuts = Counter()
        self._reasons: dict[str, tuple[str, int]] = {}
        self._unnamed = 0
        self._groups: list[Group] = []
        self._seen: dict[bytes, dict[bytes, int]] = {}

    def open(self, context: Context, cuts: Cuts) -> None:
        """Begin a group; the events that follow belong to it.

        Raises:
            TooLarge: a large resource is repeated for too many scopes.
        """
        self.open_limited(self.limits.context(context, cuts), cuts)

    def open_limited(self, context: Context, cuts: Cuts) -> None:
        """The same with a context that is within the limits."""
        data = codec.encode_context(context)
        self._cut.update(cuts)
        self._contexts_left -= len(data)
        if self._contexts_left < 0:
            raise too_heavy("scopes under large resources")
        self.open_encoded(data)

    def open_encoded(self, context: bytes) -> None:
        """Begin a group whose context is written already."""
        self._context = context
        self._seen_rows = self._seen.setdefault(context, {})
        self._rows: list[bytes] = []
        self._texts: list[bytes] = []
        self._starts_ns: list[int] = []
        self._ends_ns: list[int] = []
        self._keyed = False

    def adopt(
        self,
        rows: list[bytes],
        text: bytes,
        ends: list[int],
        start: int,
        end: int,
        times_ns: tuple[int, int],
    ) -> None:
        """Accept rows `start` to `end` of a group that is written already, with their texts."""
        bounds = [ends[start - 1] if start else 0, *ends[start:end]]
        self._rows += rows[start:end]
        self._texts += [text[a:b] for a, b in pairwise(bounds)]
        self._starts_ns.append(times_ns[0])
        self._ends_ns.append(times_ns[1])
        self.accepted += end - start

    def add_group(self, group: Group) -> None:
        """Accept a whole group that is written already."""
        self._groups.append(group)
        self.accepted += len(group.rows)

    def count_cuts(self, cuts: dict[str, int]) -> None:
        """Add what was cut before the events came here; of nothing, nothing is said."""
        self._cut.update({what: count for what, count in cuts.items() if count})

    def close(self, *, keyed: bool = False) -> None:
        """End the group; `keyed` if any row that was adopted may have an idempotency key."""
        if not self._rows:
            return
        ends = list(accumulate(map(len, self._texts)))
        self._groups.append(
            Group(
                self._context,
                self._rows,
                b"".join(self._texts),
                ends,
                min(self._starts_ns),
                max(self._starts_ns + self._ends_ns),
                self._keyed or keyed,
            )
        )

    def add_span(self, span: Span, strings: list[str] | None, cuts: Cuts) -> None:
        """Accept or refuse one span. `strings` are its scrubbable strings if they are known."""
        parent = span.parent_span_id
        if (
            len(span.trace_id) != 16
            or len(span.span_id) != 8
            or not 0 < span.start_ns < TIME_LIMIT
            or not 0 <= span.end_ns < TIME_LIMIT
            or span.span_id == _NO_SPAN
            or span.trace_id == _NO_TRACE
            or (parent and (len(parent) != 8 or parent == _NO_SPAN))
            or span.events
            or span.links
        ):
            fault = span_fault(span)
            if fault:
                self.refuse(fault, span_name(span.name, span.trace_id, span.span_id))
                return
            if parent == _NO_SPAN:  # some senders write "no parent" as zeros
                span = msgspec.structs.replace(span, parent_span_id=b"")
        limits = self.limits
        row = codec.encode_event(span)
        if cuts or len(row) > limits.max_string_bytes:
            span = limits.span(span, cuts)
            self._cut.update(cuts)
            strings = None
            row = codec.encode_event(span)
        if strings is None:
            strings = span_strings(span)
        said = span.status_message
        if said and said in "\0".join(strings[:-1]).split("\0"):
            strings.pop()
        if names_secret(span):
            strings.append(MARK)
        if names.TASK_IDEMPOTENCY_KEY in span.attributes:
            self._keyed = True
        self._keep(row, strings)
        self._starts_ns.append(span.start_ns)
        self._ends_ns.append(span.end_ns)

    def add_log(self, record: LogRecord, cuts: Cuts) -> None:
        """Accept or refuse one log record; identical ones of a request are numbered."""
        trace_id, span_id = record.trace_id, record.span_id
        if (
            (trace_id and len(trace_id) != 16)
            or (span_id and len(span_id) != 8)
            or not 0 <= record.time_ns < TIME_LIMIT
            or not 0 <= record.observed_ns < TIME_LIMIT
        ):
            self.refuse(log_fault(record), log_name(record))
            return
        if trace_id == _NO_TRACE or span_id == _NO_SPAN:
            record = msgspec.structs.replace(
                record,
                trace_id=b"" if record.trace_id == _NO_TRACE else record.trace_id,
                span_id=b"" if record.span_id == _NO_SPAN else record.span_id,
            )
        limits = self.limits
        row = codec.encode_event(record)
        if cuts or len(row) > limits.max_string_bytes:
            record = limits.log(record, cuts)
            self._cut.update(cuts)
            row = codec.encode_event(record)
        ordinal = self._seen_rows.get(row, 0)
        self._seen_rows[row] = ordinal + 1
        if ordinal:
            row = codec.numbered(row, record, ordinal)
        strings = log_strings(record)
        if names_secret(record):
            strings.append(MARK)
        self._keep(row, strings)
        self._starts_ns.append(record.time_ns or record.observed_ns)

    def refuse(self, fault: str, name: str, count: int = 1) -> None:
        """Refuse `count` events for `fault`; `name` tells the sender which."""
        self.refused += count
        if fault not in self._reasons and len(self._reasons) >= _REASONS:
            self._unnamed += count
            return
        first, seen = self._reasons.get(fault, (name, 0))
        self._reasons[fault] = (first, seen + count)

    def finish(self, unread_bytes: int = 0) -> Decoded:
        """Everything that was collected; `unread_bytes` were in fields that are not known."""
        reasons = [
            f"{name}: {fault}" + (f" (and {count - 1} more like it)" if count > 1 else "")
            for fault, (name, count) in self._reasons.items()
        ]
        if self._unnamed:
            reasons.append(f"{self._unnamed} more were refused for other reasons")
        if unread_bytes >= _LEAST_BYTES and not (self.accepted or self.refused):
            reasons.append(
                f"nothing was read: {unread_bytes} bytes are in fields that are not known"
            )
        return Decoded(
            self._groups, self.accepted, self.refused, reasons, dict(self._cut), unread_bytes
        )

    def _keep(self, row: bytes, strings: list[str]) -> None:
        self.accepted += 1
        self._rows.append(row)
        strings.append("")
        self._texts.append("\0".join(strings).encode())


def span_fault(span: Span) -> str:
    """Why `span` must be refused; empty if it need not."""
    parent = span.parent_span_id
    return (
        _id_fault("trace_id", span.trace_id, 16)
        or _id_fault("span_id", span.span_id, 8)
        or (_length_fault("parent_span_id", parent, 8) if parent else "")
        or ("" if span.start_ns else "start_time_unix_nano is missing")
        or _time_fault("start_time_unix_nano", span.start_ns)
        or _time_fault("end_time_unix_nano", span.end_ns)
        or _part_fault(span)
    )


def _part_fault(span: Span) -> str:
    for event in span.events:
        if not 0 <= event.time_ns < TIME_LIMIT:
            return _time_fault("time_unix_nano of an event", event.time_ns)
    for link in span.links:
        if len(link.trace_id) not in (0, 16) or len(link.span_id) not in (0, 8):
            return "an id of a link has a wrong length (trace_id takes 16 bytes, span_id 8)"
    return ""


def log_fault(record: LogRecord) -> str:
    """Why `record` must be refused; empty if it need not."""
    return (
        (_length_fault("trace_id", record.trace_id, 16) if record.trace_id else "")
        or (_length_fault("span_id", record.span_id, 8) if record.span_id else "")
        or _time_fault("time_unix_nano", record.time_ns)
        or _time_fault("observed_time_unix_nano", record.observed_ns)
    )


def span_name(name: str, trace_id: bytes, span_id: bytes) -> str:
    """A refused span as its sender will recognise it."""
    shown = name if len(name) <= _SHOWN else name[:_SHOWN] + "…"
    return f"span {shown!r} (trace {_hex(trace_id)}, span {_hex(span_id)})"


def log_name(record: LogRecord) -> str:
    """A refused log record as its sender will recognise it."""
    shown = (record.event_name or record.severity_text)[:_SHOWN]
    return f"log record {shown!r} at {record.time_ns or record.observed_ns} ns"


def _id_fault(field: str, value: bytes, length: int) -> str:
    return _length_fault(field, value, length) or ("" if any(value) else f"{field} is all zero")


def _length_fault(field: str, value: bytes, length: int) -> str:
    return "" if len(value) == length else f"{field} has {len(value)} bytes, not {length}"


def _time_fault(field: str, value: int) -> str:
    return "" if 0 <= value < TIME_LIMIT else f"{field} is out of range: 2^63 ns or more"


def _hex(value: bytes) -> str:
    return value[:16].hex() or "none"
