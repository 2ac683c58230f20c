"""What can be asked: one frozen record of parameters per kind of answer.

`parse` turns the text of a URL or of an option into such a record and names everything that is
wrong with it at once. The same records describe the parameters in the OpenAPI document.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeVar, get_type_hints

import msgspec
from msgspec import Meta

from events.times import parse_rfc3339
from projections.query.refusals import BadQuestion

LIMIT: Final = 1000
_LAST_NS: Final = (1 << 63) - 1
TEXT_LIMIT: Final = 8192

AttemptStatus = Literal[
    "running", "completed", "failed", "timed_out", "cancelled", "skipped", "abandoned", "unknown"
]
RunStatus = Literal[AttemptStatus, "queued", "retrying"]
TaskStatus = Literal[RunStatus, "todo", "pending"]

Text = Annotated[str, Meta(min_length=1, max_length=TEXT_LIMIT)]
Moment = Annotated[
    str,
    Meta(max_length=64, description="RFC 3339 time", extra_json_schema={"format": "date-time"}),
]
View = Annotated[
    str,
    Meta(
        pattern="^[A-Za-z0-9._-]{1,64}$",
        description="Name of a view of the past (`projections rebuild --as-of`); live if absent.",
    ),
]
Position = Annotated[
    str,
    Meta(
        pattern="^[0-9]{1,19}$",
        description="Answer only after the views have seen this position of the log.",
    ),
]
Wait = Annotated[
    float, Meta(ge=0, le=60, description="Longest wait for `min_position`, in seconds.")
]
Limit = Annotated[int, Meta(ge=1, le=LIMIT, description="At most this many items.")]
CursorText = Annotated[
    str, Meta(max_length=4096, description="`next` of the answer that this one continues.")
]
Task = Annotated[Text, Meta(description="Only of the task with exactly this id.")]
Since = Annotated[Moment, Meta(description="From this RFC 3339 time on, inclusive.")]
Until = Annotated[Moment, Meta(description="Before this RFC 3339 time, exclusive.")]
Executor = Annotated[Text, Meta(description="Only on this executor (its id).")]
Model = Annotated[Text, Meta(description="Only with this model.")]
Component = Annotated[Text, Meta(description="Only of this component (service name).")]
Prefix = Annotated[
    str,
    Meta(min_length=1, max_length=256, description="Prefix of the task's id or of its name."),
]
Backfilled = Annotated[bool, Meta(description="Only imported (true) or only live (false) ones.")]
MinAttempts = Annotated[
    int, Meta(ge=1, le=1_000_000, description="Only with at least so many attempts.")
]
ByStart = Annotated[
    Literal["-started", "started"],
    Meta(description="By start: newest first (`-started`) or oldest first (`started`)."),
]


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters that every query takes."""

    view: View | None = None
    min_position: Position | None = None
    wait_s: Wait = 5.0


class ListQuestion(Question, frozen=True, kw_only=True):
    """Parameters that every list takes."""

    limit: Limit = 100
    cursor: CursorText | None = None


class AttemptsQuestion(ListQuestion, frozen=True, kw_only=True):
    """Parameters of a list of attempts."""

    task: Task | None = None
    run: Annotated[Text, Meta(description="Only of runs with this id.")] | None = None
    status: AttemptStatus | None = None
    since: Since | None = None
    until: Until | None = None
    executor: Executor | None = None
    model: Model | None = None
    component: Component | None = None
    backfilled: Backfilled | None = None
    q: Prefix | None = None
    sort: ByStart = "-started"


class RunsQuestion(ListQuestion, frozen=True, kw_only=True):
    """Parameters of a list of runs."""

    task: Task | None = None
    status: RunStatus | None = None
    since: Since | None = None
    until: Until | None = None
    executor: Executor | None = None
    model: Model | None = None
    component: Component | None = None
    backfilled: Backfilled | None = None
    min_attempts: MinAttempts | None = None
    q: Prefix | None = None
    sort: ByStart = "-started"


class TaskRunsQuestion(ListQuestion, frozen=True, kw_only=True):
    """Parameters of the list of one task's runs."""

    status: RunStatus | None = None
    since: Since | None = None
    until: Until | None = None
    executor: Executor | None = None
    model: Model | None = None
    component: Component | None = None
    backfilled: Backfilled | None = None
    min_attempts: MinAttempts | None = None
    sort: ByStart = "-started"


