"""The parameters that questions share, and texts made into questions.

Each view's `question.py` has a frozen record of the parameters of each of its questions, made from
these. `parse` turns the text of a URL or of an option into such a record and names everything that
is wrong with it at once. The same records describe the parameters in the OpenAPI document.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from events.times import parse_rfc3339
from projections.query.refusals import BadQuestion

LIMIT: Final = 1000
_LAST_NS: Final = (1 << 63) - 1
TEXT_LIMIT: Final = 32_768
"""Characters of a text that is asked for; the head of a request holds twice as many bytes."""

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
        pattern=r"^[A-Za-z0-9._-]{1,64}$(?!\n)",
        description="Name of a view of the past (`projections rebuild --as-of`); live if absent.",
    ),
]
Position = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{1,19}$(?!\n)",
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
TaskId = Annotated[Text, Meta(description="Only of the task with exactly this id.")]
Since = Annotated[Moment, Meta(description="From this RFC 3339 time on, inclusive.")]
Until = Annotated[Moment, Meta(description="Before this RFC 3339 time, exclusive.")]
Executor = Annotated[Text, Meta(description="Only on this executor (its id).")]
Model = Annotated[Text, Meta(description="Only with this model.")]
Component = Annotated[Text, Meta(description="Only of this component (service name).")]
Environment = Annotated[Text, Meta(description="Only of this `deployment.environment.name`.")]
Prefix = Annotated[
    str,
    Meta(
        min_length=1, max_length=TEXT_LIMIT, description="Prefix of the task's id or of its name."
    ),
]
Backfilled = Annotated[
    bool,
    Meta(
        description="Only imported (true) or only live (false) ones.",
        extra={"negative": "live"},  # the command line's option for false
    ),
]

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
            if name == "q" and "\x00" in str(given):
                raise ValueError("a NUL character is not allowed in a prefix")
            values[name] = msgspec.convert(given, hints[name], strict=False)
            if values[name] is None and given is not None:  # msgspec reads it so; not a filter
                raise ValueError(f"{given!r} is no value; leave the parameter out")
            if name in ("since", "until") and given is not None:
                parse_rfc3339(values[name])
        except (msgspec.ValidationError, ValueError) as exc:
            errors.append((name, f"{exc}{_allowed(hints[name], str(exc))}"))
    if errors:
        raise BadQuestion(errors)
    return kind(**values)


def _allowed(hint: Any, error: str) -> str:
    """What may stand there, if it is one of some words; msgspec does not say it."""
    words = _words(hint) if error.startswith("Invalid enum value") else ()
    return f"; one of {', '.join(words)}" if words else ""


def _words(hint: Any) -> tuple[str, ...]:
    if get_origin(hint) is Literal:
        return tuple(str(word) for word in get_args(hint))
    return tuple(word for part in get_args(hint) for word in _words(part))


_known_hints: dict[type, dict[str, Any]] = {}


def _hints(kind: type) -> dict[str, Any]:
    if kind not in _known_hints:
        _known_hints[kind] = get_type_hints(kind, include_extras=True)
    return _known_hints[kind]


def moment_ns(text: str | None) -> int | None:
    """The nanoseconds of a checked `since` or `until`, as near as 64 bits come to it."""
    return None if text is None else min(max(parse_rfc3339(text), -_LAST_NS), _LAST_NS)
