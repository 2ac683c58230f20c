"""Attribute values as senders give them: any type may stand anywhere."""

import re
from typing import Any, Final

from events import names
from projections.runs import words
from projections.runs.facts import LogKind, More
from projections.runs.rows import LogRow, SpanRow, TaskAttributes, decode_event

LIFECYCLE: Final = {
    names.ATTEMPT_STARTED: LogKind.STARTED,
    names.ATTEMPT_HEARTBEAT: LogKind.HEARTBEAT,
    names.ATTEMPT_PROGRESS: LogKind.PROGRESS,
    names.ATTEMPT_ENDED: LogKind.ENDED,
}


def text_of(value: Any) -> str | None:
    """A text that is not empty; a number as text, a whole double as the number that it is."""
    if type(value) is str:
        return value or None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    whole = whole_of(value)
    return str(value if whole is None else whole)


def whole_of(value: Any) -> int | None:
    """A whole number: as such, as a double (all that some languages have), or as decimal text."""
    if type(value) is int:
        return value
    if type(value) is float:
        return int(value) if value.is_integer() and abs(value) < _EXACT else None
    if type(value) is str and len(value) <= _DIGITS and _WHOLE.fullmatch(value.strip()):
        return int(value.partition(".")[0])
    return None


def number_of(value: Any) -> int | None:
    """An attempt number, from 0; None where none was given, or none that counts."""
    number = whole_of(value)
    return number if number is not None and 0 <= number < words.NUMBER_LIMIT else None


def fraction_of(value: Any) -> float | None:
    """A number from 0 to 1, as such or as decimal text."""
    if type(value) is str and len(value) <= _DIGITS and _FRACTION.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1 else None


def status_of(value: Any) -> int | None:
    """The status that a result word means; None for any other."""
    return words.RESULT_STATUS.get(value.lower()) if type(value) is str else None


def flag_of(value: Any) -> bool | None:
    """A yes or no, as such or as text."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if type(value) is str else None


def texts_of(value: Any) -> tuple[str, ...]:
    """A list of texts, or one text with commas between them."""
    if type(value) is str:
        value = value.split(",")
    if not isinstance(value, list | tuple):
        return ()
    return tuple(text.strip() for item in value if (text := text_of(item)) and text.strip())


def texts_or_count(value: Any) -> tuple[str, ...] | int | None:
    """A list of texts, or only how many there are."""
    whole = whole_of(value)
    return texts_of(value) or None if whole is None else whole


def more_of(said: TaskAttributes) -> More | None:
    """What few attempts say; None if nothing of it is said."""
    if (
        said.retry_of is None
        and said.will_retry is None
        and said.backfilled is None
        and said.parents is None
        and said.causes is None
        and said.files_written is None
        and said.retrieval_count is None
        and said.retrieval_sources is None
    ):
        return None
    parents, causes, sources = said.parents, said.causes, said.retrieval_sources
    more = More(
        text_of(said.retry_of),
        None if said.will_retry is None else flag_of(said.will_retry),
        said.backfilled is not None and bool(flag_of(said.backfilled)),
        () if parents is None else texts_of(parents),
        () if causes is None else texts_of(causes),
        texts_or_count(said.files_written),
        whole_of(said.retrieval_count),
        None if sources is None else texts_or_count(sources),
    )
    return more if more != _NOTHING_MORE else None


_NOTHING_MORE = More()
_EXACT: Final = 1 << 63
_DIGITS: Final = 32
_WHOLE: Final = re.compile(r"[+-]?[0-9]+(\.0*)?")
_FRACTION: Final = re.compile(r"[0-9]*\.?[0-9]+")


def kind_of(row: LogRow) -> LogKind | None:
    """What a log record says of its span; None if nothing."""
    said = row.attributes
    kind = LIFECYCLE.get(row.event_name or text_of(said.event_name) or "")
    if kind is None and (said.exception_type is not None or said.exception_message is not None):
        return LogKind.EXCEPTION
    return kind


def exception_of(row: SpanRow) -> TaskAttributes | None:
    """The attributes of the last exception event."""
    for raw in reversed(row.events):
        event = decode_event(raw)
        if event.name == names.EXCEPTION_EVENT:
            return event.attributes
    return None
