"""What differs between two tries: what the second did otherwise than the first."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from events.times import human_duration
from service.web.rendering import moment

_FIELDS: Final = (
    ("Status", "status"),
    ("Error", "error.type"),
    ("Message", "error.message"),
    ("Executor", "executor"),
    ("Tool", "tool"),
    ("Model", "model"),
    ("Planner", "planner"),
    ("Host", "host"),
    ("Queue", "queue"),
    ("Component", "component"),
    ("Trace", "trace_id"),
)


class Line(NamedTuple):
    """One property of both; of a time also the time itself, which is shown in the reader's zone."""

    label: str
    first: str
    second: str
    moments_ns: tuple[int, int] | None = None

    @property
    def differs(self) -> bool:
        """Whether the second is another."""
        return self.first != self.second


class Comparison(NamedTuple):
    """Two tries side by side."""

    first: Any
    second: Any
    lines: Sequence[Line]


def compared(first: Any, second: Any) -> Comparison:
    """Two tries of a run; what neither says is left out."""
    lines = [Line(label, _text(first, path), _text(second, path)) for label, path in _FIELDS]
    lines.insert(1, Line("Took", _took(first), _took(second)))
    lines.insert(2, Line("Queued for", _queued(first), _queued(second)))
    starts_ns = (first.started_ns, second.started_ns)
    lines.insert(3, Line("Started", moment(starts_ns[0]), moment(starts_ns[1]), starts_ns))
    return Comparison(first, second, [line for line in lines if line.first or line.second])


def _text(attempt: Any, path: str) -> str:
    value = attempt
    for name in path.split("."):
        value = getattr(value, name, None)
    return "" if value is None else str(value).replace("_", " ") if path == "status" else str(value)


def _took(attempt: Any) -> str:
    return "" if attempt.duration_ns is None else human_duration(attempt.duration_ns)


def _queued(attempt: Any) -> str:
    if attempt.queued_ns is None or attempt.queued_ns > attempt.started_ns:
        return ""
    return human_duration(attempt.started_ns - attempt.queued_ns)