class TasksQuestion(ListQuestion, frozen=True, kw_only=True):
    """Parameters of a list of tasks; times are those of a task's last start."""

    task: Task | None = None
    status: TaskStatus | None = None
    since: Since | None = None
    until: Until | None = None
    executor: Executor | None = None
    model: Model | None = None
    component: Component | None = None
    backfilled: Backfilled | None = None
    min_attempts: MinAttempts | None = None
    q: Prefix | None = None
    sort: ByStart = "-started"


class ErrorsQuestion(ListQuestion, frozen=True, kw_only=True):
    """Parameters of a list of error patterns; times are those of the last occurrence."""

    task: Annotated[Text, Meta(description="Only patterns that touched this task.")] | None = None
    component: (
        Annotated[Text, Meta(description="Only patterns that touched this component.")] | None
    ) = None
    since: Since | None = None
    until: Until | None = None
    recovered: (
        Annotated[bool, Meta(description="Only patterns with a recovery, or without any.")] | None
    ) = None
    q: (
        Annotated[
            str,
            Meta(min_length=1, max_length=256, description="Prefix of the fingerprint or type."),
        ]
        | None
    ) = None
    sort: Annotated[
        Literal["-last_seen", "last_seen", "-first_seen", "first_seen", "-count", "count"],
        Meta(description="Order; a `-` in front turns it round."),
    ] = "-last_seen"


class OccurrencesQuestion(ListQuestion, frozen=True, kw_only=True):
    """Parameters of the list of one error pattern's occurrences."""

    task: Task | None = None
    since: Since | None = None
    until: Until | None = None
    executor: Executor | None = None
    model: Model | None = None
    component: Component | None = None
    backfilled: Backfilled | None = None
    sort: Annotated[
        Literal["-seen", "seen"], Meta(description="Newest first (`-seen`) or oldest first.")
    ] = "-seen"


class MetricsQuestion(ListQuestion, frozen=True, kw_only=True):
    """Parameters of the figures per task."""

    task: Task | None = None
    executor: (
        Annotated[
            Text,
            Meta(description="Only the lines of this executor; tasks that appeared last first."),
        ]
        | None
    ) = None
    by: Annotated[
        Literal["both", "task", "executor"],
        Meta(description="A line over all executors (`task`), one for each, or `both`."),
    ] = "both"
    bucket: (
        Annotated[
            Literal["hour", "day"],
            Meta(description="One line for each hour or day of one `task`, newest first."),
        ]
        | None
    ) = None
    since: Annotated[Moment, Meta(description="Buckets from this time on.")] | None = None
    until: Annotated[Moment, Meta(description="Buckets before this time.")] | None = None
    q: Prefix | None = None


class HistoryQuestion(ListQuestion, frozen=True, kw_only=True):
    """Parameters of the list of state transitions."""

    task: Task | None = None
    status: Annotated[TaskStatus, Meta(description="Only transitions into this status.")] | None = (
        None
    )
    since: Since | None = None
    until: Until | None = None
    sort: Annotated[
        Literal["-time", "time"], Meta(description="Newest first (`-time`) or oldest first.")
    ] = "-time"


Q = TypeVar("Q", bound=msgspec.Struct)


def parse(kind: type[Q], parameters: Mapping[str, Any]) -> Q:
    """The question that `parameters` (texts, or values already) ask.

    Raises:
        BadQuestion: with every parameter that is unknown or wrong.
    """
    hints = _hints(kind)
    values: dict[str, Any] = {}
    errors = []
    for name, given in parameters.items():
        if name not in hints:
            known = ", ".join(sorted(hints))
            errors.append((name[:64], f"unknown parameter; known here: {known}"))
            continue
        try:
            if isinstance(given, str) and "\x00" in given:
                raise ValueError("a NUL character is not allowed")
            values[name] = msgspec.convert(given, hints[name], strict=False)
            if values[name] is None and given is not None:  # msgspec reads it so; not a filter
                raise ValueError(f"{given!r} is no value; leave the parameter out")
            if name in ("since", "until") and given is not None:
                parse_rfc3339(values[name])
        except (msgspec.ValidationError, ValueError) as exc:
            errors.append((name, str(exc)))
    if errors:
        raise BadQuestion(errors)
    return kind(**values)


_known_hints: dict[type, dict[str, Any]] = {}


def _hints(kind: type) -> dict[str, Any]:
    if kind not in _known_hints:
        _known_hints[kind] = get_type_hints(kind, include_extras=True)
    return _known_hints[kind]


def moment_ns(text: str | None) -> int | None:
    """The nanoseconds of a checked `since` or `until`, as near as 64 bits come to it."""
    return None if text is None else min(max(parse_rfc3339(text), -_LAST_NS), _LAST_NS)
