"""Attribute values as senders give them: any type may stand anywhere."""

import re
from collections.abc import Mapping
from typing import Any, Final

from events import names
from projections.runs import words

STATUS_ERROR: Final = 2
"""What a span's status code is if it failed: STATUS_CODE_ERROR of opentelemetry.proto.trace.v1."""


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


def environment_of(resource: Mapping[str, Any]) -> str | None:
    """The environment that a resource says it is of: `deployment.environment.name`, or as older
    conventions call it."""
    return text_of(resource.get(names.ENVIRONMENT)) or text_of(
        resource.get(names.OLDER_ENVIRONMENT)
    )


def money_of(value: Any) -> float | None:
    """An amount of money, as such or as decimal text; None for what is none, or below zero."""
    if type(value) is str and len(value) <= _DIGITS:
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= _RICHEST else None


def fraction_of(value: Any) -> float | None:
    """A number from 0 to 1, as such or as decimal text."""
    if type(value) is str and len(value) <= _DIGITS and _FRACTION.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1 else None


def status_of(value: Any) -> int | None:
    """The status that a result word means; None for any other."""
    if type(value) is not str or len(value) > _DIGITS:
        return None
    status = words.RESULT_STATUS.get(value)  # as most are written
    return words.RESULT_STATUS.get(words.spelling_of(value)) if status is None else status


def flag_of(value: Any) -> bool | None:
    """A yes or no, as such or as text."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if type(value) is str else None


def is_true(value: Any) -> bool:
    """Whether it is a yes."""
    return bool(flag_of(value))


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


_EXACT: Final = 1 << 63
_DIGITS: Final = 32
_RICHEST: Final = 1e15  # dollars of one attempt; what is more is no amount
_WHOLE: Final = re.compile(r"[+-]?[0-9]+(\.0*)?")
_FRACTION: Final = re.compile(r"[0-9]*\.?[0-9]+")
